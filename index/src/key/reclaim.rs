//! What waits to be freed (`g/`): a manifest, a reference, an upload or pages, never a list of work. The
//! scheduler expands an entry in bounded steps once the grace has passed.

use super::bucket::ordinal;
use bytes::Bytes;
use types::record;
use types::wire::{DecodeError, Field, Input};
use types::{BucketId, Manifest, ManifestId, UploadId};

ordinal! {
    /// What a reclaim entry names.
    pub enum ReclaimKind as "reclaim kind" {
        /// A manifest that nothing uses any more: its chunks and pages are to be freed.
        Manifest = 0,
        /// A reference to a shared manifest is to be dropped.
        Reference = 1,
        /// The parts of a completed or aborted upload: `p/` records are to be removed, and the chunks of
        /// those that the completed object does not use freed.
        Upload = 2,
        /// Pages written for a version that was not committed. The commit removes this entry.
        Pages = 3,
    }
}

record! {
    /// A reclaim entry.
    pub struct ReclaimRecord {
        1 => kind: ReclaimKind,
        /// For `Manifest` the whole record (at most its inline chunks: a larger one's are in pages); for
        /// `Reference` and `Pages` its id, home and reference.
        2 => manifest: Manifest,
        /// For `Upload`.
        3 => upload: UploadId,
        /// For `Upload`: the bucket whose records the parts are.
        4 => bucket: BucketId,
        /// For `Upload`: bit `n % 8` of byte `n / 8` is set when part `n` belongs to the object.
        5 => used_parts: Bytes,
    }
}

/// A set of part numbers, as [`ReclaimRecord::used_parts`] keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartSet(Vec<u8>);

impl PartSet {
    /// Adds a part number.
    pub fn insert(&mut self, number: u16) {
        let byte = usize::from(number / 8);
        if self.0.len() <= byte {
            self.0.resize(byte + 1, 0);
        }
        self.0[byte] |= 1 << (number % 8);
    }

    /// The set as it is kept.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0.into()
    }
}

impl ReclaimRecord {
    /// True when the completed object uses part `number` of the upload.
    #[must_use]
    pub fn uses_part(&self, number: u16) -> bool {
        let byte = self.used_parts.get(usize::from(number / 8));
        byte.is_some_and(|byte| byte >> (number % 8) & 1 == 1)
    }

    /// An entry for a manifest that only one version used.
    #[must_use]
    pub fn of_manifest(manifest: Manifest) -> Self {
        Self {
            kind: ReclaimKind::Manifest,
            manifest,
            ..Default::default()
        }
    }

    /// An entry for a version's reference to a shared manifest.
    #[must_use]
    pub fn of_reference(manifest: &Manifest) -> Self {
        let named = Manifest {
            id: manifest.id,
            home: manifest.home,
            shared_ref: manifest.shared_ref,
            ..Default::default()
        };
        Self {
            kind: ReclaimKind::Reference,
            manifest: named,
            ..Default::default()
        }
    }

    /// An entry for the parts of an upload that ended.
    #[must_use]
    pub fn of_upload(bucket: BucketId, upload: UploadId, used: PartSet) -> Self {
        Self {
            kind: ReclaimKind::Upload,
            bucket,
            upload,
            used_parts: used.into_bytes(),
            ..Default::default()
        }
    }

    /// An entry for the pages of a manifest whose version may never be committed.
    #[must_use]
    pub fn of_pages(home: BucketId, id: ManifestId) -> Self {
        let named = Manifest {
            id,
            home,
            ..Default::default()
        };
        Self {
            kind: ReclaimKind::Pages,
            manifest: named,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests;
