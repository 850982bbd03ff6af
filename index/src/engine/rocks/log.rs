//! The check of RocksDB's log before RocksDB reads it: what a crash tore off is cut, damage is refused.
//!
//! Each of RocksDB's own recovery modes is wrong for acknowledged data. Some stop at the first fault
//! and so lose what follows it without a word (point in time; and "tolerate" too, when the fault is a
//! length in the last block). The strict one does not start after an ordinary power loss. So the tail
//! is judged here, and RocksDB then reads with the strict mode.
//!
//! Every commit is one record of the log and is synced before the next is written, so a crash leaves
//! at most one unfinished record, at the end, of which nobody was told. A fault after which another
//! record begins is therefore damage.
//!
//! ```text
//! block   32 KiB; no fragment crosses its end; fewer than 7 bytes at its end are padding
//! fragment
//! +-------------------+----------------+----------+----------------+
//! | CRC-32C of type   | length         | type     | payload        |
//! | and payload,      | u16, little    | u8       |                |
//! | masked, u32 LE    | endian         |          |                |
//! +-------------------+----------------+----------+----------------+
//! type    1: whole record; 2, 3, 4: first, middle and last fragment of one
//! ```

use crc_fast::{CrcAlgorithm, checksum};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

const BLOCK_BYTES: usize = 32 * 1024;
const HEADER_BYTES: usize = 7;
const FIRST: u8 = 2;
const MIDDLE: u8 = 3;
const LAST: u8 = 4;

/// Why the logs of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckLogError {
    /// The operating system does not give the files.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Records that were synced are damaged.
    #[error("its log {file} is damaged at byte {offset}, before its last record")]
    Damaged {
        /// The log.
        file: PathBuf,
        /// Where the first record lies that cannot be read.
        offset: u64,
    },
}

/// What is at the end of a log.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// The last record is whole.
    Whole,
    /// The last record, which begins here, is not.
    Torn(u64),
    /// Another record begins after the one here that cannot be read.
    Damaged(u64),
}

/// Checks the logs of the database in `dir`, which nobody else has open, and durably cuts the unfinished
/// record off the newest.
pub fn check(dir: &Path) -> Result<(), CheckLogError> {
    let mut logs = Vec::new();
    for file in std::fs::read_dir(dir)? {
        let path = file?.path();
        let is_log = path.extension().is_some_and(|extension| extension == "log");
        if is_log && path.metadata()?.len() > 0 {
            logs.push(path);
        }
    }
    // Their names are numbers that rise, padded to six digits and longer after that.
    logs.sort_by_key(|path| {
        let name = path.file_stem().unwrap_or_default().to_owned();
        (name.len(), name)
    });
    let newest = logs.last().cloned();
    for file in logs {
        match end_of(File::open(&file)?)? {
            End::Whole => {}
            End::Torn(offset) if Some(&file) == newest.as_ref() => cut(&file, offset)?,
            End::Torn(offset) | End::Damaged(offset) => {
                return Err(CheckLogError::Damaged { file, offset });
            }
        }
    }
    Ok(())
}

fn cut(file: &Path, offset: u64) -> io::Result<()> {
    let log = OpenOptions::new().write(true).open(file)?;
    let torn_bytes = log.metadata()?.len() - offset;
    tracing::warn!(
        file = %file.display(),
        torn_bytes,
        "the index was not shut down cleanly: the unfinished end of its log is dropped"
    );
    log.set_len(offset)?;
    log.sync_all()
}

fn end_of(mut log: impl Read) -> io::Result<End> {
    let mut reader = LogReader::default();
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    loop {
        block.clear();
        log.by_ref()
            .take(BLOCK_BYTES as u64)
            .read_to_end(&mut block)?;
        reader.take_block(&block);
        if reader.damage.is_some() || block.len() < BLOCK_BYTES {
            return Ok(reader.finish());
        }
    }
}

#[derive(Default)]
struct LogReader {
    /// Offset of the block.
    base: u64,
    /// Where the record begins of which a fragment was read, but not the last one.
    open: Option<u64>,
    /// Where the first record begins that cannot be read.
    fault: Option<u64>,
    /// The same, once another record was found after it.
    damage: Option<u64>,
}

impl LogReader {
    fn take_block(&mut self, block: &[u8]) {
        let is_full = block.len() == BLOCK_BYTES;
        let mut at = 0;
        while at < block.len() && self.damage.is_none() {
            let rest = &block[at..];
            if let Some((kind, length)) = fragment(rest) {
                self.take_fragment(kind, self.base + at as u64);
                at += length;
            } else if is_full && rest.len() < HEADER_BYTES {
                break;
            } else {
                let here = self.base + at as u64;
                self.fault = self.fault.or(self.open).or(Some(here));
                // A length cannot be trusted now, so what follows is looked for at each byte.
                at += 1;
            }
        }
        self.base += block.len() as u64;
    }

    fn take_fragment(&mut self, kind: u8, offset: u64) {
        let begins = !matches!(kind, MIDDLE | LAST);
        if self.fault.is_some() {
            // Later fragments of the unfinished record itself may well be there.
            if begins {
                self.damage = self.fault;
            }
            return;
        }
        if begins == self.open.is_some() {
            // One record begins inside another, or goes on without having begun.
            self.damage = self.open.or(Some(offset));
            return;
        }
        match kind {
            FIRST => self.open = Some(offset),
            LAST => self.open = None,
            _ => {}
        }
    }

    fn finish(self) -> End {
        match (self.damage, self.fault.or(self.open)) {
            (Some(offset), _) => End::Damaged(offset),
            (None, Some(offset)) => End::Torn(offset),
            (None, None) => End::Whole,
        }
    }
}

/// Kind and length of the intact fragment at the front of `bytes`.
fn fragment(bytes: &[u8]) -> Option<(u8, usize)> {
    let (header, rest) = bytes.split_first_chunk::<HEADER_BYTES>()?;
    let [c0, c1, c2, c3, l0, l1, kind] = *header;
    let length = usize::from(u16::from_le_bytes([l0, l1]));
    if kind == 0 || length > rest.len() {
        return None;
    }
    let covered = &bytes[HEADER_BYTES - 1..HEADER_BYTES + length];
    let sum = checksum(CrcAlgorithm::Crc32Iscsi, covered) as u32;
    // A plain CRC of bytes that hold a CRC is weak, so RocksDB keeps it rotated and shifted.
    let masked = sum.rotate_right(15).wrapping_add(0xa282_ead8);
    (masked == u32::from_le_bytes([c0, c1, c2, c3])).then_some((kind, HEADER_BYTES + length))
}

#[cfg(test)]
mod tests;
