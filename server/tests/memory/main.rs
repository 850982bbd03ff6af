//! Memory of the real binary: it stays within `memory_limit`, however large objects are, however many
//! clients there are, and however slow they may be; past it requests are refused and nothing breaks.
//!
//! In `make test` with sizes scaled down; with CAIRN_SOAK=1 with the real ones, and lines for
//! `s3-tests/RESULTS.md`. CAIRN_BINARY measures another build of the binary.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests of real processes wait in real time, and are told their sizes from outside"
)]

mod answers;
mod cache;
mod cage;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod http2;
mod idle;
mod large;
mod pace;
mod process;
mod slow;
mod soak;
mod steady;
mod wire;

use common::server::{Directory, Installation, Server};

const BUCKET: &str = "memory";
const MIB: u64 = 1024 * 1024;

/// Whether the real sizes are asked for.
fn soak() -> bool {
    std::env::var_os("CAIRN_SOAK").is_some()
}

/// Six directories, a server with this limit of memory, and a bucket.
async fn start(memory_limit_bytes: u64) -> (Directory, Installation, Server) {
    process::raise_open_files();
    let dir = common::server::directory();
    let mut installation = Installation::new(dir.path(), 6);
    installation.set("memory-limit", &format!("{memory_limit_bytes}B"));
    installation.set("volume-size", "64MiB");
    installation.set("read-deadline", "10m");
    installation.set("reclaim-grace", "11m");
    installation.set("write-deadline", "10m");
    if let Some(binary) = std::env::var_os("CAIRN_BINARY") {
        installation.binary = binary.into();
    }
    let server = installation.start();
    server.s3.create_bucket(BUCKET).await.unwrap().ok();
    (dir, installation, server)
}
