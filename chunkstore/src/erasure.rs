//! Erasure coding: GF(2^8) with polynomial 0x11d, systematic Vandermonde matrix (the one of
//! Backblaze's JavaReedSolomon). The only file that names the coding crate; another codec with the same
//! matrix could take its place, since the golden vectors of the tests fix what it must give.
//!
//! Replication is erasure coding with one data shard: each row of the matrix is then `1`, and every
//! parity cell equals the data cell. No parity is the same matrix without its lower rows.

use crate::buffers::Buffer;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use reed_solomon_erasure::galois_8::ReedSolomon;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use types::ErasureProfile;

/// Bytes of each cell that are coded at once: those of all cells stay in the processor's first cache meanwhile.
const CODED_BYTES: usize = 4 * 1024;

/// The processor lacks what the coding, or RocksDB, is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this processor lacks AVX2 or another instruction that Cairn is compiled for: run it on Intel Haswell of 2013, \
     AMD Excavator of 2015, or later, or let the virtual machine pass on avx2, bmi1, bmi2, fma, movbe and lzcnt"
)]
pub struct CpuError;

/// Fewer cells than the profile's data shards: what is missing cannot be computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{present} cells are there and profile {profile} takes {} to rebuild", profile.data())]
pub struct TooFewCells {
    /// The profile.
    pub profile: ErasureProfile,
    /// Cells that are there.
    pub present: usize,
}

/// To be called once at start-up, before anything is coded.
///
/// # Errors
/// [`CpuError`] on an x86-64 processor older than Haswell: there the coding would be an illegal instruction.
pub fn require_cpu() -> Result<(), CpuError> {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        // What Haswell brought: the coding library and RocksDB are compiled for it.
        let has_all = has!("avx2")
            && has!("bmi1")
            && has!("bmi2")
            && has!("fma")
            && has!("movbe")
            && has!("lzcnt");
        if !has_all {
            return Err(CpuError);
        }
    }
    Ok(())
}

/// Cuts a stripe into its data cells, all of [`ErasureProfile::cell_bytes`]. Cells that the stripe
/// fills are slices of it; the others are padded with zeros.
///
/// # Panics
/// When the stripe is empty.
#[must_use]
pub fn split(stripe: &Bytes, profile: ErasureProfile) -> Vec<Bytes> {
    assert!(!stripe.is_empty(), "a stripe holds at least one byte");
    let length = profile.cell_bytes(stripe.len());
    (0..profile.data())
        .map(|position| {
            let start = (position * length).min(stripe.len());
            let end = (start + length).min(stripe.len());
            if end - start == length {
                return stripe.slice(start..end);
            }
            let mut padded = BytesMut::zeroed(length);
            padded[..end - start].copy_from_slice(&stripe[start..end]);
            padded.freeze()
        })
        .collect()
}

/// Codes the stripes of one profile.
#[derive(Debug)]
pub struct Codec {
    profile: ErasureProfile,
    /// Absent where there is nothing to compute: one data shard, or no parity.
    matrix: Option<ReedSolomon>,
}

static CODECS: LazyLock<Mutex<BTreeMap<[u8; 2], Arc<Codec>>>> = LazyLock::new(Mutex::default);

impl Codec {
    /// The codec of `profile`. Its matrices are computed once for the process.
    #[must_use]
    pub fn of(profile: ErasureProfile) -> Arc<Self> {
        let mut codecs = CODECS.lock();
        let codec = codecs.entry(profile.to_bytes()).or_insert_with(|| {
            let computes = profile.data() > 1 && profile.parity() > 0;
            let matrix = computes.then(|| {
                ReedSolomon::new(profile.data(), profile.parity())
                    .expect("a profile has at most 32 shards, and here data and parity")
            });
            Arc::new(Self { profile, matrix })
        });
        Arc::clone(codec)
    }

    /// The parity cells of a stripe's data cells, in shard order.
    ///
    /// # Panics
    /// Unless `data` are as many cells as the profile has data shards, of one length other than 0.
    #[must_use]
    pub fn parity(&self, data: &[Bytes]) -> Vec<Bytes> {
        assert_eq!(data.len(), self.profile.data(), "one cell a data shard");
        let Some(matrix) = &self.matrix else {
            return vec![data[0].clone(); self.profile.parity()];
        };
        let length = data[0].len();
        // One buffer for all parity cells. The first data cell overwrites what was in it.
        let mut cells = Buffer::take(length * self.profile.parity());
        let mut rows: Vec<&mut [u8]> = cells.chunks_exact_mut(length).collect();
        for start in (0..length).step_by(CODED_BYTES) {
            let part = start..length.min(start + CODED_BYTES);
            let data: Vec<&[u8]> = data.iter().map(|cell| &cell[part.clone()]).collect();
            let mut rows: Vec<&mut [u8]> =
                rows.iter_mut().map(|row| &mut row[part.clone()]).collect();
            matrix
                .encode_sep(&data, &mut rows)
                .expect("cells of one length, as many as the profile has");
        }
        let cells = cells.freeze(length * self.profile.parity());
        (0..self.profile.parity())
            .map(|row| cells.slice(row * length..(row + 1) * length))
            .collect()
    }

    /// Fills in the cells that are `None`, in shard order; with `data_only`, only those of data shards.
    /// Coding works byte by byte, so the same part of each cell serves as well as whole cells.
    ///
    /// # Errors
    /// [`TooFewCells`] when fewer than k are there.
    ///
    /// # Panics
    /// Unless there is one entry for each shard, and what is there has one length other than 0.
    pub fn rebuild(
        &self,
        cells: Vec<Option<Bytes>>,
        data_only: bool,
    ) -> Result<Vec<Option<Bytes>>, TooFewCells> {
        let profile = self.profile;
        assert_eq!(cells.len(), profile.shards(), "one entry a shard");
        let present = cells.iter().flatten().count();
        if present < profile.data() {
            return Err(TooFewCells { profile, present });
        }
        let first = cells.iter().flatten().next().expect("k is at least 1");
        let length = first.len();
        let Some(matrix) = &self.matrix else {
            let first = first.clone();
            let copies = cells.into_iter().map(|cell| cell.or(Some(first.clone())));
            return Ok(copies.collect());
        };
        // The crate wants all cells writable: those that nobody else holds become so without a copy.
        let mut slots: Vec<(BytesMut, bool)> = cells
            .into_iter()
            .map(|cell| match cell {
                Some(cell) => (cell.try_into_mut().unwrap_or_else(|it| it[..].into()), true),
                None => (BytesMut::zeroed(length), false),
            })
            .collect();
        let rebuilt = if data_only {
            matrix.reconstruct_data(&mut slots)
        } else {
            matrix.reconstruct(&mut slots)
        };
        rebuilt.expect("at least k cells, all of one length");
        let known = |position| !data_only || position < profile.data();
        let cells = slots.into_iter().enumerate();
        Ok(cells
            .map(|(position, (cell, was_there))| {
                (was_there || known(position)).then(|| cell.freeze())
            })
            .collect())
    }
}

#[cfg(test)]
mod tests;
