//! Exchanges with real S3 clients over the wire. This crate holds those of the AWS SDK for Rust, under
//! `tests/`; those of the clients that are programs or Python libraries lie under `clients/`. It also
//! judges histories of concurrent requests, for the tests that record them, and has the small client that tests on
//! the real binary use where every answer is to be seen as it came.

pub mod dice;
pub mod history;
pub mod ports;
pub mod powerloss;
pub mod s3;
mod target;

pub use target::Target;
