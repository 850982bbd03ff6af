//! Exchanges with real S3 clients over the wire. This crate holds those of the AWS SDK for Rust, under
//! `tests/`; those of the clients that are programs or Python libraries lie under `clients/`.

mod target;

pub use target::Target;
