//! Deleting: the current version, or a version by its id; or making a delete marker.

use super::bucket;
use super::draft::{Draft, Drafted, Loaded, load, outcome_of};
use super::put::{Attempt, Replaced, event_of, matches_etag, outcome_for, replaced_null};
use super::read::find_version;
use super::versions::{self, KeyState};
use crate::api::{DeleteCondition, DeleteObject, Deleted, VersionRef};
use crate::context::{ATTEMPTS, Context, contended};
use crate::error::DeleteObjectError;
use crate::key::Key;
use crate::key::bucket::{BucketPhase, BucketState, Versioning};
use crate::key::feed::{EventKind, FeedEvent};
use crate::key::object::VersionRecord;
use crate::key::outcome::OutcomeRecord;
use crate::owner::PartitionOwner;

pub(crate) async fn delete_object(
    ctx: &Context,
    delete: DeleteObject<'_>,
) -> Result<Deleted, DeleteObjectError> {
    let owner = ctx.owner(delete.bucket.partition)?;
    let key = Key::Current {
        bucket: delete.bucket.id,
        key: delete.key.to_owned(),
    }
    .encode();
    for _ in 0..ATTEMPTS {
        let attempt = {
            let _latch = owner.latch(std::slice::from_ref(&key)).await;
            attempt(ctx, owner, &delete).await?
        };
        match attempt {
            Attempt::Done(deleted) => return Ok(deleted),
            Attempt::Again => {}
            Attempt::Closing => bucket::settle(ctx, owner, delete.bucket.id).await?,
        }
    }
    Err(contended().into())
}

async fn attempt(
    ctx: &Context,
    owner: &PartitionOwner,
    delete: &DeleteObject<'_>,
) -> Result<Attempt<Deleted>, DeleteObjectError> {
    let bucket_key = Key::BucketState {
        bucket: delete.bucket.id,
    };
    let (first, bucket, state) = tokio::try_join!(
        outcome_of(owner, delete.op_id),
        load::<BucketState>(owner, &bucket_key),
        KeyState::load(owner, delete.bucket.id, delete.key)
    )?;
    if let Some(first) = first {
        return Ok(Attempt::Done(deleted(&first)));
    }
    let Some(bucket) = bucket else {
        return Err(DeleteObjectError::NoSuchBucket);
    };
    if bucket.record.phase == BucketPhase::Closing {
        return Ok(Attempt::Closing);
    }
    let target = match delete.version {
        Some(version) => find_version(owner, &state, version).await?,
        None => state.current().cloned(),
    };
    if target.is_none() && !state.is_settled(owner).await? {
        return Ok(Attempt::Again);
    }
    if let Err(error) = check_condition(delete, target.as_ref()) {
        return unless_done(owner, delete, Err(error)).await;
    }
    let makes_marker =
        delete.version.is_none() && bucket.record.versioning != Versioning::Unversioned;
    let mut draft = Draft::default();
    draft.expect(&bucket_key, Some(bucket.seq));
    let outcome = if makes_marker {
        let drafted = draft_marker(ctx, owner, (&mut draft, &bucket), &state, delete).await?;
        let Some(outcome) = drafted else {
            return Ok(Attempt::Again);
        };
        outcome
    } else if let Some(target) = target {
        draft_removal(owner, &mut draft, &state, delete, &target).await?
    } else {
        return unless_done(owner, delete, Ok(Deleted::default())).await;
    };
    draft.once(delete.op_id, &outcome);
    match draft.commit(owner).await? {
        Drafted::Committed(_) => Ok(Attempt::Done(deleted(&outcome))),
        Drafted::Repeated(first) => Ok(Attempt::Done(deleted(&first))),
        Drafted::Conflict => Ok(Attempt::Again),
    }
}

/// Answers with what was decided without a commit, unless an earlier try of the same operation was committed
/// meanwhile.
async fn unless_done(
    owner: &PartitionOwner,
    delete: &DeleteObject<'_>,
    decided: Result<Deleted, DeleteObjectError>,
) -> Result<Attempt<Deleted>, DeleteObjectError> {
    match outcome_of(owner, delete.op_id).await? {
        Some(first) => Ok(Attempt::Done(deleted(&first))),
        None => decided.map(Attempt::Done),
    }
}

fn check_condition(
    delete: &DeleteObject<'_>,
    target: Option<&VersionRecord>,
) -> Result<(), DeleteObjectError> {
    match target {
        Some(target) if fits(&delete.condition, target) => Ok(()),
        Some(_) => Err(DeleteObjectError::PreconditionFailed),
        None if delete.condition.etag.is_none() => Ok(()),
        None if delete.version.is_some() => Err(DeleteObjectError::NoSuchVersion),
        None => Err(DeleteObjectError::NoSuchKey),
    }
}

fn fits(condition: &DeleteCondition, target: &VersionRecord) -> bool {
    let DeleteCondition {
        etag,
        last_modified_s,
        size,
    } = condition;
    let target_s = i64::try_from(target.last_modified_ms() / 1000).unwrap_or(i64::MAX);
    etag.as_ref().is_none_or(|etag| matches_etag(etag, target))
        && last_modified_s.is_none_or(|wanted_s| wanted_s == target_s)
        && size.is_none_or(|size| size == target.plain_length)
}

/// Drafts a delete marker; `None` when the key has changed since it was read.
async fn draft_marker(
    ctx: &Context,
    owner: &PartitionOwner,
    (draft, bucket): (&mut Draft, &Loaded<BucketState>),
    state: &KeyState,
    delete: &DeleteObject<'_>,
) -> Result<Option<OutcomeRecord>, DeleteObjectError> {
    let (order, id) = ctx.next_version(owner, state.newest_time());
    let marker = VersionRecord {
        id,
        order,
        is_null: bucket.record.versioning == Versioning::Suspended,
        delete_marker: true,
        account: bucket.record.owner.clone(),
        ..Default::default()
    };
    let Replaced::Null(null) = replaced_null(owner, state, &marker).await? else {
        return Ok(None);
    };
    let removed = versions::insert(draft, state, &marker, null.as_deref());
    let event = event_of(
        EventKind::MarkerCreated,
        delete.bucket.id,
        delete.key,
        &marker,
    );
    draft.tell(&FeedEvent { removed, ..event });
    Ok(Some(outcome_for(&marker)))
}

async fn draft_removal(
    owner: &PartitionOwner,
    draft: &mut Draft,
    state: &KeyState,
    delete: &DeleteObject<'_>,
    target: &VersionRecord,
) -> Result<OutcomeRecord, DeleteObjectError> {
    let newest = state.newest_two(owner).await?;
    let removed = versions::remove(draft, state, target, &newest);
    draft.tell(&FeedEvent {
        kind: EventKind::Deleted,
        bucket: delete.bucket.id,
        key: delete.key.to_owned(),
        removed,
        ..Default::default()
    });
    Ok(if delete.version.is_some() {
        outcome_for(target)
    } else {
        OutcomeRecord::default()
    })
}

/// The answer that an outcome stands for.
fn deleted(outcome: &OutcomeRecord) -> Deleted {
    let has_version = outcome.version.0 != 0;
    Deleted {
        delete_marker: outcome.delete_marker,
        version: has_version.then(|| VersionRef::of(outcome.is_null, outcome.version)),
    }
}
