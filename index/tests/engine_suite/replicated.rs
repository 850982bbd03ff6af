//! Three nodes of the Raft engine as one engine: each call goes to whoever leads.

use crate::cluster::Cluster;
use crate::harness::PARTITION;
use async_trait::async_trait;
use index::engine::raft::{RaftEngine, Timing};
use index::store::{
    Batch, Change, IndexStore, Outcome, ScanPage, ScanRequest, Seq, StoreError, Versioned,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use types::PartitionId;

/// A cluster on a runtime of its own.
pub struct Replicated {
    /// `None` while it is changed.
    cluster: Option<Arc<Cluster>>,
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for Replicated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("three nodes")
    }
}

impl Replicated {
    pub fn new() -> Self {
        let runtime = crate::cluster::runtime();
        let cluster = runtime.block_on(Cluster::with(3, |options| {
            options.partitions = vec![PARTITION, PartitionId(PARTITION.0 + 1)];
            // Restarted leaders go on at once, so elections are not waited for, and a busy machine causes none.
            options.timing = Timing {
                heartbeat: Duration::from_millis(100),
                election_min: Duration::from_millis(1500),
                election_max: Duration::from_millis(2000),
                ..Timing::default()
            };
            options.flush_entries = 7;
        }));
        Self {
            cluster: Some(Arc::new(cluster)),
            runtime: Some(runtime),
        }
    }

    fn change(mut self, change: impl AsyncFnOnce(&mut Cluster)) -> Self {
        let cluster = self.cluster.take().expect("it is not being changed");
        let mut cluster = Arc::into_inner(cluster).expect("no call is under way");
        let runtime = self.runtime.as_ref().expect("it runs");
        runtime.block_on(change(&mut cluster));
        self.cluster = Some(Arc::new(cluster));
        self
    }

    /// Restarts each node.
    pub fn reopen(self) -> Self {
        self.change(async |cluster| {
            for id in cluster.ids() {
                cluster.stop(id).await;
                cluster.start_all().await;
            }
        })
    }

    /// Goes on with what a crash of all nodes leaves.
    pub fn crash_image(self) -> Self {
        self.change(async |cluster| {
            for id in cluster.ids() {
                cluster.crash(id, |_| {}).await;
            }
            cluster.start_all().await;
        })
    }

    /// Asks the nodes until the leader answers.
    async fn ask<T, F>(
        &self,
        ask: impl Fn(Arc<RaftEngine>) -> F + Send + 'static,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send,
    {
        let cluster = Arc::clone(self.cluster.as_ref().expect("it is not being changed"));
        let asked = async move {
            for _ in 0..3000 {
                for id in cluster.ids() {
                    match ask(Arc::clone(cluster.engine(id))).await {
                        Err(StoreError::NotLeader { .. } | StoreError::Unavailable(_)) => {}
                        answer => return answer,
                    }
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            panic!("nobody leads");
        };
        let runtime = self.runtime.as_ref().expect("it runs");
        runtime.spawn(asked).await.expect("no panic")
    }
}

impl Drop for Replicated {
    fn drop(&mut self) {
        let cluster = self.cluster.take().and_then(Arc::into_inner);
        let runtime = self.runtime.take();
        // Not on this thread, which may be inside another runtime.
        let ended = std::thread::Builder::new().spawn(move || {
            if let (Some(runtime), Some(cluster)) = (&runtime, cluster) {
                runtime.block_on(cluster.end());
            }
            drop(runtime);
        });
        ended.expect("a thread").join().expect("it ends well");
    }
}

#[async_trait]
impl IndexStore for Replicated {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.ask(move |engine| {
            let batches = batches.clone();
            async move { engine.commit_many(partition, batches).await }
        })
        .await
    }

    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError> {
        let key = key.to_vec();
        self.ask(move |engine| {
            let key = key.clone();
            async move { engine.get(partition, &key).await }
        })
        .await
    }

    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        self.ask(move |engine| {
            let request = request.clone();
            async move { engine.scan(partition, request).await }
        })
        .await
    }

    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.ask(move |engine| async move { engine.changes(partition, after, limit).await })
            .await
    }

    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.ask(move |engine| async move { engine.trim(partition, up_to).await })
            .await
    }

    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        self.ask(move |engine| async move { engine.last_seq(partition).await })
            .await
    }
}
