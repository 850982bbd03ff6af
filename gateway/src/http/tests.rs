//! The front before the real s3s service and a small S3, over real connections.

mod connections;
mod harness;
mod presigned;
mod refusals;
mod uploads;
