//! Multipart uploads: start, parts, abort, and what becomes of those that nobody ends.

use super::draft::{Draft, Drafted, Loaded, decode, decode_key, load, outcome_of};
use super::put::{is_too_old, oldest_of};
use super::scan::{Walk, walk};
use super::{bucket, control};
use crate::api::{Bucket, CreateUpload, PutPart};
use crate::context::{ATTEMPTS, Context, contended};
use crate::error::{CreateUploadError, PutPartError, UploadError};
use crate::key::bucket::{BucketPhase, BucketState};
use crate::key::feed::{EventKind, FeedEvent, RemovedVersion};
use crate::key::outcome::OutcomeRecord;
use crate::key::reclaim::{PartSet, ReclaimRecord};
use crate::key::upload::{PartRecord, UploadRecord};
use crate::key::{Key, kind};
use crate::owner::PartitionOwner;
use crate::store::StoreError;
use bytes::Bytes;
use types::limits::{COMPLETED_UPLOAD_TTL, PART_NUMBER_MAX};
use types::{BucketId, PartitionId, UploadId};

pub(crate) fn upload_key(bucket: BucketId, key: &str, upload: UploadId) -> Key {
    Key::Upload {
        bucket,
        key: key.to_owned(),
        upload,
    }
}

fn event(kind: EventKind, bucket: BucketId, key: &str, upload: UploadId) -> FeedEvent {
    FeedEvent {
        kind,
        bucket,
        key: key.to_owned(),
        upload,
        ..Default::default()
    }
}

/// The state of a bucket that takes writes; `None` when it is gone. One that is closing is waited for.
async fn open_bucket(
    ctx: &Context,
    owner: &PartitionOwner,
    bucket: BucketId,
) -> Result<Option<Loaded<BucketState>>, StoreError> {
    for _ in 0..ATTEMPTS {
        match load::<BucketState>(owner, &Key::BucketState { bucket }).await? {
            Some(state) if state.record.phase == BucketPhase::Closing => {
                bucket::settle(ctx, owner, bucket).await?;
            }
            found => return Ok(found),
        }
    }
    Err(contended())
}

pub(crate) async fn create(
    ctx: &Context,
    create: CreateUpload<'_>,
) -> Result<UploadId, CreateUploadError> {
    let bucket = create.bucket.id;
    let owner = ctx.owner(create.bucket.partition)?;
    let now_ms = ctx.clock.now_ms();
    let id = ctx.ids.upload(now_ms, create.bucket.partition);
    let record = UploadRecord {
        id,
        initiated_ms: now_ms,
        account: create.meta.account,
        storage_class: create.meta.storage_class,
        headers: create.meta.headers,
        user_metadata: create.meta.user_metadata,
        tags: create.meta.tags,
        checksum_algorithm: create.checksum_algorithm,
        checksum_type: create.checksum_type,
        ..Default::default()
    };
    let key = upload_key(bucket, create.key, id);
    for _ in 0..ATTEMPTS {
        let state = open_bucket(ctx, owner, bucket).await?;
        let state = state.ok_or(CreateUploadError::NoSuchBucket)?;
        let mut draft = Draft::default();
        draft.expect(&Key::BucketState { bucket }, Some(state.seq));
        draft.expect(&key, None);
        draft.put(&key, &record);
        draft.tell(&event(EventKind::UploadCreated, bucket, create.key, id));
        draft.once(
            create.op_id,
            &OutcomeRecord {
                upload: id,
                ..Default::default()
            },
        );
        match draft.commit(owner).await? {
            Drafted::Committed(_) => return Ok(id),
            Drafted::Repeated(first) => return Ok(first.upload),
            Drafted::Conflict => {}
        }
    }
    Err(contended().into())
}

pub(crate) async fn get(
    ctx: &Context,
    bucket: &Bucket,
    key: &str,
    upload: UploadId,
) -> Result<Option<UploadRecord>, StoreError> {
    let found = load(
        ctx.owner(bucket.partition)?,
        &upload_key(bucket.id, key, upload),
    )
    .await?;
    Ok(found.map(|loaded| loaded.record))
}

pub(crate) async fn put_part(ctx: &Context, put: PutPart<'_>) -> Result<(), PutPartError> {
    assert!(
        (1..=PART_NUMBER_MAX).contains(&put.number),
        "the caller checks part numbers"
    );
    assert_eq!(
        put.manifest.id.partition(),
        put.bucket.partition,
        "taken for this partition"
    );
    let owner = ctx.owner(put.bucket.partition)?;
    let oldest_ms = oldest_of(&put.manifest, put.oldest_ms);
    let mut manifest = put.manifest;
    manifest.home = put.bucket.id;
    let part = PartRecord {
        number: put.number,
        etag: put.etag,
        plain_length: manifest.length,
        checksum: put.checksum,
        manifest,
        modified_ms: ctx.clock.now_ms(),
        ..Default::default()
    };
    let missing = control::note_most(owner, put.missing).await?;
    let key = upload_key(put.bucket.id, put.key, put.upload);
    for _ in 0..ATTEMPTS {
        let bucket = open_bucket(ctx, owner, put.bucket.id).await?;
        let _latch = owner.latch(&[key.encode()]).await;
        if outcome_of(owner, put.op_id).await?.is_some() {
            return Ok(());
        }
        let bucket = bucket.ok_or(PutPartError::NoSuchBucket)?;
        if oldest_ms.is_some_and(|oldest_ms| is_too_old(ctx, oldest_ms)) {
            return Err(PutPartError::TooOld);
        }
        let upload = load::<UploadRecord>(owner, &key).await?;
        let upload = upload.filter(|upload| upload.record.completed.is_none());
        let upload = upload.ok_or(PutPartError::NoSuchUpload)?;
        let mut draft = Draft::default();
        draft.expect(
            &Key::BucketState {
                bucket: put.bucket.id,
            },
            Some(bucket.seq),
        );
        draft.expect(&key, Some(upload.seq));
        draft_part(
            owner,
            &mut draft,
            (put.bucket.id, put.key),
            upload.record,
            &part,
        )
        .await?;
        control::note(&mut draft, &missing);
        draft.once(
            put.op_id,
            &OutcomeRecord {
                etag: part.etag.clone(),
                ..Default::default()
            },
        );
        match draft.commit(owner).await? {
            Drafted::Committed(_) | Drafted::Repeated(_) => return Ok(()),
            Drafted::Conflict => {}
        }
    }
    Err(contended().into())
}

/// Writes the part, lets go of the one it replaces, and touches the upload.
async fn draft_part(
    owner: &PartitionOwner,
    draft: &mut Draft,
    (bucket, key): (BucketId, &str),
    mut upload: UploadRecord,
    part: &PartRecord,
) -> Result<(), StoreError> {
    let part_key = Key::Part {
        bucket,
        upload: upload.id,
        number: part.number,
    };
    let replaced = load::<PartRecord>(owner, &part_key).await?;
    let mut removed = Vec::new();
    if let Some(replaced) = replaced {
        let plain_length = replaced.record.plain_length;
        removed.push(RemovedVersion {
            plain_length,
            ..Default::default()
        });
        draft.reclaim(&ReclaimRecord::of_manifest(replaced.record.manifest));
    }
    draft.put(&part_key, part);
    upload.part_writes += 1;
    draft.put(&upload_key(bucket, key, upload.id), &upload);
    draft.tell(&FeedEvent {
        part: part.number,
        plain_length: part.plain_length,
        etag: part.etag.clone(),
        removed,
        ..event(EventKind::PartPut, bucket, key, upload.id)
    });
    Ok(())
}

pub(crate) async fn abort(
    ctx: &Context,
    bucket: &Bucket,
    key: &str,
    upload: UploadId,
) -> Result<(), UploadError> {
    let owner = ctx.owner(bucket.partition)?;
    end(owner, (bucket.id, key), upload, false)
        .await?
        .then_some(())
        .ok_or(UploadError::NoSuchUpload)
}

/// Removes an upload that is open, or one that is completed if `completed` says so; false when there is
/// none such. An open one's parts are queued for reclaim; those of a completed one have been.
///
/// It does not depend on the bucket's state: an abort takes away what deleting the bucket would.
async fn end(
    owner: &PartitionOwner,
    (bucket, key): (BucketId, &str),
    upload: UploadId,
    completed: bool,
) -> Result<bool, StoreError> {
    let record_key = upload_key(bucket, key, upload);
    let _latch = owner.latch(&[record_key.encode()]).await;
    for _ in 0..ATTEMPTS {
        let found = load::<UploadRecord>(owner, &record_key).await?;
        let found = found.filter(|found| found.record.completed.is_some() == completed);
        let Some(found) = found else { return Ok(false) };
        let mut draft = Draft::default();
        draft.expect(&record_key, Some(found.seq));
        draft.delete(&record_key);
        if !completed {
            draft.reclaim(&ReclaimRecord::of_upload(
                bucket,
                upload,
                PartSet::default(),
            ));
            draft.tell(&event(EventKind::UploadAborted, bucket, key, upload));
        }
        if matches!(draft.commit(owner).await?, Drafted::Committed(_)) {
            return Ok(true);
        }
    }
    Err(contended())
}

/// What a step of [`crate::Index::expire_uploads`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpiredUploads {
    /// Open uploads aborted.
    pub aborted: usize,
    /// Completed uploads forgotten.
    pub forgotten: usize,
    /// Where to go on; none at the end.
    pub next: Option<Bytes>,
}

pub(crate) async fn expire(
    ctx: &Context,
    partition: PartitionId,
    abandoned_before_ms: u64,
    (cursor, limit): (Option<Bytes>, usize),
) -> Result<ExpiredUploads, StoreError> {
    let owner = ctx.owner(partition)?;
    let ttl_ms = COMPLETED_UPLOAD_TTL.as_millis() as u64;
    let forget_before_ms = ctx.clock.now_ms().saturating_sub(ttl_ms);
    let Walk { entries, next } = walk(owner, kind::UPLOAD, cursor, limit).await?;
    let mut expired = ExpiredUploads {
        next,
        ..Default::default()
    };
    for (encoded, value) in entries {
        let Key::Upload {
            bucket,
            key,
            upload,
        } = decode_key(&encoded)?
        else {
            continue;
        };
        let record: UploadRecord = decode(&encoded, value.value)?;
        let (completed, is_due) = match &record.completed {
            Some(completed) => (true, completed.completed_ms < forget_before_ms),
            None => (false, record.initiated_ms < abandoned_before_ms),
        };
        if is_due && end(owner, (bucket, &key), upload, completed).await? {
            expired.aborted += usize::from(!completed);
            expired.forgotten += usize::from(completed);
        }
    }
    Ok(expired)
}
