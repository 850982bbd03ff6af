//! Answers other nodes for the disks of this one.

use super::message::{
    DeleteRequest, Failure, InfoRecord, ListAnswer, ListRequest, PutRequest, ReadAnswer,
    ReadRequest, UsageAnswer, UsageRecord, checksums_to_bytes, kind,
};
use super::{LIST_MAX, Message, ShardMethod};
use crate::block;
use crate::health::{HealthSink, NoHealthSink, report_silence};
use crate::shard::{PutShardError, ShardStore};
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;
use types::limits::BLOCK_BYTES;
use types::wire::DecodeError;
use types::{ClusterView, DiskId, DiskState};

/// The disks of this node, as others reach them.
#[derive(Debug)]
pub struct ShardService {
    disks: RwLock<BTreeMap<DiskId, Arc<dyn ShardStore>>>,
    view: watch::Receiver<Arc<ClusterView>>,
    health: Arc<dyn HealthSink>,
    /// A disk that has not answered after so long is taken for one that never will.
    silent: Duration,
}

impl ShardService {
    /// A service for `disks`. `view` is what this node knows of the cluster map.
    #[must_use]
    pub fn new(
        disks: impl IntoIterator<Item = Arc<dyn ShardStore>>,
        view: watch::Receiver<Arc<ClusterView>>,
    ) -> Self {
        let disks = disks.into_iter().map(|disk| (disk.disk(), disk));
        Self {
            disks: RwLock::new(disks.collect()),
            view,
            health: Arc::new(NoHealthSink),
            silent: Duration::MAX,
        }
    }

    /// Tells `health` of disks that fail what other nodes ask of them, or have not answered after `silent`, which is
    /// less than callers wait: those cannot tell what is the disk's fault and what the network's, and leave it to
    /// this node.
    #[must_use]
    pub fn with_health(self, health: Arc<dyn HealthSink>, silent: Duration) -> Self {
        Self {
            health,
            silent,
            ..self
        }
    }

    /// Waits for a disk's answer, and tells of one that does not come.
    async fn heed<T>(&self, disk: &dyn ShardStore, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            () = sleep(self.silent) => report_silence(&*self.health, disk.disk(), self.silent),
        }
        answer.await
    }

    fn note(&self, error: &PutShardError) {
        if let PutShardError::ReadOnly { disk, reason } | PutShardError::Failed { disk, reason } =
            error
        {
            self.health.disk_failed(*disk, DiskState::ReadOnly, reason);
        }
    }

    /// Serves another disk from now on.
    pub fn add_disk(&self, disk: Arc<dyn ShardStore>) {
        self.disks.write().insert(disk.disk(), disk);
    }

    /// Does what `request` asks for.
    ///
    /// # Errors
    /// The record of a failure, for the caller to read.
    pub async fn handle(&self, method: ShardMethod, request: Message) -> Result<Message, Bytes> {
        let answer = match method {
            ShardMethod::Put => self.put(request).await,
            ShardMethod::Read => self.read(request.header).await,
            ShardMethod::Delete => self.delete(request.header).await,
            ShardMethod::List => self.list(request.header).await,
            ShardMethod::Usage => Ok(self.usage()),
        };
        answer.map_err(|failure| failure.encode().into())
    }

    fn disk(&self, id: DiskId) -> Result<Arc<dyn ShardStore>, Failure> {
        let disk = self.disks.read().get(&id).cloned();
        disk.ok_or_else(|| Failure::of(kind::NO_SUCH_DISK, "the node does not have it open"))
    }

    async fn put(&self, request: Message) -> Result<Message, Failure> {
        let put = PutRequest::decode(request.header)?;
        let disk = self.disk(put.disk)?;
        let pg = put.info.key.pg;
        let known = self
            .view
            .borrow()
            .groups
            .get(&pg)
            .map(|group| group.version);
        if let Some(current) = known.filter(|known| *known > put.info.pg_version) {
            return Err(Failure {
                pg,
                current,
                ..Failure::of(kind::OLD_GROUP, "the writer's cluster map is old")
            });
        }
        let stored = disk.put(put.with(request.body)?);
        let stored = self.heed(&*disk, stored).await;
        stored.inspect_err(|error| self.note(error))?;
        Ok(Message::default())
    }

    async fn read(&self, header: Bytes) -> Result<Message, Failure> {
        let read = ReadRequest::decode(header)?;
        let disk = self.disk(read.disk)?;
        if read.first.checked_add(read.count).is_none() {
            return Err(DecodeError::BadValue {
                what: "range of blocks",
            }
            .into());
        }
        let blocks = disk.read(read.key.into(), read.first, read.count);
        let blocks = self.heed(&*disk, blocks).await?;
        let numbered = blocks.bytes.chunks(BLOCK_BYTES).zip(read.first..);
        let checksum = |(bytes, number): (&[u8], u32)| {
            block::checksum(&blocks.info.key, blocks.info.profile, number, bytes)
        };
        let checksums: Vec<u64> = numbered.map(checksum).collect();
        let answer = ReadAnswer {
            info: InfoRecord::from(&blocks.info),
            checksums: checksums_to_bytes(&checksums),
            ..Default::default()
        };
        Ok(Message {
            header: answer.encode().into(),
            body: blocks.bytes,
        })
    }

    async fn delete(&self, header: Bytes) -> Result<Message, Failure> {
        let delete = DeleteRequest::decode(header)?;
        let disk = self.disk(delete.disk)?;
        disk.delete(delete.pg, delete.chunk).await?;
        Ok(Message::default())
    }

    async fn list(&self, header: Bytes) -> Result<Message, Failure> {
        let list = ListRequest::decode(header)?;
        let disk = self.disk(list.disk)?;
        // A shorter page than was asked for would read as the end of the list.
        if list.limit > LIST_MAX {
            return Err(DecodeError::BadValue {
                what: "length of the page",
            }
            .into());
        }
        let after = list.after.map(Into::into);
        let shards = disk.list(list.pg, after, list.limit as usize).await?;
        let answer = ListAnswer {
            shards: shards.iter().map(InfoRecord::from).collect(),
            ..Default::default()
        };
        Ok(Message {
            header: answer.encode().into(),
            body: Bytes::new(),
        })
    }

    fn usage(&self) -> Message {
        let disks = self.disks.read();
        let usage = disks
            .iter()
            .map(|(id, disk)| UsageRecord::of(*id, disk.usage()));
        let answer = UsageAnswer {
            disks: usage.collect(),
            ..Default::default()
        };
        Message {
            header: answer.encode().into(),
            body: Bytes::new(),
        }
    }
}

#[cfg(test)]
mod tests;
