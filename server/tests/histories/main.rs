//! Histories of concurrent requests on the real binary, each key's held against what S3 is: conditional
//! writes, completions that race, versions, delete markers and suspended buckets, also when the server is
//! killed in between. And faults planted between the clients and the server, which must be found.
//!
//! `CAIRN_SEED` sets the seed, `CAIRN_SOAK=1` runs it for longer. A history without an order is kept in the
//! directory that a failing test names.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests of real processes wait in real time, and are told their seed from outside"
)]

mod client;
#[path = "../common/mod.rs"]
mod common;
mod record;
mod workload;

use client::Adapter;
use common::server::Installation;
use record::Record;
use s3_tests::history::{Broken, Verdict, check};
use std::path::Path;
use std::time::Duration;
use workload::{Plan, run};

/// Clients at work at once.
const CLIENTS: usize = 12;

fn is_soak() -> bool {
    std::env::var_os("CAIRN_SOAK").is_some()
}

fn seed() -> u64 {
    let seed = std::env::var("CAIRN_SEED").ok();
    let seed = seed.and_then(|text| text.parse().ok()).unwrap_or(1);
    println!("CAIRN_SEED={seed}");
    seed
}

/// The first key's history that no order explains.
fn judge(record: &Record) -> Option<Broken> {
    let mut found = None;
    for history in record.histories() {
        match check(&history) {
            Verdict::Linearizable => {}
            Verdict::Broken(broken) => found = found.or(Some(*broken)),
            Verdict::Undecided(event) => {
                panic!("{}: too many orders at event {event}", history.key)
            }
        }
    }
    found
}

/// Fails the test, and keeps the histories, if one has no order.
fn assert_explained(record: &Record, directory: &Path) {
    if let Some(broken) = judge(record) {
        for (n, history) in record.histories().iter().enumerate() {
            let path = directory.join(format!("history-{n}.txt"));
            std::fs::write(path, format!("{history:#?}")).unwrap();
        }
        panic!("{broken}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_explained_by_some_order() {
    let dir = common::server::directory();
    let installation = Installation::new(dir.path(), 6);
    let mut server = installation.start();
    for round in 0..if is_soak() { 60 } else { 1 } {
        let plan = Plan {
            seed: seed() + round,
            clients: CLIENTS,
            keys_per_bucket: 2,
            duration: Duration::from_secs(10),
            kills: 0,
            adapter: Adapter::None,
        };
        let record;
        (server, record) = run(&plan, &installation, server).await;
        assert_explained(&record, dir.path());
        record.assert_varied();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_explained_when_the_server_dies_meanwhile() {
    let dir = common::server::directory();
    let installation = Installation::new(dir.path(), 6);
    let mut server = installation.start();
    for round in 0..if is_soak() { 60 } else { 1 } {
        let plan = Plan {
            seed: seed() + 1_000 + round,
            clients: CLIENTS,
            keys_per_bucket: 2,
            duration: Duration::from_secs(9),
            kills: 2,
            adapter: Adapter::None,
        };
        let record;
        (server, record) = run(&plan, &installation, server).await;
        assert_explained(&record, dir.path());
        assert!(record.unanswered() > 0, "the kills interrupted nobody");
    }
}

/// Runs short workloads through an adapter until one is found to be broken; fails if none of ten is.
async fn assert_found(adapter: Adapter) -> Broken {
    let dir = common::server::directory();
    let installation = Installation::new(dir.path(), 6);
    let mut server = installation.start();
    for round in 0..10 {
        let plan = Plan {
            seed: seed() + 2_000 + round,
            clients: CLIENTS,
            keys_per_bucket: 1,
            duration: Duration::from_secs(2),
            kills: 0,
            adapter,
        };
        let record;
        (server, record) = run(&plan, &installation, server).await;
        if let Some(broken) = judge(&record) {
            println!("found in round {round}: {broken}");
            return broken;
        }
    }
    panic!("the planted fault was not found in ten rounds: {adapter:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_before_the_publication_is_found() {
    let broken = assert_found(Adapter::CheckThenPublish).await;
    assert!(broken.window.len() >= 2, "{broken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_of_reads_is_found() {
    let broken = assert_found(Adapter::CachedReads).await;
    assert!(broken.to_string().contains("GET"), "{broken}");
}
