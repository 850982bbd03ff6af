//! Records that are all synced, in a database of their own: the logs and votes of Raft groups.
//!
//! # To ensure correctness
//! - One thread writes. It takes what waits, writes it as one batch with `sync`, and answers only then: so
//!   every record of RocksDB's log is synced before the next is written, as the check of the log (see
//!   [`super::log`]) asks for, and groups of one node share their syncs.
//! - What was asked for earlier is written no later than what was asked for later.
//! - After a failed write nothing more is written: nobody knows what the device has.

use super::family::Family;
use super::{OpenEngineError, RocksOptions, check_log, read_error, space};
use crate::store::StoreError;
use bytes::Bytes;
use parking_lot::Mutex;
use rocksdb::{DB, Direction, IteratorMode, ReadOptions, WriteBatch, WriteOptions};
use std::fs::File;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use tokio::sync::{mpsc, oneshot};
use types::Planted;

/// Requests that wait for the writer.
const QUEUE: usize = 1024;
/// Bytes after which no further request joins a write.
const WRITE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A change of the records.
#[derive(Debug, Clone)]
pub enum Change {
    /// Gives a key a value.
    Put(Bytes, Bytes),
    /// Removes every key from the first up to the second, exclusive.
    DeleteRange(Bytes, Bytes),
}

/// What tests put between a request and its write, to play a slow device.
pub type BeforeSync = Arc<dyn Fn() + Send + Sync>;

struct Job {
    changes: Vec<Change>,
    done: oneshot::Sender<Result<(), String>>,
}

/// The open records.
pub struct Records {
    inner: Arc<Inner>,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Inner {
    db: DB,
    /// Locked as long as the database is open. Dropped after `db`, which stands before it.
    _lock: File,
    ended: OnceLock<String>,
    before_sync: Option<BeforeSync>,
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl Records {
    /// Opens the records in `options.dir`, making them if they are not there.
    ///
    /// # Errors
    /// [`OpenEngineError`].
    pub fn open(
        options: &RocksOptions,
        before_sync: Option<BeforeSync>,
    ) -> Result<Self, OpenEngineError> {
        let dir = &options.dir;
        let lock = space::lock_folder(dir)?;
        check_log(dir)?;
        let mut families = options.families();
        families.retain(|family| family.name() == Family::Default.name());
        let db = DB::open_cf_descriptors(&options.database(), dir, families)
            .map_err(|error| OpenEngineError::database(dir, error))?;
        let inner = Arc::new(Inner {
            db,
            _lock: lock,
            ended: OnceLock::new(),
            before_sync,
        });
        let (sender, receiver) = mpsc::channel(QUEUE);
        let writer = Arc::clone(&inner);
        let writer = std::thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || writer.run(receiver))
            .map_err(|source| OpenEngineError::folder(dir, source))?;
        Ok(Self {
            inner,
            queue: Mutex::new(Some(sender)),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Makes `changes` durable, all or none, after everything that was asked for before.
    ///
    /// # Errors
    /// What the device says; then nothing is written any more.
    pub async fn write(&self, changes: Vec<Change>) -> Result<(), String> {
        let closed = || "the log is closed".to_owned();
        let queue = self.queue.lock().clone().ok_or_else(closed)?;
        let (done, written) = oneshot::channel();
        queue
            .send(Job { changes, done })
            .await
            .map_err(|_| closed())?;
        drop(queue);
        written.await.unwrap_or_else(|_| Err(closed()))
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] and [`StoreError::Unavailable`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let found = self.inner.db.get(key);
        found
            .map(|found| found.map(Bytes::from))
            .map_err(|error| read_error(key, &error))
    }

    /// Shows the records from `start` up to `end`, exclusive, in order, until `visit` breaks.
    ///
    /// # Errors
    /// As [`Records::get`].
    pub fn visit(
        &self,
        start: &[u8],
        end: &[u8],
        mut visit: impl FnMut(Bytes, Bytes) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(end);
        let from = IteratorMode::From(start, Direction::Forward);
        for item in self.inner.db.iterator_opt(from, options) {
            let (key, value) = item.map_err(|error| read_error(start, &error))?;
            if visit(Bytes::from(key), Bytes::from(value)).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The last record from `start` up to `end`, exclusive.
    ///
    /// # Errors
    /// As [`Records::get`].
    pub fn last(&self, start: &[u8], end: &[u8]) -> Result<Option<(Bytes, Bytes)>, StoreError> {
        let mut options = ReadOptions::default();
        options.set_iterate_lower_bound(start);
        options.set_iterate_upper_bound(end);
        let mut items = self.inner.db.iterator_opt(IteratorMode::End, options);
        let item = items.next().transpose();
        let item = item.map_err(|error| read_error(start, &error))?;
        Ok(item.map(|(key, value)| (Bytes::from(key), Bytes::from(value))))
    }

    /// Writes what waits, refuses what comes after, and returns when the writer has ended.
    pub fn close(&self) {
        drop(self.queue.lock().take());
        if let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of the log panicked");
        }
    }
}

impl Drop for Records {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    fn run(&self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let mut jobs = vec![first];
            let mut bytes = 0;
            while bytes < WRITE_BYTES_MAX {
                let Ok(next) = queue.try_recv() else { break };
                bytes += next.changes.iter().map(change_bytes).sum::<usize>();
                jobs.push(next);
            }
            let written = self.write(jobs.iter().flat_map(|job| &job.changes));
            for job in jobs {
                // Who has gone away does not want the answer.
                let _ = job.done.send(written.clone());
            }
        }
    }

    fn write<'a>(&self, changes: impl Iterator<Item = &'a Change>) -> Result<(), String> {
        if let Some(reason) = self.ended.get() {
            return Err(reason.clone());
        }
        let mut batch = WriteBatch::default();
        for change in changes {
            match change {
                Change::Put(key, value) => batch.put(key, value),
                // RocksDB drops whole files of a range without reading them.
                Change::DeleteRange(start, end) => batch.delete_range(start, end),
            }
        }
        if let Some(before_sync) = &self.before_sync {
            before_sync();
        }
        let mut options = WriteOptions::default();
        options.set_sync(!Planted::AckBeforeFsync.is_here());
        self.db.write_opt(batch, &options).map_err(|error| {
            let reason = error.into_string();
            tracing::error!(reason, "a write of the log failed: no more are made");
            // The first reason is the one that counts.
            let _ = self.ended.set(reason.clone());
            reason
        })
    }
}

fn change_bytes(change: &Change) -> usize {
    match change {
        Change::Put(key, value) => key.len() + value.len(),
        Change::DeleteRange(start, end) => start.len() + end.len(),
    }
}
