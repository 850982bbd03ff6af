//! A disk that another node has.

use super::message::{
    DeleteRequest, Failure, KeyRecord, ListAnswer, ListRequest, PutRequest, ReadAnswer,
    ReadRequest, UsageAnswer, checksums_from_bytes,
};
use super::{CallError, LIST_MAX, Message, NodeCaller, ShardMethod};
use crate::block;
use crate::shard::{
    DiskUsage, PutShardError, ReadShardError, ShardBlocks, ShardInfo, ShardKey, ShardRecord,
    ShardStore,
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use types::limits::BLOCK_BYTES;
use types::wire::DecodeError;
use types::{ChunkId, DiskId, PgId};

/// Another node with its disks.
#[derive(Debug)]
pub struct RemoteNode {
    caller: Arc<dyn NodeCaller>,
    deadline: Duration,
    usage: RwLock<BTreeMap<DiskId, DiskUsage>>,
}

impl RemoteNode {
    /// The node that `caller` reaches. A call that has no answer after `deadline` is given up.
    #[must_use]
    pub fn new(caller: Arc<dyn NodeCaller>, deadline: Duration) -> Arc<Self> {
        Arc::new(Self {
            caller,
            deadline,
            usage: RwLock::default(),
        })
    }

    /// One of its disks.
    #[must_use]
    pub fn disk(self: &Arc<Self>, id: DiskId) -> Arc<RemoteDisk> {
        Arc::new(RemoteDisk {
            id,
            node: Arc::clone(self),
        })
    }

    /// Asks the node how much room its disks have; [`ShardStore::usage`] answers with the last that was heard. Until
    /// then, and after a failure, a disk is taken to have room: a put finds out.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn refresh_usage(&self) -> Result<(), CallError> {
        let heard = self.ask(ShardMethod::Usage, Message::default()).await;
        let answer = heard.and_then(|answer| {
            UsageAnswer::decode(answer.header)
                .map_err(|error| CallError::Unknown(error.to_string()))
        });
        let mut known = self.usage.write();
        known.clear();
        let disks = answer?.disks;
        known.extend(disks.into_iter().map(|disk| (disk.disk, disk.usage())));
        Ok(())
    }

    async fn ask(&self, method: ShardMethod, request: Message) -> Result<Message, CallError> {
        self.caller.call(method, request, self.deadline).await
    }
}

/// A disk of a [`RemoteNode`].
#[derive(Debug)]
pub struct RemoteDisk {
    id: DiskId,
    node: Arc<RemoteNode>,
}

impl RemoteDisk {
    /// An answer that cannot be read: the other side speaks in another way.
    fn unreadable(&self, error: DecodeError) -> ReadShardError {
        let reason = format!("its node's answer cannot be read: {error}");
        ReadShardError::Unreachable {
            disk: self.id,
            reason,
        }
    }

    async fn ask(&self, method: ShardMethod, header: Vec<u8>) -> Result<Message, ReadShardError> {
        let request = Message {
            header: header.into(),
            body: Bytes::new(),
        };
        let answer = self.node.ask(method, request).await;
        answer.map_err(|error| Failure::from(error).of_read(self.id))
    }

    /// Holds the bytes against the position that was asked for. They were verified on the other node; this finds
    /// an answer to another question, and what was damaged since.
    fn verified(
        &self,
        asked: (ShardKey, u32),
        answer: ReadAnswer,
        bytes: Bytes,
    ) -> Result<ShardBlocks, ReadShardError> {
        let (key, first) = asked;
        let info = ShardInfo::from(answer.info);
        let checksums = checksums_from_bytes(&answer.checksums).map_err(|e| self.unreadable(e))?;
        let mut numbered = bytes.chunks(BLOCK_BYTES).zip(first..).zip(&checksums);
        let is_intact = info.key == key
            && checksums.len() == bytes.len().div_ceil(BLOCK_BYTES)
            && numbered.all(|((block, number), checksum)| {
                block::checksum(&key, info.profile, number, block) == *checksum
            });
        if !is_intact {
            // The shard itself was found intact.
            return Err(ReadShardError::Unreachable {
                disk: self.id,
                reason: "its answer was damaged on the way".to_owned(),
            });
        }
        Ok(ShardBlocks { info, bytes })
    }
}

#[async_trait]
impl ShardStore for RemoteDisk {
    fn disk(&self) -> DiskId {
        self.id
    }

    async fn put(&self, record: ShardRecord) -> Result<(), PutShardError> {
        let header = PutRequest::of(self.id, &record).encode().into();
        let body = record.body;
        let answer = self.node.ask(ShardMethod::Put, Message { header, body });
        let answer = answer.await;
        answer.map_err(|error| Failure::from(error).of_put(self.id))?;
        Ok(())
    }

    async fn read(
        &self,
        key: ShardKey,
        first: u32,
        count: u32,
    ) -> Result<ShardBlocks, ReadShardError> {
        let request = ReadRequest {
            disk: self.id,
            key: key.into(),
            first,
            count,
            ..Default::default()
        };
        let answer = self.ask(ShardMethod::Read, request.encode()).await?;
        let header = ReadAnswer::decode(answer.header).map_err(|error| self.unreadable(error))?;
        self.verified((key, first), header, answer.body)
    }

    async fn delete(&self, pg: PgId, chunk: ChunkId) -> Result<(), ReadShardError> {
        let disk = self.id;
        let request = DeleteRequest {
            disk,
            pg,
            chunk,
            ..Default::default()
        };
        self.ask(ShardMethod::Delete, request.encode()).await?;
        Ok(())
    }

    async fn list(
        &self,
        pg: PgId,
        after: Option<ShardKey>,
        limit: usize,
    ) -> Result<Vec<ShardInfo>, ReadShardError> {
        let (mut after, mut shards) = (after, Vec::new());
        while shards.len() < limit {
            let asked = (limit - shards.len()).min(LIST_MAX as usize);
            let request = ListRequest {
                disk: self.id,
                pg,
                after: after.map(KeyRecord::from),
                limit: asked as u32,
                ..Default::default()
            };
            let answer = self.ask(ShardMethod::List, request.encode()).await?;
            let page = ListAnswer::decode(answer.header).map_err(|error| self.unreadable(error))?;
            let is_last = page.shards.len() < asked;
            shards.extend(page.shards.into_iter().map(ShardInfo::from));
            after = shards.last().map(|shard: &ShardInfo| shard.key);
            if is_last {
                break;
            }
        }
        Ok(shards)
    }

    fn usage(&self) -> DiskUsage {
        let usage = self.node.usage.read();
        usage.get(&self.id).copied().unwrap_or_default()
    }
}
