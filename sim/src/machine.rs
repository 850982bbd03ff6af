//! A machine: the index's facade and a chunk store, over its own ways to the engine and to the disks, by its own
//! clock. Gateways are machines, and so is the one that does the background work.

use crate::bug::Bug;
use crate::dice::Dice;
use crate::disk::{DiskLink, LinkFault, SimDisk};
use crate::keeper::Keeper;
use crate::log::Log;
use crate::network::Alive;
use crate::store::{SimStore, StoreFaults};
use crate::time::SimClock;
use chunkstore::{ChunkStore, ChunkStoreOptions, HealthSink, ShardStore};
use index::engine::memory::MemoryEngine;
use index::{Index, IndexConfig};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use types::ids::IdSource;
use types::{Clock, DiskId, RunOn};

/// Age of its oldest chunk at which a commit is refused.
pub(crate) const WRITE_DEADLINE: Duration = Duration::from_secs(3600);
/// Partitions that hold buckets.
const DATA_PARTITIONS: u32 = 2;

/// What all machines share.
#[derive(Debug)]
pub(crate) struct Site {
    pub engine: Arc<MemoryEngine>,
    pub disks: Vec<Arc<SimDisk>>,
    pub keeper: Arc<Keeper>,
    pub options: ChunkStoreOptions,
    pub log: Arc<Log>,
    pub bug: Option<Bug>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Machine {
    pub name: String,
    pub index: Index,
    pub chunks: ChunkStore,
    pub clock: Arc<SimClock>,
    pub alive: Alive,
    pub store_faults: Arc<Mutex<StoreFaults>>,
    pub links: BTreeMap<DiskId, Arc<Mutex<LinkFault>>>,
}

impl Machine {
    /// A machine that has just been started.
    pub fn start(site: &Site, name: String, dice: &Dice) -> Arc<Self> {
        let (alive, clock) = (Alive::default(), Arc::new(SimClock::new()));
        let store_faults = Arc::new(Mutex::new(StoreFaults::default()));
        let store = SimStore::new(
            Arc::clone(&site.engine),
            alive.clone(),
            dice.fork(),
            Arc::clone(&store_faults),
            site.bug,
        );
        let config = IndexConfig {
            data_partitions: DATA_PARTITIONS,
            write_deadline: WRITE_DEADLINE,
            run_on: RunOn::Tasks,
            ..IndexConfig::in_dir("memory".into())
        };
        let own_clock: Arc<dyn Clock> = Arc::clone(&clock) as _;
        let index = Index::with_store(&config, Arc::new(store), own_clock, dice.entropy())
            .expect("tasks need nothing of the operating system");
        let mut links = BTreeMap::new();
        let mut disks: BTreeMap<DiskId, Arc<dyn ShardStore>> = BTreeMap::new();
        for disk in &site.disks {
            let fault = Arc::new(Mutex::new(LinkFault::None));
            links.insert(disk.id, Arc::clone(&fault));
            let link = DiskLink {
                disk: Arc::clone(disk),
                alive: alive.clone(),
                dice: dice.fork(),
                fault,
                bug: site.bug,
            };
            disks.insert(disk.id, Arc::new(link));
        }
        let chunks = ChunkStore::new(
            disks,
            site.keeper.follow(),
            site.options,
            Arc::clone(&clock) as _,
            Arc::new(IdSource::new(dice.entropy().as_ref())),
            Arc::clone(&site.keeper) as Arc<dyn HealthSink>,
        );
        Arc::new(Self {
            name,
            index,
            chunks,
            clock,
            alive,
            store_faults,
            links,
        })
    }

    /// Nothing is wrong with its calls from now on.
    pub fn heal(&self) {
        *self.store_faults.lock() = StoreFaults::default();
        self.links
            .values()
            .for_each(|link| *link.lock() = LinkFault::None);
    }
}
