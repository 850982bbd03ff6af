//! Reading volumes: blocks of one shard, verified, and the walk over all records of a volume.

use super::format::{
    HEADER_BYTES_MAX, Place, RecordError, ShardHeader, TRAILER_BYTES, check_trailer, header_bytes,
};
use crate::block;
use crate::buffers::Buffer;
use crate::catalog::Entry;
use crate::disk::DiskFile;
use bytes::Bytes;
use std::io;
use std::ops::Range;
use types::DiskId;
use types::limits::{BLOCK_BYTES, RECORD_ALIGN_BYTES};

/// Why blocks could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadBlocksError {
    /// The device failed the read.
    #[error("{0}")]
    Device(#[from] io::Error),
    /// Bytes are there, but not those of this position.
    #[error("block {block} at {offset} of volume {volume} does not match its checksum")]
    Checksum {
        block: u32,
        volume: u64,
        offset: u64,
    },
    /// The volume ends before the record.
    #[error("volume {volume} ends inside the record at {offset}")]
    CutShort { volume: u64, offset: u64 },
}

/// The bytes of the body that the blocks `first..first + count` cover; empty behind its end.
fn block_range(header: &ShardHeader, first: u32, count: u32) -> Range<usize> {
    let body = header.body_bytes();
    let start = (first as usize).saturating_mul(BLOCK_BYTES).min(body);
    let end = (count as usize)
        .saturating_mul(BLOCK_BYTES)
        .saturating_add(start)
        .min(body);
    start..end
}

/// Reads `count` blocks of a shard from block `first` on and verifies each for its position.
pub(crate) fn read_blocks(
    file: &dyn DiskFile,
    entry: &Entry,
    first: u32,
    count: u32,
) -> Result<Bytes, ReadBlocksError> {
    let range = block_range(&entry.header, first, count);
    let mut bytes = Buffer::take(range.len());
    match file.read_at(body_offset(entry) + range.start as u64, &mut bytes) {
        Ok(()) => verify(entry, first, &bytes)?,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let Place { volume, offset } = entry.place;
            return Err(ReadBlocksError::CutShort { volume, offset });
        }
        Err(error) => return Err(error.into()),
    }
    Ok(bytes.freeze(range.len()))
}

/// The same where it needs no waiting for the device; `None` where it does or anything is amiss.
pub(crate) fn read_blocks_cached(
    file: &dyn DiskFile,
    entry: &Entry,
    first: u32,
    count: u32,
) -> Option<Bytes> {
    let range = block_range(&entry.header, first, count);
    let mut bytes = Buffer::take(range.len());
    let read = file.read_cached(body_offset(entry) + range.start as u64, &mut bytes);
    let is_good = read.is_ok_and(|is_read| is_read) && verify(entry, first, &bytes).is_ok();
    is_good.then(|| bytes.freeze(range.len()))
}

fn body_offset(entry: &Entry) -> u64 {
    entry.place.offset + header_bytes(entry.header.body_bytes()) as u64
}

fn verify(entry: &Entry, first: u32, bytes: &[u8]) -> Result<(), ReadBlocksError> {
    let header = &entry.header;
    let wanted = header.block_checksums.iter().skip(first as usize);
    for ((block, bytes), wanted) in (first..).zip(bytes.chunks(BLOCK_BYTES)).zip(wanted) {
        if block::checksum(&header.info.key, header.info.profile, block, bytes) != *wanted {
            let Place { volume, offset } = entry.place;
            return Err(ReadBlocksError::Checksum {
                block,
                volume,
                offset,
            });
        }
    }
    Ok(())
}

/// Reads the header of the record at `place`, without its trailer and body; an outer error is the device's.
pub(crate) fn read_header(
    file: &dyn DiskFile,
    file_bytes: u64,
    disk: DiskId,
    place: Place,
) -> io::Result<Result<(ShardHeader, u64), RecordError>> {
    let mut buffer = [0; HEADER_BYTES_MAX];
    let left = file_bytes.saturating_sub(place.offset);
    let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
    let bytes = &mut buffer[..length];
    file.read_at(place.offset, bytes)?;
    Ok(ShardHeader::decode(bytes, disk, place))
}

/// How much of each record a walk looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Header and trailer: for records that something else vouches for.
    Ends,
    /// The body too: finds what was written whole and is undamaged.
    Whole,
}

/// One step of a walk.
#[derive(Debug)]
pub(crate) enum Step {
    /// An intact record.
    Record(Entry),
    /// Bytes that are no intact record, up to the next one or to the end of the file. With
    /// `is_certain` they can be read and are no record of this format: a torn write or damage.
    Gap { range: Range<u64>, is_certain: bool },
}

/// A walk over the records of a volume. Behind damage it goes on at the next multiple of 4 KiB where an
/// intact record begins.
pub(crate) struct Walk<'a> {
    pub file: &'a dyn DiskFile,
    pub file_bytes: u64,
    pub disk: DiskId,
    /// Where the next step looks.
    pub next: Place,
    pub depth: Depth,
}

impl Walk<'_> {
    /// The next record or gap; `None` at the end of the file.
    pub fn step(&mut self) -> Option<Step> {
        let start = self.next.offset;
        let mut is_certain = true;
        while self.next.offset < self.file_bytes {
            match self.record_here() {
                Ok(entry) if self.next.offset == start => {
                    self.next.offset += entry.header.record_bytes();
                    return Some(Step::Record(entry));
                }
                // The next step gives it; damage is rare, so that it is read twice does not matter.
                Ok(_) => return Some(self.gap(start, is_certain)),
                Err(certain) => is_certain &= certain,
            }
            self.next.offset = (self.next.offset + 1).next_multiple_of(RECORD_ALIGN_BYTES);
        }
        (start < self.file_bytes).then(|| self.gap(start, is_certain))
    }

    fn gap(&self, start: u64, is_certain: bool) -> Step {
        let range = start..self.next.offset.min(self.file_bytes);
        Step::Gap { range, is_certain }
    }

    /// The record at `next`; else whether it is certain that there is none.
    fn record_here(&self) -> Result<Entry, bool> {
        let header = read_header(self.file, self.file_bytes, self.disk, self.next);
        let (header, sum) = match header {
            Ok(Ok(found)) => found,
            Ok(Err(RecordError::UnknownFormat(_) | RecordError::UnknownCodec(_))) | Err(_) => {
                return Err(false);
            }
            Ok(Err(_)) => return Err(true),
        };
        let entry = Entry {
            place: self.next,
            header,
        };
        if self.next.offset + entry.header.record_bytes() > self.file_bytes {
            return Err(true);
        }
        let mut trailer = [0; TRAILER_BYTES];
        let trailer_offset = body_offset(&entry) + entry.header.body_bytes() as u64;
        self.file
            .read_at(trailer_offset, &mut trailer)
            .map_err(|_| false)?;
        check_trailer(&trailer, sum).map_err(|_| true)?;
        if self.depth == Depth::Whole {
            match read_blocks(self.file, &entry, 0, u32::MAX) {
                Ok(_) => {}
                Err(ReadBlocksError::Device(_)) => return Err(false),
                Err(_) => return Err(true),
            }
        }
        Ok(entry)
    }
}

#[cfg(test)]
mod tests;
