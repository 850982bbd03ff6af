//! Committing a version: what PUT, copy and the completion of an upload have in common.

use super::draft::{Draft, Drafted, Loaded, corrupt, load, outcome_of};
use super::pages::Guard;
use super::versions::{self, KeyState};
use super::{bucket, control, pages};
use crate::api::{CommittedVersion, NewBody, ObjectMeta, PutObject, VersionRef, WriteCondition};
use crate::context::{ATTEMPTS, Context, contended};
use crate::error::PutObjectError;
use crate::key::Key;
use crate::key::bucket::{BucketPhase, BucketState, Versioning};
use crate::key::cluster::MissingShards;
use crate::key::feed::{EventKind, FeedEvent};
use crate::key::object::VersionRecord;
use crate::key::outcome::OutcomeRecord;
use crate::owner::PartitionOwner;
use crate::store::StoreError;
use bytes::Bytes;
use types::{BucketId, Manifest, OpId};

/// How one try of an operation ended.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    /// With this result.
    Done(T),
    /// What it read has changed: try again.
    Again,
    /// The bucket is being deleted: see that this comes to an end, then try again.
    Closing,
}

/// A version to commit, but for what is decided at the commit: order, id, and whether it is null.
#[derive(Debug)]
pub(crate) struct NewVersion<'a> {
    pub bucket: BucketId,
    pub key: &'a str,
    pub record: VersionRecord,
    pub inline: Option<Bytes>,
    /// The reclaim entry that guards the manifest's pages, removed by the commit.
    pub guard: Option<Guard>,
    pub missing: Vec<MissingShards>,
    /// When the oldest chunk was written, if chunks were written for this version.
    pub oldest_ms: Option<u64>,
    pub condition: WriteCondition,
    pub event: EventKind,
    pub op_id: OpId,
}

/// Sets the fields of a record that the client decides.
pub(crate) fn record_of(meta: ObjectMeta) -> VersionRecord {
    VersionRecord {
        account: meta.account,
        storage_class: meta.storage_class,
        headers: meta.headers,
        user_metadata: meta.user_metadata,
        tags: meta.tags,
        ..Default::default()
    }
}

/// Stores a version.
pub(crate) async fn put_object(
    ctx: &Context,
    put: PutObject<'_>,
) -> Result<CommittedVersion, PutObjectError> {
    let owner = ctx.owner(put.bucket.partition)?;
    let mut record = record_of(put.meta);
    record.etag = put.etag;
    record.checksum = put.checksum;
    let mut new = NewVersion {
        bucket: put.bucket.id,
        key: put.key,
        record,
        inline: None,
        guard: None,
        missing: Vec::new(),
        oldest_ms: None,
        condition: put.condition,
        event: EventKind::Put,
        op_id: put.op_id,
    };
    match put.body {
        NewBody::Inline(bytes) => {
            new.record.manifest = inline_manifest(put.bucket.id, bytes.len() as u64);
            new.inline = Some(bytes).filter(|bytes| !bytes.is_empty());
        }
        NewBody::Chunks {
            manifest,
            oldest_ms,
            missing,
        } => {
            new.oldest_ms = oldest_of(&manifest, oldest_ms);
            assert_eq!(
                manifest.id.partition(),
                put.bucket.partition,
                "taken for this partition"
            );
            let (manifest, guard) = pages::place(ctx, owner, put.bucket.id, manifest).await?;
            new.record.manifest = manifest;
            new.guard = guard;
            new.missing = control::note_most(owner, missing).await?;
        }
    }
    set_lengths(&mut new.record);
    put_version(ctx, owner, &new).await
}

/// A manifest for bytes that are kept in the index.
pub(crate) fn inline_manifest(home: BucketId, length: u64) -> Manifest {
    Manifest {
        length,
        home,
        inline: true,
        ..Default::default()
    }
}

/// Takes the record's lengths and cluster from its manifest.
pub(crate) fn set_lengths(record: &mut VersionRecord) {
    record.plain_length = record.manifest.length;
    record.stored_length = record.manifest.length;
    if let Some(chunk) = record.manifest.chunks.first() {
        record.cluster = chunk.cluster;
    }
}

/// Whether chunks that old may be taken for orphans before the commit protects them.
pub(crate) fn is_too_old(ctx: &Context, oldest_ms: u64) -> bool {
    let age_ms = ctx.clock.now_ms().saturating_sub(oldest_ms);
    u128::from(age_ms) > ctx.write_deadline.as_millis()
}

/// When the oldest of the chunks was written, by their ids and by what the writer says.
pub(crate) fn oldest_of(manifest: &Manifest, oldest_ms: u64) -> Option<u64> {
    let chunks = manifest.chunks.iter().map(|chunk| chunk.id.time_ms());
    chunks.min().map(|by_id| by_id.min(oldest_ms))
}

/// Commits `new`, waiting for its key.
pub(crate) async fn put_version(
    ctx: &Context,
    owner: &PartitionOwner,
    new: &NewVersion<'_>,
) -> Result<CommittedVersion, PutObjectError> {
    let key = Key::Current {
        bucket: new.bucket,
        key: new.key.to_owned(),
    }
    .encode();
    for _ in 0..ATTEMPTS {
        let attempt = {
            let _latch = owner.latch(std::slice::from_ref(&key)).await;
            attempt(ctx, owner, new, &|_, _| {}).await?
        };
        match attempt {
            Attempt::Done(committed) => return Ok(committed),
            Attempt::Again => {}
            Attempt::Closing => bucket::settle(ctx, owner, new.bucket).await?,
        }
    }
    Err(contended().into())
}

/// One try at committing `new`; the caller holds the latch of its key. `extend` adds what else belongs
/// to the commit.
pub(crate) async fn attempt(
    ctx: &Context,
    owner: &PartitionOwner,
    new: &NewVersion<'_>,
    extend: &(dyn Fn(&mut Draft, &VersionRecord) + Send + Sync),
) -> Result<Attempt<CommittedVersion>, PutObjectError> {
    let bucket_key = Key::BucketState { bucket: new.bucket };
    let (bucket, state) = tokio::try_join!(
        load::<BucketState>(owner, &bucket_key),
        KeyState::load(owner, new.bucket, new.key)
    )?;
    let Some(bucket) = bucket else {
        return refuse(owner, new.op_id, PutObjectError::NoSuchBucket).await;
    };
    if bucket.record.phase == BucketPhase::Closing {
        return Ok(Attempt::Closing);
    }
    if let Err(error) = check_condition(&new.condition, state.current()) {
        return refuse(owner, new.op_id, error).await;
    }
    if new
        .oldest_ms
        .is_some_and(|oldest_ms| is_too_old(ctx, oldest_ms))
    {
        return refuse(owner, new.op_id, PutObjectError::TooOld).await;
    }
    let record = stamp(ctx, owner, &bucket, &state, &new.record);
    let Replaced::Null(null) = replaced_null(owner, &state, &record).await? else {
        return Ok(Attempt::Again);
    };
    let mut draft = Draft::default();
    draft.expect(&bucket_key, Some(bucket.seq));
    let removed = versions::insert(&mut draft, &state, &record, null.as_deref());
    if let Some(body) = &new.inline {
        draft.put_bytes(
            &Key::Inline {
                bucket: new.bucket,
                version: record.id,
            },
            body.clone(),
        );
    }
    control::note(&mut draft, &new.missing);
    if let Some(guard) = new.guard {
        guard.release(&mut draft);
    }
    extend(&mut draft, &record);
    draft.tell(&FeedEvent {
        removed,
        ..event_of(new.event, new.bucket, new.key, &record)
    });
    let outcome = outcome_for(&record);
    draft.once(new.op_id, &outcome);
    match draft.commit(owner).await? {
        Drafted::Committed(_) => Ok(Attempt::Done(committed(outcome))),
        Drafted::Repeated(first) => Ok(Attempt::Done(committed(first))),
        Drafted::Conflict => Ok(Attempt::Again),
    }
}

/// Answers with `error`, unless the operation was committed by an earlier try.
async fn refuse(
    owner: &PartitionOwner,
    op_id: OpId,
    error: PutObjectError,
) -> Result<Attempt<CommittedVersion>, PutObjectError> {
    match outcome_of(owner, op_id).await? {
        Some(first) => Ok(Attempt::Done(committed(first))),
        None => Err(error),
    }
}

fn check_condition(
    condition: &WriteCondition,
    current: Option<&VersionRecord>,
) -> Result<(), PutObjectError> {
    match (condition, current) {
        (WriteCondition::None, _) | (WriteCondition::IfNoneMatch, None) => Ok(()),
        (WriteCondition::IfMatch(_), None) => Err(PutObjectError::NoSuchKey),
        (WriteCondition::IfMatch(etag), Some(current)) if matches_etag(etag, current) => Ok(()),
        (WriteCondition::IfMatch(_) | WriteCondition::IfNoneMatch, Some(_)) => {
            Err(PutObjectError::PreconditionFailed)
        }
    }
}

/// Whether an `If-Match` with `etag` holds of `record`.
pub(crate) fn matches_etag(etag: &str, record: &VersionRecord) -> bool {
    etag == "*" || etag == record.etag
}

/// The record with what is decided at the commit.
fn stamp(
    ctx: &Context,
    owner: &PartitionOwner,
    bucket: &Loaded<BucketState>,
    state: &KeyState,
    record: &VersionRecord,
) -> VersionRecord {
    let (order, id) = ctx.next_version(owner, state.newest_time());
    let is_null = bucket.record.versioning != Versioning::Enabled;
    VersionRecord {
        id,
        order,
        is_null,
        ..record.clone()
    }
}

/// The null version among the `v/` records, if `record` replaces it.
pub(crate) async fn replaced_null(
    owner: &PartitionOwner,
    state: &KeyState,
    record: &VersionRecord,
) -> Result<Replaced, StoreError> {
    let Some(order) = state.null_order().filter(|_| record.is_null) else {
        return Ok(Replaced::Null(None));
    };
    if let Some(found) = state.noncurrent(owner, order).await? {
        return Ok(Replaced::Null(Some(Box::new(found))));
    }
    if !state.is_settled(owner).await? {
        return Ok(Replaced::Moved);
    }
    Err(corrupt(
        &state.version_key(order).encode(),
        "named by h/ but absent".into(),
    ))
}

/// The null version that a new one replaces.
pub(crate) enum Replaced {
    /// This `v/` record, or none.
    Null(Option<Box<VersionRecord>>),
    /// Another process has changed the key since it was read.
    Moved,
}

/// What the feed tells of a new version or marker.
pub(crate) fn event_of(
    kind: EventKind,
    bucket: BucketId,
    key: &str,
    record: &VersionRecord,
) -> FeedEvent {
    FeedEvent {
        kind,
        bucket,
        key: key.to_owned(),
        version: record.id,
        order: record.order,
        is_null: record.is_null,
        plain_length: record.plain_length,
        etag: record.etag.clone(),
        ..Default::default()
    }
}

/// What a repetition of the commit of `record` is answered with.
pub(crate) fn outcome_for(record: &VersionRecord) -> OutcomeRecord {
    OutcomeRecord {
        version: record.id,
        order: record.order,
        is_null: record.is_null,
        delete_marker: record.delete_marker,
        etag: record.etag.clone(),
        ..Default::default()
    }
}

/// The answer that an outcome stands for.
pub(crate) fn committed(outcome: OutcomeRecord) -> CommittedVersion {
    CommittedVersion {
        version: VersionRef::of(outcome.is_null, outcome.version),
        last_modified_ms: outcome.order.millis(),
        etag: outcome.etag,
    }
}
