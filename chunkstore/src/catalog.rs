//! The catalogue of a disk: which shards it has, and where. It is a small ordered store of keys and values
//! ([`rocks`] on a real disk, [`memory`] in tests) and can be made again from the volumes at any time.
//!
//! | table | key | value |
//! |---|---|---|
//! | shards | pg (4), chunk (16), stripe (4), shard (1), big endian | place in the volumes, header of the record |
//! | state | `c` | the checkpoint: all records before it are in the catalogue |
//! | state | `v`, number of the volume (8) | what of the volume is live |
//!
//! Every value lies in the envelope of `types::envelope`, whose seq is that of the disk's commit.
//!
//! # To ensure correctness
//! A shard's entry is written only after its record is durable. Writes are atomic and become durable in
//! order, by [`Catalog::sync`] or earlier; what a crash takes back is in the volumes behind the checkpoint.

pub mod memory;
pub mod rocks;

use crate::shard::ShardKey;
use crate::volume::format::{Place, ShardHeader};
use bytes::Bytes;
use types::{envelope, record};

/// The two name spaces of a catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Where each shard is.
    Shards,
    /// The checkpoint, and what is live in each volume.
    State,
}

/// A change of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Sets the value of a key.
    Put(Table, Vec<u8>, Vec<u8>),
    /// Removes a key, if it is there.
    Delete(Table, Vec<u8>),
    /// Removes every key.
    Clear,
}

/// Keys with their values.
pub type Pairs = Vec<(Bytes, Bytes)>;

/// Why the catalogue could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The device failed.
    #[error("the catalogue failed: {0}")]
    Io(String),
    /// Its contents are not what was written. It is made again when the disk is next opened.
    #[error("the catalogue is damaged: {0}")]
    Damaged(String),
}

/// An ordered store of keys and values.
pub trait Catalog: Send + Sync + std::fmt::Debug {
    /// The value of a key.
    ///
    /// # Errors
    /// [`CatalogError`].
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, CatalogError>;

    /// The same where it needs no waiting for the device; `None` where it does.
    ///
    /// # Errors
    /// [`CatalogError`].
    fn get_cached(&self, table: Table, key: &[u8]) -> Result<Option<Option<Bytes>>, CatalogError>;

    /// Up to `limit` keys from `from` (included) to `to` (excluded), in order, of one moment.
    ///
    /// # Errors
    /// [`CatalogError`].
    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Pairs, CatalogError>;

    /// Makes all changes or none. Visible on return; durable not before all earlier ones are.
    ///
    /// # Errors
    /// [`CatalogError`]; the changes may be made or not then.
    fn write(&self, operations: Vec<Operation>) -> Result<(), CatalogError>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// [`CatalogError`].
    fn sync(&self) -> Result<(), CatalogError>;
}

/// Where a shard is, and what its record's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The place of its record.
    pub place: Place,
    /// The header of its record.
    pub header: ShardHeader,
}

record! {
    /// All records before this point of the volumes are in the catalogue.
    pub struct Checkpoint {
        1 => volume: u64,
        2 => offset: u64,
    }
}

record! {
    /// What of a volume belongs to shards in the catalogue.
    pub struct Live {
        /// Bytes of the records.
        1 => bytes: u64,
        2 => shards: u64,
    }
}

/// The key of the checkpoint.
pub(crate) const CHECKPOINT_KEY: &[u8] = b"c";
/// Bytes of a shard's key.
pub(crate) const SHARD_KEY_BYTES: usize = 25;

/// The key of what is live in a volume.
pub(crate) fn live_key(volume: u64) -> Vec<u8> {
    let mut key = vec![b'v'];
    key.extend_from_slice(&volume.to_be_bytes());
    key
}

/// The volume of a key made by [`live_key`].
pub(crate) fn live_key_volume(key: &[u8]) -> Option<u64> {
    let number = key.strip_prefix(b"v")?.try_into().ok()?;
    Some(u64::from_be_bytes(number))
}

/// The key of a shard's entry.
pub(crate) fn shard_key(key: &ShardKey) -> [u8; SHARD_KEY_BYTES] {
    let mut bytes = [0; SHARD_KEY_BYTES];
    bytes[..4].copy_from_slice(&key.pg.0.to_be_bytes());
    bytes[4..20].copy_from_slice(&key.chunk.to_bytes());
    bytes[20..24].copy_from_slice(&key.stripe.to_be_bytes());
    bytes[24] = key.shard;
    bytes
}

/// The smallest byte string above all that begin with `prefix`, which is not all 0xff here.
pub(crate) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0xff; SHARD_KEY_BYTES + 1]
}

impl Entry {
    /// The value kept for the shard.
    pub(crate) fn encode(&self, seq: u64) -> Vec<u8> {
        let mut payload = Vec::with_capacity(16 + 80 + 8 * self.header.block_checksums.len());
        payload.extend_from_slice(&self.place.volume.to_be_bytes());
        payload.extend_from_slice(&self.place.offset.to_be_bytes());
        self.header.encode_fields(&mut payload);
        envelope::seal(&shard_key(&self.header.info.key), seq, &payload)
    }

    /// Reads the value kept for `key`.
    pub(crate) fn decode(key: &[u8], value: &Bytes) -> Result<Self, CatalogError> {
        let damaged = |reason: String| CatalogError::Damaged(format!("an entry: {reason}"));
        let payload = envelope::open(key, value)
            .map_err(|e| damaged(e.to_string()))?
            .payload;
        let short = || damaged("too short".to_owned());
        let (volume, rest) = payload.split_first_chunk::<8>().ok_or_else(short)?;
        let (offset, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let (header, used) =
            ShardHeader::decode_fields(rest).map_err(|e| damaged(e.to_string()))?;
        if used != rest.len() || shard_key(&header.info.key) != key {
            return Err(damaged("it is not of its key".to_owned()));
        }
        let place = Place {
            volume: u64::from_be_bytes(*volume),
            offset: u64::from_be_bytes(*offset),
        };
        Ok(Self { place, header })
    }
}

/// Opens the envelope of a `state` value and reads the record in it; also gives the seq.
pub(crate) fn open_state<T>(
    key: &[u8],
    value: &Bytes,
    decode: impl FnOnce(Bytes) -> Result<T, types::wire::DecodeError>,
) -> Result<(T, u64), CatalogError> {
    let damaged = |reason: String| CatalogError::Damaged(format!("the state: {reason}"));
    let opened = envelope::open(key, value).map_err(|e| damaged(e.to_string()))?;
    let state = decode(opened.payload).map_err(|e| damaged(e.to_string()))?;
    Ok((state, opened.seq))
}

#[cfg(test)]
mod tests;
