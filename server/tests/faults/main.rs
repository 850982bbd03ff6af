//! Faults of disks and of their contents, on the real binary: correct bytes or an error, never anything
//! else; writes go on as long as their promise can be kept; and repair restores what was lost.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests of real processes wait in real time"
)]

#[path = "../common/mod.rs"]
mod common;
mod contents;
mod disks;
mod full;
mod lost;
mod media;
mod syncs;

use common::objects::{self, Object};
use common::server::{Installation, Server};
use std::ops::Range;

const BUCKET: &str = "faults";

/// An installation with six disks, a server on it, and objects.
async fn filled(
    seeds: Range<u64>,
) -> (common::server::Directory, Installation, Server, Vec<Object>) {
    let dir = common::server::directory();
    let mut installation = Installation::new(dir.path(), 6);
    // Every read asks the disks, which are what is tested.
    installation.set("cache-memory", "0");
    let server = installation.start();
    server.s3.create_bucket(BUCKET).await.unwrap().ok();
    let objects = objects::store(&server.s3, BUCKET, seeds).await;
    (dir, installation, server, objects)
}
