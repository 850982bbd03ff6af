//! A replica's partitions, without a log of their own: the log is Raft's, elsewhere.
//!
//! # To ensure correctness
//! - What a log entry changes is one write batch together with the position of that entry.
//! - RocksDB writes its memory to files for all families at one moment (`atomic_flush`), and so does
//!   every flush that is asked for here: asked for one family, RocksDB writes that one alone, whatever the
//!   option says, and a crash would then leave families of different moments.
//! - So after a crash the database is as of some entry, which its position names, and the log from there
//!   on does the rest. [`Replica::flush`] says up to where the log is not needed for that any more.
//! - While a partition is replaced from a snapshot, it is not read.

use super::family::{Family, full_key};
use super::{Database, OpenEngineError, RocksOptions, check_log, read_error, space};
use crate::engine::evaluate::Base;
use crate::engine::open_value;
use crate::engine::state::PartitionState;
use crate::key::Key;
use crate::store::{Batch, Change, ScanPage, ScanRequest, Seq, StoreError, Versioned};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};
use rocksdb::{ColumnFamilyDescriptor, DB, Options, WriteBatch, WriteOptions};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use types::{FormatVersion, PartitionId};

/// The family of positions: key a partition, value what [`Replica::apply`] was given.
const POSITIONS: &str = "positions";
static FAMILIES: [&str; 4] = ["default", "inline", "log", POSITIONS];
/// Bytes of one write while a partition is replaced.
const REPLACE_BYTES: usize = 1024 * 1024;

/// What an entry of the log changes.
#[derive(Debug, Default)]
pub struct Changes {
    /// Sealed values by key, `None` where the key is removed.
    pub writes: BTreeMap<Bytes, Option<Bytes>>,
    /// First and last commit of which the feed is forgotten; after `writes`.
    pub trimmed: Option<(Seq, Seq)>,
    /// State of the partition after the entry; the caller has put it among `writes` if it has changed.
    pub state: PartitionState,
}

/// Positions by partition.
pub type Positions = BTreeMap<PartitionId, Bytes>;

/// The partitions of one node.
#[derive(Debug)]
pub struct Replica {
    database: Database,
    /// Positions of what was written, and of what is in files for certain.
    written: Mutex<Positions>,
    flushed: Mutex<Positions>,
    /// One flush at a time.
    flushing: Mutex<()>,
    unflushed_bytes: AtomicU64,
    /// Each held for writing while its partition is replaced.
    replacing: Mutex<BTreeMap<PartitionId, Arc<RwLock<()>>>>,
}

impl Replica {
    /// Opens the database in `options.dir`, making it if it is not there.
    ///
    /// # Errors
    /// [`OpenEngineError`].
    pub fn open(options: &RocksOptions) -> Result<Self, OpenEngineError> {
        let dir = &options.dir;
        let lock = space::lock_folder(dir)?;
        check_log(dir)?;
        let mut database = options.database();
        database.set_atomic_flush(true);
        let mut families = options.families();
        families.push(ColumnFamilyDescriptor::new(POSITIONS, Options::default()));
        let db = DB::open_cf_descriptors(&database, dir, families)
            .map_err(|error| OpenEngineError::database(dir, error))?;
        let database = Database::new(db, options, lock, &FAMILIES);
        let positions = read_positions(&database).map_err(|error| OpenEngineError::Damaged {
            dir: dir.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            database,
            written: Mutex::new(positions.clone()),
            flushed: Mutex::new(positions),
            flushing: Mutex::default(),
            unflushed_bytes: AtomicU64::new(0),
            replacing: Mutex::default(),
        })
    }

    /// Refuses batches for which the device has no room.
    ///
    /// # Errors
    /// [`StoreError::Full`].
    pub fn admit(&self, batches: &[Batch]) -> Result<(), StoreError> {
        self.database.space.admit(batches)
    }

    /// The format of what is written.
    pub fn format(&self) -> FormatVersion {
        self.database.finalised.get()
    }

    /// The state of a partition.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] and [`StoreError::Unavailable`].
    pub fn state(&self, partition: PartitionId) -> Result<PartitionState, StoreError> {
        Ok(self.database.state(partition)?.lock().clone())
    }

    /// The position that was written last.
    pub fn position(&self, partition: PartitionId) -> Option<Bytes> {
        self.written.lock().get(&partition).cloned()
    }

    /// The position up to which everything is in files.
    pub fn flushed(&self, partition: PartitionId) -> Option<Bytes> {
        self.flushed.lock().get(&partition).cloned()
    }

    /// Bytes that were written since the last flush began.
    pub fn unflushed_bytes(&self) -> u64 {
        self.unflushed_bytes.load(Ordering::Relaxed)
    }

    /// Writes what one entry changes, and its position.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when RocksDB fails: the process must end.
    pub fn apply(
        &self,
        partition: PartitionId,
        changes: Changes,
        position: Bytes,
    ) -> Result<(), StoreError> {
        let db = &self.database.db;
        let mut batch = WriteBatch::default();
        for (key, written) in changes.writes {
            let family = Family::of_key(&key).of(db);
            let key = full_key(partition, &key);
            match written {
                Some(sealed) => batch.put_cf(family, key, sealed),
                None => batch.delete_cf(family, key),
            }
        }
        if let Some((first, last)) = changes.trimmed {
            let feed_key = |seq| full_key(partition, &Key::Feed { seq }.encode());
            let (first, after) = (feed_key(first), feed_key(last + 1));
            batch.delete_range_cf(Family::Log.of(db), first, after);
        }
        let state = self.database.state(partition)?;
        let mut state = state.lock();
        self.write_at(partition, batch, &position)?;
        *state = changes.state;
        Ok(())
    }

    /// Writes `batch` with `position`.
    fn write_at(
        &self,
        partition: PartitionId,
        mut batch: WriteBatch,
        position: &Bytes,
    ) -> Result<(), StoreError> {
        let positions = self.database.db.cf_handle(POSITIONS);
        let positions = positions.expect("a replica is opened with its positions");
        batch.put_cf(positions, partition.0.to_be_bytes(), position);
        self.write(batch)?;
        // Only now: a flush that begins in between would be taken to hold it.
        self.written.lock().insert(partition, position.clone());
        Ok(())
    }

    fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        let bytes = batch.size_in_bytes() as u64;
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let written = self.database.db.write_opt(batch, &options);
        written.map_err(|error| StoreError::Unavailable(error.into_string()))?;
        self.unflushed_bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Writes everything to files, and returns up to which positions that was. A call that finds another
    /// one under way waits for it, and flushes again only if there is more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn flush(&self) -> Result<Positions, StoreError> {
        let wanted = self.written.lock().clone();
        let _one_at_a_time = self.flushing.lock();
        if *self.flushed.lock() == wanted {
            return Ok(wanted);
        }
        let covered = self.written.lock().clone();
        self.unflushed_bytes.store(0, Ordering::Relaxed);
        let db = &self.database.db;
        let families = FAMILIES.map(|name| db.cf_handle(name).expect("all families are open"));
        let mut options = rocksdb::FlushOptions::default();
        options.set_wait(true);
        db.flush_cfs_opt(&families, &options)
            .map_err(|error| StoreError::Unavailable(error.into_string()))?;
        *self.flushed.lock() = covered.clone();
        Ok(covered)
    }

    /// What is held while a partition is replaced.
    fn replacing(&self, partition: PartitionId) -> Arc<RwLock<()>> {
        Arc::clone(self.replacing.lock().entry(partition).or_default())
    }

    /// The value of `key`, as far as the log was applied.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn get(&self, partition: PartitionId, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        let replacing = self.replacing(partition);
        let _reading = reading(&replacing)?;
        let sealed = self.database.read(partition, key)?;
        sealed.map(|sealed| open_value(key, &sealed)).transpose()
    }

    /// One page of a range, as far as the log was applied.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn scan(
        &self,
        partition: PartitionId,
        request: &ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        let replacing = self.replacing(partition);
        let _reading = reading(&replacing)?;
        self.database.scan(partition, request)
    }

    /// Commits after `after`, as far as the log was applied.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let replacing = self.replacing(partition);
        let _reading = reading(&replacing)?;
        self.database.changes(partition, after, limit)
    }

    /// Shows everything that a partition holds as of one moment: first the position, then the values in
    /// order of families and keys.
    ///
    /// # Errors
    /// What reading fails with, and what `position` and `value` return.
    pub fn dump(
        &self,
        partition: PartitionId,
        position: impl FnOnce(Bytes) -> Result<(), StoreError>,
        mut value: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let db = &self.database.db;
        let snapshot = db.snapshot();
        let (start, end) = bounds(partition);
        let positions = db.cf_handle(POSITIONS).expect("all families are open");
        let at = snapshot
            .get_cf(positions, &start)
            .map_err(|error| read_error(&start, &error))?
            .ok_or_else(|| StoreError::Unavailable("the partition is empty".to_owned()))?;
        position(at.into())?;
        for family in Family::ALL {
            let mut options = rocksdb::ReadOptions::default();
            options.set_iterate_upper_bound(end.as_slice());
            // It is read once: it must not push out what others read again.
            options.fill_cache(false);
            let mut items = snapshot.raw_iterator_cf_opt(family.of(db), options);
            items.seek(&start);
            while let Some((key, sealed)) = items.item() {
                value(&key[start.len()..], sealed)?;
                items.next();
            }
            items.status().map_err(|error| read_error(&start, &error))?;
        }
        Ok(())
    }

    /// Replaces all that a partition holds by `values`, durably. After a crash in between the partition is
    /// in no state at all: the caller must be able to do this again.
    ///
    /// # Errors
    /// What `values` yields and what writing fails with.
    pub fn replace(
        &self,
        partition: PartitionId,
        values: impl Iterator<Item = Result<(Bytes, Bytes), StoreError>>,
        position: &Bytes,
    ) -> Result<(), StoreError> {
        let replacing = self.replacing(partition);
        let _nobody_reads = replacing.write();
        let db = &self.database.db;
        let (start, end) = bounds(partition);
        let mut batch = WriteBatch::default();
        for family in Family::ALL {
            batch.delete_range_cf(family.of(db), start.as_slice(), end.as_slice());
        }
        let positions = db.cf_handle(POSITIONS).expect("all families are open");
        batch.delete_cf(positions, &start);
        self.written.lock().remove(&partition);
        self.flushed.lock().remove(&partition);
        for value in values {
            let (key, sealed) = value?;
            let family = Family::of_key(&key).of(db);
            batch.put_cf(family, full_key(partition, &key), sealed);
            if batch.size_in_bytes() >= REPLACE_BYTES {
                self.write(std::mem::take(&mut batch))?;
            }
        }
        self.write_at(partition, batch, position)?;
        self.database.partitions.lock().remove(&partition);
        self.flush()?;
        Ok(())
    }

    /// Takes no part any more; what is in memory is written to files.
    pub fn close(&self) {
        if let Err(error) = self.flush() {
            // Nothing is lost: the log has it.
            tracing::warn!(%error, "the replica was not written to files");
        }
    }
}

fn reading(replacing: &RwLock<()>) -> Result<RwLockReadGuard<'_, ()>, StoreError> {
    let reading = replacing.try_read();
    reading.ok_or_else(|| StoreError::Unavailable("a snapshot is being installed".to_owned()))
}

fn bounds(partition: PartitionId) -> (Vec<u8>, Vec<u8>) {
    let start = partition.0.to_be_bytes().to_vec();
    let end = partition.0.checked_add(1);
    let end = end.map_or_else(|| vec![0xff; 5], |next| next.to_be_bytes().to_vec());
    (start, end)
}

fn read_positions(database: &Database) -> Result<Positions, StoreError> {
    let family = database.db.cf_handle(POSITIONS);
    let family = family.expect("a replica is opened with its positions");
    let mut positions = Positions::new();
    for item in database
        .db
        .iterator_cf(family, rocksdb::IteratorMode::Start)
    {
        let (key, value) = item.map_err(|error| read_error(&[], &error))?;
        let partition = <[u8; 4]>::try_from(key.as_ref())
            .map_err(|_| crate::engine::corrupt(&key, &"it is no partition"))?;
        let partition = PartitionId(u32::from_be_bytes(partition));
        positions.insert(partition, Bytes::from(value));
    }
    Ok(positions)
}

/// What the batches of an entry read: what earlier commands of the entry wrote, then the database.
pub struct Pending<'a> {
    /// The database.
    pub replica: &'a Replica,
    /// The partition.
    pub partition: PartitionId,
    /// What was written before in the entry.
    pub writes: BTreeMap<Bytes, Option<Bytes>>,
}

impl Base for Pending<'_> {
    fn sealed(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.writes.get(key) {
            Some(written) => Ok(written.clone()),
            None => self.replica.database.read(self.partition, key),
        }
    }

    fn format(&self) -> FormatVersion {
        self.replica.format()
    }
}

#[cfg(test)]
mod tests;
