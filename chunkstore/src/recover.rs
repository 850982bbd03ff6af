//! Opening a disk: brings the catalogue up to date with the volumes.
//!
//! Records behind the checkpoint are read again, verified, **written again in place and synced**, and then entered. (They
//! may stand only in the page cache of a system that failed to write them and will not try again, and a
//! retried put must not be answered on the strength of that.) What follows the last intact record of
//! the newest volume is a torn write and is cut off; a gap with intact records behind it is damage, and stays.
//!
//! Without a usable catalogue all volumes are read, bodies included: a write torn long ago may lie between intact
//! records, and it must not come to light now. (Reading in one run is no slower than seeking from
//! header to header.)

use crate::catalog::{Catalog, CatalogError, Checkpoint, Live, Operation};
use crate::disk::Disk;
use crate::ledger::{Ledger, Placed};
use crate::volume::Volume;
use crate::volume::format::{Place, volume_name, volume_number};
use crate::volume::reader::{Depth, Step, Walk};
use crate::volume::writer::OpenVolume;
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use types::DiskId;

/// Entries written to the catalogue at once.
const BATCH_ENTRIES: usize = 1024;

/// What opening a disk found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RecoveryReport {
    /// The catalogue was lost or damaged and has been made again. Shards deleted before may be there again.
    pub is_rebuilt: bool,
    /// Shards that were entered in the catalogue.
    pub entered_shards: u64,
    /// What was cut off the newest volume: its number, and the bytes that were a torn write.
    pub torn_tail: Option<(u64, Range<u64>)>,
    /// Damage with intact records before and behind it, or that could not be read: volume and bytes.
    pub gaps: Vec<(u64, Range<u64>)>,
}

/// Why the volumes and the catalogue could not be brought together.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The volumes could not be listed or opened.
    #[error("the volumes cannot be opened: {0}")]
    Volumes(#[from] io::Error),
    /// The catalogue could not be read or written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// A disk ready for use.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub ledger: Ledger,
    pub volumes: BTreeMap<u64, Volume>,
    /// The volume to append to; `None` to begin a new one.
    pub open: Option<OpenVolume>,
    pub next_number: u64,
    pub report: RecoveryReport,
    /// Why the disk cannot take writes, if it cannot.
    pub read_only: Option<String>,
}

/// See the module.
pub(crate) fn recover(
    disk: &dyn Disk,
    id: DiskId,
    catalog: Arc<dyn Catalog>,
) -> Result<Recovered, RecoverError> {
    let mut volumes = open_volumes(disk)?;
    let (ledger, checkpoint) = open_ledger(catalog)?;
    let newest = volumes.last_key_value().map(|(number, _)| *number);
    let last_number = newest.max(checkpoint.as_ref().map(|checkpoint| checkpoint.volume));
    let had_checkpoint = checkpoint.is_some();
    let usable = checkpoint.filter(|checkpoint| agrees(checkpoint, &ledger, &volumes));
    if usable.is_none() {
        ledger.clear()?;
    }
    // Volumes that are gone while the catalogue tells of them are a loss too.
    let is_rebuilt = usable.is_none() && (newest.is_some() || had_checkpoint);
    let start = usable.unwrap_or_default();
    let mut replay = Replay {
        id,
        ledger: &ledger,
        report: RecoveryReport {
            is_rebuilt,
            ..RecoveryReport::default()
        },
        // A volume made just before the process ended may have a name that is not durable yet.
        read_only: disk
            .sync_dir()
            .err()
            .map(|error| format!("syncing the directory failed: {error}")),
        can_append: true,
    };
    for (number, volume) in volumes.range_mut(start.volume..) {
        let is_first = *number == start.volume;
        let from = Place {
            volume: *number,
            offset: if is_first { start.offset } else { 0 },
        };
        if Some(*number) != newest || replay.settle(volume, from) {
            replay.enter(volume, from)?;
        }
    }
    let Replay {
        report,
        read_only,
        can_append,
        ..
    } = replay;
    if let (Some(volume), None) = (newest, &read_only) {
        let offset = volumes[&volume].bytes;
        let checkpoint = Checkpoint {
            volume,
            offset,
            ..Checkpoint::default()
        };
        ledger.enter(Vec::new(), Some(checkpoint))?;
        ledger.sync()?;
    }
    let open = newest.filter(|_| can_append).map(|number| {
        let Volume { file, bytes } = volumes[&number].clone();
        OpenVolume {
            number,
            file,
            end: bytes,
        }
    });
    let next_number = last_number.unwrap_or(0) + 1;
    Ok(Recovered {
        ledger,
        volumes,
        open,
        next_number,
        report,
        read_only,
    })
}

/// Reads the catalogue's state; one that is damaged is emptied.
fn open_ledger(catalog: Arc<dyn Catalog>) -> Result<(Ledger, Option<Checkpoint>), CatalogError> {
    match Ledger::open(Arc::clone(&catalog)) {
        Err(CatalogError::Damaged(reason)) => {
            tracing::error!(reason, "the catalogue is damaged and is made again");
            catalog.write(vec![Operation::Clear])?;
            Ledger::open(catalog)
        }
        opened => opened,
    }
}

fn open_volumes(disk: &dyn Disk) -> io::Result<BTreeMap<u64, Volume>> {
    let mut volumes = BTreeMap::new();
    for number in disk.list()?.iter().filter_map(|name| volume_number(name)) {
        let file = disk.open(&volume_name(number))?;
        let bytes = file.size()?;
        volumes.insert(number, Volume { file, bytes });
    }
    Ok(volumes)
}

/// Whether every volume that the catalogue refers to is there, as long as it has to be.
fn agrees(checkpoint: &Checkpoint, ledger: &Ledger, volumes: &BTreeMap<u64, Volume>) -> bool {
    let has_checkpoint = volumes
        .get(&checkpoint.volume)
        .is_some_and(|volume| volume.bytes >= checkpoint.offset);
    let is_there = |(number, live): (&u64, &Live)| {
        live.shards == 0
            || volumes
                .get(number)
                .is_some_and(|volume| volume.bytes >= live.bytes)
    };
    has_checkpoint && ledger.live_volumes().iter().all(is_there)
}

struct Replay<'a> {
    id: DiskId,
    ledger: &'a Ledger,
    report: RecoveryReport,
    read_only: Option<String>,
    can_append: bool,
}

impl Replay<'_> {
    fn walk<'a>(&self, volume: &'a Volume, next: Place) -> Walk<'a> {
        let depth = Depth::Whole;
        Walk {
            file: &*volume.file,
            file_bytes: volume.bytes,
            disk: self.id,
            next,
            depth,
        }
    }

    /// Makes the intact records from `from` on durable, whatever became of the last sync, and cuts off
    /// what follows them. If the device does not let it, gives false: the disk takes no writes then, and
    /// the catalogue must not point at these records.
    fn settle(&mut self, volume: &mut Volume, from: Place) -> bool {
        if self.read_only.is_some() {
            return false;
        }
        if from.offset == volume.bytes {
            return true;
        }
        let mut end = from.offset;
        let mut is_torn = true;
        let mut walk = self.walk(volume, from);
        let mut result = Ok(());
        while let Some(step) = walk.step() {
            match step {
                Step::Record(entry) => {
                    end = entry.place.offset + entry.header.record_bytes();
                    result = result.and_then(|()| rewrite(volume, entry.place.offset..end));
                    is_torn = true;
                }
                Step::Gap { is_certain, .. } => is_torn = is_certain,
            }
        }
        if end < volume.bytes && is_torn {
            result = result.and_then(|()| volume.file.truncate(end));
            self.report.torn_tail = Some((from.volume, end..volume.bytes));
            tracing::warn!(disk = %self.id, volume = from.volume, from = end, to = volume.bytes, "a torn write was cut off");
        }
        if let Err(error) = result.and_then(|()| volume.file.sync()) {
            self.can_append = false;
            self.read_only = Some(format!("making the newest records durable failed: {error}"));
            return false;
        }
        if is_torn {
            volume.bytes = end;
        } else {
            // Something is there that cannot be read: what comes next goes to a new volume.
            self.can_append = false;
        }
        true
    }

    /// Enters the intact records from `from` on.
    fn enter(&mut self, volume: &Volume, from: Place) -> Result<(), CatalogError> {
        let mut walk = self.walk(volume, from);
        let mut batch = Vec::new();
        while let Some(step) = walk.step() {
            match step {
                Step::Record(entry) => {
                    batch.push(Placed {
                        entry,
                        moved_from: None,
                    });
                    self.report.entered_shards += 1;
                }
                Step::Gap { range, .. } => {
                    tracing::error!(disk = %self.id, volume = from.volume, from = range.start, to = range.end, "a gap in the volume: damaged or unreadable");
                    self.report.gaps.push((from.volume, range));
                }
            }
            if batch.len() == BATCH_ENTRIES {
                self.ledger.enter(std::mem::take(&mut batch), None)?;
            }
        }
        self.ledger.enter(batch, None)
    }
}

/// Writes the same bytes to the same place again, so that the next sync covers them.
fn rewrite(volume: &Volume, range: Range<u64>) -> io::Result<()> {
    let length = usize::try_from(range.end - range.start).expect("a record fits memory");
    let mut bytes = vec![0; length];
    volume.file.read_at(range.start, &mut bytes)?;
    volume.file.append(range.start, &bytes)
}

#[cfg(test)]
mod tests;
