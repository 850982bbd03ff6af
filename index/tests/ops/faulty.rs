//! An engine that fails a chosen commit, before or after it happened, or that several processes share.

use async_trait::async_trait;
use index::store::{
    Batch, Change, IndexStore, Outcome, ScanPage, ScanRequest, Seq, StoreError, Versioned,
};
use std::sync::Arc;
use std::sync::Mutex;
use types::PartitionId;

/// What happens to the commit that is to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does not happen, and the caller is told so.
    Unavailable,
    /// It does not happen, and the caller is not told.
    LostBefore,
    /// It happens, and the caller is not told.
    LostAfter,
}

pub const FAULTS: [Fault; 3] = [Fault::Unavailable, Fault::LostBefore, Fault::LostAfter];

#[derive(Debug)]
pub struct FaultyStore {
    inner: Arc<dyn IndexStore>,
    /// Commits to go until the fault; and the fault.
    armed: Mutex<Option<(u64, Fault)>>,
    is_shared: bool,
}

impl FaultyStore {
    pub fn new(inner: Arc<dyn IndexStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            armed: Mutex::new(None),
            is_shared: false,
        })
    }

    /// One that other processes write to as well.
    pub fn shared(inner: Arc<dyn IndexStore>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            armed: Mutex::new(None),
            is_shared: true,
        })
    }

    /// Makes the commit after `passing` more ones fail.
    pub fn arm(&self, passing: u64, fault: Fault) {
        *self.armed.lock().unwrap() = Some((passing, fault));
    }

    /// Takes the fault back; true if it never happened.
    pub fn disarm(&self) -> bool {
        self.armed.lock().unwrap().take().is_some()
    }

    /// Lets other processes do something before a read.
    async fn let_others(&self) {
        if self.is_shared {
            tokio::task::yield_now().await;
        }
    }

    fn fault(&self) -> Option<Fault> {
        let mut armed = self.armed.lock().unwrap();
        match armed.take() {
            Some((0, fault)) => Some(fault),
            Some((passing, fault)) => {
                *armed = Some((passing - 1, fault));
                None
            }
            None => None,
        }
    }
}

#[async_trait]
impl IndexStore for FaultyStore {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        match self.fault() {
            Some(Fault::Unavailable) => Err(StoreError::Unavailable("planted".to_owned())),
            Some(Fault::LostBefore) => Err(StoreError::Indeterminate("planted".to_owned())),
            Some(Fault::LostAfter) => {
                self.inner.commit_many(partition, batches).await?;
                Err(StoreError::Indeterminate("planted".to_owned()))
            }
            None => self.inner.commit_many(partition, batches).await,
        }
    }

    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError> {
        self.let_others().await;
        self.inner.get(partition, key).await
    }

    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        self.let_others().await;
        self.inner.scan(partition, request).await
    }

    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.inner.changes(partition, after, limit).await
    }

    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.inner.trim(partition, up_to).await
    }

    fn has_other_writers(&self) -> bool {
        self.is_shared
    }

    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        self.inner.last_seq(partition).await
    }
}
