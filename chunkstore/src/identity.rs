//! The identity of a disk: a small text file that says which installation the directory belongs to,
//! so that a disk is never taken for another, nor for one of another installation.
//!
//! ```text
//! cairn disk 1                                        <- the format
//! installation = 0000000000000000000000000000002a
//! region = 1
//! node = 2
//! disk = 0000000000000000000000000000002b
//! replaces = 0000000000000000000000000000002c        <- only in a disk that took another's place
//! checksum = 1122334455667788                         <- CRC-64/NVME of the bytes before this line
//! ```

use crate::disk::{self, Disk, FileDisk};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use types::{DiskId, InstallationId, NodeId, RegionId};

/// The file's name in the directory of a disk.
pub const IDENTITY_FILE: &str = "identity";
/// The format that this binary writes and reads.
pub const FORMAT: u32 = 1;
/// An identity file has about 250 bytes.
const BYTES_MAX: usize = 4096;

/// Who a disk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The installation it belongs to.
    pub installation: InstallationId,
    /// The region it is in.
    pub region: RegionId,
    /// The node that owns it.
    pub node: NodeId,
    /// The disk.
    pub disk: DiskId,
    /// The disk whose place it took, until every group has been told.
    pub replaces: Option<DiskId>,
}

/// Why the identity of a disk could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The directory or the file could not be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The device's error.
        error: io::Error,
    },
    /// The file is there but is not what was written.
    #[error(
        "{}: the identity file is damaged ({reason}); restore it from a copy, or empty the \
         directory and let the disk be rebuilt from the others", path.display()
    )]
    Damaged {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A newer binary wrote the file.
    #[error(
        "{}: the disk has format {format}, this binary reads {FORMAT}: start the newer binary",
        path.display()
    )]
    UnknownFormat {
        /// The directory.
        path: PathBuf,
        /// The format found.
        format: u32,
    },
    /// The directory is not empty, so it is not given an identity.
    #[error(
        "{}: holds {found:?}, so it is not made a new disk; name an empty directory",
        path.display()
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// A file in it.
        found: String,
    },
}

/// Why the bytes of an identity file were refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParseError {
    /// What is wrong with them.
    Damaged(&'static str),
    /// They are of this other format.
    UnknownFormat(u32),
}

impl Identity {
    /// The bytes of the identity file.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "cairn disk {FORMAT}\ninstallation = {}\nregion = {}\nnode = {}\ndisk = {}\n",
            self.installation, self.region, self.node, self.disk
        );
        if let Some(replaces) = self.replaces {
            text += &format!("replaces = {replaces}\n");
        }
        let sum = checksum(&text);
        text += &format!("checksum = {sum:016x}\n");
        text
    }

    /// Reads exactly what [`Identity::to_text`] writes.
    ///
    /// # Errors
    /// [`ParseError`] for anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ParseError::Damaged("not text"))?;
        let (sealed, sum) = text
            .rsplit_once("checksum = ")
            .ok_or(ParseError::Damaged("no checksum"))?;
        if sum != format!("{:016x}\n", checksum(sealed)) {
            return Err(ParseError::Damaged("the checksum does not match"));
        }
        let (first, mut fields) = sealed
            .split_once('\n')
            .ok_or(ParseError::Damaged("only one line"))?;
        let format = first
            .strip_prefix("cairn disk ")
            .and_then(|format| format.parse().ok())
            .ok_or(ParseError::Damaged("the first line is not `cairn disk N`"))?;
        if format != FORMAT {
            return Err(ParseError::UnknownFormat(format));
        }
        let bad = ParseError::Damaged("a field is missing or out of order");
        let mut field = |name: &str| -> Option<&str> {
            let (value, rest) = fields
                .strip_prefix(name)?
                .strip_prefix(" = ")?
                .split_once('\n')?;
            fields = rest;
            Some(value)
        };
        let identity = Self {
            installation: field("installation")
                .and_then(InstallationId::parse)
                .ok_or(bad)?,
            region: RegionId(field("region").and_then(|v| v.parse().ok()).ok_or(bad)?),
            node: NodeId(field("node").and_then(|v| v.parse().ok()).ok_or(bad)?),
            disk: field("disk").and_then(DiskId::parse).ok_or(bad)?,
            replaces: field("replaces").and_then(DiskId::parse),
        };
        if fields.is_empty() {
            Ok(identity)
        } else {
            Err(bad)
        }
    }
}

fn checksum(text: &str) -> u64 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc64Nvme, text.as_bytes())
}

/// The identity of the disk in `directory`; `None` when the directory or the file is not there.
/// Takes no lock: the disk may be in use.
///
/// # Errors
/// [`IdentityError`] when the file cannot be read or is not intact.
pub fn read(directory: &Path) -> Result<Option<Identity>, IdentityError> {
    match fs::read(directory.join(IDENTITY_FILE)) {
        Ok(bytes) => parse(directory, &bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(directory)(error)),
    }
}

/// Makes `directory` (and what leads to it) a new disk. Durable on return.
///
/// # Errors
/// [`IdentityError::NotEmpty`] when it holds anything already; else [`IdentityError::Io`].
pub fn format(directory: &Path, identity: &Identity) -> Result<(), IdentityError> {
    let path = || directory.to_owned();
    make_folder(directory).map_err(io_error(directory))?;
    let disk = FileDisk::open(directory).map_err(io_error(directory))?;
    let names = disk.list().map_err(io_error(directory))?;
    let left_over = format!("{IDENTITY_FILE}.new");
    if let Some(found) = names.into_iter().find(|name| *name != left_over) {
        return Err(IdentityError::NotEmpty {
            path: path(),
            found,
        });
    }
    let text = identity.to_text();
    disk::replace_file(&disk, IDENTITY_FILE, text.as_bytes()).map_err(io_error(directory))
}

/// Makes `directory` and the folders above it, their names durable on return.
fn make_folder(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = match directory.parent() {
        Some(above) if above != Path::new("") => above,
        _ => Path::new("."),
    };
    make_folder(above)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made?,
    }
    fs::File::open(above)?.sync_all()
}

/// The identity file of an open disk.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_on(disk: &dyn Disk, path: &Path) -> Result<Option<Identity>, IdentityError> {
    let bytes = disk::read_file(disk, IDENTITY_FILE, BYTES_MAX).map_err(io_error(path))?;
    bytes.map(|bytes| parse(path, &bytes)).transpose()
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Identity, IdentityError> {
    let path = path.to_owned();
    Identity::parse(bytes).map_err(|error| match error {
        ParseError::Damaged(reason) => IdentityError::Damaged { path, reason },
        ParseError::UnknownFormat(format) => IdentityError::UnknownFormat { path, format },
    })
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> IdentityError + use<> {
    let path = path.to_owned();
    move |error| IdentityError::Io { path, error }
}

#[cfg(test)]
mod tests;
