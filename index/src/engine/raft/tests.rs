//! openraft's own suite for stores, on ours; and the stores of a group for other tests.

use super::entry::Command;
use super::log_store::LogStore;
use super::snapshot::{Snapshots, seal_position};
use super::state_machine::StateMachine;
use super::types::{Entry, Proposal, StorageError, Types};
use super::{RaftEngine, RaftOptions, Transport, TransportError};
use crate::engine::rocks::RocksOptions;
use crate::engine::rocks::records::Records;
use crate::engine::rocks::replica::{Changes, Replica};
use crate::key::Key;
use crate::store::{Batch, Condition, IndexStore, Outcome, StoreError};
use ::types::clock::SystemClock;
use ::types::entropy::OsEntropy;
use ::types::{BucketId, Clock, NodeId, PartitionId};
use async_trait::async_trait;
use bytes::Bytes;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::testing::{StoreBuilder, Suite, blank_ent, log_id};
use openraft::{EntryPayload, RaftLogReader};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

pub const PARTITION: PartitionId = PartitionId(3);

pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

fn options(dir: &Path) -> RocksOptions {
    RocksOptions {
        reserve_bytes: 0,
        floor_bytes: 0,
        ..RocksOptions::new(dir)
    }
}

pub fn records(dir: &Path) -> Arc<Records> {
    Arc::new(Records::open(&options(&dir.join("log")), None).expect("it opens"))
}

pub fn replica(dir: &Path) -> Arc<Replica> {
    Arc::new(Replica::open(&options(&dir.join("state"))).expect("it opens"))
}

pub fn snapshots(dir: &Path, replica: &Arc<Replica>) -> Arc<Snapshots> {
    let files = dir.join("snapshots");
    std::fs::create_dir_all(&files).expect("a folder for files");
    let opened = Snapshots::open(&files, PARTITION, Arc::clone(replica), clock());
    Arc::new(opened.expect("it opens"))
}

pub fn machine(dir: &Path) -> (Arc<Replica>, Arc<Snapshots>, StateMachine) {
    let replica = replica(dir);
    let snapshots = snapshots(dir, &replica);
    let machine = StateMachine::open(PARTITION, Arc::clone(&replica), Arc::clone(&snapshots));
    (replica, snapshots, machine.expect("it opens"))
}

/// Log entries 0 to 9 are there. openraft orders their removal as soon as it has ordered the installation of a
/// snapshot that covers them.
#[test]
fn entries_are_removed_only_when_the_replica_does_not_need_them_after_a_crash() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder for the test");
    runtime.block_on(async {
        let (floor, reached) = tokio::sync::watch::channel(0);
        let log = LogStore::open(records(dir.path()), PARTITION, clock(), Some(reached));
        let mut log = log.expect("it opens");
        let entries = (0..10).map(|index| blank_ent::<Types>(1, 1, index));
        log.blocking_append(entries).await.expect("it appends");
        let mut other = log.clone();
        let removal = tokio::spawn(async move { other.purge(log_id(1, 1, 6)).await });
        floor.send_replace(6);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        assert!(!removal.is_finished(), "entry 6 is needed");
        let kept = log.try_get_log_entries(..).await.expect("it reads");
        assert_eq!(kept.len(), 10);
        floor.send_replace(7);
        removal.await.expect("no panic").expect("it is removed");
        let kept = log.try_get_log_entries(..).await.expect("it reads");
        assert_eq!(kept.first().map(|entry| entry.log_id.index), Some(7));
    });
    drop(runtime);
}

#[test]
fn an_entry_that_meets_a_damaged_record_is_not_passed_over() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder for the test");
    let (replica, _, mut machine) = machine(dir.path());
    let key = Key::BucketState {
        bucket: BucketId(1),
    };
    let key = key.encode();
    let damaged = Changes {
        writes: BTreeMap::from([(key.clone(), Some(Bytes::from_static(b"no envelope")))]),
        ..Changes::default()
    };
    let position = seal_position(PARTITION, Some(log_id(1, 1, 0)), &Default::default());
    let written = replica.apply(PARTITION, damaged, position.clone());
    written.expect("it is written");
    let entry = |index, conditions| Entry {
        log_id: log_id(1, 1, index),
        payload: EntryPayload::Normal(Proposal::new(vec![Command::Commit(vec![Batch {
            conditions,
            ..Batch::default()
        }])])),
    };
    runtime.block_on(async {
        let meets_it = vec![Condition::Exists(key)];
        let applied = machine.apply([entry(1, meets_it)]).await;
        let error = applied.expect_err("the record is damaged");
        assert!(error.to_string().contains("damaged"), "{error}");
        assert_eq!(replica.position(PARTITION), Some(position));
    });
}

#[derive(Debug)]
struct Nobody;

#[async_trait]
impl Transport for Nobody {
    async fn send(
        &self,
        to: NodeId,
        _address: &str,
        _partition: PartitionId,
        _message: Bytes,
        _deadline: Duration,
    ) -> Result<Bytes, TransportError> {
        Err(TransportError::Unreachable(
            to,
            "there is nobody".to_owned(),
        ))
    }
}

#[test]
fn a_log_that_cannot_be_written_ends_the_engine_and_tells_the_process() {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder for the test");
    let mut options = RaftOptions::new(NodeId(1), dir.path(), vec![PARTITION]);
    for space in [&mut options.state, &mut options.log] {
        (space.reserve_bytes, space.floor_bytes) = (0, 0);
    }
    let (told, reason) = std::sync::mpsc::sync_channel(9);
    runtime.block_on(async {
        let on_failure = Box::new(move |reason: &str| {
            told.send(reason.to_owned()).expect("the test waits");
        });
        let nobody = Arc::new(Nobody);
        let engine = RaftEngine::open(options, nobody, clock(), &OsEntropy, on_failure);
        let engine = engine.await.expect("it opens");
        engine.start().await.expect("it is alone");
        let members = BTreeMap::from([(NodeId(1), String::new())]);
        let formed = engine.bootstrap(PARTITION, &members).await;
        formed.expect("it is new");
        let mut leads = engine.leadership(PARTITION);
        leads.wait_for(Option::is_some).await.expect("it runs");
        let commit = || engine.commit_many(PARTITION, vec![Batch::default()]);
        assert_eq!(commit().await, Ok(vec![Outcome::Committed(1)]));
        engine.records.close();
        let unknown = commit().await;
        assert!(
            matches!(unknown, Err(StoreError::Indeterminate(_))),
            "{unknown:?}"
        );
        leads.wait_for(Option::is_none).await.expect("it tells");
        let told = tokio::task::spawn_blocking(move || reason.recv()).await;
        let told = told.expect("no panic").expect("it tells");
        assert_eq!(engine.failure(), Some(told));
        assert!(matches!(commit().await, Err(StoreError::Unavailable(_))));
    });
}

struct Stores;

impl StoreBuilder<Types, LogStore, StateMachine, TempDir> for Stores {
    async fn build(&self) -> Result<(TempDir, LogStore, StateMachine), StorageError> {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let log = LogStore::open(records(dir.path()), PARTITION, clock(), None);
        let (_, _, machine) = machine(dir.path());
        Ok((dir, log.expect("it opens"), machine))
    }
}

#[test]
fn openrafts_suite_passes() {
    Suite::test_all(Stores).expect("the stores do what openraft asks for");
}
