//! Disks that lose power, and the ways to them.

use crate::bug::Bug;
use crate::dice::Dice;
use crate::network::{Alive, travel};
use async_trait::async_trait;
use chunkstore::disk::memory::Faults;
use chunkstore::testing::MemoryMachine;
use chunkstore::{
    DiskStore, DiskUsage, PutShardError, ReadShardError, ShardBlocks, ShardInfo, ShardKey,
    ShardRecord, ShardStore,
};
use parking_lot::Mutex;
use std::sync::Arc;
use types::{ChunkId, Clock, DiskId, PgId};

/// Small, so that there is something to compact.
const VOLUME_BYTES: u64 = 2 << 20;
/// The disk that forgets deletes, where that is planted.
const FORGETFUL: DiskId = DiskId(3);
/// Shards looked at for one to give out instead of another.
const OTHERS: usize = 8;

/// A disk with the process that serves it.
#[derive(Debug)]
pub(crate) struct SimDisk {
    pub id: DiskId,
    clock: Arc<dyn Clock>,
    bug: Option<Bug>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    machine: MemoryMachine,
    /// None while it has no power.
    store: Option<Arc<DiskStore>>,
}

impl SimDisk {
    /// An empty disk that serves.
    pub fn new(id: DiskId, clock: Arc<dyn Clock>, bug: Option<Bug>) -> Self {
        let machine = MemoryMachine::simulated(id, VOLUME_BYTES, Arc::clone(&clock));
        let disk = Self {
            id,
            clock,
            bug,
            state: Mutex::new(State {
                machine,
                store: None,
            }),
        };
        disk.open().expect("an empty disk in memory opens");
        disk
    }

    pub fn store(&self) -> Option<Arc<DiskStore>> {
        self.state.lock().store.clone()
    }

    /// Lets the power end after some more changes.
    pub fn end_power_after(&self, changes: u32) {
        self.state.lock().machine.power.ends_after(changes);
    }

    /// The power is gone now: what was not durable may be lost.
    pub fn crash(&self, seed: u64) {
        let mut state = self.state.lock();
        state.machine.power.ends_after(0);
        state.machine = state.machine.after_crash(seed);
        state.store = None;
    }

    /// Serves again, if it did not; false if a second fault took the power away meanwhile, which will give it back, too.
    pub fn open(&self) -> Result<bool, String> {
        let mut state = self.state.lock();
        let faults = Faults {
            lying_sync: self.bug == Some(Bug::AckBeforeSync),
            ..Faults::default()
        };
        state.machine.disk.set_faults(faults);
        if state.store.is_none() {
            match state.machine.open() {
                Ok(opened) => state.store = Some(opened),
                Err(_) if state.machine.power.is_gone() => return Ok(false),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(true)
    }

    /// Loses its catalogue. It must be without power.
    pub fn lose_catalog(&self) {
        let mut state = self.state.lock();
        assert!(state.store.is_none(), "an open catalogue is not taken away");
        state.machine = state.machine.without_catalog();
    }

    /// A new disk in the place of this one.
    pub fn replace(&self) -> Result<bool, String> {
        let mut state = self.state.lock();
        state.machine.power.ends_after(0);
        state.machine = MemoryMachine::simulated(self.id, VOLUME_BYTES, Arc::clone(&self.clock));
        state.store = None;
        drop(state);
        self.open()
    }

    /// Flips a bit of some file, if there is one.
    pub fn damage(&self, dice: &Dice) {
        let state = self.state.lock();
        let names = chunkstore::disk::Disk::list(&state.machine.disk).unwrap_or_default();
        if names.is_empty() {
            return;
        }
        let name = &names[dice.index(names.len())];
        state.machine.disk.corrupt(name, |bytes| {
            if !bytes.is_empty() {
                let at = dice.index(bytes.len());
                bytes[at] ^= 1;
            }
        });
    }
}

/// What becomes of the calls of one machine to one disk.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LinkFault {
    #[default]
    None,
    /// They are refused.
    Refused,
    /// They get there, and no answer comes back.
    Silent,
    /// They are slow.
    Slow,
    /// Every other one fails.
    Failing,
}

/// A disk as one machine reaches it.
#[derive(Debug)]
pub(crate) struct DiskLink {
    pub disk: Arc<SimDisk>,
    pub alive: Alive,
    pub dice: Dice,
    pub fault: Arc<Mutex<LinkFault>>,
    pub bug: Option<Bug>,
}

impl DiskLink {
    /// The way to the disk; why it ends there if it does.
    async fn go(&self) -> Result<Arc<DiskStore>, String> {
        let fault = *self.fault.lock();
        travel(&self.alive, &self.dice, fault == LinkFault::Slow).await;
        match fault {
            LinkFault::Refused => return Err("it refuses the connection".to_owned()),
            LinkFault::Failing if self.dice.percent(50) => return Err("it fails".to_owned()),
            _ => {}
        }
        let store = self.disk.store();
        store.ok_or_else(|| "its machine does not answer".to_owned())
    }

    /// The way back.
    async fn come_back(&self) {
        let fault = *self.fault.lock();
        travel(&self.alive, &self.dice, fault == LinkFault::Slow).await;
        if fault == LinkFault::Silent {
            std::future::pending::<()>().await;
        }
    }

    async fn to_read(&self) -> Result<Arc<DiskStore>, ReadShardError> {
        let disk = self.disk.id;
        self.go()
            .await
            .map_err(|reason| ReadShardError::Unreachable { disk, reason })
    }

    /// Another shard of the same disk as long as this one, if the bug says so.
    async fn misdirected(&self, store: &DiskStore, key: ShardKey, blocks: &mut ShardBlocks) {
        if self.bug != Some(Bug::SwappedShards) {
            return;
        }
        let others = store.list(key.pg, None, OTHERS).await.unwrap_or_default();
        for other in others {
            let is_alike = other.body_bytes == blocks.info.body_bytes && other.key != key;
            if is_alike && let Ok(read) = store.read(other.key, 0, u32::MAX).await {
                blocks.bytes = read.bytes.slice(..blocks.bytes.len());
                return;
            }
        }
    }
}

#[async_trait]
impl ShardStore for DiskLink {
    fn disk(&self) -> DiskId {
        self.disk.id
    }

    async fn put(&self, record: ShardRecord) -> Result<(), PutShardError> {
        let disk = self.disk.id;
        let gone = |reason| PutShardError::Unreachable { disk, reason };
        let store = self.go().await.map_err(gone)?;
        // On its own from here: the disk does not know whether anybody still waits.
        let put = tokio::spawn(async move { store.put(record).await });
        let stored = put.await.expect("a put of a shard does not panic");
        self.come_back().await;
        stored
    }

    async fn read(
        &self,
        key: ShardKey,
        first: u32,
        count: u32,
    ) -> Result<ShardBlocks, ReadShardError> {
        let store = self.to_read().await?;
        let mut read = store.read(key, first, count).await;
        if let Ok(blocks) = &mut read {
            self.misdirected(&store, key, blocks).await;
        }
        self.come_back().await;
        read
    }

    async fn delete(&self, pg: PgId, chunk: ChunkId) -> Result<(), ReadShardError> {
        let store = self.to_read().await?;
        let deleted = match self.bug {
            Some(Bug::DeleteForgotten) if self.disk.id == FORGETFUL => Ok(()),
            _ => store.delete(pg, chunk).await,
        };
        self.come_back().await;
        deleted
    }

    async fn list(
        &self,
        pg: PgId,
        after: Option<ShardKey>,
        limit: usize,
    ) -> Result<Vec<ShardInfo>, ReadShardError> {
        let store = self.to_read().await?;
        let listed = store.list(pg, after, limit).await;
        self.come_back().await;
        listed
    }

    fn usage(&self) -> DiskUsage {
        self.disk
            .store()
            .map(|store| store.usage())
            .unwrap_or_default()
    }
}
