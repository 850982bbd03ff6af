//! The root user's key pair: generated once, kept in a file that only its owner can read.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use types::Entropy;

/// A key pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootKey {
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
    /// Canonical id, with which the root user's buckets record their owner.
    pub canonical_id: String,
}

/// Where the key pair of an installation lies.
#[must_use]
pub fn path(index_dir: &Path) -> PathBuf {
    index_dir.join("root-key.json")
}

/// Reads the key pair, or makes one at the first start; durable on return.
///
/// # Errors
/// The file cannot be read or written, or does not hold a key pair.
pub fn load_or_generate(index_dir: &Path, entropy: &dyn Entropy) -> Result<RootKey> {
    if path(index_dir).exists() {
        return load(index_dir);
    }
    let key = generate(entropy);
    save(index_dir, &key)?;
    Ok(key)
}

/// Reads the key pair that is kept in `dir`.
///
/// # Errors
/// The file cannot be read, or does not hold a key pair.
pub fn load(dir: &Path) -> Result<RootKey> {
    let path = path(dir);
    let shown = path.display();
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {shown}"))?;
    serde_json::from_str(&text).with_context(|| format!("{shown} holds no key pair"))
}

/// Keeps a key pair in `dir`; durable on return.
///
/// # Errors
/// The file cannot be written.
pub fn save(dir: &Path, key: &RootKey) -> Result<()> {
    let path = path(dir);
    let text = serde_json::to_string_pretty(key)? + "\n";
    write_private(&path, text.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A new key pair.
#[must_use]
pub fn generate(entropy: &dyn Entropy) -> RootKey {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let text = |length: usize| -> String {
        let mut bytes = vec![0; length];
        entropy.fill(&mut bytes);
        bytes
            .iter()
            .map(|byte| char::from(ALPHABET[usize::from(byte & 31)]))
            .collect()
    };
    let mut id = [0; 32];
    entropy.fill(&mut id);
    RootKey {
        access_key: text(20),
        secret_key: text(40),
        canonical_id: hex::encode(id),
    }
}

/// Writes a file that only its owner can read, beside the target, and renames it, so that a crash leaves the whole
/// file or none.
///
/// # Errors
/// The file cannot be written.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use types::entropy::OsEntropy;

    #[test]
    fn is_made_once_and_only_its_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let made = load_or_generate(dir.path(), &OsEntropy).unwrap();
        assert_eq!(load_or_generate(dir.path(), &OsEntropy).unwrap(), made);
        let mode = std::fs::metadata(path(dir.path()))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(load_or_generate(other.path(), &OsEntropy).unwrap(), made);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(path(dir.path()), "half a k").unwrap();
        assert!(load_or_generate(dir.path(), &OsEntropy).is_err());
        assert_eq!(
            std::fs::read_to_string(path(dir.path())).unwrap(),
            "half a k"
        );
    }
}
