//! Buckets: creation and deletion over two partitions, so that either can stop anywhere and be
//! resumed.
//!
//! ```text
//! create:  root Creating -> b/ Open -> root Active
//! delete:  b/ Closing -> scan -> (b/ Open: not empty)
//!                             -> uploads aborted -> root Deleting -> b/ removed -> root removed
//! ```
//! Everything that changes a name or closes its bucket holds the latch of the name.

use super::bucket_config;
use super::draft::{Draft, Drafted, Loaded, corrupt, decode_key, load, records};
use crate::api::Bucket;
use crate::context::{ATTEMPTS, Context, contended};
use crate::error::{CreateBucketError, DeleteBucketError, UpdateBucketError};
use crate::key::bucket::{BucketName, BucketPhase, BucketState, Counter, NamePhase, Versioning};
use crate::key::feed::{EventKind, FeedEvent};
use crate::key::reclaim::{PartSet, ReclaimRecord};
use crate::key::upload::UploadRecord;
use crate::key::{Key, KeyRange};
use crate::owner::PartitionOwner;
use crate::partition::place_bucket;
use crate::store::{Seq, StoreError};
use std::collections::BTreeMap;
use types::{BucketId, PartitionId};

/// Uploads aborted in one batch: two operations each.
const UPLOADS_PER_BATCH: usize = 50;

fn name_key(name: &str) -> Key {
    Key::BucketName {
        name: name.to_owned(),
    }
}

pub(crate) fn state_key(bucket: BucketId) -> Key {
    Key::BucketState { bucket }
}

pub(crate) fn event(kind: EventKind, bucket: BucketId) -> FeedEvent {
    FeedEvent {
        kind,
        bucket,
        ..Default::default()
    }
}

fn bucket_of(
    ctx: &Context,
    (partition, id): (PartitionId, BucketId),
    state: Loaded<BucketState>,
) -> Bucket {
    Bucket {
        id,
        partition,
        home: ctx.region,
        name: state.record.name,
        owner: state.record.owner,
        created_ms: state.record.created_ms,
        versioning: state.record.versioning,
        state_seq: state.seq,
    }
}

pub(crate) async fn by_name(ctx: &Context, name: &str) -> Result<Option<Bucket>, StoreError> {
    match load::<BucketName>(ctx.control(), &name_key(name)).await? {
        Some(found) if found.record.phase == NamePhase::Active => {
            by_id(ctx, found.record.partition, found.record.bucket).await
        }
        Some(_) | None => Ok(None),
    }
}

pub(crate) async fn by_id(
    ctx: &Context,
    partition: PartitionId,
    id: BucketId,
) -> Result<Option<Bucket>, StoreError> {
    let state = load(ctx.owner(partition)?, &state_key(id)).await?;
    Ok(state.map(|state| bucket_of(ctx, (partition, id), state)))
}

/// Takes the name, then writes the state, then makes the name active.
pub(crate) async fn create(
    ctx: &Context,
    name: &str,
    owner: &str,
    tags: &BTreeMap<String, String>,
) -> Result<Bucket, CreateBucketError> {
    let control = ctx.control();
    let keys = [name_key(name).encode(), Key::BucketCounter.encode()];
    let _latch = control.latch(&keys).await;
    for _ in 0..ATTEMPTS {
        let Some(found) = load::<BucketName>(control, &name_key(name)).await? else {
            take_name(ctx, name, owner).await?;
            continue;
        };
        let (is_owner, phase) = (found.record.owner == owner, found.record.phase);
        match phase {
            NamePhase::Active if is_owner => return Err(CreateBucketError::AlreadyOwnedByYou),
            NamePhase::Active => return Err(CreateBucketError::AlreadyExists),
            NamePhase::Deleting => finish_deletion(ctx, name, found).await?,
            NamePhase::Creating => {
                let tags = is_owner.then_some(tags);
                let bucket = finish_creation(ctx, name, found, tags).await?;
                return if is_owner {
                    Ok(bucket)
                } else {
                    Err(CreateBucketError::AlreadyExists)
                };
            }
        }
    }
    Err(contended().into())
}

/// Gives the name an id that was never used before.
async fn take_name(ctx: &Context, name: &str, owner: &str) -> Result<(), StoreError> {
    let control = ctx.control();
    let counter = load::<Counter>(control, &Key::BucketCounter).await?;
    let counter_seq = counter.as_ref().map(|loaded| loaded.seq);
    let mut counter = counter.map(|loaded| loaded.record).unwrap_or_default();
    counter.last += 1;
    let id = BucketId(counter.last);
    let record = BucketName {
        bucket: id,
        owner: owner.to_owned(),
        phase: NamePhase::Creating,
        created_ms: ctx.clock.now_ms(),
        home: ctx.region,
        home_epoch: ctx.home_epoch,
        partition: place_bucket(id, ctx.data_partitions()),
        ..Default::default()
    };
    let mut draft = Draft::default();
    draft.expect(&name_key(name), None);
    draft.expect(&Key::BucketCounter, counter_seq);
    draft.put(&Key::BucketCounter, &counter);
    draft.put(&name_key(name), &record);
    draft.put(&owned_key(owner, name), &true);
    // On a conflict the caller reads the name again and decides anew.
    draft.commit(control).await?;
    Ok(())
}

pub(crate) fn owned_key(owner: &str, name: &str) -> Key {
    Key::OwnedBucket {
        owner: owner.to_owned(),
        name: name.to_owned(),
    }
}

/// Makes what a name in creation stands for. With `tags` it has these, also where an attempt before left
/// others.
async fn finish_creation(
    ctx: &Context,
    name: &str,
    found: Loaded<BucketName>,
    tags: Option<&BTreeMap<String, String>>,
) -> Result<Bucket, StoreError> {
    let mut record = found.record;
    let (partition, id) = (record.partition, record.bucket);
    let owner = ctx.owner(partition)?;
    let state = load::<BucketState>(owner, &state_key(id)).await?;
    let is_new = state.is_none();
    let mut draft = Draft::default();
    draft.expect(&state_key(id), state.map(|state| state.seq));
    if is_new {
        let state = BucketState {
            name: name.to_owned(),
            owner: record.owner.clone(),
            created_ms: record.created_ms,
            ..Default::default()
        };
        draft.put(&state_key(id), &state);
    }
    let tags = tags.filter(|tags| !(is_new && tags.is_empty()));
    if let Some(tags) = tags {
        bucket_config::draft_tags(&mut draft, id, tags.clone());
    }
    if is_new || tags.is_some() {
        draft.tell(&event(EventKind::BucketChanged, id));
        seq_of(draft.commit(owner).await?).ok_or_else(contended)?;
    }
    record.phase = NamePhase::Active;
    let named = replace_name(ctx, name, found.seq, &record).await?;
    named.ok_or_else(contended)?;
    by_id(ctx, partition, id).await?.ok_or_else(contended)
}

/// Writes the name's record; `None` when it has changed since it was read.
async fn replace_name(
    ctx: &Context,
    name: &str,
    seq: Seq,
    record: &BucketName,
) -> Result<Option<Seq>, StoreError> {
    let mut draft = Draft::default();
    draft.expect(&name_key(name), Some(seq));
    draft.put(&name_key(name), record);
    Ok(seq_of(draft.commit(ctx.control()).await?))
}

/// The sequence of a commit that happened.
fn seq_of(drafted: Drafted) -> Option<Seq> {
    match drafted {
        Drafted::Committed(seq) => Some(seq),
        Drafted::Conflict | Drafted::Repeated(_) => None,
    }
}

pub(crate) async fn delete(ctx: &Context, name: &str) -> Result<(), DeleteBucketError> {
    let _latch = ctx.control().latch(&[name_key(name).encode()]).await;
    let mut begun = None;
    for _ in 0..ATTEMPTS {
        let found = load::<BucketName>(ctx.control(), &name_key(name)).await?;
        let bucket = found.as_ref().map(|found| found.record.bucket);
        if begun.is_some() && begun != bucket {
            // Somebody who met the bucket that was closing here has finished its deletion.
            return Ok(());
        }
        let found = found.ok_or(DeleteBucketError::NoSuchBucket)?;
        match found.record.phase {
            NamePhase::Creating => drop(finish_creation(ctx, name, found, None).await?),
            NamePhase::Deleting => return Ok(finish_deletion(ctx, name, found).await?),
            NamePhase::Active => match close(ctx, name, found).await? {
                Closed::Removed => return Ok(()),
                Closed::Reopened => return Err(DeleteBucketError::NotEmpty),
                Closed::Elsewhere => begun = bucket,
            },
        }
    }
    Err(contended().into())
}

/// How a deletion ended.
enum Closed {
    Removed,
    /// The bucket holds something.
    Reopened,
    /// Another process changed it meanwhile: what became of it is to be read again.
    Elsewhere,
}

/// Closes the bucket of an active name, looks whether it is empty, and removes or reopens it.
async fn close(ctx: &Context, name: &str, found: Loaded<BucketName>) -> Result<Closed, StoreError> {
    let id = found.record.bucket;
    let owner = ctx.owner(found.record.partition)?;
    let Some(state) = load::<BucketState>(owner, &state_key(id)).await? else {
        let again = load::<BucketName>(ctx.control(), &name_key(name)).await?;
        if again.is_some_and(|again| again.seq == found.seq) {
            let reason = "an active bucket has no state".to_owned();
            return Err(corrupt(&state_key(id).encode(), reason));
        }
        return Ok(Closed::Elsewhere);
    };
    let closing = match state.record.phase {
        BucketPhase::Closing => Some(state),
        BucketPhase::Open => set_phase(owner, id, state, BucketPhase::Closing).await?,
    };
    match closing {
        Some(closing) => decide(ctx, name, found, closing).await,
        None => Ok(Closed::Elsewhere),
    }
}

/// Removes a closing bucket if it is empty, or else reopens it. Several processes may do so at once: nothing is
/// written in a bucket that is closing, so all who find it closing come to the same end. Whoever was slow may have looked
/// into a bucket that was reopened since: so the state is written once more before the name, which cannot depend on it.
async fn decide(
    ctx: &Context,
    name: &str,
    mut found: Loaded<BucketName>,
    closing: Loaded<BucketState>,
) -> Result<Closed, StoreError> {
    let id = found.record.bucket;
    let owner = ctx.owner(found.record.partition)?;
    if !is_empty(owner, id).await? {
        // Where that fails, another process has found the same, and reopened it.
        set_phase(owner, id, closing, BucketPhase::Open).await?;
        return Ok(Closed::Reopened);
    }
    if !abort_uploads(owner, id, closing.seq).await? {
        return Ok(Closed::Elsewhere);
    }
    let confirmed = set_phase(owner, id, closing, BucketPhase::Closing).await?;
    if confirmed.is_none() {
        return Ok(Closed::Elsewhere);
    }
    found.record.phase = NamePhase::Deleting;
    let Some(seq) = replace_name(ctx, name, found.seq, &found.record).await? else {
        return Ok(Closed::Elsewhere);
    };
    let record = found.record;
    finish_deletion(ctx, name, Loaded { seq, record }).await?;
    Ok(Closed::Removed)
}

/// Writes the state with another phase; `None` when it has changed since it was read.
async fn set_phase(
    owner: &PartitionOwner,
    id: BucketId,
    mut state: Loaded<BucketState>,
    phase: BucketPhase,
) -> Result<Option<Loaded<BucketState>>, StoreError> {
    state.record.phase = phase;
    let mut draft = Draft::default();
    draft.expect(&state_key(id), Some(state.seq));
    draft.put(&state_key(id), &state.record);
    let seq = seq_of(draft.commit(owner).await?);
    Ok(seq.map(|seq| Loaded {
        seq,
        record: state.record,
    }))
}

async fn is_empty(owner: &PartitionOwner, bucket: BucketId) -> Result<bool, StoreError> {
    for range in [
        Key::objects_range(bucket, ""),
        Key::versions_range(bucket, ""),
    ] {
        if !owner.scan(range.page(1, None)).await?.entries.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Ends the uploads of a bucket that is closing; whether it was so all the while.
async fn abort_uploads(
    owner: &PartitionOwner,
    bucket: BucketId,
    closing: Seq,
) -> Result<bool, StoreError> {
    let range: KeyRange = Key::uploads_range(bucket, "");
    loop {
        let page = owner
            .scan(range.clone().page(UPLOADS_PER_BATCH, None))
            .await?;
        if page.entries.is_empty() {
            return Ok(true);
        }
        let mut draft = Draft::default();
        draft.expect(&state_key(bucket), Some(closing));
        for (key, upload) in records::<UploadRecord>(page)? {
            draft.delete(&decode_key(&key)?);
            if upload.record.completed.is_none() {
                let parts = PartSet::default();
                draft.reclaim(&ReclaimRecord::of_upload(bucket, upload.record.id, parts));
            }
        }
        if seq_of(draft.commit(owner).await?).is_none() {
            return Ok(false);
        }
    }
}

/// Removes the state and then the name of a bucket that was found empty. What is gone already, another process has
/// removed.
async fn finish_deletion(
    ctx: &Context,
    name: &str,
    found: Loaded<BucketName>,
) -> Result<(), StoreError> {
    remove_state(ctx.owner(found.record.partition)?, found.record.bucket).await?;
    let mut draft = Draft::default();
    draft.expect(&name_key(name), Some(found.seq));
    draft.delete(&name_key(name));
    draft.delete(&owned_key(&found.record.owner, name));
    draft.commit(ctx.control()).await?;
    Ok(())
}

/// Removes the state of a bucket whose name is being deleted: nobody makes it again.
async fn remove_state(owner: &PartitionOwner, id: BucketId) -> Result<(), StoreError> {
    for _ in 0..ATTEMPTS {
        let Some(state) = load::<BucketState>(owner, &state_key(id)).await? else {
            return Ok(());
        };
        let mut draft = Draft::default();
        draft.expect(&state_key(id), Some(state.seq));
        draft.delete(&state_key(id));
        bucket_config::delete_all(owner, &mut draft, id).await?;
        draft.tell(&event(EventKind::BucketRemoved, id));
        // Another process that found the bucket empty may have written the state once more.
        if seq_of(draft.commit(owner).await?).is_some() {
            return Ok(());
        }
    }
    Err(contended())
}

/// Called by whoever meets a bucket that is closing: waits for its deletion, or, if that was
/// interrupted, finishes it. Afterwards the bucket is open or gone, or another process is at it.
pub(crate) async fn settle(
    ctx: &Context,
    owner: &PartitionOwner,
    bucket: BucketId,
) -> Result<(), StoreError> {
    let Some(state) = load::<BucketState>(owner, &state_key(bucket)).await? else {
        return Ok(());
    };
    let name = state.record.name;
    let _latch = ctx.control().latch(&[name_key(&name).encode()]).await;
    let state = load::<BucketState>(owner, &state_key(bucket)).await?;
    let Some(closing) = state.filter(|state| state.record.phase == BucketPhase::Closing) else {
        return Ok(());
    };
    let found = load::<BucketName>(ctx.control(), &name_key(&name)).await?;
    let Some(found) = found.filter(|found| found.record.bucket == bucket) else {
        let again = load::<BucketState>(owner, &state_key(bucket)).await?;
        if again.is_some_and(|again| again.seq == closing.seq) {
            let reason = "a closing bucket has no name".to_owned();
            return Err(corrupt(&name_key(&name).encode(), reason));
        }
        return Ok(());
    };
    if found.record.phase == NamePhase::Deleting {
        return finish_deletion(ctx, &name, found).await;
    }
    decide(ctx, &name, found, closing).await.map(|_| ())
}

pub(crate) async fn set_versioning(
    ctx: &Context,
    bucket: &Bucket,
    versioning: Versioning,
) -> Result<Bucket, UpdateBucketError> {
    let owner = ctx.owner(bucket.partition)?;
    for _ in 0..ATTEMPTS {
        let state = load::<BucketState>(owner, &state_key(bucket.id)).await?;
        let mut state = state.ok_or(UpdateBucketError::NoSuchBucket)?;
        if state.record.phase == BucketPhase::Closing {
            settle(ctx, owner, bucket.id).await?;
            continue;
        }
        if versioning == Versioning::Unversioned && state.record.versioning != versioning {
            return Err(UpdateBucketError::CannotRemoveVersioning);
        }
        state.record.versioning = versioning;
        let mut draft = Draft::default();
        draft.expect(&state_key(bucket.id), Some(state.seq));
        draft.put(&state_key(bucket.id), &state.record);
        draft.tell(&event(EventKind::BucketChanged, bucket.id));
        if let Drafted::Committed(seq) = draft.commit(owner).await? {
            let state = Loaded {
                seq,
                record: state.record,
            };
            return Ok(bucket_of(ctx, (bucket.partition, bucket.id), state));
        }
    }
    Err(contended().into())
}
