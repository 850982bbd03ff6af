//! Ranges of keys: what a scan over one sort of record reads.

use super::{Key, PARTITION_RECORDS, escape, kind, put_header};
use crate::store::{Grouping, ScanRequest};
use bytes::Bytes;
use types::{BucketId, ChunkClusterId, ManifestId, OpId, UploadId};

/// Keys from `start`, up to and without `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// First key of the range.
    pub start: Bytes,
    /// First key past the range.
    pub end: Bytes,
}

impl KeyRange {
    /// All keys that begin with `prefix`, which is the beginning of an encoded key.
    #[must_use]
    pub fn of_prefix(prefix: &[u8]) -> Self {
        Self {
            start: Bytes::copy_from_slice(prefix),
            end: successor_of_prefix(prefix).expect("an encoded key has a byte below FF: its kind"),
        }
    }

    /// The part of the range after `key`, an encoded key.
    #[must_use]
    pub fn after(self, key: &[u8]) -> Self {
        let mut next = Vec::with_capacity(key.len() + 1);
        next.extend_from_slice(key);
        next.push(0);
        Self {
            start: self.start.max(next.into()),
            end: self.end,
        }
    }

    /// The part of the range after all keys that begin with `prefix`, such as a group of a scan.
    #[must_use]
    pub fn after_prefix(self, prefix: &[u8]) -> Self {
        let next = successor_of_prefix(prefix).unwrap_or_else(|| self.end.clone());
        Self {
            start: self.start.max(next),
            end: self.end,
        }
    }

    /// A request for a page of at most `limit` entries of this range.
    #[must_use]
    pub fn page(self, limit: usize, grouping: Option<Grouping>) -> ScanRequest {
        ScanRequest {
            start: self.start,
            end: self.end,
            limit,
            grouping,
        }
    }

    fn of_kind(bucket: BucketId, kind: u8, rest: &[u8]) -> Self {
        let mut prefix = Vec::with_capacity(64);
        put_header(&mut prefix, bucket, kind);
        prefix.extend_from_slice(rest);
        Self::of_prefix(&prefix)
    }
}

/// The least bytes greater than everything that begins with `prefix`; `None` when all bytes are FF.
#[must_use]
pub(crate) fn successor_of_prefix(prefix: &[u8]) -> Option<Bytes> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next.into())
}

fn unterminated(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    escape::put_unterminated(&mut out, text);
    out
}

fn terminated(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    escape::put(&mut out, text);
    out
}

impl Key {
    /// Current versions (`c`) of a bucket whose S3 keys begin with `prefix`.
    #[must_use]
    pub fn objects_range(bucket: BucketId, prefix: &str) -> KeyRange {
        KeyRange::of_kind(bucket, kind::CURRENT, &unterminated(prefix))
    }

    /// Heads (`h`) of a bucket whose S3 keys begin with `prefix`.
    #[must_use]
    pub fn heads_range(bucket: BucketId, prefix: &str) -> KeyRange {
        KeyRange::of_kind(bucket, kind::HEAD, &unterminated(prefix))
    }

    /// Noncurrent versions and delete markers (`v`) of a bucket whose S3 keys begin with `prefix`.
    #[must_use]
    pub fn versions_range(bucket: BucketId, prefix: &str) -> KeyRange {
        KeyRange::of_kind(bucket, kind::VERSION, &unterminated(prefix))
    }

    /// Noncurrent versions and delete markers (`v`) of one S3 key, newest first.
    #[must_use]
    pub fn versions_of(bucket: BucketId, key: &str) -> KeyRange {
        KeyRange::of_kind(bucket, kind::VERSION, &terminated(key))
    }

    /// Configurations (`j`) of a bucket.
    #[must_use]
    pub fn configs_range(bucket: BucketId) -> KeyRange {
        KeyRange::of_kind(bucket, kind::BUCKET_CONFIG, &[])
    }

    /// Uploads (`m`) of a bucket whose S3 keys begin with `prefix`.
    #[must_use]
    pub fn uploads_range(bucket: BucketId, prefix: &str) -> KeyRange {
        KeyRange::of_kind(bucket, kind::UPLOAD, &unterminated(prefix))
    }

    /// Uploads (`m`) of one S3 key, oldest first.
    #[must_use]
    pub fn uploads_of(bucket: BucketId, key: &str) -> KeyRange {
        KeyRange::of_kind(bucket, kind::UPLOAD, &terminated(key))
    }

    /// Parts (`p`) of an upload, by number.
    #[must_use]
    pub fn parts_range(bucket: BucketId, upload: UploadId) -> KeyRange {
        KeyRange::of_kind(bucket, kind::PART, &upload.to_bytes())
    }

    /// Pages (`x`) of a manifest, in order.
    #[must_use]
    pub fn pages_range(bucket: BucketId, manifest: ManifestId) -> KeyRange {
        KeyRange::of_kind(bucket, kind::MANIFEST_PAGE, &manifest.to_bytes())
    }

    /// A shared manifest (`s`), followed by its references.
    #[must_use]
    pub fn shared_range(bucket: BucketId, manifest: ManifestId) -> KeyRange {
        KeyRange::of_kind(bucket, kind::SHARED, &manifest.to_bytes())
    }

    /// All records of a bucket that have this one of the letters in [`kind`].
    #[must_use]
    pub fn kind_range(bucket: BucketId, kind: u8) -> KeyRange {
        KeyRange::of_kind(bucket, kind, &[])
    }

    /// Reclaims (`g`) of commits up to and including `up_to`, oldest first.
    #[must_use]
    pub fn reclaims_range(up_to: u64) -> KeyRange {
        let all = KeyRange::of_kind(PARTITION_RECORDS, kind::RECLAIM, &[]);
        let last = KeyRange::of_kind(PARTITION_RECORDS, kind::RECLAIM, &up_to.to_be_bytes());
        KeyRange {
            start: all.start,
            end: last.end,
        }
    }

    /// Outcomes (`o`) of operation ids that are older than `before_ms`, oldest first.
    #[must_use]
    pub fn outcomes_range(before_ms: u64) -> KeyRange {
        let first_kept = OpId(u128::from(before_ms) << 80);
        KeyRange {
            start: Key::Outcome { op_id: OpId(0) }.encode(),
            end: Key::Outcome { op_id: first_kept }.encode(),
        }
    }

    /// Bucket names (`n`) that begin with `prefix`.
    #[must_use]
    pub fn bucket_names_range(prefix: &str) -> KeyRange {
        KeyRange::of_kind(PARTITION_RECORDS, kind::BUCKET_NAME, prefix.as_bytes())
    }

    /// The buckets (`w`) of an account whose names begin with `prefix`, by name.
    #[must_use]
    pub fn owned_buckets_range(owner: &str, prefix: &str) -> KeyRange {
        let rest = [&terminated(owner), prefix.as_bytes()].concat();
        KeyRange::of_kind(PARTITION_RECORDS, kind::OWNED_BUCKET, &rest)
    }

    /// Missing shards (`e`) of all groups.
    #[must_use]
    pub fn missing_shards_range() -> KeyRange {
        KeyRange::of_kind(PARTITION_RECORDS, kind::MISSING_SHARDS, &[])
    }

    /// Placement groups (`y`) of a chunk cluster.
    #[must_use]
    pub fn placement_groups_range(cluster: ChunkClusterId) -> KeyRange {
        let cluster = cluster.0.to_be_bytes();
        KeyRange::of_kind(PARTITION_RECORDS, kind::PLACEMENT_GROUP, &cluster)
    }

    /// The grouping of a list over S3 keys of `range` (made by [`Key::objects_range`] and the like with
    /// the same `prefix`) by `delimiter`, which is not empty.
    #[must_use]
    pub fn grouping(prefix: &str, delimiter: &str) -> Grouping {
        Grouping {
            skip: super::HEADER_BYTES + unterminated(prefix).len(),
            delimiter: unterminated(delimiter).into(),
        }
    }

    /// The S3 prefix that a group of a scan over S3 keys stands for; `None` when `group` is not one.
    #[must_use]
    pub fn common_prefix(group: &[u8]) -> Option<String> {
        escape::unescape(group.get(super::HEADER_BYTES..)?)
    }
}
