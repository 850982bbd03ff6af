//! What the tests on the real binary share.
#![allow(dead_code, reason = "each test binary uses its part of it")]

pub mod check;
pub mod s3;
pub mod server;
pub mod workload;
