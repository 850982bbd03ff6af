//! What the tests on the real binary share.
#![allow(dead_code, reason = "each test binary uses its part of it")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests of real processes wait in real time"
)]

pub mod check;
pub mod objects;
pub mod region;
pub mod server;
pub mod syncfault;
pub mod workload;

pub use s3_tests::s3;
