//! openraft's own suite for stores, on ours; and the stores of a group for other tests.

use super::log_store::LogStore;
use super::snapshot::Snapshots;
use super::state_machine::StateMachine;
use super::types::{StorageError, Types};
use crate::engine::rocks::RocksOptions;
use crate::engine::rocks::records::Records;
use crate::engine::rocks::replica::Replica;
use ::types::clock::SystemClock;
use ::types::{Clock, PartitionId};
use openraft::testing::{StoreBuilder, Suite};
use std::path::Path;
use std::sync::Arc;
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
