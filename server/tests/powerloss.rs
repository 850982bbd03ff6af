//! Power loss under 32 writers: after each, what no fsync covered is lost, reverted or torn, and still
//! every acknowledged object reads back identical, every other one is whole or absent, and lists agree
//! with reads. Syncs that are left out on purpose show that the test would notice.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![allow(
    clippy::disallowed_methods,
    reason = "the number of rounds is set from outside"
)]

mod common;

use common::objects;
use common::server::Installation;
use common::syncfault;
use common::workload::{self, BROKEN_PROMISE, BUCKET, Dice, Ledger, WRITERS};
use s3_tests::powerloss::PowerLoss;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Rounds in `make test`, and in `make soak` (CAIRN_SOAK=1).
fn rounds() -> u64 {
    if std::env::var_os("CAIRN_SOAK").is_some() {
        50
    } else {
        4
    }
}

/// Makes the next start of `installation` one under the power-loss library; syncs of files that match
/// `lie` are left out.
fn prepare(installation: &mut Installation, lie: Option<&str>) -> PowerLoss {
    let mut roots = installation.disks.clone();
    roots.push(installation.index_dir());
    for root in &roots {
        std::fs::create_dir_all(root).unwrap();
    }
    let loss = PowerLoss::prepare(&roots, &installation.root.join("journal"));
    installation.envs = loss.envs();
    if let Some(glob) = lie {
        let library = syncfault::library(&installation.root);
        let preload = installation
            .envs
            .iter_mut()
            .find(|(name, _)| name == "LD_PRELOAD");
        let (_, libraries) = preload.expect("the library is preloaded");
        *libraries = format!("{} {libraries}", library.display());
        installation
            .envs
            .push(("SYNCFAULT_LIE".to_owned(), glob.to_owned()));
    }
    loss
}

/// Loses power once for each seed and verifies after each; returns how many changes were acknowledged.
/// In the first round no sync is left out: the installation is made then.
async fn lose_power(root: PathBuf, seeds: Range<u64>, lie: Option<&'static str>) -> u64 {
    let mut installation = Installation::new(&root, 6);
    // Small volumes, so that new ones are made in every round.
    installation.set("volume-size", "4MiB");
    let mut dice = Dice::new(seeds.start);
    let done = Arc::new(AtomicU64::new(0));
    let mut ledgers = vec![Ledger::new(); WRITERS];
    for seed in seeds.clone() {
        let loss = prepare(&mut installation, lie.filter(|_| seed > seeds.start));
        let server = installation.start();
        if seed == seeds.start {
            server.s3.create_bucket(BUCKET).await.unwrap().ok();
        }
        ledgers = workload::verify(&server.s3, ledgers).await;
        ledgers = workload::run_and_kill(server, ledgers, &mut dice, &done).await;
        let report = loss.crash(seed);
        report.assert_sound();
        let acknowledged = done.load(Ordering::Relaxed);
        println!("{acknowledged} changes acknowledged so far; {report}");
        assert!(
            report.lost_something(),
            "nothing was under way when the power went"
        );
    }
    installation.envs.clear();
    let server = installation.start();
    workload::verify(&server.s3, ledgers).await;
    common::check::wait_until_clean(&installation, server).await;
    done.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let dir = common::server::directory();
    let acknowledged = lose_power(dir.path().to_owned(), 1..1 + rounds(), None).await;
    assert!(acknowledged > 10 * rounds(), "the workload hardly ran");
}

/// Power fails while the disks and the index are being made: the next start makes or finds them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_was_interrupted_is_taken_up_again() {
    for seed in 1..1 + 2 * rounds() {
        let dir = common::server::directory();
        let mut installation = Installation::new(dir.path(), 6);
        let loss = prepare(&mut installation, None);
        let server = installation.begin();
        tokio::time::sleep(Duration::from_millis(seed % 8 * 25)).await;
        server.kill();
        println!("{}", loss.crash(seed));
        installation.envs.clear();
        let server = installation.start();
        server.s3.create_bucket(BUCKET).await.unwrap().ok();
        let objects = objects::store(&server.s3, BUCKET, 0..8).await;
        objects::assert_right(&server.s3, BUCKET, &objects).await;
        assert_eq!(server.stop(), Some(0));
    }
}

/// Runs with syncs of matching files left out; the loss must be noticed as a broken promise. What is lost is
/// random, and may end a run in another way (a server that cannot start), so there are three attempts.
async fn is_noticed(lie: &'static str) {
    for attempt in 1..=3 {
        let dir = common::server::directory();
        // Seed 4 loses all that was not synced.
        let run = tokio::spawn(lose_power(dir.path().to_owned(), 3..5, Some(lie)));
        let Err(error) = run.await else {
            println!("attempt {attempt}: left-out syncs were not noticed");
            continue;
        };
        let panic = error.into_panic();
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let said = panic
            .downcast_ref::<String>()
            .cloned()
            .or(text)
            .unwrap_or_default();
        if said.contains(BROKEN_PROMISE) {
            return;
        }
        println!("attempt {attempt}: the run ended for another reason: {said}");
    }
    panic!("no attempt noticed the left-out syncs as a broken promise");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chunks_acknowledged_before_their_sync_are_noticed() {
    is_noticed("*/disk?/volume-*").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn volumes_with_names_that_were_not_synced_are_noticed() {
    is_noticed("*/disk?").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_acknowledged_before_their_sync_are_noticed() {
    is_noticed("*/index/*.log").await;
}
