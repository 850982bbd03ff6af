//! Walking through a whole partition: all records of one kind, and all chunks that any record names.

use super::draft::{corrupt, decode, load};
use crate::context::Context;
use crate::key::bucket::{BucketState, Versioning};
use crate::key::object::VersionRecord;
use crate::key::reclaim::ReclaimRecord;
use crate::key::shared::SharedRecord;
use crate::key::upload::PartRecord;
use crate::key::{Key, KeyRange, PARTITION_RECORDS, kind};
use crate::owner::PartitionOwner;
use crate::store::{ScanEntry, ScanPage, ScanRequest, StoreError, Versioned};
use bytes::Bytes;
use types::{BucketId, ChunkRef, ManifestPage, PartitionId};

/// A page of a walk.
pub(crate) struct Walk {
    /// Keys with their values.
    pub entries: Vec<(Bytes, Versioned)>,
    /// Where to go on; none at the end.
    pub next: Option<Bytes>,
}

/// Up to `limit` records of one kind, of whatever bucket, after `cursor`.
pub(crate) async fn walk(
    owner: &PartitionOwner,
    kind: u8,
    cursor: Option<Bytes>,
    limit: usize,
) -> Result<Walk, StoreError> {
    let bucket = match &cursor {
        Some(cursor) => Some(bucket_of(cursor)?),
        None => next_bucket(owner, PARTITION_RECORDS).await?,
    };
    let Some(bucket) = bucket else {
        return Ok(Walk {
            entries: Vec::new(),
            next: None,
        });
    };
    let mut range = Key::kind_range(bucket, kind);
    if let Some(cursor) = &cursor {
        range = range.after(cursor);
    }
    let page = owner.scan(range.page(limit, None)).await?;
    let more = page.more;
    let entries = values(page);
    let next = match entries.last() {
        Some((last, _)) if more => Some(last.clone()),
        // The bare id sorts before all of the bucket's keys.
        _ => next_bucket(owner, bucket)
            .await?
            .map(|next| next.0.to_be_bytes().to_vec().into()),
    };
    Ok(Walk { entries, next })
}

fn values(page: ScanPage) -> Vec<(Bytes, Versioned)> {
    let values = page.entries.into_iter().map(|entry| match entry {
        ScanEntry::Value(key, value) => (key, value),
        ScanEntry::Group(_) => unreachable!("a scan without grouping gives no groups"),
    });
    values.collect()
}

/// The bucket that an encoded key belongs to.
fn bucket_of(key: &[u8]) -> Result<BucketId, StoreError> {
    let Some(id) = key.first_chunk() else {
        return Err(corrupt(key, "shorter than a bucket id".to_owned()));
    };
    Ok(BucketId(u64::from_be_bytes(*id)))
}

/// The lowest id above `after` that has records, found by one seek.
pub(crate) async fn next_bucket(
    owner: &PartitionOwner,
    after: BucketId,
) -> Result<Option<BucketId>, StoreError> {
    let Some(least) = after.0.checked_add(1) else {
        return Ok(None);
    };
    let request = ScanRequest {
        start: Key::kind_range(BucketId(least), 0).start,
        end: Bytes::from_static(&[0xff; 9]),
        limit: 1,
        grouping: None,
    };
    match owner.scan(request).await?.entries.first() {
        Some(ScanEntry::Value(key, _) | ScanEntry::Group(key)) => Ok(Some(bucket_of(key)?)),
        None => Ok(None),
    }
}

/// The kinds of a bucket's records that name chunks, in the order in which they are read: a chunk that
/// moves from one to the other while the scan goes on is met in the later one. A version may move both
/// ways between `c/` and `v/`, so `c/` is read before and after `v/`.
const STAGES: [u8; 6] = [
    kind::PART,
    kind::CURRENT,
    kind::VERSION,
    kind::CURRENT,
    kind::MANIFEST_PAGE,
    kind::SHARED,
];
/// The stages that only a bucket with versions needs.
const VERSION_STAGES: std::ops::Range<usize> = 2..4;

/// Where a scan of chunks goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanCursor {
    /// [`PARTITION_RECORDS`] for the reclaim entries, which are read last.
    bucket: BucketId,
    stage: usize,
    /// The last key that was read.
    after: Bytes,
}

/// A page of the chunks that records name. A chunk may appear more than once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChunkScanPage {
    /// Chunks.
    pub chunks: Vec<ChunkRef>,
    /// Where to go on; none at the end.
    pub next: Option<ScanCursor>,
}

pub(crate) async fn chunks(
    ctx: &Context,
    partition: PartitionId,
    cursor: Option<ScanCursor>,
    limit: usize,
) -> Result<ChunkScanPage, StoreError> {
    let owner = ctx.owner(partition)?;
    let cursor = match cursor {
        Some(cursor) => cursor,
        None => start_of_bucket(next_bucket(owner, PARTITION_RECORDS).await?),
    };
    let range = range_of(&cursor).after(&cursor.after);
    let page = owner.scan(range.page(limit, None)).await?;
    let more = page.more;
    let mut found = ChunkScanPage::default();
    let entries = values(page);
    let last = entries.last().map(|(key, _)| key.clone());
    for (key, value) in entries {
        take_chunks(&mut found.chunks, &key, value.value)?;
    }
    found.next = match last {
        Some(last) if more => Some(ScanCursor {
            after: last,
            ..cursor
        }),
        _ => next_stage(owner, cursor).await?,
    };
    Ok(found)
}

fn start_of_bucket(bucket: Option<BucketId>) -> ScanCursor {
    let bucket = bucket.unwrap_or(PARTITION_RECORDS);
    ScanCursor {
        bucket,
        stage: 0,
        after: Bytes::new(),
    }
}

fn range_of(cursor: &ScanCursor) -> KeyRange {
    if cursor.bucket == PARTITION_RECORDS {
        Key::reclaims_range(u64::MAX)
    } else {
        Key::kind_range(cursor.bucket, STAGES[cursor.stage])
    }
}

async fn next_stage(
    owner: &PartitionOwner,
    cursor: ScanCursor,
) -> Result<Option<ScanCursor>, StoreError> {
    let bucket = cursor.bucket;
    if bucket == PARTITION_RECORDS {
        return Ok(None);
    }
    let mut stage = cursor.stage + 1;
    if stage == VERSION_STAGES.start && !has_versions(owner, bucket).await? {
        stage = VERSION_STAGES.end;
    }
    if stage < STAGES.len() {
        return Ok(Some(ScanCursor {
            bucket,
            stage,
            after: Bytes::new(),
        }));
    }
    Ok(Some(start_of_bucket(next_bucket(owner, bucket).await?)))
}

/// False when the bucket cannot have had a `v/` record up to this moment.
async fn has_versions(owner: &PartitionOwner, bucket: BucketId) -> Result<bool, StoreError> {
    let state = load::<BucketState>(owner, &Key::BucketState { bucket }).await?;
    Ok(state.is_some_and(|state| state.record.versioning != Versioning::Unversioned))
}

/// Adds the chunks that a record names itself.
fn take_chunks(chunks: &mut Vec<ChunkRef>, key: &[u8], value: Bytes) -> Result<(), StoreError> {
    let named = match crate::key::kind_of(key) {
        Some(kind::PART) => decode::<PartRecord>(key, value)?.manifest.chunks,
        Some(kind::CURRENT | kind::VERSION) => decode::<VersionRecord>(key, value)?.manifest.chunks,
        Some(kind::MANIFEST_PAGE) => decode::<ManifestPage>(key, value)?.chunks,
        Some(kind::RECLAIM) => decode::<ReclaimRecord>(key, value)?.manifest.chunks,
        Some(kind::SHARED) => match super::draft::decode_key(key)? {
            Key::Shared { .. } => decode::<SharedRecord>(key, value)?.manifest.chunks,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    };
    chunks.extend(named);
    Ok(())
}
