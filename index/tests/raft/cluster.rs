//! Nodes in one process, and what is done to them.

use crate::net::Net;
use bytes::Bytes;
use index::Key;
use index::engine::raft::{RaftEngine, RaftOptions, StartError, Timing};
use index::store::{Batch, Condition, IndexStore, Operation, Outcome, StoreError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::{BucketId, Clock, NodeId, PartitionId};

pub const PARTITION: PartitionId = PartitionId(1);
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn timing() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(60),
        election_min: Duration::from_millis(250),
        election_max: Duration::from_millis(400),
        commit_deadline: Duration::from_secs(2),
        read_deadline: Duration::from_secs(1),
        stall_max: Duration::from_secs(3),
    }
}

type Adjust = Box<dyn Fn(&mut RaftOptions) + Send + Sync>;

/// A node's folder, and its engine while it runs.
pub struct Node {
    pub dir: TempDir,
    pub engine: Option<Arc<RaftEngine>>,
}

pub struct Cluster {
    pub net: Arc<Net>,
    pub clock: Arc<dyn Clock>,
    pub nodes: BTreeMap<NodeId, Node>,
    adjust: Adjust,
    pub failures: Arc<Mutex<Vec<String>>>,
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

pub fn node(number: u32) -> NodeId {
    NodeId(number)
}

impl Cluster {
    /// `count` nodes that form the groups of all partitions.
    pub async fn new(count: u32) -> Self {
        Self::with(count, |_| {}).await
    }

    pub async fn with(
        count: u32,
        adjust: impl Fn(&mut RaftOptions) + Send + Sync + 'static,
    ) -> Self {
        let mut cluster = Self {
            net: Net::new(7),
            clock: Arc::new(SystemClock::new()),
            nodes: BTreeMap::new(),
            adjust: Box::new(adjust),
            failures: Arc::default(),
        };
        for number in 1..=count {
            cluster.add(node(number));
        }
        cluster.start_all().await;
        let members = (1..=count).map(|n| (node(n), String::new())).collect();
        for partition in cluster.options(node(1)).partitions {
            let formed = cluster.engine(node(1)).bootstrap(partition, &members);
            formed.await.expect("it is formed once");
        }
        cluster
    }

    pub fn add(&mut self, id: NodeId) {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let engine = None;
        self.nodes.insert(id, Node { dir, engine });
    }

    fn options(&self, id: NodeId) -> RaftOptions {
        let dir = self.nodes[&id].dir.path().join("index");
        let mut options = RaftOptions::new(id, dir, vec![PARTITION]);
        for space in [&mut options.state, &mut options.log] {
            (space.reserve_bytes, space.floor_bytes) = (0, 0);
        }
        options.peers = self.nodes.keys().map(|id| (*id, String::new())).collect();
        options.timing = timing();
        (self.adjust)(&mut options);
        options
    }

    pub async fn open(&mut self, id: NodeId) -> Arc<RaftEngine> {
        let failures = Arc::clone(&self.failures);
        let engine = RaftEngine::open(
            self.options(id),
            self.net.transport(id),
            Arc::clone(&self.clock),
            &OsEntropy,
            Box::new(move |reason| failures.lock().push(reason.to_owned())),
        );
        let engine = engine.await.expect("it opens");
        self.net.join(id, &engine);
        self.nodes.get_mut(&id).expect("it is one").engine = Some(Arc::clone(&engine));
        engine
    }

    pub async fn start(&mut self, id: NodeId) -> Result<(), StartError> {
        self.open(id).await.start().await
    }

    /// Starts every node that does not run.
    pub async fn start_all(&mut self) {
        let down: Vec<NodeId> = self.down();
        let mut starting = Vec::new();
        for id in down {
            let engine = self.open(id).await;
            starting.push(tokio::spawn(async move { engine.start().await }));
        }
        for started in starting {
            started.await.expect("no panic").expect("it starts");
        }
    }

    fn down(&self) -> Vec<NodeId> {
        let down = self.nodes.iter().filter(|(_, node)| node.engine.is_none());
        down.map(|(id, _)| *id).collect()
    }

    pub fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    pub fn engine(&self, id: NodeId) -> &Arc<RaftEngine> {
        self.nodes[&id].engine.as_ref().expect("it runs")
    }

    /// Ends a node as a crash would, and goes on with a copy of its files.
    pub async fn crash(&mut self, id: NodeId, change: impl FnOnce(&Path)) {
        self.net.leave(id);
        let node = self.nodes.get_mut(&id).expect("it is one");
        let engine = node.engine.take().expect("it runs");
        engine.halt().await;
        let copy = tempfile::tempdir().expect("a folder for the copy");
        copy_folder(node.dir.path(), copy.path());
        drop(engine);
        node.dir = copy;
        change(&node.dir.path().join("index"));
    }

    pub async fn stop(&mut self, id: NodeId) {
        self.net.leave(id);
        let node = self.nodes.get_mut(&id).expect("it is one");
        let engine = node.engine.take().expect("it runs");
        engine.shutdown().await;
    }

    /// The leader that answers for a quorum, among `ids`.
    pub async fn leader_of(&self, ids: &[NodeId]) -> NodeId {
        let until = self.clock.monotonic() + PATIENCE;
        while self.clock.monotonic() < until {
            for id in ids.iter().filter(|id| self.nodes[id].engine.is_some()) {
                if self.engine(*id).prove(PARTITION).await.is_ok() {
                    return *id;
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no leader among {ids:?}: {:?}", self.failures.lock());
    }

    pub async fn leader(&self) -> NodeId {
        self.leader_of(&self.ids()).await
    }

    /// Commits through whoever leads, until it is acknowledged.
    pub async fn put(&self, name: &str, value: &str) {
        let until = self.clock.monotonic() + PATIENCE;
        loop {
            let leader = self.leader().await;
            let written = put(self.engine(leader).as_ref(), name, value).await;
            match written {
                Ok(_) => return,
                Err(error) if is_passing(&error) && self.clock.monotonic() < until => {}
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }

    pub async fn get(&self, name: &str) -> Option<String> {
        let until = self.clock.monotonic() + PATIENCE;
        loop {
            let leader = self.leader().await;
            match get(self.engine(leader).as_ref(), name).await {
                Ok(found) => return found,
                Err(error) if is_passing(&error) && self.clock.monotonic() < until => {}
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }

    /// Waits until `is_so` of a node's report.
    pub async fn wait(
        &self,
        id: NodeId,
        what: &str,
        is_so: impl Fn(&index::engine::raft::GroupReport) -> bool,
    ) {
        let until = self.clock.monotonic() + PATIENCE;
        loop {
            let report = self.engine(id).report(PARTITION);
            if report.as_ref().is_ok_and(&is_so) {
                return;
            }
            assert!(self.clock.monotonic() < until, "{what}: {report:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn end(mut self) {
        for id in self.ids() {
            if self.nodes[&id].engine.is_some() {
                self.stop(id).await;
            }
        }
        assert!(
            self.failures.lock().is_empty(),
            "{:?}",
            self.failures.lock()
        );
    }
}

/// Whether trying again may help.
pub fn is_passing(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::NotLeader { .. } | StoreError::Unavailable(_) | StoreError::Indeterminate(_)
    )
}

pub fn key(name: &str) -> Bytes {
    let (bucket, key) = (BucketId(1), name.to_owned());
    Key::Current { bucket, key }.encode()
}

pub fn batch(name: &str, value: &str) -> Batch {
    Batch {
        operations: vec![Operation::Put(key(name), value.to_owned().into())],
        ..Batch::default()
    }
}

pub async fn put(store: &dyn IndexStore, name: &str, value: &str) -> Result<Outcome, StoreError> {
    let mut outcomes = store
        .commit_many(PARTITION, vec![batch(name, value)])
        .await?;
    Ok(outcomes.remove(0))
}

pub async fn put_if(
    store: &dyn IndexStore,
    name: &str,
    value: &str,
    condition: Condition,
) -> Result<Outcome, StoreError> {
    let batch = Batch {
        conditions: vec![condition],
        ..batch(name, value)
    };
    let mut outcomes = store.commit_many(PARTITION, vec![batch]).await?;
    Ok(outcomes.remove(0))
}

pub async fn get(store: &dyn IndexStore, name: &str) -> Result<Option<String>, StoreError> {
    let found = store.get(PARTITION, &key(name)).await?;
    Ok(found.map(|found| String::from_utf8(found.value.to_vec()).expect("text was put")))
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder in the copy");
    for file in std::fs::read_dir(from).expect("the folder can be read") {
        let file = file.expect("the folder can be read");
        let (source, target) = (file.path(), to.join(file.file_name()));
        if source.is_dir() {
            copy_folder(&source, &target);
            continue;
        }
        match std::fs::copy(&source, &target) {
            // RocksDB removes files in the background that it does not need any more.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            copied => assert!(copied.is_ok(), "{copied:?}"),
        }
    }
}
