//! kill -9 at random moments under 32 writers: every acknowledged object reads back identical, every
//! other one is whole or absent, lists agree with reads, and after garbage collection the volumes hold
//! nothing that the index does not know.
//!
//! This proves nothing about fsync, since the page cache outlives the process: see `powerloss.rs`.

mod common;

use common::server::{Installation, Server};
use common::workload::{self, BUCKET, Dice, Ledger};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const WRITERS: u64 = 32;

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

/// Lets the writers run for a random time, kills the server, and returns what each writer knows.
async fn run_and_kill(
    server: Server,
    ledgers: Vec<Ledger>,
    dice: &mut Dice,
    done: &Arc<AtomicU64>,
) -> Vec<Ledger> {
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = ledgers
        .into_iter()
        .zip(0..)
        .map(|(ledger, writer)| {
            let (s3, stop, done) = (server.s3.clone(), Arc::clone(&stop), Arc::clone(done));
            tokio::spawn(workload::write(s3, writer, ledger, stop, done))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200 + dice.roll(1800))).await;
    server.kill();
    stop.store(true, Ordering::Relaxed);
    let mut known = Vec::new();
    for writer in writers {
        known.push(writer.await.expect("a writer found a broken promise"));
    }
    known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut installation = Installation::new(dir.path(), 6);
    let mut dice = Dice::new(seed());
    let done = Arc::new(AtomicU64::new(0));
    let mut ledgers = vec![Ledger::new(); WRITERS as usize];
    for round in 0..rounds() {
        let server = installation.start();
        if round == 0 {
            server.s3.create_bucket(BUCKET).await.unwrap().ok();
        }
        ledgers = workload::verify(&server.s3, ledgers).await;
        ledgers = run_and_kill(server, ledgers, &mut dice, &done).await;
        println!(
            "round {round}: {} changes acknowledged so far",
            done.load(Ordering::Relaxed)
        );
    }
    assert!(
        done.load(Ordering::Relaxed) > 10 * rounds(),
        "the workload hardly ran"
    );

    // The last start lets garbage collection finish: what crashed writers left is freed too.
    installation.flags.push("--write-deadline=500ms".to_owned());
    let server = installation.start();
    workload::verify(&server.s3, ledgers).await;
    common::check::wait_until_clean(&installation, server).await;
}
