//! Room on the device: the reserve that lets deletes go on when it is full, and the folder itself.

use super::{OpenEngineError, RocksOptions};
use crate::engine::limits::adds_data;
use crate::store::{Batch, StoreError};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Watches the free bytes of the device.
#[derive(Debug)]
pub struct Space {
    dir: PathBuf,
    reserve_bytes: u64,
    floor_bytes: u64,
}

impl Space {
    /// The reserve that `options` ask for.
    pub fn new(options: &RocksOptions) -> Self {
        Self {
            dir: options.dir.clone(),
            reserve_bytes: options.reserve_bytes,
            floor_bytes: options.floor_bytes,
        }
    }

    /// Refuses batches for which the device has no room. A failed write of the log ends the engine, so
    /// this must come before it.
    pub fn admit(&self, batches: &[Batch]) -> Result<(), StoreError> {
        let device = rustix::fs::statvfs(&self.dir).map_err(|error| {
            let dir = self.dir.display();
            StoreError::Unavailable(format!("free bytes of {dir}: {error}"))
        })?;
        let free_bytes = device.f_bavail.saturating_mul(device.f_frsize);
        let is_short = free_bytes < self.reserve_bytes;
        if free_bytes < self.floor_bytes || (is_short && batches.iter().any(adds_data)) {
            return Err(StoreError::Full);
        }
        Ok(())
    }
}

/// Makes `dir` if it is not there, and holds it against every other process while the file is open.
/// RocksDB's own lock comes too late: the log is checked, and maybe cut, before RocksDB opens it.
pub fn lock_folder(dir: &Path) -> Result<File, OpenEngineError> {
    let open = || {
        make_folder(dir)?;
        File::create(dir.join("cairn.lock"))
    };
    let file = open().map_err(|source| OpenEngineError::folder(dir, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenEngineError::InUse {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(OpenEngineError::folder(dir, source)),
    }
}

/// Makes `dir` and the folders above it, durably: RocksDB syncs the folder, but not its name in the
/// folder above.
fn make_folder(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = match dir.parent() {
        Some(above) if above != Path::new("") => above,
        _ => Path::new("."),
    };
    make_folder(above)?;
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    File::open(above)?.sync_all()
}
