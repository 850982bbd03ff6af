//! What the chunkstore needs of a disk: a flat directory of files that only grow, and explicit
//! durability. [`file`] is a real directory, [`memory`] a model of one that can lose power.

pub mod file;
pub mod memory;
#[cfg(test)]
pub(crate) mod suite;

pub use file::FileDisk;
pub use memory::MemoryDisk;

use std::io;
use std::sync::Arc;

/// Room on the device behind a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes the device holds.
    pub capacity: u64,
    /// Bytes that may still be written.
    pub free: u64,
}

/// A flat directory of files.
///
/// # To ensure correctness
/// - What was written is durable only after [`DiskFile::sync`] of the file returned Ok, and then only
///   if the file's name is durable too.
/// - A name that was created, renamed or removed is durable only after [`Disk::sync_dir`] returned Ok.
///   Renaming is atomic: after a crash one of the two names is there.
/// - After a failed sync nothing is known of what was written since the last good one, and a second
///   sync proves nothing: systems drop the pages they could not write and report the error once.
pub trait Disk: Send + Sync + std::fmt::Debug {
    /// Makes an empty file; an error of kind `AlreadyExists` if the name is taken.
    ///
    /// # Errors
    /// The device's.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file; an error of kind `NotFound` if there is none of that name.
    ///
    /// # Errors
    /// The device's.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Gives a file another name, replacing what has that name.
    ///
    /// # Errors
    /// The device's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file. Those who have it open may still read it.
    ///
    /// # Errors
    /// The device's.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// The names of all files, in no particular order.
    ///
    /// # Errors
    /// The device's.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes created, renamed and removed names durable.
    ///
    /// # Errors
    /// The device's.
    fn sync_dir(&self) -> io::Result<()>;

    /// Room on the device.
    ///
    /// # Errors
    /// The device's.
    fn space(&self) -> io::Result<Space>;
}

/// An open file of a [`Disk`]. Any number of threads may read while one appends.
pub trait DiskFile: Send + Sync + std::fmt::Debug {
    /// Writes all of `bytes` at `offset`, which is at most the file's length. Not durable on return;
    /// after an error any part of it may be in the file.
    ///
    /// # Errors
    /// The device's; of kind `StorageFull` when there is no room.
    fn append(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Fills `into` from `offset` on; an error of kind `UnexpectedEof` when the file ends before.
    ///
    /// # Errors
    /// The device's.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// The same where it needs no waiting for the device; false (and `into` undefined) where it does.
    ///
    /// # Errors
    /// The device's.
    fn read_cached(&self, offset: u64, into: &mut [u8]) -> io::Result<bool>;

    /// Bytes in the file.
    ///
    /// # Errors
    /// The device's.
    fn size(&self) -> io::Result<u64>;

    /// Cuts the file to `len` bytes. Not durable on return.
    ///
    /// # Errors
    /// The device's.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Makes the bytes and the length of the file durable.
    ///
    /// # Errors
    /// The device's; see [`Disk`] for what that means.
    fn sync(&self) -> io::Result<()>;
}

/// Replaces the file `name` by one that holds `bytes`: after a crash it is the old one or the new one,
/// whole; durable on return.
///
/// # Errors
/// The device's; the old file is still there then, or the new one.
pub fn replace_file(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = format!("{name}.new");
    match disk.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&temporary)?;
    file.append(0, bytes)?;
    file.sync()?;
    disk.rename(&temporary, name)?;
    disk.sync_dir()
}

/// The bytes of a small file, or `None` when there is no such file.
///
/// # Errors
/// The device's; of kind `InvalidData` when the file has more than `bytes_max` bytes.
pub fn read_file(disk: &dyn Disk, name: &str, bytes_max: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(name) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let len = file.size()?;
    let Some(len) = usize::try_from(len).ok().filter(|len| *len <= bytes_max) else {
        let reason = format!("{name} has {len} bytes, more than {bytes_max}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    };
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes)?;
    Ok(Some(bytes))
}
