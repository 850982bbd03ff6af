//! The snapshots of a group: the file that is sent, the file that arrives, and its installation.
//!
//! ```text
//! <partition>.snapshot                what this node sends; made when it is asked for
//! <partition>.<snapshot id>.incoming  what arrives, maybe in part
//! <partition>.installing              complete, verified and synced: it replaces the partition
//! ```
//! # To ensure correctness
//! - The log is not cut with snapshots but with flushes of the replica, so a file is only made for a member
//!   that has fallen behind the log.
//! - Renaming to `.installing`, and syncing the folder, decides that the partition is replaced: a start that
//!   finds the file does it from the beginning. Before that the old state is whole, and so is its log.
//! - The file is removed after the replica has all of it in its own files.

use super::entry::{CodecError, PositionRecord};
use super::snapshot_file::{SnapshotReader, SnapshotWriter, verify};
use super::types::{LogId, SnapshotMeta, StoredMembership};
use crate::engine::corrupt;
use crate::engine::rocks::replica::Replica;
use crate::store::StoreError;
use bytes::Bytes;
use parking_lot::Mutex;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::{Clock, PartitionId, envelope};

/// What openraft hands around as a snapshot.
#[derive(Debug, Clone)]
pub enum SnapshotData {
    /// One that this node can make: the file is written when it is sent.
    Here(Arc<Snapshots>),
    /// One that has arrived, verified and synced.
    Arrived(PathBuf),
}

/// A file that can be sent.
#[derive(Debug, Clone)]
pub struct SnapshotFile {
    /// Where it is.
    pub path: PathBuf,
    /// Of which entry it is.
    pub at: LogId,
    /// Bytes.
    pub length: u64,
}

/// The snapshots of one group.
#[derive(Debug)]
pub struct Snapshots {
    dir: PathBuf,
    partition: PartitionId,
    replica: Arc<Replica>,
    clock: Arc<dyn Clock>,
    /// The file, and when it was last used.
    file: Mutex<Option<(SnapshotFile, Duration)>>,
    /// What openraft was told last: a file must be of this entry or a later one.
    announced: Mutex<Option<SnapshotMeta>>,
    /// One file is made at a time.
    making: tokio::sync::Mutex<()>,
    /// See [`super::log_store::Floor`].
    floor: watch::Sender<u64>,
}

/// The position, sealed for the partition.
pub fn seal_position(
    partition: PartitionId,
    applied: Option<LogId>,
    membership: &StoredMembership,
) -> Bytes {
    let payload = PositionRecord::new(applied, membership).encode();
    let index = applied.map_or(0, |at| at.index);
    envelope::seal(&partition.0.to_be_bytes(), index, &payload).into()
}

/// Opens what [`seal_position`] sealed.
pub fn open_position(
    partition: PartitionId,
    sealed: &Bytes,
) -> Result<(Option<LogId>, StoredMembership), StoreError> {
    let key = partition.0.to_be_bytes();
    let opened = envelope::open(&key, sealed).map_err(CodecError::from);
    let record = opened.and_then(|opened| Ok(PositionRecord::decode(opened.payload)?));
    let position = record.and_then(|record| record.position());
    position.map_err(|error| corrupt(&key, &error))
}

/// The name of the snapshot as of an entry.
pub fn snapshot_id(at: &LogId) -> String {
    format!(
        "{}-{}-{}",
        at.leader_id.term, at.leader_id.node_id, at.index
    )
}

/// openraft's description of the snapshot with this position; `None` before the first entry.
pub fn meta(
    partition: PartitionId,
    position: Option<&Bytes>,
) -> Result<Option<SnapshotMeta>, StoreError> {
    let Some(position) = position else {
        return Ok(None);
    };
    let (applied, last_membership) = open_position(partition, position)?;
    Ok(applied.map(|at| SnapshotMeta {
        last_log_id: Some(at),
        last_membership,
        snapshot_id: snapshot_id(&at),
    }))
}

impl Snapshots {
    /// The snapshots of `partition` in `dir`, which is there. Completes an installation that a crash has
    /// interrupted, and removes files that nobody will ask for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(
        dir: &Path,
        partition: PartitionId,
        replica: Arc<Replica>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let snapshots = Self {
            dir: dir.to_owned(),
            partition,
            replica,
            clock,
            file: Mutex::default(),
            announced: Mutex::default(),
            making: tokio::sync::Mutex::default(),
            floor: watch::channel(0).0,
        };
        if snapshots.installing().exists() {
            tracing::warn!(
                partition = partition.0,
                "a snapshot's installation is completed"
            );
            snapshots.replace()?;
        }
        snapshots.remove(&snapshots.outgoing())?;
        snapshots.announce()?;
        Ok(snapshots)
    }

    /// What removals of log entries wait for.
    pub fn floor(&self) -> watch::Receiver<u64> {
        self.floor.subscribe()
    }

    /// Makes what the replica has in files the current snapshot, and raises the floor to it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn announce(&self) -> Result<Option<SnapshotMeta>, StoreError> {
        let position = self.replica.flushed(self.partition);
        let meta = meta(self.partition, position.as_ref())?;
        if let Some(at) = meta.as_ref().and_then(|meta| meta.last_log_id) {
            self.raise_floor(at);
        }
        *self.announced.lock() = meta.clone();
        Ok(meta)
    }

    /// The current snapshot.
    pub fn announced(&self) -> Option<SnapshotMeta> {
        self.announced.lock().clone()
    }

    fn raise_floor(&self, at: LogId) {
        self.floor.send_if_modified(|floor| {
            let raised = at.index + 1 > *floor;
            *floor = (*floor).max(at.index + 1);
            raised
        });
    }

    fn outgoing(&self) -> PathBuf {
        self.dir.join(format!("{}.snapshot", self.partition))
    }

    fn installing(&self) -> PathBuf {
        self.dir.join(format!("{}.installing", self.partition))
    }

    fn incoming(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{}.{id}.incoming", self.partition))
    }

    fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| file_error(path, &error)),
        }
    }

    fn sync_dir(&self) -> Result<(), StoreError> {
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(|error| file_error(&self.dir, &error))
    }

    /// A file of the partition as of `at` or later: the one that is there, or a new one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn file(self: &Arc<Self>, at: Option<LogId>) -> Result<SnapshotFile, StoreError> {
        let _making = self.making.lock().await;
        let current = self.file.lock().take();
        if let Some((file, used)) = current.filter(|(file, _)| Some(file.at) >= at) {
            *self.file.lock() = Some((file.clone(), used));
            return Ok(file);
        }
        let this = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || this.make()).await;
        let file = made.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))?;
        *self.file.lock() = Some((file.clone(), self.clock.monotonic()));
        Ok(file)
    }

    /// Tells that a member has received a part of the file. One that does not answer keeps neither the file
    /// nor the log.
    pub fn touch(&self) {
        if let Some((_, used)) = self.file.lock().as_mut() {
            *used = self.clock.monotonic();
        }
    }

    /// Whether a file was used in the last `hold`; one that was not is removed. While there is one, the log
    /// must be kept from its entry on: whoever receives it goes on from there.
    pub fn is_in_use(&self, hold: Duration) -> bool {
        let mut file = self.file.lock();
        let Some((_, used)) = file.as_ref() else {
            return false;
        };
        if self.clock.monotonic().saturating_sub(*used) < hold {
            return true;
        }
        *file = None;
        if let Err(error) = self.remove(&self.outgoing()) {
            tracing::warn!(%error, "a snapshot that is not needed was not removed");
        }
        false
    }

    fn make(&self) -> Result<SnapshotFile, StoreError> {
        let path = self.outgoing();
        let failed = |error: io::Error| file_error(&path, &error);
        let (writer, mut at) = (std::cell::RefCell::new(None), None);
        self.replica.dump(
            self.partition,
            |position| {
                at = open_position(self.partition, &position)?.0;
                let created = SnapshotWriter::create(&path, &position).map_err(failed)?;
                *writer.borrow_mut() = Some(created);
                Ok(())
            },
            |key, sealed| {
                let mut writer = writer.borrow_mut();
                let writer = writer.as_mut().expect("the position comes first");
                writer.value(key, sealed).map_err(failed)
            },
        )?;
        let writer = writer.into_inner().expect("the position comes first");
        writer.finish().map_err(failed)?;
        let at = at.ok_or_else(|| StoreError::Unavailable("the partition is empty".to_owned()))?;
        let length = path.metadata().map_err(failed)?.len();
        Ok(SnapshotFile { path, at, length })
    }

    /// Bytes of the snapshot `id` that have arrived so far. What arrived of another one is removed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn arrived_bytes(&self, id: &str) -> Result<u64, StoreError> {
        let path = self.incoming(id);
        match path.metadata() {
            Ok(found) => Ok(found.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.remove_arrived()?;
                let made = File::create(&path).map(|_| 0);
                made.map_err(|error| file_error(&path, &error))
            }
            Err(error) => Err(file_error(&path, &error)),
        }
    }

    fn remove_arrived(&self) -> Result<(), StoreError> {
        let prefix = format!("{}.", self.partition);
        let files = std::fs::read_dir(&self.dir).map_err(|error| file_error(&self.dir, &error))?;
        for file in files {
            let name = file
                .map_err(|error| file_error(&self.dir, &error))?
                .file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&prefix) && name.ends_with(".incoming") {
                self.remove(&self.dir.join(&*name))?;
            }
        }
        Ok(())
    }

    /// Adds a part of the snapshot `id` at the end of what has arrived of it, and returns how much that is
    /// now. A part that does not begin there changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn take_part(&self, id: &str, offset: u64, part: &[u8]) -> Result<u64, StoreError> {
        let arrived = self.arrived_bytes(id)?;
        if offset != arrived || part.is_empty() {
            return Ok(arrived);
        }
        let path = self.incoming(id);
        let written = OpenOptions::new().append(true).open(&path);
        let written = written.and_then(|mut file| file.write_all(part));
        written.map_err(|error| file_error(&path, &error))?;
        Ok(arrived + part.len() as u64)
    }

    /// Verifies and syncs the snapshot `id`, of which everything has arrived. A damaged one is removed, so
    /// that it is sent anew.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn complete(&self, id: &str) -> Result<(SnapshotMeta, SnapshotData), StoreError> {
        let path = self.incoming(id);
        let verified = verify(&path).map_err(StoreError::from);
        let found = verified.and_then(|position| meta(self.partition, Some(&position)));
        let found = match found {
            Ok(Some(found)) if found.snapshot_id == id => found,
            other => {
                self.remove(&path)?;
                let reason = other.err().map(|error| error.to_string());
                let reason = reason.unwrap_or_else(|| "it is of another entry".to_owned());
                return Err(StoreError::Unavailable(format!("snapshot {id}: {reason}")));
            }
        };
        let synced = File::open(&path).and_then(|file| file.sync_all());
        synced.map_err(|error| file_error(&path, &error))?;
        Ok((found, SnapshotData::Arrived(path)))
    }

    /// Replaces the partition by a snapshot, durably.
    ///
    /// # Errors
    /// [`StoreError`]; the process must end, and the next start goes on with it.
    pub fn install(&self, at: LogId, path: &Path) -> Result<(), StoreError> {
        self.decide(at, path)?;
        self.replace()
    }

    /// Makes it durable that the snapshot at `path` replaces the partition.
    fn decide(&self, at: LogId, path: &Path) -> Result<(), StoreError> {
        let renamed = std::fs::rename(path, self.installing());
        renamed.map_err(|error| file_error(path, &error))?;
        self.sync_dir()?;
        // From here on no crash brings back the state that entries before the snapshot are applied to.
        self.raise_floor(at);
        Ok(())
    }

    fn replace(&self) -> Result<(), StoreError> {
        let path = self.installing();
        let reader = SnapshotReader::open(&path).map_err(StoreError::from)?;
        let position = reader.position().clone();
        open_position(self.partition, &position)?;
        self.replica
            .replace(self.partition, reader.values(), &position)?;
        self.remove(&path)?;
        self.sync_dir()?;
        self.announce()?;
        Ok(())
    }
}

/// Reads `length` bytes of a file at `offset`.
///
/// # Errors
/// What the operating system says.
pub fn read_part(path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut part = vec![0; length];
    File::open(path)?.read_exact_at(&mut part, offset)?;
    Ok(part)
}

fn file_error(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests;
