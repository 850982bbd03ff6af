//! Files of keys and certificates: written so that a crash leaves the old one or the new one.

use super::IdentityError;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Mode of a file that holds a private key.
const SECRET: u32 = 0o600;
/// Mode of a file that anyone may read.
const PUBLIC: u32 = 0o644;

/// Writes a private key; it is durable, and readable by its owner only, on return.
pub fn write_secret(path: &Path, text: &str) -> Result<(), IdentityError> {
    write(path, text, SECRET).map_err(|source| error(path, source))
}

/// Writes certificates; they are durable on return.
pub fn write_public(path: &Path, text: &str) -> Result<(), IdentityError> {
    write(path, text, PUBLIC).map_err(|source| error(path, source))
}

/// Reads a private key, unless others can read it too.
pub fn read_secret(path: &Path) -> Result<String, IdentityError> {
    let metadata = fs::metadata(path).map_err(|source| error(path, source))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(IdentityError::KeyIsOpen {
            path: path.to_owned(),
            mode,
        });
    }
    read_public(path)
}

/// Reads a file of certificates.
pub fn read_public(path: &Path) -> Result<String, IdentityError> {
    fs::read_to_string(path).map_err(|source| error(path, source))
}

fn error(path: &Path, source: io::Error) -> IdentityError {
    IdentityError::File {
        path: path.to_owned(),
        source,
    }
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut name = path
        .file_name()
        .ok_or_else(|| io::Error::other("the path names no file"))?
        .to_owned();
    name.push(".new");
    let temporary = folder.join(name);
    // One that a crash left behind may have another mode: it is never written into.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}
