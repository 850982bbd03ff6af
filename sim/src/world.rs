//! The site, its machines, and the buckets that clients use.

use crate::bug::Bug;
use crate::dice::Dice;
use crate::disk::SimDisk;
use crate::gateway::Gateway;
use crate::keeper::Keeper;
use crate::log::Log;
use crate::machine::{Machine, Site};
use crate::record::Record;
use crate::store::StoreFaults;
use crate::time::SimClock;
use chunkstore::ChunkStoreOptions;
use chunkstore::testing::ClusterShape;
use index::engine::memory::MemoryEngine;
use parking_lot::Mutex;
use s3_tests::history::Versioning;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use types::limits::CELL_BYTES;
use types::{Clock, DiskId, ErasureProfile};

/// Disks, each a failure domain: striped objects are 4+2, small ones have three copies.
pub(crate) const DISKS: usize = 6;
/// Gateways that serve clients.
pub(crate) const GATEWAYS: usize = 3;
/// Keys of each bucket.
const KEYS: usize = 4;
/// The buckets with their versioning at the start. That of the last one is changed by clients.
pub(crate) const BUCKETS: [(&str, Versioning); 3] = [
    ("plain", Versioning::Off),
    ("kept", Versioning::Enabled),
    ("mixed", Versioning::Enabled),
];

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    pub site: Arc<Site>,
    pub record: Arc<Record>,
    dice: Dice,
    gateways: Mutex<Vec<Arc<Machine>>>,
    operator: OnceLock<Arc<Machine>>,
    started: Mutex<usize>,
}

impl World {
    /// An empty world with all its machines up.
    pub fn new(seed: u64, bug: Option<Bug>, log: Arc<Log>) -> Arc<Self> {
        let dice = Dice::new(seed);
        let shape = shape();
        let ids: Vec<DiskId> = (1..=DISKS as u128).map(DiskId).collect();
        let keeper = Keeper::new(&shape, &ids, dice.fork(), Arc::clone(&log));
        let disk = |id: &DiskId| {
            let clock: Arc<dyn Clock> = Arc::new(SimClock::new());
            Arc::new(SimDisk::new(*id, clock, bug))
        };
        let site = Arc::new(Site {
            engine: Arc::new(MemoryEngine::new()),
            disks: ids.iter().map(disk).collect(),
            keeper: Arc::new(keeper),
            options: shape.options,
            log,
            bug,
        });
        let world = Arc::new(Self {
            site,
            record: Arc::default(),
            dice,
            gateways: Mutex::default(),
            operator: OnceLock::new(),
            started: Mutex::default(),
        });
        let machines = (0..GATEWAYS).map(|_| world.start_gateway());
        let machines: Vec<_> = machines.collect();
        *world.gateways.lock() = machines;
        world
    }

    fn start_gateway(&self) -> Arc<Machine> {
        let machine = self.start_machine("gateway");
        *machine.store_faults.lock() = StoreFaults::NOISE;
        machine
    }

    /// A new machine.
    pub fn start_machine(&self, role: &str) -> Arc<Machine> {
        let number = {
            let mut started = self.started.lock();
            *started += 1;
            *started
        };
        Machine::start(&self.site, format!("{role}-{number}"), &self.dice)
    }

    /// The machine that operators work at.
    pub fn operator(&self) -> &Machine {
        self.operator.get_or_init(|| self.start_machine("operator"))
    }

    /// Makes the buckets, and a history for each key.
    pub async fn make_buckets(&self) -> Result<(), String> {
        let index = self.operator().index.clone();
        for (name, versioning) in BUCKETS {
            let bucket = index.create_bucket(name, "owner").await;
            let bucket = bucket.map_err(|error| error.to_string())?;
            if versioning == Versioning::Enabled {
                let enabled = index.set_versioning(&bucket, index::Versioning::Enabled);
                enabled.await.map_err(|error| error.to_string())?;
            }
            for key in keys() {
                self.record.add_key((name, key), versioning);
            }
        }
        Ok(())
    }

    /// The gateway that has this place now.
    pub fn gateway(&self, slot: usize) -> Gateway {
        let machine = Arc::clone(&self.gateways.lock()[slot]);
        self.gateway_on(machine)
    }

    pub fn gateway_on(&self, machine: Arc<Machine>) -> Gateway {
        Gateway {
            site: Arc::clone(&self.site),
            machine,
            record: Arc::clone(&self.record),
        }
    }

    /// Ends a gateway as it is, and puts another into its place.
    pub fn replace_gateway(&self, slot: usize) {
        let next = self.start_gateway();
        let dead = std::mem::replace(&mut self.gateways.lock()[slot], Arc::clone(&next));
        dead.alive.kill();
        self.site
            .log
            .line(format_args!("{} is dead, {} serves", dead.name, next.name));
    }
}

/// The keys of every bucket.
pub(crate) fn keys() -> impl Iterator<Item = String> {
    (0..KEYS).map(|number| format!("key-{number}"))
}

fn shape() -> ClusterShape {
    let small = ErasureProfile::small_for_disks(DISKS).expect("there are disks");
    ClusterShape {
        small,
        groups: 3,
        options: ChunkStoreOptions {
            small_bytes: 32 * 1024,
            chunk_bytes: CELL_BYTES as u64,
            put_deadline: Duration::from_secs(2),
            straggler_wait: Duration::from_millis(100),
            hedge_after: Duration::from_millis(100),
            read_deadline: Duration::from_secs(2),
            map_wait: Duration::from_secs(1),
            ..ChunkStoreOptions::default()
        },
        ..ClusterShape::of_disks(DISKS)
    }
}
