//! The gateway: S3 over HTTP. The only crate that names s3s.

pub mod auth;
pub mod body;
pub mod host;
pub mod http;
pub mod sigv4;
mod xml;

pub mod admission;
pub mod cache;
pub mod config;
pub mod context;
pub mod digest;
pub mod error;
pub mod headers;
pub mod metrics;
pub mod ops;
pub mod policy;
pub mod precondition;
pub mod range;
pub mod s3;
