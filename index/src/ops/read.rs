//! Reading versions and their bytes' whereabouts.

use super::draft::{corrupt, load, records};
use super::versions::KeyState;
use crate::api::{Bucket, ObjectVersion, PlacedChunk, VersionRef};
use crate::context::{ATTEMPTS, Context, contended};
use crate::key::object::VersionRecord;
use crate::key::{Key, KeyRange};
use crate::owner::PartitionOwner;
use crate::store::StoreError;
use bytes::Bytes;
use std::ops::Range;
use types::{BucketId, Manifest, ManifestPage, Order, VersionId};

/// The current version of a key, or the one that `version` names.
pub(crate) async fn get_object(
    ctx: &Context,
    bucket: &Bucket,
    key: &str,
    version: Option<VersionRef>,
) -> Result<Option<ObjectVersion>, StoreError> {
    let owner = ctx.owner(bucket.partition)?;
    let Some(version) = version else {
        let key = Key::Current {
            bucket: bucket.id,
            key: key.to_owned(),
        };
        let found = load::<VersionRecord>(owner, &key).await?;
        return Ok(found.map(|loaded| loaded.record.into()));
    };
    find_settled(owner, bucket.id, key, version).await
}

/// Looks for a version under `c/` and `v/`. These are two reads, and a version may move between them:
/// that nothing was found counts only if `c/` and `h/` have not changed meanwhile.
async fn find_settled(
    owner: &PartitionOwner,
    bucket: BucketId,
    key: &str,
    version: VersionRef,
) -> Result<Option<ObjectVersion>, StoreError> {
    let mut state = KeyState::load(owner, bucket, key).await?;
    for _ in 0..ATTEMPTS {
        if let Some(found) = find_version(owner, &state, version).await? {
            return Ok(Some(found.into()));
        }
        let again = KeyState::load(owner, bucket, key).await?;
        if again.seqs() == state.seqs() {
            return Ok(None);
        }
        state = again;
    }
    Err(contended())
}

/// The version that `version` names, among those that `state` tells of.
pub(crate) async fn find_version(
    owner: &PartitionOwner,
    state: &KeyState,
    version: VersionRef,
) -> Result<Option<VersionRecord>, StoreError> {
    let current = state.current();
    match version {
        VersionRef::Null => match (current, state.null_order()) {
            (Some(current), _) if current.is_null => Ok(Some(current.clone())),
            (_, Some(order)) => state.noncurrent(owner, order).await,
            (_, None) => Ok(None),
        },
        VersionRef::Id(id) => Ok(find_by_id(owner, state, id)
            .await?
            .filter(|found| !found.is_null)),
    }
}

/// The version with this id, null or not.
pub(crate) async fn find_by_id(
    owner: &PartitionOwner,
    state: &KeyState,
    id: VersionId,
) -> Result<Option<VersionRecord>, StoreError> {
    if let Some(current) = state.current().filter(|current| current.id == id) {
        return Ok(Some(current.clone()));
    }
    if state.head.is_none() {
        return Ok(None);
    }
    let page = owner.scan(with_time_of(state, id).page(8, None)).await?;
    let found = records::<VersionRecord>(page)?
        .into_iter()
        .map(|(_, loaded)| loaded.record);
    Ok(found.into_iter().find(|record| record.id == id))
}

/// The `v/` records whose order has the time and region that the version id names.
fn with_time_of(state: &KeyState, id: VersionId) -> KeyRange {
    let of_epoch = |epoch| {
        let order = Order {
            time: id.time(),
            region: id.region(),
            epoch,
        };
        state.version_key(order).encode()
    };
    let last = of_epoch(0);
    KeyRange {
        start: of_epoch(u32::MAX),
        end: [last.as_ref(), &[0]].concat().into(),
    }
}

/// The body of a version that is kept inline; `None` when the version was deleted meanwhile.
pub(crate) async fn inline_body(
    ctx: &Context,
    bucket: &Bucket,
    record: &VersionRecord,
) -> Result<Option<Bytes>, StoreError> {
    if !record.has_inline_record() {
        return Ok(Some(Bytes::new()));
    }
    let owner = ctx.owner(bucket.partition)?;
    let key = Key::Inline {
        bucket: bucket.id,
        version: record.id,
    }
    .encode();
    let Some(found) = owner.get(&key).await? else {
        return Ok(None);
    };
    if found.value.len() as u64 != record.manifest.length {
        return Err(corrupt(
            &key,
            format!("{} bytes, not as its version says", found.value.len()),
        ));
    }
    Ok(Some(found.value))
}

/// The chunks that hold `range` of the object, in order.
pub(crate) async fn resolve_chunks(
    ctx: &Context,
    record: &VersionRecord,
    range: Range<u64>,
) -> Result<Vec<PlacedChunk>, StoreError> {
    let manifest = &record.manifest;
    let mut found = Vec::new();
    if manifest.page_offsets.is_empty() {
        select(&mut found, 0, &manifest.chunks, &range);
        return Ok(found);
    }
    let owner = ctx.owner(manifest.id.partition())?;
    let first = manifest
        .page_offsets
        .partition_point(|offset| *offset <= range.start);
    let pages = manifest
        .page_offsets
        .iter()
        .enumerate()
        .skip(first.saturating_sub(1));
    for (page, _) in pages.take_while(|(_, offset)| **offset < range.end) {
        let page = load_page(owner, manifest, page).await?;
        select(&mut found, page.offset, &page.chunks, &range);
    }
    Ok(found)
}

/// Page number `page` of a manifest whose pages `owner` has.
pub(crate) async fn load_page(
    owner: &PartitionOwner,
    manifest: &Manifest,
    page: usize,
) -> Result<ManifestPage, StoreError> {
    let key = Key::ManifestPage {
        bucket: manifest.home,
        manifest: manifest.id,
        page: u32::try_from(page).expect("pages are counted in a version record"),
    };
    let found = load(owner, &key).await?;
    let absent = || {
        corrupt(
            &key.encode(),
            "a page that its version counts is absent".to_owned(),
        )
    };
    Ok(found.ok_or_else(absent)?.record)
}

/// Adds those of `chunks`, which begin at `offset`, that hold bytes of `range`.
fn select(
    found: &mut Vec<PlacedChunk>,
    mut offset: u64,
    chunks: &[types::ChunkRef],
    range: &Range<u64>,
) {
    for chunk in chunks {
        let end = offset + chunk.length;
        if offset < range.end && end > range.start {
            found.push(PlacedChunk {
                offset,
                chunk: chunk.clone(),
            });
        }
        offset = end;
    }
}
