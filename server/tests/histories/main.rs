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

#[path = "../common/mod.rs"]
mod common;

use chaos::check::{Judgement, judge};
use chaos::client::Adapter;
use chaos::record::Record;
use chaos::workload::{Bucket, Kind, Lane, Plan, start};
use common::server::{Installation, Server};
use s3_tests::history::Versioning;
use std::path::Path;
use std::time::Duration;

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

/// What the clients do, on keys of their own: in a bucket of each versioning, on the same keys all the time.
fn plan(seed: u64, keys_per_bucket: usize, adapter: Adapter) -> Plan {
    let bucket = |name, versioning, is_mixed| Bucket {
        name,
        versioning,
        is_mixed,
        lanes: vec![
            Lane {
                kind: Kind::Hot,
                keys: 1
            };
            keys_per_bucket
        ],
    };
    Plan {
        seed,
        clients: CLIENTS,
        buckets: vec![
            bucket("off", Versioning::Off, false),
            bucket("on", Versioning::Enabled, false),
            bucket("mixed", Versioning::Enabled, true),
        ],
        adapter,
    }
}

/// Runs a plan for so long, and kills the server so often meanwhile; the server that runs then, what was found,
/// and what was recorded.
async fn run(
    (plan, duration, kills): (&Plan, Duration, u32),
    installation: &Installation,
    mut server: Server,
) -> (Server, Judgement, Record) {
    let gateways = vec![server.s3.clone()];
    let mut running = start(plan, gateways).await.unwrap();
    for _ in 0..kills {
        tokio::time::sleep(duration / (kills + 1)).await;
        server.kill();
        server = installation.start();
        running.record().settle();
    }
    tokio::time::sleep(duration / (kills + 1)).await;
    running.stop().await;
    running.read_all().await;
    let record = running.into_record();
    println!("seed {}: {:?}", plan.seed, record.counts());
    (server, judge(&record), record)
}

/// Fails the test, and keeps the histories, if one has no order.
fn assert_explained(judgement: &Judgement, record: &Record, directory: &Path) {
    if !judgement.is_clean() {
        for (n, history) in record.histories().iter().enumerate() {
            let path = directory.join(format!("history-{n}.txt"));
            std::fs::write(path, format!("{history:#?}")).unwrap();
        }
        panic!("{judgement}");
    }
}

/// Fails the test when the workload did not do what it is there for.
fn assert_varied(record: &Record) {
    let counts = record.counts();
    for kind in [
        "Put Stored",
        "Put Failed",
        "Put Missing",
        "Complete Stored",
        "Complete Failed",
        "Delete Deleted",
        "DeleteVersion Deleted",
        "Read Found",
        "Read Missing",
        "Read Marker",
        "ReadVersion Found",
        "ReadVersion Missing",
        "List Listed",
        "Look Shown",
        "SetVersioning Set",
    ] {
        assert!(counts.contains_key(kind), "no {kind:?} in {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_explained_by_some_order() {
    let dir = common::server::directory();
    let installation = Installation::new(dir.path(), 6);
    let mut server = installation.start();
    for round in 0..if is_soak() { 60 } else { 1 } {
        let plan = plan(seed() + round, 2, Adapter::None);
        let what = (&plan, Duration::from_secs(10), 0);
        let (running, judgement, record) = run(what, &installation, server).await;
        assert_explained(&judgement, &record, dir.path());
        assert_varied(&record);
        server = running;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_explained_when_the_server_dies_meanwhile() {
    let dir = common::server::directory();
    let installation = Installation::new(dir.path(), 6);
    let mut server = installation.start();
    for round in 0..if is_soak() { 60 } else { 1 } {
        let plan = plan(seed() + 1_000 + round, 2, Adapter::None);
        let what = (&plan, Duration::from_secs(9), 2);
        let (running, judgement, record) = run(what, &installation, server).await;
        assert_explained(&judgement, &record, dir.path());
        assert!(record.unanswered() > 0, "the kills interrupted nobody");
        server = running;
    }
}

/// Runs short workloads through an adapter until one is found to be broken; fails if none of ten is.
async fn assert_found(adapter: Adapter) -> String {
    let dir = common::server::directory();
    let installation = Installation::new(dir.path(), 6);
    let mut server = installation.start();
    for round in 0..10 {
        let plan = plan(seed() + 2_000 + round, 1, adapter);
        let what = (&plan, Duration::from_secs(2), 0);
        let (running, judgement, _) = run(what, &installation, server).await;
        if let Some(broken) = judgement.broken.first() {
            println!("found in round {round}: {broken}");
            return broken.clone();
        }
        server = running;
    }
    panic!("the planted fault was not found in ten rounds: {adapter:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_before_the_publication_is_found() {
    let broken = assert_found(Adapter::CheckThenPublish).await;
    assert!(broken.lines().count() >= 3, "{broken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_of_reads_is_found() {
    let broken = assert_found(Adapter::CachedReads).await;
    assert!(broken.contains("GET"), "{broken}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_acknowledged_and_not_done_is_found() {
    let broken = assert_found(Adapter::LostWrites).await;
    assert!(broken.contains("PUT"), "{broken}");
}
