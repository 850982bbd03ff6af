//! A disk in memory with its catalogue, which can be opened, lose power, and be opened again.

use crate::catalog::memory::MemoryCatalog;
use crate::disk::MemoryDisk;
use crate::disk::memory::Power;
use crate::identity::Identity;
use crate::recover::RecoverError;
use crate::shared::Room;
use crate::store::DiskStore;
use std::sync::Arc;
use types::clock::ManualClock;
use types::{Clock, DiskId, InstallationId, NodeId, RegionId, RunOn};

/// See the module. A clone is the same disk.
#[derive(Debug, Clone)]
pub struct MemoryMachine {
    /// The device.
    pub disk: MemoryDisk,
    /// The catalogue.
    pub catalog: MemoryCatalog,
    /// What both run on.
    pub power: Power,
    pub(crate) room: Room,
    identity: Identity,
    clock: Arc<dyn Clock>,
    run_on: RunOn,
}

impl MemoryMachine {
    /// An empty disk whose volumes are followed by new ones after `volume_bytes`.
    #[must_use]
    pub fn new(volume_bytes: u64) -> Self {
        let power = Power::default();
        Self {
            disk: MemoryDisk::new(power.clone()),
            catalog: MemoryCatalog::new(power.clone()),
            power,
            room: Room {
                volume_bytes,
                reserve_bytes: Some(0),
                capacity_bytes: None,
            },
            identity: Identity {
                installation: InstallationId(42),
                region: RegionId(1),
                node: NodeId(2),
                disk: DiskId(0xd15c),
                replaces: None,
            },
            clock: Arc::new(ManualClock::at(1)),
            run_on: RunOn::Threads,
        }
    }

    /// An empty disk of a simulation: with this id, by this clock, without threads.
    #[must_use]
    pub fn simulated(disk: DiskId, volume_bytes: u64, clock: Arc<dyn Clock>) -> Self {
        let machine = Self::new(volume_bytes);
        Self {
            identity: Identity {
                disk,
                ..machine.identity
            },
            clock,
            run_on: RunOn::Tasks,
            ..machine
        }
    }

    /// Opens the disk, as the server does after a start.
    ///
    /// # Errors
    /// As [`DiskStore::open`].
    pub fn open(&self) -> Result<Arc<DiskStore>, RecoverError> {
        let (disk, catalog) = (Arc::new(self.disk.clone()), Arc::new(self.catalog.clone()));
        let (identity, room) = (self.identity.clone(), self.room.clone());
        let clock = Arc::clone(&self.clock);
        DiskStore::start(disk, catalog, identity, room, clock, self.run_on)
    }

    /// The disk after a loss of power now; `seed` decides what of the unsynced is there.
    #[must_use]
    pub fn after_crash(&self, seed: u64) -> Self {
        let power = Power::default();
        Self {
            disk: self.disk.after_crash(seed, power.clone()),
            catalog: self.catalog.after_crash(seed ^ 0x5555, power.clone()),
            power,
            ..self.clone()
        }
    }

    /// The disk with an empty catalogue.
    #[must_use]
    pub fn without_catalog(&self) -> Self {
        Self {
            catalog: MemoryCatalog::new(self.power.clone()),
            ..self.clone()
        }
    }
}
