//! Changing the tags of a version, in its place.

use super::bucket;
use super::draft::{Draft, Drafted, load, outcome_of};
use super::put::{Attempt, event_of, outcome_for};
use super::read::find_version;
use super::versions::KeyState;
use crate::api::{SetObjectTags, VersionRef};
use crate::context::{ATTEMPTS, Context, contended};
use crate::error::SetObjectTagsError;
use crate::key::Key;
use crate::key::bucket::{BucketPhase, BucketState};
use crate::key::feed::EventKind;
use crate::key::object::VersionRecord;
use crate::owner::PartitionOwner;

pub(crate) async fn set(
    ctx: &Context,
    set: SetObjectTags<'_>,
) -> Result<VersionRef, SetObjectTagsError> {
    let owner = ctx.owner(set.bucket.partition)?;
    let key = Key::Current {
        bucket: set.bucket.id,
        key: set.key.to_owned(),
    }
    .encode();
    for _ in 0..ATTEMPTS {
        let attempt = {
            let _latch = owner.latch(std::slice::from_ref(&key)).await;
            attempt(owner, &set).await?
        };
        match attempt {
            Attempt::Done(version) => return Ok(version),
            Attempt::Again => {}
            Attempt::Closing => bucket::settle(ctx, owner, set.bucket.id).await?,
        }
    }
    Err(contended().into())
}

/// One try; the caller holds the latch of the key.
async fn attempt(
    owner: &PartitionOwner,
    set: &SetObjectTags<'_>,
) -> Result<Attempt<VersionRef>, SetObjectTagsError> {
    if let Some(first) = outcome_of(owner, set.op_id).await? {
        return Ok(Attempt::Done(VersionRef::of(first.is_null, first.version)));
    }
    let bucket_key = Key::BucketState {
        bucket: set.bucket.id,
    };
    let Some(bucket) = load::<BucketState>(owner, &bucket_key).await? else {
        return Err(SetObjectTagsError::NoSuchBucket);
    };
    if bucket.record.phase == BucketPhase::Closing {
        return Ok(Attempt::Closing);
    }
    let state = KeyState::load(owner, set.bucket.id, set.key).await?;
    let target = match set.version {
        Some(version) => find_version(owner, &state, version).await?,
        None => state.current().cloned(),
    };
    if target.is_none() && !state.is_settled(owner).await? {
        return Ok(Attempt::Again);
    }
    let target = target.ok_or(SetObjectTagsError::NoSuchVersion)?;
    let version = VersionRef::of(target.is_null, target.id);
    if target.delete_marker {
        return Err(SetObjectTagsError::IsDeleteMarker { version });
    }
    let record = VersionRecord {
        tags: set.tags.clone(),
        ..target
    };
    let mut draft = Draft::default();
    draft.expect(&bucket_key, Some(bucket.seq));
    state.rewrite(&mut draft, &record);
    draft.tell(&event_of(
        EventKind::TagsChanged,
        set.bucket.id,
        set.key,
        &record,
    ));
    draft.once(set.op_id, &outcome_for(&record));
    match draft.commit(owner).await? {
        Drafted::Committed(_) => Ok(Attempt::Done(version)),
        Drafted::Repeated(first) => Ok(Attempt::Done(VersionRef::of(first.is_null, first.version))),
        Drafted::Conflict => Ok(Attempt::Again),
    }
}
