//! What the writer, the readers and the maintenance of one disk have in common.

use crate::catalog::{CatalogError, Entry};
use crate::disk::{Disk, Space};
use crate::ledger::Ledger;
use crate::metrics::DiskMetrics;
use crate::shard::{DiskUsage, PutShardError, ReadShardError, ShardBlocks, ShardKey};
use crate::volume::Volumes;
use crate::volume::reader::{ReadBlocksError, read_blocks, read_blocks_cached};
use std::io;
use std::sync::{Arc, OnceLock};
use types::{Clock, DiskId};

/// File whose presence says that the catalogue has to be made again when the disk is next opened.
pub(crate) const CATALOG_DAMAGED_FILE: &str = "catalogue-damaged";
const RESERVE_BYTES_MIN: u64 = 64 << 20;
const RESERVE_BYTES_MAX: u64 = 16 << 30;

/// How much of the device may be used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Room {
    /// A volume that has this many bytes is followed by a new one.
    pub volume_bytes: u64,
    /// Bytes kept free for deletes and compaction; by the size of the device when `None`.
    pub reserve_bytes: Option<u64>,
    /// Bytes that the volumes may have together; as the device allows when `None`.
    pub capacity_bytes: Option<u64>,
}

impl Room {
    /// 1 % of the device, at least 64 MiB, at most 16 GiB, and never more than an eighth of it.
    fn reserve(&self, capacity: u64) -> u64 {
        let by_size = (capacity / 100).clamp(RESERVE_BYTES_MIN, RESERVE_BYTES_MAX);
        self.reserve_bytes.unwrap_or(by_size.min(capacity / 8))
    }

    /// The device's room within what the operator allows for volumes that have `used` bytes.
    fn limit(&self, space: Space, used: u64) -> Space {
        let Some(capacity) = self.capacity_bytes else {
            return space;
        };
        Space {
            capacity: capacity.min(space.capacity),
            free: capacity.saturating_sub(used).min(space.free),
        }
    }
}

/// Bytes that may be written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct WritableBytes {
    /// Bytes that the device holds.
    pub capacity: u64,
    /// By new shards, which leave the reserve alone.
    pub for_puts: u64,
    /// By copies of compaction, which leave the quarter of the reserve that the catalogue may need.
    pub for_moves: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Shared {
    pub disk: Arc<dyn Disk>,
    pub id: DiskId,
    pub volumes: Volumes,
    pub ledger: Ledger,
    pub room: Room,
    pub clock: Arc<dyn Clock>,
    pub metrics: DiskMetrics,
    /// Why the disk takes no writes; never taken back while the process runs.
    pub read_only: OnceLock<String>,
    pub catalog_damaged: OnceLock<()>,
}

impl Shared {
    /// Bytes that may be written now.
    pub fn writable_bytes(&self) -> io::Result<WritableBytes> {
        let space = self
            .room
            .limit(self.disk.space()?, self.volumes.total_bytes());
        let reserve = self.room.reserve(space.capacity);
        Ok(WritableBytes {
            capacity: space.capacity,
            for_puts: space.free.saturating_sub(reserve),
            for_moves: space.free.saturating_sub(reserve / 4),
        })
    }

    /// Room on the disk; zeros for what the device does not tell.
    pub fn usage(&self) -> DiskUsage {
        let (live, shards) = self.ledger.total();
        let writable = self.writable_bytes().unwrap_or_default();
        DiskUsage {
            capacity: writable.capacity,
            available: writable.for_puts,
            volumes: self.volumes.total_bytes(),
            live,
            shards,
        }
    }

    /// Takes no more writes until the disk is opened again.
    pub fn stop_writes(&self, reason: &str) {
        if self.read_only.set(reason.to_owned()).is_ok() {
            self.metrics.read_only.set(1.0);
            tracing::error!(disk = %self.id, reason, "the disk takes no writes any more");
        }
    }

    /// An error once writes were stopped.
    pub fn check_writable(&self) -> Result<(), PutShardError> {
        match self.read_only.get() {
            None => Ok(()),
            Some(reason) => Err(PutShardError::ReadOnly {
                disk: self.id,
                reason: reason.clone(),
            }),
        }
    }

    /// The operation's error for one of the catalogue; damage is noted for the next opening.
    pub fn catalog_error(&self, error: CatalogError) -> ReadShardError {
        let reason = error.to_string();
        match error {
            CatalogError::Io(_) => ReadShardError::Failed {
                disk: self.id,
                reason,
            },
            CatalogError::Damaged(_) => {
                if self.catalog_damaged.set(()).is_ok() {
                    tracing::error!(disk = %self.id, reason, "the catalogue is damaged: open the disk again to have it made anew");
                    if let Err(error) = self.note_damaged_catalog() {
                        tracing::error!(disk = %self.id, %error, "the damage could not be noted");
                    }
                }
                ReadShardError::Damaged {
                    disk: self.id,
                    reason,
                }
            }
        }
    }

    fn note_damaged_catalog(&self) -> io::Result<()> {
        match self.disk.create(CATALOG_DAMAGED_FILE) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => self.disk.sync_dir(),
        }
    }

    /// Reads where it needs no waiting for the device; `None` where it does or anything is amiss.
    pub fn read_cached(&self, key: &ShardKey, first: u32, count: u32) -> Option<ShardBlocks> {
        let entry = self.ledger.get_cached(key).ok()???;
        let volume = self.volumes.get(entry.place.volume)?;
        let bytes = read_blocks_cached(&*volume.file, &entry, first, count)?;
        Some(ShardBlocks {
            info: entry.header.info,
            bytes,
        })
    }

    /// Reads blocks of a shard, verified; may wait for the device.
    pub fn read(
        &self,
        key: &ShardKey,
        first: u32,
        count: u32,
    ) -> Result<ShardBlocks, ReadShardError> {
        let disk = self.id;
        let entry = self.find(key)?.ok_or(ReadShardError::Missing { disk })?;
        let bytes = match self.read_entry(&entry, first, count) {
            Ok(bytes) => bytes,
            // Compaction may have moved it and removed the volume in the meantime.
            Err(error) => match self.find(key)? {
                None => return Err(ReadShardError::Missing { disk }),
                Some(now) if now.place == entry.place => return Err(error),
                Some(now) => self.read_entry(&now, first, count)?,
            },
        };
        Ok(ShardBlocks {
            info: entry.header.info,
            bytes,
        })
    }

    fn find(&self, key: &ShardKey) -> Result<Option<Entry>, ReadShardError> {
        self.ledger
            .get(key)
            .map_err(|error| self.catalog_error(error))
    }

    /// Reads blocks of the record of an entry, verified.
    pub fn read_entry(
        &self,
        entry: &Entry,
        first: u32,
        count: u32,
    ) -> Result<bytes::Bytes, ReadShardError> {
        let disk = self.id;
        let number = entry.place.volume;
        let Some(volume) = self.volumes.get(number) else {
            let reason = format!("there is no volume {number}");
            return Err(ReadShardError::Damaged { disk, reason });
        };
        read_blocks(&*volume.file, entry, first, count).map_err(|error| {
            let reason = error.to_string();
            match error {
                ReadBlocksError::Device(_) => ReadShardError::Failed { disk, reason },
                ReadBlocksError::Checksum { .. } | ReadBlocksError::CutShort { .. } => {
                    ReadShardError::Damaged { disk, reason }
                }
            }
        })
    }
}
