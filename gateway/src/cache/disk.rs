//! Blocks on a disk of the gateway's own. Records are written one behind the other into segment files, and the
//! oldest segment is deleted when there is no more room. Where the records are is known in memory only; a start
//! reads the headers, while the cache is used already.
//!
//! Nothing is synced, and nothing needs to be: what is read back is right by its checksum or is not there.
//! A device that fails or fills up is not written any more until the next start.

use super::block::{Block, BlockKey, Filling};
use super::record::{HEADER_BYTES, Header, Sum};
use crate::admission::Lease;
use crate::metrics::CacheMetrics;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;

/// Least bytes of a cache on disk.
pub const DISK_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Segments that make up a full cache: an eviction takes one of them.
const SEGMENTS: u64 = 32;
/// Bytes of the largest segment.
const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// What a record takes in memory: where it lies, and that its segment has it.
const PLACE_BYTES: u64 = 160;
/// Blocks read, and blocks written, at once: what a device that hangs holds of memory and of threads.
const AT_ONCE: usize = 8;
const LOCK_NAME: &str = "cairn-cache.lock";
const SEGMENT_PREFIX: &str = "cairn-cache-";
const SEGMENT_SUFFIX: &str = ".seg";

/// A cache on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskCacheConfig {
    /// Its directory, which is made if it is not there. One cache at a time may use it.
    pub directory: PathBuf,
    /// Bytes that its files may take; at least [`DISK_BYTES_MIN`].
    pub bytes: u64,
}

/// Why a cache cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenCacheError {
    /// The directory cannot be made, read or written.
    #[error("the cache's directory {} cannot be used: {source}", directory.display())]
    Directory {
        /// The directory.
        directory: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process uses it.
    #[error("the cache's directory {} is used by another server; give each its own", directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
}

/// See the module.
pub(super) struct Disk(Arc<Shared>);

struct Shared {
    directory: PathBuf,
    /// Locked as long as this lives.
    _lock: File,
    bytes_max: u64,
    records_max: usize,
    places: Mutex<Places>,
    /// Held while a record is written.
    writer: Mutex<Writer>,
    is_read_only: AtomicBool,
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    metrics: CacheMetrics,
}

/// Where everything is.
#[derive(Default)]
struct Places {
    records: HashMap<BlockKey, Place>,
    /// By number; the oldest is the first.
    segments: BTreeMap<u64, Segment>,
    held_bytes: u64,
}

#[derive(Clone, Copy)]
struct Place {
    segment: u64,
    offset: u64,
}

struct Segment {
    file: Arc<File>,
    bytes: u64,
    keys: Vec<BlockKey>,
}

/// The segment that is written.
struct Writer {
    /// Its number, and the one that the next segment has.
    open: Option<u64>,
    next: u64,
}

/// Why a record is not what it should be.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("its header is damaged, or that of another block")]
    Header,
    #[error("its bytes do not match their checksum")]
    Checksum,
}

impl Disk {
    /// Opens the directory and begins to look for what is in it; `memory_bytes` is what may be kept in memory of
    /// where it is.
    pub fn open(
        config: &DiskCacheConfig,
        memory_bytes: u64,
        metrics: CacheMetrics,
    ) -> Result<Self, OpenCacheError> {
        let directory = config.directory.clone();
        let unusable = |source| OpenCacheError::Directory {
            directory: directory.clone(),
            source,
        };
        let lock = lock(&directory).map_err(unusable)?;
        let Some(lock) = lock else {
            return Err(OpenCacheError::InUse { directory });
        };
        let segments = segments(&directory).map_err(unusable)?;
        let numbers: Vec<u64> = segments.keys().copied().collect();
        let places = Places {
            held_bytes: segments.values().map(|segment| segment.bytes).sum(),
            segments,
            ..Places::default()
        };
        let shared = Arc::new(Shared {
            directory,
            _lock: lock,
            bytes_max: config.bytes,
            records_max: usize::try_from(memory_bytes / PLACE_BYTES).unwrap_or(usize::MAX),
            places: Mutex::new(places),
            writer: Mutex::new(Writer {
                open: None,
                next: numbers.last().map_or(0, |last| last + 1),
            }),
            is_read_only: AtomicBool::new(false),
            reads: Arc::new(Semaphore::new(AT_ONCE)),
            writes: Arc::new(Semaphore::new(AT_ONCE)),
            metrics,
        });
        shared.make_room(0, None);
        let found = Arc::clone(&shared);
        tokio::task::spawn_blocking(move || {
            // The newest first: they are what is kept longest.
            for number in numbers.into_iter().rev() {
                found.recover(number);
            }
            tracing::info!(
                blocks = found.places.lock().records.len(),
                "cache on disk found"
            );
        });
        Ok(Self(shared))
    }

    pub fn has(&self, key: BlockKey) -> bool {
        self.0.places.lock().records.contains_key(&key)
    }

    /// The block, if it is here and as it was written.
    pub async fn read(&self, key: BlockKey, length: usize) -> Option<Block> {
        if !self.has(key) {
            return None;
        }
        let permit = Arc::clone(&self.0.reads).try_acquire_owned().ok()?;
        let shared = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            shared.read(key, length)
        });
        read.await.ok().flatten()
    }

    /// Writes a block, if the device keeps up; `lease` stands for its bytes in memory until then.
    pub fn keep(&self, key: BlockKey, block: Block, lease: Lease) {
        if self.0.is_read_only.load(Ordering::Relaxed) || self.has(key) {
            return;
        }
        let Ok(permit) = Arc::clone(&self.0.writes).try_acquire_owned() else {
            return;
        };
        let shared = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || {
            let _held = (permit, lease);
            if let Err(error) = shared.write(key, &block) {
                shared.is_read_only.store(true, Ordering::Relaxed);
                let directory = shared.directory.display();
                tracing::error!(%directory, %error, "the cache on disk is not written any more");
            }
        });
    }
}

impl Shared {
    fn read(&self, key: BlockKey, length: usize) -> Option<Block> {
        let (place, file) = {
            let places = self.places.lock();
            let place = *places.records.get(&key)?;
            let segment = places.segments.get(&place.segment)?;
            (place, Arc::clone(&segment.file))
        };
        match read_record(&file, place.offset, key, length) {
            Ok(block) => {
                self.metrics.found_on_disk();
                Some(block)
            }
            Err(fault) => {
                let segment = place.segment;
                tracing::warn!(chunk = %key.chunk, block = key.number, segment, %fault, "a cached block is dropped");
                self.metrics.damaged();
                self.places.lock().records.remove(&key);
                None
            }
        }
    }

    /// Writes a record behind the last one.
    fn write(&self, key: BlockKey, block: &Block) -> io::Result<()> {
        let header = Header::of(key, block);
        let bytes = (HEADER_BYTES + block.length()) as u64;
        let mut writer = self.writer.lock();
        let (number, file, mut offset) = self.segment_for(&mut writer, bytes)?;
        self.make_room(bytes, Some(number));
        let place = Place {
            segment: number,
            offset,
        };
        file.write_all_at(&header.encode(), offset)?;
        offset += HEADER_BYTES as u64;
        for piece in block.pieces() {
            file.write_all_at(piece, offset)?;
            offset += piece.len() as u64;
        }
        let mut places = self.places.lock();
        places.held_bytes += bytes;
        let segment = places.segments.get_mut(&number);
        let segment = segment.expect("the segment that is written stays");
        segment.bytes += bytes;
        segment.keys.push(key);
        places.records.insert(key, place);
        self.metrics.on_disk(places.held_bytes);
        Ok(())
    }

    /// The segment that is written, or a new one if it is full; and where its next record goes.
    fn segment_for(&self, writer: &mut Writer, bytes: u64) -> io::Result<(u64, Arc<File>, u64)> {
        let full = (self.bytes_max / SEGMENTS).min(SEGMENT_BYTES_MAX);
        if let Some(number) = writer.open {
            let places = self.places.lock();
            let segment = places.segments.get(&number);
            let segment = segment.expect("the segment that is written stays");
            let records_max = self.records_max / SEGMENTS as usize;
            if segment.bytes + bytes <= full && segment.keys.len() < records_max {
                return Ok((number, Arc::clone(&segment.file), segment.bytes));
            }
        }
        let number = writer.next;
        writer.open = None;
        writer.next += 1;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path_of(&self.directory, number))?;
        let file = Arc::new(file);
        let segment = Segment {
            file: Arc::clone(&file),
            bytes: 0,
            keys: Vec::new(),
        };
        self.places.lock().segments.insert(number, segment);
        writer.open = Some(number);
        Ok((number, file, 0))
    }

    /// Deletes the oldest segments until there is room for another record; the one that is written stays.
    fn make_room(&self, bytes: u64, written: Option<u64>) {
        loop {
            let mut places = self.places.lock();
            let is_full = places.held_bytes + bytes > self.bytes_max
                || places.records.len() >= self.records_max;
            let oldest = places.segments.first_entry();
            let Some(oldest) = oldest.filter(|oldest| is_full && Some(*oldest.key()) != written)
            else {
                return;
            };
            let (number, segment) = oldest.remove_entry();
            places.held_bytes -= segment.bytes;
            for key in &segment.keys {
                if places
                    .records
                    .get(key)
                    .is_some_and(|place| place.segment == number)
                {
                    places.records.remove(key);
                }
            }
            drop(places);
            if let Err(error) = fs::remove_file(path_of(&self.directory, number)) {
                tracing::warn!(segment = number, %error, "a segment of the cache cannot be deleted");
            }
        }
    }

    /// Enters the records of a segment that an earlier process wrote, up to the first that is not whole.
    fn recover(&self, number: u64) {
        let found = self
            .places
            .lock()
            .segments
            .get(&number)
            .map(|segment| (Arc::clone(&segment.file), segment.bytes));
        let Some((file, length)) = found else {
            return;
        };
        let mut offset = 0;
        let mut bytes = [0; HEADER_BYTES];
        while file.read_exact_at(&mut bytes, offset).is_ok() {
            let Some(header) = Header::decode(&bytes) else {
                return;
            };
            let end = offset + HEADER_BYTES as u64 + u64::from(header.length);
            let mut places = self.places.lock();
            let is_there = places.records.contains_key(&header.key);
            let is_full = places.records.len() >= self.records_max;
            let Some(segment) = places.segments.get_mut(&number) else {
                return;
            };
            if end > length || is_full {
                return;
            }
            if !is_there {
                segment.keys.push(header.key);
                let segment = number;
                places.records.insert(header.key, Place { segment, offset });
            }
            offset = end;
        }
    }
}

fn read_record(file: &File, offset: u64, key: BlockKey, length: usize) -> Result<Block, Fault> {
    let mut bytes = [0; HEADER_BYTES];
    file.read_exact_at(&mut bytes, offset)?;
    let header = Header::decode(&bytes).ok_or(Fault::Header)?;
    if header.key != key || header.length as usize != length {
        return Err(Fault::Header);
    }
    let mut sum = Sum::new(key, header.length);
    let mut at = offset + HEADER_BYTES as u64;
    let block = Filling::pieces(length, |piece| {
        file.read_exact_at(piece, at)?;
        at += piece.len() as u64;
        sum.update(piece);
        Ok::<_, Fault>(())
    })?;
    if sum.finish() != header.checksum {
        return Err(Fault::Checksum);
    }
    Ok(block)
}

/// The lock of the directory, which is made; `None` if somebody else has it.
fn lock(directory: &Path) -> io::Result<Option<File>> {
    fs::create_dir_all(directory)?;
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(directory.join(LOCK_NAME))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

fn path_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{SEGMENT_PREFIX}{number:016x}{SEGMENT_SUFFIX}"))
}

/// The segments that are there. Other files are left alone.
fn segments(directory: &Path) -> io::Result<BTreeMap<u64, Segment>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| {
            let number = name.strip_prefix(SEGMENT_PREFIX)?;
            u64::from_str_radix(number.strip_suffix(SEGMENT_SUFFIX)?, 16).ok()
        });
        let Some(number) = number else {
            continue;
        };
        let file = File::open(directory.join(&name))?;
        let segment = Segment {
            bytes: file.metadata()?.len(),
            file: Arc::new(file),
            keys: Vec::new(),
        };
        found.insert(number, segment);
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
