//! What an object version is made of: a list of chunks, never of disks.
//!
//! A manifest with few chunks stands whole in its version record. A large one stands in `x/` pages,
//! which the version record counts. Inline bytes stand in their own `i/` record.

use crate::ids::{BucketId, ChunkClusterId, ChunkId, ManifestId, PgId};
use crate::record;
use bytes::Bytes;

record! {
    /// A run of object bytes in one placement group.
    pub struct ChunkRef {
        1 => cluster: ChunkClusterId,
        2 => pg: PgId,
        3 => id: ChunkId,
        /// Object bytes in the chunk.
        4 => length: u64,
        /// BLAKE3 of those bytes.
        5 => blake3: [u8; 32],
        /// Offset of the first byte used of the chunk; other than 0 only in slices made by UploadPartCopy.
        6 => skip: u64,
        /// Bytes of the chunk as it was written; 0 stands for `length` (the chunk is used whole).
        7 => full_length: u64,
    }
}

impl ChunkRef {
    /// Bytes of the chunk as it was written, of which this reference may use a slice.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        if self.full_length == 0 {
            self.length
        } else {
            self.full_length
        }
    }
}

record! {
    /// A part of a multipart object, as it was uploaded.
    pub struct PartEntry {
        1 => number: u16,
        2 => length: u64,
        /// The part's own checksum (of the object's checksum algorithm), raw; empty without one.
        3 => checksum: Bytes,
    }
}

record! {
    /// The bytes of one object version.
    pub struct Manifest {
        1 => id: ManifestId,
        /// Length of the object as stored.
        2 => length: u64,
        /// Chunks in object order; empty when the bytes are inline or in pages.
        3 => chunks: Vec<ChunkRef>,
        /// The bytes stand in the version's `i/` record.
        4 => inline: bool,
        /// Offset in the object at which each `x/` page starts; empty when `chunks` holds them all.
        5 => page_offsets: Vec<u64>,
        /// The bucket under whose id the `x/` pages and the `s/` record stand.
        6 => home: BucketId,
        /// The reference that this version holds in the manifest's `s/` record; 0 while the manifest
        /// is owned by this version alone.
        7 => shared_ref: u64,
        /// Parts, when the object was a multipart upload and is not paged.
        8 => parts: Vec<PartEntry>,
    }
}

record! {
    /// One `x/` page of a large manifest.
    pub struct ManifestPage {
        /// Offset in the object of the page's first byte.
        1 => offset: u64,
        2 => chunks: Vec<ChunkRef>,
        /// The parts that begin in this page, or at its end.
        3 => parts: Vec<PartEntry>,
        /// Offset in the object of the first of `parts`. (Pages after the first that were written before this
        /// field was hold 0, and there it is the sum of the lengths of all parts before.)
        4 => parts_offset: u64,
    }
}

#[cfg(test)]
mod tests;
