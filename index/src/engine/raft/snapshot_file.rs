//! A snapshot of a partition as a file: everything that it holds as of one entry of the log.
//!
//! ```text
//! header  "CAIRNSN1", length (u32, big endian), the sealed position, CRC-64/NVME of all that
//! piece   length (u32, big endian, not 0), payload, CRC-64/NVME of the piece's number and the payload
//! ...     payload: for each value: length and bytes of its key, length and bytes of the sealed value;
//!         lengths as LEB128 numbers
//! end     0 (u32), number of pieces (u64), number of values (u64), CRC-64/NVME of every checksum so far
//! ```
//! The same partition as of the same entry gives the same bytes on every node.

use crate::store::StoreError;
use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use types::wire::{Input, put_bytes};

const MAGIC: &[u8; 8] = b"CAIRNSN1";
/// Bytes after which a piece ends.
const PIECE_BYTES: usize = 256 * 1024;
/// Bytes of the largest piece that is believed: one value more than [`PIECE_BYTES`].
const PIECE_BYTES_MAX: usize = 4 * PIECE_BYTES;

/// Why a file cannot be used as a snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotFileError {
    /// The operating system does not give it.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not what was written.
    #[error("the snapshot is damaged: {0}")]
    Damaged(&'static str),
}

impl From<SnapshotFileError> for StoreError {
    fn from(error: SnapshotFileError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

fn sum(number: u64, bytes: &[u8]) -> u64 {
    let mut digest = Digest::new(CrcAlgorithm::Crc64Nvme);
    digest.update(&number.to_be_bytes());
    digest.update(bytes);
    digest.finalize()
}

/// Writes a snapshot.
pub struct SnapshotWriter {
    out: BufWriter<File>,
    piece: Vec<u8>,
    pieces: u64,
    values: u64,
    sums: Digest,
}

impl SnapshotWriter {
    /// Begins the file at `path` with a header.
    pub fn create(path: &Path, position: &[u8]) -> io::Result<Self> {
        let mut writer = Self {
            out: BufWriter::new(File::create(path)?),
            piece: Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4),
            pieces: 0,
            values: 0,
            sums: Digest::new(CrcAlgorithm::Crc64Nvme),
        };
        writer.out.write_all(MAGIC)?;
        writer.write_checked(0, position)?;
        Ok(writer)
    }

    fn write_checked(&mut self, number: u64, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        let sum = sum(number, bytes).to_be_bytes();
        self.sums.update(&sum);
        self.out.write_all(&length.to_be_bytes())?;
        self.out.write_all(bytes)?;
        self.out.write_all(&sum)
    }

    /// Adds a value.
    pub fn value(&mut self, key: &[u8], sealed: &[u8]) -> io::Result<()> {
        put_bytes(&mut self.piece, key);
        put_bytes(&mut self.piece, sealed);
        self.values += 1;
        if self.piece.len() >= PIECE_BYTES {
            self.end_piece()?;
        }
        Ok(())
    }

    fn end_piece(&mut self) -> io::Result<()> {
        self.pieces += 1;
        let piece = std::mem::take(&mut self.piece);
        self.write_checked(self.pieces, &piece)?;
        self.piece = piece;
        self.piece.clear();
        Ok(())
    }

    /// Ends the file and makes it durable.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.piece.is_empty() {
            self.end_piece()?;
        }
        self.out.write_all(&0_u32.to_be_bytes())?;
        self.out.write_all(&self.pieces.to_be_bytes())?;
        self.out.write_all(&self.values.to_be_bytes())?;
        self.sums.update(&self.pieces.to_be_bytes());
        self.sums.update(&self.values.to_be_bytes());
        let sum = self.sums.finalize();
        self.out.write_all(&sum.to_be_bytes())?;
        let file = self
            .out
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

/// Reads a snapshot; each piece is checked before its values are given out.
pub struct SnapshotReader {
    input: BufReader<File>,
    position: Bytes,
    pieces: u64,
    values: u64,
    sums: Digest,
    has_ended: bool,
}

impl SnapshotReader {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self, SnapshotFileError> {
        let mut reader = Self {
            input: BufReader::new(File::open(path)?),
            position: Bytes::new(),
            pieces: 0,
            values: 0,
            sums: Digest::new(CrcAlgorithm::Crc64Nvme),
            has_ended: false,
        };
        let mut magic = [0; MAGIC.len()];
        reader.take(&mut magic)?;
        if magic != *MAGIC {
            return Err(SnapshotFileError::Damaged("it does not begin like one"));
        }
        let position = reader.read_checked(0)?;
        let position = position.ok_or(SnapshotFileError::Damaged("it has no position"))?;
        reader.position = position;
        Ok(reader)
    }

    /// The sealed position of which it is.
    pub fn position(&self) -> &Bytes {
        &self.position
    }

    fn take(&mut self, bytes: &mut [u8]) -> Result<(), SnapshotFileError> {
        self.input.read_exact(bytes).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                SnapshotFileError::Damaged("it ends too early")
            } else {
                error.into()
            }
        })
    }

    fn take_number(&mut self) -> Result<u64, SnapshotFileError> {
        let mut bytes = [0; 8];
        self.take(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// The next checked bytes; `None` where the end is announced.
    fn read_checked(&mut self, number: u64) -> Result<Option<Bytes>, SnapshotFileError> {
        let mut length = [0; 4];
        self.take(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 {
            return Ok(None);
        }
        if length > PIECE_BYTES_MAX {
            return Err(SnapshotFileError::Damaged("a piece is too long"));
        }
        let mut bytes = vec![0; length];
        self.take(&mut bytes)?;
        let found = self.take_number()?;
        if found != sum(number, &bytes) {
            return Err(SnapshotFileError::Damaged(
                "the checksum of a piece does not match",
            ));
        }
        self.sums.update(&found.to_be_bytes());
        Ok(Some(bytes.into()))
    }

    /// The values of the next piece; `None` at the end, when all that was read is known to be all there is.
    pub fn piece(&mut self) -> Result<Option<Vec<(Bytes, Bytes)>>, SnapshotFileError> {
        if self.has_ended {
            return Ok(None);
        }
        let Some(piece) = self.read_checked(self.pieces + 1)? else {
            self.read_end()?;
            return Ok(None);
        };
        self.pieces += 1;
        let mut values = Vec::new();
        let mut input = Input::of(&piece);
        let malformed = |_| SnapshotFileError::Damaged("a piece is malformed");
        while !input.is_empty() {
            let key = input.take_bytes().map_err(malformed)?.to_bytes();
            let sealed = input.take_bytes().map_err(malformed)?.to_bytes();
            values.push((key, sealed));
        }
        self.values += values.len() as u64;
        Ok(Some(values))
    }

    fn read_end(&mut self) -> Result<(), SnapshotFileError> {
        self.has_ended = true;
        let (pieces, values) = (self.take_number()?, self.take_number()?);
        self.sums.update(&pieces.to_be_bytes());
        self.sums.update(&values.to_be_bytes());
        let expected = self.sums.finalize();
        let found = self.take_number()?;
        let rest = self.input.read(&mut [0])?;
        if (pieces, values, found, rest) != (self.pieces, self.values, expected, 0) {
            return Err(SnapshotFileError::Damaged(
                "its end does not match the rest",
            ));
        }
        Ok(())
    }

    /// Its values one by one.
    pub fn values(mut self) -> impl Iterator<Item = Result<(Bytes, Bytes), StoreError>> {
        let mut values = Vec::new().into_iter();
        let mut has_failed = false;
        std::iter::from_fn(move || {
            loop {
                if let Some(value) = values.next() {
                    return Some(Ok(value));
                }
                if has_failed {
                    return None;
                }
                match self.piece() {
                    Ok(Some(next)) => values = next.into_iter(),
                    Ok(None) => return None,
                    Err(error) => {
                        has_failed = true;
                        return Some(Err(error.into()));
                    }
                }
            }
        })
    }
}

/// Reads the whole file at `path` and returns the sealed position of which it is.
pub fn verify(path: &Path) -> Result<Bytes, SnapshotFileError> {
    let mut reader = SnapshotReader::open(path)?;
    while reader.piece()?.is_some() {}
    Ok(reader.position().clone())
}

#[cfg(test)]
mod tests;
