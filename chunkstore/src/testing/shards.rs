//! Shards in memory, with faults to order.

use crate::block;
use crate::shard::{
    DiskUsage, PutShardError, ReadShardError, ShardBlocks, ShardInfo, ShardKey, ShardRecord,
    ShardStore,
};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;
use types::limits::BLOCK_BYTES;
use types::{ChunkId, DiskId, PgId};

/// What a disk does with a put.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Puts {
    /// Stores the shard.
    #[default]
    Work,
    /// Says that it failed, and stores nothing.
    Fail,
    /// Says that it takes no writes.
    ReadOnly,
    /// Says that it is full, whatever its capacity.
    Full,
    /// Is cut off, which its node's connection finds out at once.
    Unreachable,
    /// Says that the writer's placement group is an old one.
    OldGroup,
    /// Never answers.
    Hang,
    /// Stores the shard after this time.
    Slow(Duration),
    /// Says that it stored the shard, and did not.
    Lose,
}

/// What a disk does with a read, a list or a delete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reads {
    /// Answers.
    #[default]
    Work,
    /// Says that the device failed.
    Fail,
    /// Is cut off, which its node's connection finds out at once.
    Unreachable,
    /// Never answers.
    Hang,
    /// Answers after this time.
    Slow(Duration),
}

/// A disk in memory. It verifies as a real one does, in both directions.
#[derive(Debug)]
pub struct MemoryShards {
    disk: DiskId,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    capacity: u64,
    shards: BTreeMap<ShardKey, ShardRecord>,
    puts: Puts,
    reads: Reads,
    puts_seen: u64,
    reads_seen: u64,
}

impl MemoryShards {
    /// An empty disk that works and has room for `capacity` bytes of cells.
    #[must_use]
    pub fn new(disk: DiskId, capacity: u64) -> Self {
        let state = State {
            capacity,
            ..Default::default()
        };
        Self {
            disk,
            state: Mutex::new(state),
        }
    }

    /// What puts do from here on.
    pub fn set_puts(&self, puts: Puts) {
        self.state.lock().puts = puts;
    }

    /// What reads do from here on.
    pub fn set_reads(&self, reads: Reads) {
        self.state.lock().reads = reads;
    }

    /// Bytes of cells that the disk has room for, from here on.
    pub fn set_capacity(&self, capacity: u64) {
        self.state.lock().capacity = capacity;
    }

    /// Every shard, in key order.
    #[must_use]
    pub fn shards(&self) -> Vec<ShardRecord> {
        self.state.lock().shards.values().cloned().collect()
    }

    /// Puts and reads seen, whatever became of them.
    #[must_use]
    pub fn seen(&self) -> (u64, u64) {
        let state = self.state.lock();
        (state.puts_seen, state.reads_seen)
    }

    /// Loses everything, as a disk that was replaced.
    pub fn wipe(&self) {
        self.state.lock().shards.clear();
    }

    /// Loses one shard. False when it was not there.
    pub fn lose(&self, key: ShardKey) -> bool {
        self.state.lock().shards.remove(&key).is_some()
    }

    /// Changes a shard in place, unverified. False when it is not there.
    pub fn alter(&self, key: ShardKey, change: impl FnOnce(&mut ShardRecord)) -> bool {
        let mut state = self.state.lock();
        let record = state.shards.get_mut(&key);
        record.map(change).is_some()
    }

    /// Flips a bit of the byte at `at`, modulo the cell's length. False when the shard is not there.
    pub fn flip(&self, key: ShardKey, at: usize) -> bool {
        self.alter(key, |record| {
            let mut body = record.body.to_vec();
            let at = at % body.len();
            body[at] ^= 1;
            record.body = body.into();
        })
    }

    /// Stores a record under a key of one's choice, unverified.
    pub fn plant(&self, key: ShardKey, record: ShardRecord) {
        self.state.lock().shards.insert(key, record);
    }

    async fn wait_to_read(&self) -> Result<(), ReadShardError> {
        let reads = {
            let mut state = self.state.lock();
            state.reads_seen += 1;
            state.reads
        };
        match reads {
            Reads::Work => {}
            Reads::Hang => std::future::pending().await,
            Reads::Slow(by) => tokio::time::sleep(by).await,
            Reads::Unreachable => {
                return Err(ReadShardError::Unreachable {
                    disk: self.disk,
                    reason: "ordered by the test".to_owned(),
                });
            }
            Reads::Fail => {
                return Err(ReadShardError::Failed {
                    disk: self.disk,
                    reason: "input/output error".to_owned(),
                });
            }
        }
        Ok(())
    }

    fn verified(&self, record: &ShardRecord, key: ShardKey, blocks: std::ops::Range<u32>) -> bool {
        let body = record.body.chunks(BLOCK_BYTES);
        let mut numbered = body.zip(&record.block_checksums).zip(0..);
        record.body.len().div_ceil(BLOCK_BYTES) == record.block_checksums.len()
            && numbered.all(|((bytes, checksum), number)| {
                !blocks.contains(&number)
                    || block::checksum(&key, record.profile, number, bytes) == *checksum
            })
    }
}

fn info(record: &ShardRecord) -> ShardInfo {
    ShardInfo {
        key: record.key,
        pg_version: record.pg_version,
        profile: record.profile,
        bucket: record.bucket,
        manifest: record.manifest,
        stripe_bytes: record.stripe_bytes,
        body_bytes: u32::try_from(record.body.len()).expect("a cell is at most 512 KiB"),
    }
}

#[async_trait]
impl ShardStore for MemoryShards {
    fn disk(&self) -> DiskId {
        self.disk
    }

    async fn put(&self, record: ShardRecord) -> Result<(), PutShardError> {
        let disk = self.disk;
        let puts = {
            let mut state = self.state.lock();
            state.puts_seen += 1;
            state.puts
        };
        let reason = "ordered by the test".to_owned();
        match puts {
            Puts::Work => {}
            Puts::Fail => return Err(PutShardError::Failed { disk, reason }),
            Puts::ReadOnly => return Err(PutShardError::ReadOnly { disk, reason }),
            Puts::Full => return Err(PutShardError::Full { disk }),
            Puts::Unreachable => return Err(PutShardError::Unreachable { disk, reason }),
            Puts::OldGroup => {
                let (pg, current) = (record.key.pg, record.pg_version + 1);
                return Err(PutShardError::OldGroup { disk, pg, current });
            }
            Puts::Hang => std::future::pending().await,
            Puts::Slow(by) => tokio::time::sleep(by).await,
            Puts::Lose => return Ok(()),
        }
        if !self.verified(&record, record.key, 0..u32::MAX) {
            return Err(PutShardError::Damaged { disk });
        }
        let mut state = self.state.lock();
        let used: u64 = state
            .shards
            .values()
            .map(|shard| shard.body.len() as u64)
            .sum();
        if used + record.body.len() as u64 > state.capacity {
            return Err(PutShardError::Full { disk });
        }
        state.shards.insert(record.key, record);
        Ok(())
    }

    async fn read(
        &self,
        key: ShardKey,
        first: u32,
        count: u32,
    ) -> Result<ShardBlocks, ReadShardError> {
        self.wait_to_read().await?;
        let disk = self.disk;
        let record = self.state.lock().shards.get(&key).cloned();
        let record = record.ok_or(ReadShardError::Missing { disk })?;
        if !self.verified(&record, key, first..first + count) {
            let reason = "a block does not match its checksum".to_owned();
            return Err(ReadShardError::Damaged { disk, reason });
        }
        let start = (first as usize * BLOCK_BYTES).min(record.body.len());
        let end = ((first + count) as usize * BLOCK_BYTES).min(record.body.len());
        Ok(ShardBlocks {
            info: info(&record),
            bytes: record.body.slice(start..end),
        })
    }

    async fn delete(&self, pg: PgId, chunk: ChunkId) -> Result<(), ReadShardError> {
        self.wait_to_read().await?;
        let mut state = self.state.lock();
        state
            .shards
            .retain(|key, _| (key.pg, key.chunk) != (pg, chunk));
        Ok(())
    }

    async fn list(
        &self,
        pg: PgId,
        after: Option<ShardKey>,
        limit: usize,
    ) -> Result<Vec<ShardInfo>, ReadShardError> {
        self.wait_to_read().await?;
        let state = self.state.lock();
        let shards = state
            .shards
            .values()
            .filter(|record| record.key.pg == pg && after.is_none_or(|after| record.key > after));
        Ok(shards.take(limit).map(info).collect())
    }

    fn usage(&self) -> DiskUsage {
        let state = self.state.lock();
        let live = state
            .shards
            .values()
            .map(|shard| shard.body.len() as u64)
            .sum();
        DiskUsage {
            capacity: state.capacity,
            available: state.capacity.saturating_sub(live),
            volumes: live,
            live,
            shards: state.shards.len() as u64,
        }
    }
}
