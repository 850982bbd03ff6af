//! The engine on RocksDB, in process: one database for all partitions of a node.
//!
//! ```text
//! key     partition (u32, big endian), then the key of `crate::key`
//! family  default  what lists, metadata reads and conditions touch
//!         inline   `i` records, so that bodies never stand between the records of a list
//!         log      `f`, `g`, `o` and `a` records: written once, read in order, soon deleted
//! ```
//! # To ensure correctness
//! - One call of `commit_many` is one write batch of RocksDB with `sync`: after a crash all of it is
//!   there or none, in all families.
//! - RocksDB applies a batch to what readers see only after its log is synced, so a read never shows
//!   what a power loss can take back.
//! - When that write fails nobody knows whether the log has it: the call is `Indeterminate` and the
//!   engine takes no further commit. A restart reads the log and so finds out.

mod cursor;
mod family;
mod log;
mod options;
pub(super) mod records;
pub(super) mod replica;
pub(super) mod space;

pub use options::RocksOptions;

use self::cursor::FamilyCursor;
use self::family::{Family, full_key};
use self::log::CheckLogError;
use self::space::Space;
use super::evaluate::{Base, evaluate};
use super::scan::{Cursor, scan_page};
use super::state::PartitionState;
use super::{FeedReader, corrupt, open_value};
use crate::key::Key;
use crate::store::{
    Batch, Change, IndexStore, Outcome, ScanPage, ScanRequest, Seq, StoreError, Versioned,
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rocksdb::perf::{PerfContext, PerfMetric};
use rocksdb::properties::NUM_DELETES_ACTIVE_MEM_TABLE;
use rocksdb::{DB, ErrorKind, WriteBatch, WriteOptions};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use types::{Finalised, FormatVersion, PartitionId, Planted};

/// Deletions that a scan may pass before something is done about them: a millisecond's worth.
const DELETIONS_PASSED: u64 = 2048;

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenEngineError {
    /// The folder cannot be made or read.
    #[error("the index folder {dir} cannot be made or read: {source}")]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Another process, or this one, has it open.
    #[error(
        "the index in {dir} is in use by another process: stop it, or give this one its own folder"
    )]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// There is damage that is more than the torn end of the log.
    #[error(
        "the index in {dir} is damaged ({reason}): nothing was changed; keep a copy of the folder \
         before anything else is done to it"
    )]
    Damaged {
        /// The folder.
        dir: PathBuf,
        /// What was found.
        reason: String,
    },
    /// RocksDB cannot use the folder.
    #[error("the index in {dir} cannot be opened: {reason}")]
    Unusable {
        /// The folder.
        dir: PathBuf,
        /// What RocksDB says.
        reason: String,
    },
}

impl OpenEngineError {
    fn folder(dir: &Path, source: std::io::Error) -> Self {
        let dir = dir.to_owned();
        Self::Folder { dir, source }
    }

    fn database(dir: &Path, error: rocksdb::Error) -> Self {
        let is_damaged = error.kind() == ErrorKind::Corruption;
        let (dir, reason) = (dir.to_owned(), error.into_string());
        if is_damaged {
            Self::Damaged { dir, reason }
        } else {
            Self::Unusable { dir, reason }
        }
    }
}

/// Checks the log of the database in `dir` and cuts its unfinished end, see [`log`].
fn check_log(dir: &Path) -> Result<(), OpenEngineError> {
    log::check(dir).map_err(|error| match error {
        CheckLogError::Io(source) => OpenEngineError::folder(dir, source),
        CheckLogError::Damaged { .. } => OpenEngineError::Damaged {
            dir: dir.to_owned(),
            reason: error.to_string(),
        },
    })
}

/// Partitions in a RocksDB database.
#[derive(Debug)]
pub struct RocksEngine {
    database: Arc<Database>,
}

#[derive(Debug)]
struct Database {
    db: DB,
    space: Space,
    /// Locked as long as the database is open. Dropped after `db`, which stands before it.
    _lock: File,
    /// Why no more commits are taken.
    ended: OnceLock<String>,
    partitions: Mutex<BTreeMap<PartitionId, Arc<Mutex<PartitionState>>>>,
    /// The format of what is written.
    finalised: Finalised,
    /// Families that must be written to files together: without a log they have no other common moment.
    flushed_together: &'static [&'static str],
}

impl RocksEngine {
    /// Opens the database in `options.dir`, making it if it is not there. Everything that was ever
    /// acknowledged is there on return.
    ///
    /// # Errors
    /// [`OpenEngineError`].
    pub fn open(options: &RocksOptions) -> Result<Self, OpenEngineError> {
        let dir = &options.dir;
        let lock = space::lock_folder(dir)?;
        check_log(dir)?;
        let db = DB::open_cf_descriptors(&options.database(), dir, options.families())
            .map_err(|error| OpenEngineError::database(dir, error))?;
        Ok(Self {
            database: Arc::new(Database::new(db, options, lock, &[])),
        })
    }

    /// Writes what is in memory to files and takes no more commits; reads still work. Nothing would be
    /// lost without it: the next start only reads less of the log.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the files cannot be written; the log still has everything.
    pub fn close(&self) -> Result<(), StoreError> {
        self.database.end("it is closed".to_owned());
        self.database.flush()
    }

    async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        tokio::task::spawn_blocking(move || act(&database))
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }
}

impl Database {
    fn new(
        db: DB,
        options: &RocksOptions,
        lock: File,
        flushed_together: &'static [&'static str],
    ) -> Self {
        Self {
            db,
            space: Space::new(options),
            _lock: lock,
            ended: OnceLock::new(),
            partitions: Mutex::default(),
            finalised: options.finalised.clone(),
            flushed_together,
        }
    }

    fn end(&self, reason: String) {
        // The first reason is the one that counts.
        let _ = self.ended.set(reason);
    }

    fn refuse_if_ended(&self) -> Result<(), StoreError> {
        match self.ended.get() {
            Some(reason) => Err(StoreError::Unavailable(format!(
                "the index takes no commits until it is restarted: {reason}"
            ))),
            None => Ok(()),
        }
    }

    fn flush(&self) -> Result<(), StoreError> {
        let families = Family::ALL.map(|family| family.of(&self.db));
        let mut options = rocksdb::FlushOptions::default();
        options.set_wait(true);
        self.db
            .flush_cfs_opt(&families, &options)
            .map_err(|error| StoreError::Unavailable(error.into_string()))
    }

    fn read(&self, partition: PartitionId, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.db
            .get_cf(Family::of_key(key).of(&self.db), full_key(partition, key))
            .map(|found| found.map(Bytes::from))
            .map_err(|error| read_error(key, &error))
    }

    fn read_state(&self, partition: PartitionId) -> Result<PartitionState, StoreError> {
        let sealed = self.read(partition, &Key::PartitionState.encode())?;
        PartitionState::open(sealed.as_ref())
    }

    /// The partition's state, behind the lock that makes its commits one at a time.
    fn state(&self, partition: PartitionId) -> Result<Arc<Mutex<PartitionState>>, StoreError> {
        let mut partitions = self.partitions.lock();
        if let Some(state) = partitions.get(&partition) {
            return Ok(Arc::clone(state));
        }
        let state = Arc::new(Mutex::new(self.read_state(partition)?));
        partitions.insert(partition, Arc::clone(&state));
        Ok(state)
    }

    fn commit(
        &self,
        partition: PartitionId,
        batches: &[Batch],
    ) -> Result<Vec<Outcome>, StoreError> {
        let state = self.state(partition)?;
        let mut state = state.lock();
        let base = PartitionBase {
            database: self,
            partition,
        };
        let evaluated = evaluate(&base, partition, &state, batches)?;
        if evaluated.writes.is_empty() {
            return Ok(evaluated.outcomes);
        }
        self.space.admit(batches)?;
        let mut batch = WriteBatch::default();
        for (key, written) in evaluated.writes {
            let family = Family::of_key(&key).of(&self.db);
            let key = full_key(partition, &key);
            match written {
                Some(sealed) => batch.put_cf(family, key, sealed),
                None => batch.delete_cf(family, key),
            }
        }
        self.write(batch)?;
        *state = evaluated.state;
        Ok(evaluated.outcomes)
    }

    fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        let state = self.state(partition)?;
        let mut state = state.lock();
        let up_to = up_to.min(state.last_seq);
        if up_to <= state.trimmed {
            return Ok(());
        }
        let mut next = state.clone();
        next.trimmed = up_to;
        let log = Family::Log.of(&self.db);
        let mut batch = WriteBatch::default();
        let feed_key = |seq| full_key(partition, &Key::Feed { seq }.encode());
        batch.delete_range_cf(log, feed_key(state.first_change(0)), feed_key(up_to + 1));
        let (key, sealed) = next.seal(self.finalised.get());
        batch.put_cf(log, full_key(partition, &key), sealed);
        self.write(batch)?;
        *state = next;
        Ok(())
    }

    /// Makes `batch` durable, or takes no commit ever again.
    fn write(&self, batch: WriteBatch) -> Result<(), StoreError> {
        self.refuse_if_ended()?;
        let mut options = WriteOptions::default();
        options.set_sync(!Planted::AckBeforeFsync.is_here());
        self.db.write_opt(batch, &options).map_err(|error| {
            let reason = error.into_string();
            tracing::error!(reason, "a write to the index's log failed: no more commits");
            self.end(reason.clone());
            StoreError::Indeterminate(reason)
        })
    }

    fn scan(&self, partition: PartitionId, request: &ScanRequest) -> Result<ScanPage, StoreError> {
        let snapshot = self.db.snapshot();
        let families = Family::of_range(&request.start, &request.end);
        let mut cursor = FamilyCursor::new(&self.db, &snapshot, families, partition, &request.end);
        let mut counts = PerfContext::default();
        counts.reset();
        let page = scan_page(&mut cursor, request)?;
        if counts.metric(PerfMetric::InternalDeleteSkippedCount) >= DELETIONS_PASSED {
            families
                .iter()
                .for_each(|family| self.flush_deletions(*family));
        }
        Ok(page)
    }

    /// Writes a family's part of memory to a file, if it holds many deletions: compaction, which forgets them,
    /// only looks at files. Scans pass each of them until then.
    fn flush_deletions(&self, family: Family) {
        let in_memory = self
            .db
            .property_int_value_cf(family.of(&self.db), NUM_DELETES_ACTIVE_MEM_TABLE)
            .ok()
            .flatten();
        if in_memory.unwrap_or_default() < DELETIONS_PASSED {
            return;
        }
        let mut options = rocksdb::FlushOptions::default();
        options.set_wait(false);
        let together = self.flushed_together.iter();
        let mut families: Vec<_> = together
            .filter_map(|name| self.db.cf_handle(name))
            .collect();
        if families.is_empty() {
            families.push(family.of(&self.db));
        }
        if let Err(error) = self.db.flush_cfs_opt(&families, &options) {
            // Nothing is lost: lists stay slow until the memory is full.
            tracing::warn!(%error, "deletions in the index's memory were not written to a file");
        }
    }

    fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        // Of one moment with the records: a trim in between would look like lost ones.
        let snapshot = self.db.snapshot();
        let state_key = Key::PartitionState.encode();
        let sealed = snapshot
            .get_cf(Family::Log.of(&self.db), full_key(partition, &state_key))
            .map_err(|error| read_error(&state_key, &error))?;
        let state = PartitionState::open(sealed.map(Bytes::from).as_ref())?;
        let end = Key::Feed { seq: Seq::MAX }.encode();
        let mut cursor = FamilyCursor::new(&self.db, &snapshot, &[Family::Log], partition, &end);
        let first = state.first_change(after);
        let mut reader = FeedReader::new(first);
        let mut changes = Vec::new();
        cursor.seek(&Key::Feed { seq: first }.encode())?;
        while let Some((key, sealed)) = cursor.item().filter(|_| changes.len() < limit) {
            changes.push(reader.take(key, sealed)?);
            cursor.next()?;
        }
        if changes.len() < limit {
            reader.finish(state.last_seq)?;
        }
        Ok(changes)
    }
}

/// What the batches of a run read.
struct PartitionBase<'a> {
    database: &'a Database,
    partition: PartitionId,
}

impl Base for PartitionBase<'_> {
    fn sealed(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.database.read(self.partition, key)
    }

    fn format(&self) -> FormatVersion {
        self.database.finalised.get()
    }
}

/// A failed read of `key`: damage is told apart from a device that does not answer.
fn read_error(key: &[u8], error: &rocksdb::Error) -> StoreError {
    if error.kind() == ErrorKind::Corruption {
        corrupt(key, error)
    } else {
        StoreError::Unavailable(error.to_string())
    }
}

/// Commits, trims and point reads run where they are called (a commit blocks for a sync of the device:
/// call it from the owner's thread); scans run on tokio's blocking threads.
#[async_trait]
impl IndexStore for RocksEngine {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.database.commit(partition, &batches)
    }

    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError> {
        let sealed = self.database.read(partition, key)?;
        sealed.map(|sealed| open_value(key, &sealed)).transpose()
    }

    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        self.blocking(move |database| database.scan(partition, &request))
            .await
    }

    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.blocking(move |database| database.changes(partition, after, limit))
            .await
    }

    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.blocking(move |database| database.trim(partition, up_to))
            .await
    }

    fn failure(&self) -> Option<String> {
        self.database.ended.get().cloned()
    }

    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        Ok(self.database.state(partition)?.lock().last_seq)
    }
}

#[cfg(test)]
mod tests;
