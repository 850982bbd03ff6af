//! Runs calls on an engine and on the model, and compares the answers.

use crate::model::Model;
use crate::replicated::Replicated;
use crate::steps::{BASE_MS, BatchPlan, ConditionPlan, OperationPlan, ScanPlan, Step, pool};
use index::engine::memory::MemoryEngine;
use index::engine::rocks::{RocksEngine, RocksOptions};
use index::key::{kind, kind_of};
use index::store::{
    Batch, Condition, Idempotency, IndexStore, Operation, ScanEntry, ScanRequest, Seq,
};
use index::{Key, KeyRange};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use types::{OpId, PartitionId};

/// The partition that the steps work on; its neighbour must stay empty.
pub const PARTITION: PartitionId = PartitionId(5);

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers")
}

/// An engine under test, and how it is stopped and started.
pub enum Subject {
    Memory(Arc<MemoryEngine>),
    Rocks(RocksEngine, TempDir),
    Raft(Replicated),
}

impl Subject {
    pub fn memory() -> Self {
        Self::Memory(Arc::new(MemoryEngine::new()))
    }

    pub fn rocks() -> Self {
        Self::open(tempfile::tempdir().expect("a folder for the test"))
    }

    pub fn raft() -> Self {
        Self::Raft(outside(Replicated::new))
    }

    fn open(dir: TempDir) -> Self {
        Self::Rocks(
            RocksEngine::open(&options(dir.path())).expect("it opens"),
            dir,
        )
    }

    pub fn store(&self) -> &dyn IndexStore {
        match self {
            Self::Memory(engine) => engine.as_ref(),
            Self::Rocks(engine, _) => engine,
            Self::Raft(nodes) => nodes,
        }
    }

    /// Closes and opens it. Memory has nothing that could be lost.
    pub fn reopen(self) -> Self {
        match self {
            Self::Memory(_) => self,
            Self::Rocks(engine, dir) => {
                engine.close().expect("it closes");
                drop(engine);
                Self::open(dir)
            }
            Self::Raft(nodes) => Self::Raft(outside(|| nodes.reopen())),
        }
    }

    /// Goes on with a copy of the files, as a crash would leave them.
    fn crash_image(self) -> Self {
        match self {
            Self::Memory(_) => self,
            Self::Rocks(_, dir) => Self::open(copy_of(dir.path())),
            Self::Raft(nodes) => Self::Raft(outside(|| nodes.crash_image())),
        }
    }
}

/// Runs what waits for another runtime, which no thread of this one may.
fn outside<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(act).join()).expect("no panic")
}

pub fn options(dir: &Path) -> RocksOptions {
    RocksOptions {
        reserve_bytes: 0,
        floor_bytes: 0,
        ..RocksOptions::new(dir.join("index"))
    }
}

/// A copy of the files as of one moment. RocksDB removes obsolete files in the background, so an attempt
/// in which the list of files changed is repeated.
fn copy_of(dir: &Path) -> TempDir {
    let source = dir.join("index");
    for _ in 0..100 {
        let copy = tempfile::tempdir().expect("a folder for the copy");
        let target = copy.path().join("index");
        std::fs::create_dir(&target).expect("a folder in it");
        let names = names_in(&source);
        let copied = names
            .iter()
            .all(|name| std::fs::copy(source.join(name), target.join(name)).is_ok());
        if copied && names_in(&source) == names {
            return copy;
        }
    }
    panic!("the files of {} never stand still", source.display());
}

fn names_in(dir: &Path) -> BTreeSet<OsString> {
    let files = std::fs::read_dir(dir).expect("the folder can be read");
    files
        .map(|file| file.expect("the folder can be read").file_name())
        .collect()
}

pub struct Harness {
    subject: Option<Subject>,
    model: Model,
    now_ms: u64,
}

impl Harness {
    pub fn new(subject: Subject) -> Self {
        Self {
            subject: Some(subject),
            model: Model::default(),
            now_ms: BASE_MS,
        }
    }

    fn store(&self) -> &dyn IndexStore {
        self.subject.as_ref().expect("there is always one").store()
    }

    fn replace(&mut self, change: impl FnOnce(Subject) -> Subject) {
        self.subject = self.subject.take().map(change);
    }

    pub async fn take(&mut self, step: &Step) {
        match step {
            Step::Commit(plans) => {
                let batches = plans.iter().map(|plan| self.batch(plan)).collect();
                self.commit(batches).await;
            }
            Step::Scan(plan) => self.scan(plan).await,
            Step::Changes { after, limit } => self.changes(*after, *limit).await,
            Step::Trim { up_to } => {
                self.store()
                    .trim(PARTITION, *up_to)
                    .await
                    .expect("it trims");
                self.model.trim(*up_to);
            }
            Step::Purge => self.purge().await,
            Step::Clock { now_ms } => self.now_ms = *now_ms,
            Step::Reopen => self.replace(Subject::reopen),
            Step::CrashImage => self.replace(Subject::crash_image),
            Step::Compare => self.compare_everything().await,
        }
    }

    async fn commit(&mut self, batches: Vec<Batch>) {
        let expected = self.model.commit_many(PARTITION, &batches);
        let got = self.store().commit_many(PARTITION, batches).await;
        assert_eq!(got, expected);
    }

    async fn purge(&mut self) {
        let before_ms = self.now_ms - 15 * 60 * 1000;
        let request = Key::outcomes_range(before_ms).page(100, None);
        let page = self
            .store()
            .scan(PARTITION, request)
            .await
            .expect("it scans");
        let operations = page.entries.into_iter().map(|entry| match entry {
            ScanEntry::Value(key, _) | ScanEntry::Group(key) => Operation::Delete(key),
        });
        let batch = Batch {
            operations: operations.collect(),
            epoch: self.model.epoch,
            ..Batch::default()
        };
        self.commit(vec![batch]).await;
    }

    async fn changes(&self, after: Seq, limit: usize) {
        let got = self.store().changes(PARTITION, after, limit).await;
        assert_eq!(got, Ok(self.model.changes(after, limit)));
    }

    async fn scan(&self, plan: &ScanPlan) {
        // Only S3 keys are text that a delimiter means something in.
        let is_s3 = matches!(kind_of(&plan.start), Some(kind::CURRENT | kind::UPLOAD));
        let grouping = plan.grouping.filter(|_| is_s3);
        self.scan_request(ScanRequest {
            start: plan.start.clone(),
            end: plan.end.clone(),
            limit: plan.limit,
            grouping: grouping.map(|(prefix, delimiter)| Key::grouping(prefix, delimiter)),
        })
        .await;
    }

    async fn scan_request(&self, request: ScanRequest) {
        let expected = self.model.scan(&request);
        let got = self.store().scan(PARTITION, request).await;
        assert_eq!(got, Ok(expected));
    }

    pub async fn compare_everything(&self) {
        let store = self.store();
        assert_eq!(store.last_seq(PARTITION).await, Ok(self.model.last_seq()));
        self.changes(0, 1000).await;
        for key in pool() {
            let got = store.get(PARTITION, &key).await;
            assert_eq!(got, Ok(self.model.values.get(&key).cloned()));
        }
        let bucket = KeyRange::of_prefix(&1_u64.to_be_bytes());
        for range in [
            bucket,
            Key::reclaims_range(u64::MAX),
            Key::outcomes_range((1 << 48) - 1),
        ] {
            self.scan_request(range.page(1000, None)).await;
        }
        let next = PartitionId(PARTITION.0 + 1);
        assert_eq!(store.last_seq(next).await, Ok(0));
        let all = KeyRange::of_prefix(&1_u64.to_be_bytes()).page(1, None);
        assert_eq!(store.scan(next, all).await, Ok(Default::default()));
    }

    fn batch(&self, plan: &BatchPlan) -> Batch {
        let conditions = plan.conditions.iter().map(|(condition, key)| {
            let key = key.clone();
            match condition {
                ConditionPlan::Absent => Condition::Absent(key),
                ConditionPlan::Exists => Condition::Exists(key),
                ConditionPlan::SeqIs(seq) => Condition::SeqIs(key, *seq),
                ConditionPlan::SeqIsRight => {
                    let seq = self.model.values.get(&key).map_or(0, |value| value.seq);
                    Condition::SeqIs(key, seq)
                }
            }
        });
        let operations = plan
            .operations
            .iter()
            .map(|operation| match operation.clone() {
                OperationPlan::Put(key, value) => Operation::Put(key, value),
                OperationPlan::Delete(key) => Operation::Delete(key),
                OperationPlan::Reclaim(value) => Operation::Reclaim(value),
            });
        Batch {
            conditions: conditions.collect(),
            operations: operations.collect(),
            feed: plan.feed.clone(),
            idempotency: plan.op.map(|(time_ms, number)| Idempotency {
                op_id: OpId((u128::from(time_ms) << 80) | u128::from(number)),
                outcome: plan.feed.clone(),
            }),
            epoch: self.model.epoch.saturating_add_signed(plan.epoch_step),
        }
    }
}
