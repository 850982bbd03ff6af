//! Random sequences of operations, compared with the model after each step: with faults, repetitions,
//! restarts, reclaim in between, and an account of every chunk at the end.

mod compare;
mod retry;
mod run;
mod tag;

use crate::faulty::{FAULTS, Fault};
use crate::world::World;
use index::engine::rocks::{RocksEngine, RocksOptions};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use run::Run;
use std::sync::Arc;

/// Buckets of a run; their ids put them in different partitions.
const BUCKETS: usize = 3;
const KEYS: [&str; 6] = ["a", "a/", "a/b", "a/b/c", "b", "\u{e9}\0x"];

/// Which version of a key an operation names: the current one, the null one, or one by its id.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    Current,
    Null,
    Nth(usize),
}

#[derive(Debug, Clone, Copy)]
pub enum When {
    Always,
    Absent,
    Matches,
    Differs,
}

#[derive(Debug, Clone, Copy)]
pub enum Act {
    Put {
        key: usize,
        chunks: usize,
        when: When,
    },
    Delete {
        key: usize,
        which: Which,
        when: When,
    },
    Copy {
        key: usize,
        which: Which,
        to_bucket: usize,
        to_key: usize,
        when: When,
    },
    Tag {
        key: usize,
        which: Which,
    },
    Versioning {
        enabled: bool,
    },
    StartUpload {
        key: usize,
    },
    PutPart {
        upload: usize,
        number: u16,
        chunks: usize,
    },
    Complete {
        upload: usize,
        parts: u8,
        when: When,
    },
    Abort {
        upload: usize,
    },
    DropBucket,
    Reclaim,
    Restart,
}

/// An act on a bucket, and a commit that fails during it.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    pub bucket: usize,
    pub act: Act,
    pub fault: Option<(u64, Fault)>,
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![
        3 => Just(Which::Current),
        1 => Just(Which::Null),
        2 => (0..3_usize).prop_map(Which::Nth),
    ]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        6 => Just(When::Always),
        1 => Just(When::Absent),
        1 => Just(When::Matches),
        1 => Just(When::Differs),
    ]
}

fn chunks() -> impl Strategy<Value = usize> {
    prop_oneof![3 => Just(0_usize), 4 => 1..3_usize, 1 => Just(70_usize)]
}

fn act() -> impl Strategy<Value = Act> {
    let key = || 0..KEYS.len();
    let upload = || 0..4_usize;
    prop_oneof![
        8 => (key(), chunks(), when()).prop_map(|(key, chunks, when)| Act::Put { key, chunks, when }),
        6 => (key(), which(), when()).prop_map(|(key, which, when)| Act::Delete { key, which, when }),
        6 => (key(), which(), 0..BUCKETS, key(), when()).prop_map(
            |(key, which, to_bucket, to_key, when)| Act::Copy { key, which, to_bucket, to_key, when }
        ),
        3 => (key(), which()).prop_map(|(key, which)| Act::Tag { key, which }),
        2 => any::<bool>().prop_map(|enabled| Act::Versioning { enabled }),
        2 => key().prop_map(|key| Act::StartUpload { key }),
        5 => (upload(), 1..4_u16, 1..3_usize)
            .prop_map(|(upload, number, chunks)| Act::PutPart { upload, number, chunks }),
        3 => (upload(), 0..16_u8, when())
            .prop_map(|(upload, parts, when)| Act::Complete { upload, parts, when }),
        1 => upload().prop_map(|upload| Act::Abort { upload }),
        1 => Just(Act::DropBucket),
        1 => Just(Act::Reclaim),
        1 => Just(Act::Restart),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        3 => Just(None),
        1 => (0..4_u64, prop::sample::select(&FAULTS[..])).prop_map(Some),
    ];
    (0..BUCKETS, act(), fault).prop_map(|(bucket, act, fault)| Step { bucket, act, fault })
}

fn run_cases(cases: u32, length: usize, world: impl Fn() -> World) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let config = Config {
        cases,
        max_shrink_iters: 2000,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let steps = prop::collection::vec(step(), 1..length);
    let result = runner.run(&steps, |steps| {
        runtime.block_on(async {
            let mut run = Run::new(world()).await;
            for step in &steps {
                run.step(*step).await;
            }
            run.finish().await;
        });
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn sequences_in_memory_agree_with_the_model() {
    run_cases(200, 60, World::new);
}

#[test]
fn sequences_on_rocksdb_agree_with_the_model() {
    let dir = tempfile::tempdir().unwrap();
    let number = std::sync::atomic::AtomicU32::new(0);
    run_cases(3, 40, || {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let options = RocksOptions::new(dir.path().join(number.to_string()));
        World::on(Arc::new(RocksEngine::open(&options).unwrap()))
    });
}
