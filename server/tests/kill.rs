//! kill -9 at random moments under 32 writers: every acknowledged object reads back identical, every
//! other one is whole or absent, lists agree with reads, and after garbage collection the volumes hold
//! nothing that the index does not know.
//!
//! This proves nothing about fsync, since the page cache outlives the process: see `powerloss.rs`.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![allow(
    clippy::disallowed_methods,
    reason = "rounds and seed are set from outside"
)]

mod common;

use common::server::Installation;
use common::workload::{self, BUCKET, Dice, Ledger, WRITERS};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Rounds in `make test`, and in `make soak` (CAIRN_SOAK=1).
fn rounds() -> u64 {
    if std::env::var_os("CAIRN_SOAK").is_some() {
        100
    } else {
        10
    }
}

fn seed() -> u64 {
    std::env::var("CAIRN_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let dir = common::server::directory();
    let installation = Installation::new(dir.path(), 6);
    let mut dice = Dice::new(seed());
    let done = Arc::new(AtomicU64::new(0));
    let mut ledgers = vec![Ledger::new(); WRITERS];
    for round in 0..rounds() {
        let server = installation.start();
        if round == 0 {
            server.s3.create_bucket(BUCKET).await.unwrap().ok();
        }
        ledgers = workload::verify(&server.s3, ledgers).await;
        ledgers = workload::run_and_kill(server, ledgers, &mut dice, &done).await;
        println!(
            "round {round}: {} changes acknowledged so far",
            done.load(Ordering::Relaxed)
        );
    }
    assert!(
        done.load(Ordering::Relaxed) > 10 * rounds(),
        "the workload hardly ran"
    );

    let server = installation.start();
    workload::verify(&server.s3, ledgers).await;
    // What crashed writers left is freed too.
    common::check::wait_until_clean(&installation, server).await;
}
