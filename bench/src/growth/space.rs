//! What an index takes on disk, by what is in its files.

use crate::installation::disk_usage;
use anyhow::{Context, Result};
use memchr::memmem;
use serde::Serialize;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes at the end of an SST file that hold its properties.
const TAIL_BYTES: u64 = 16 << 10;
/// The property `rocksdb.column.family.name` and its value, as they stand side by side in the file.
const INLINE_FAMILY: &[u8] = b"nameinline";

/// Bytes; for each object, once they were divided.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IndexBytes {
    /// All files.
    pub total: f64,
    /// SST files of the column family of inline bodies.
    pub inline_tables: f64,
    /// SST files of all others.
    pub other_tables: f64,
    /// The write-ahead log, and RocksDB's own files.
    pub rest: f64,
}

impl IndexBytes {
    /// Looks at every file of an index, whose server may run.
    pub fn of(index: &Path) -> Result<Self> {
        let (mut inline, mut other) = (0, 0);
        add_tables(index, &mut inline, &mut other)?;
        let total = disk_usage(index)?;
        Ok(Self {
            total: total as f64,
            inline_tables: inline as f64,
            other_tables: other as f64,
            rest: total.saturating_sub(inline + other) as f64,
        })
    }

    /// For each of so many objects.
    pub fn per_object(self, objects: f64) -> Self {
        Self {
            total: self.total / objects,
            inline_tables: self.inline_tables / objects,
            other_tables: self.other_tables / objects,
            rest: self.rest / objects,
        }
    }
}

fn add_tables(folder: &Path, inline: &mut u64, other: &mut u64) -> Result<()> {
    let about = || format!("cannot look at {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(about)? {
        let path = entry.with_context(about)?.path();
        if path.is_dir() {
            add_tables(&path, inline, other)?;
        } else if path.extension().is_some_and(|extension| extension == "sst") {
            // A compaction may have deleted it meanwhile.
            let (Ok(bytes), Ok(is_inline)) = (disk_usage(&path), holds_inline(&path)) else {
                continue;
            };
            *if is_inline { &mut *inline } else { &mut *other } += bytes;
        }
    }
    Ok(())
}

fn holds_inline(path: &Path) -> std::io::Result<bool> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL_BYTES);
    let mut tail = vec![0; (length - start) as usize];
    file.read_exact_at(&mut tail, start)?;
    Ok(memmem::find(&tail, INLINE_FAMILY).is_some())
}
