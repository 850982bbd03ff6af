//! Shared manifests: taking a reference, dropping one, and the audit of references.
//!
//! A manifest that one version owns becomes shared by one batch in the partition where it was first
//! written, which rewrites the version and writes the count and two references: the owner's and the
//! copy's. A copy of a manifest that is shared already adds a reference. Then the copy commits in its own
//! partition. If it never does, its reference dangles until the audit drops it.

use super::draft::{Draft, Drafted, Loaded, decode_key, load};
use super::put::is_too_old;
use super::read::find_by_id;
use super::scan::{Walk, walk};
use super::versions::KeyState;
use crate::context::{ATTEMPTS, Context, contended};
use crate::key::bucket::BucketState;
use crate::key::object::VersionRecord;
use crate::key::reclaim::ReclaimRecord;
use crate::key::shared::{OWNER_REFERENCE, SharedRecord, SharedReference};
use crate::key::{Key, kind};
use crate::owner::PartitionOwner;
use crate::store::{Seq, StoreError};
use bytes::Bytes;
use types::{BucketId, Manifest, ManifestId, OpId, PartitionId};

/// Who takes a reference.
pub(crate) struct Sharer<'a> {
    pub partition: PartitionId,
    pub bucket: BucketId,
    pub key: &'a str,
    pub op_id: OpId,
}

/// The reference that a copy takes: the same for all its retries.
fn reference_of(op_id: OpId) -> u64 {
    let folded = (op_id.0 >> 64) as u64 ^ op_id.0 as u64;
    folded.max(OWNER_REFERENCE + 1)
}

fn shared_key(manifest: &Manifest) -> Key {
    Key::Shared {
        bucket: manifest.home,
        manifest: manifest.id,
    }
}

fn reference_key(manifest: &Manifest, reference: u64) -> Key {
    Key::SharedRef {
        bucket: manifest.home,
        manifest: manifest.id,
        reference,
    }
}

/// Takes a reference to the manifest of a version of `bucket` for `sharer`. Returns the manifest that the
/// sharer's version is to have, and whether this call has made the reference: one that was there is of an earlier try,
/// whose commit may still come. `None` when the version is gone.
pub(crate) async fn take_reference(
    ctx: &Context,
    (bucket, key): (BucketId, &str),
    version: &VersionRecord,
    sharer: &Sharer<'_>,
) -> Result<Option<(Manifest, bool)>, StoreError> {
    let owner = ctx.owner(version.manifest.id.partition())?;
    let current = Key::Current {
        bucket,
        key: key.to_owned(),
    }
    .encode();
    let shared = shared_key(&version.manifest).encode();
    // A version may own its manifest here and share it in the next moment, so hold both.
    let _latch = owner.latch(&[current, shared]).await;
    for _ in 0..ATTEMPTS {
        let taken = if version.manifest.shared_ref == 0 {
            share_owned(ctx, owner, (bucket, key), version, sharer).await?
        } else {
            share_again(ctx, owner, &version.manifest, sharer).await?
        };
        match taken {
            Taken::New(manifest) => return Ok(Some((manifest, true))),
            Taken::Before(manifest) => return Ok(Some((manifest, false))),
            Taken::Gone => return Ok(None),
            Taken::Conflict => {}
        }
    }
    Err(contended())
}

enum Taken {
    /// The manifest with the sharer's reference, which is new.
    New(Manifest),
    /// The sharer has had it already.
    Before(Manifest),
    Gone,
    Conflict,
}

fn reference_record(ctx: &Context, sharer: &Sharer<'_>) -> SharedReference {
    SharedReference {
        bucket: sharer.bucket,
        key: sharer.key.to_owned(),
        partition: sharer.partition,
        created_ms: ctx.clock.now_ms(),
        op_id: sharer.op_id,
        ..Default::default()
    }
}

/// Shares a manifest that the version owned when the caller read it.
async fn share_owned(
    ctx: &Context,
    owner: &PartitionOwner,
    (bucket, key): (BucketId, &str),
    version: &VersionRecord,
    sharer: &Sharer<'_>,
) -> Result<Taken, StoreError> {
    let bucket_key = Key::BucketState { bucket };
    let Some(bucket_state) = load::<BucketState>(owner, &bucket_key).await? else {
        return Ok(Taken::Gone);
    };
    let state = KeyState::load(owner, bucket, key).await?;
    let Some(mut version) = find_by_id(owner, &state, version.id).await? else {
        let is_gone = state.is_settled(owner).await?;
        return Ok(if is_gone {
            Taken::Gone
        } else {
            Taken::Conflict
        });
    };
    if version.manifest.shared_ref != 0 {
        return share_again(ctx, owner, &version.manifest, sharer).await;
    }
    let owned = version.manifest.clone();
    let reference = reference_of(sharer.op_id);
    let owners = Sharer {
        partition: owner.partition(),
        bucket,
        key,
        op_id: OpId(0),
    };
    version.manifest.shared_ref = OWNER_REFERENCE;
    let mut draft = Draft::default();
    draft.expect(&bucket_key, Some(bucket_state.seq));
    draft.expect(&shared_key(&owned), None);
    state.rewrite(&mut draft, &version);
    let record = SharedRecord {
        count: 2,
        manifest: owned.clone(),
        ..Default::default()
    };
    draft.put(&shared_key(&owned), &record);
    draft.put(
        &reference_key(&owned, OWNER_REFERENCE),
        &reference_record(ctx, &owners),
    );
    draft.put(
        &reference_key(&owned, reference),
        &reference_record(ctx, sharer),
    );
    Ok(match draft.commit(owner).await? {
        Drafted::Committed(_) => Taken::New(Manifest {
            shared_ref: reference,
            ..owned
        }),
        Drafted::Conflict | Drafted::Repeated(_) => Taken::Conflict,
    })
}

/// Adds a reference to a manifest that is shared. The source's own reference must still be there: while it
/// is, the count cannot reach 0.
async fn share_again(
    ctx: &Context,
    owner: &PartitionOwner,
    source: &Manifest,
    sharer: &Sharer<'_>,
) -> Result<Taken, StoreError> {
    let reference = reference_of(sharer.op_id);
    let held = load::<SharedReference>(owner, &reference_key(source, source.shared_ref)).await?;
    let shared = load::<SharedRecord>(owner, &shared_key(source)).await?;
    let (Some(held), Some(mut shared)) = (held, shared) else {
        return Ok(Taken::Gone);
    };
    let taken = Manifest {
        shared_ref: reference,
        ..source.clone()
    };
    let mine = reference_key(source, reference);
    if load::<SharedReference>(owner, &mine).await?.is_some() {
        return Ok(Taken::Before(taken));
    }
    shared.record.count += 1;
    let mut draft = Draft::default();
    draft.expect(&shared_key(source), Some(shared.seq));
    draft.expect(&reference_key(source, source.shared_ref), Some(held.seq));
    draft.expect(&mine, None);
    draft.put(&shared_key(source), &shared.record);
    draft.put(&mine, &reference_record(ctx, sharer));
    Ok(match draft.commit(owner).await? {
        Drafted::Committed(_) => Taken::New(taken),
        Drafted::Conflict | Drafted::Repeated(_) => Taken::Conflict,
    })
}

/// Drops a reference; the last one queues the manifest for reclaim in the same batch. Repeating it is
/// harmless.
pub(crate) async fn drop_reference(ctx: &Context, manifest: &Manifest) -> Result<(), StoreError> {
    let owner = ctx.owner(manifest.id.partition())?;
    let _latch = owner.latch(&[shared_key(manifest).encode()]).await;
    drop_latched(owner, manifest).await
}

async fn drop_latched(owner: &PartitionOwner, manifest: &Manifest) -> Result<(), StoreError> {
    let key = reference_key(manifest, manifest.shared_ref);
    for _ in 0..ATTEMPTS {
        let held = load::<SharedReference>(owner, &key).await?;
        let shared = load::<SharedRecord>(owner, &shared_key(manifest)).await?;
        let (Some(held), Some(shared)) = (held, shared) else {
            return Ok(());
        };
        let mut draft = Draft::default();
        draft.expect(&shared_key(manifest), Some(shared.seq));
        draft.expect(&key, Some(held.seq));
        draft.delete(&key);
        count_down(&mut draft, &shared_key(manifest), shared);
        if matches!(draft.commit(owner).await?, Drafted::Committed(_)) {
            return Ok(());
        }
    }
    Err(contended())
}

fn count_down(draft: &mut Draft, key: &Key, shared: Loaded<SharedRecord>) {
    let mut record = shared.record;
    assert!(record.count > 0, "a shared manifest counts its references");
    record.count -= 1;
    if record.count > 0 {
        draft.put(key, &record);
    } else {
        draft.delete(key);
        draft.reclaim(&ReclaimRecord::of_manifest(record.manifest));
    }
}

/// What a step of the audit did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// References looked at.
    pub checked: usize,
    /// References dropped.
    pub dropped: usize,
    /// Where to go on; none at the end.
    pub next: Option<Bytes>,
}

pub(crate) async fn audit_references(
    ctx: &Context,
    (partition, up_to): (PartitionId, Seq),
    cursor: Option<Bytes>,
    limit: usize,
) -> Result<AuditPage, StoreError> {
    let owner = ctx.owner(partition)?;
    let Walk { entries, next } = walk(owner, kind::SHARED, cursor, limit).await?;
    let mut audit = AuditPage {
        next,
        ..Default::default()
    };
    for (key, value) in entries {
        let Key::SharedRef {
            bucket,
            manifest,
            reference,
        } = decode_key(&key)?
        else {
            continue;
        };
        let held: SharedReference = super::draft::decode(&key, value.value)?;
        audit.checked += 1;
        if value.seq > up_to || !is_too_old(ctx, held.created_ms) {
            continue;
        }
        if !holds(ctx, &held, (manifest, reference)).await? {
            let dangling = Manifest {
                id: manifest,
                home: bucket,
                shared_ref: reference,
                ..Default::default()
            };
            drop_reference(ctx, &dangling).await?;
            audit.dropped += 1;
        }
    }
    Ok(audit)
}

/// Whether a version of the key holds the reference, or a reclaim entry will drop it. An old reference
/// that no version holds will never get one: the copy's operation id has expired.
async fn holds(
    ctx: &Context,
    held: &SharedReference,
    (manifest, reference): (ManifestId, u64),
) -> Result<bool, StoreError> {
    let owner = ctx.owner(held.partition)?;
    let key = Key::Current {
        bucket: held.bucket,
        key: held.key.clone(),
    }
    .encode();
    let _latch = owner.latch(&[key]).await;
    for _ in 0..ATTEMPTS {
        let state = KeyState::load(owner, held.bucket, &held.key).await?;
        if uses(owner, &state, (manifest, reference)).await? {
            return Ok(true);
        }
        // Another process may have moved the version from where it was not looked for yet to where it was.
        if state.is_settled(owner).await? {
            return Ok(false);
        }
    }
    // Not known: the next audit looks again.
    Ok(true)
}

/// Whether a version of the key, as it was just read, has the reference.
async fn uses(
    owner: &PartitionOwner,
    state: &KeyState,
    (manifest, reference): (ManifestId, u64),
) -> Result<bool, StoreError> {
    let uses = |record: &VersionRecord| {
        record.manifest.id == manifest && record.manifest.shared_ref == reference
    };
    if state.current().is_some_and(uses) {
        return Ok(true);
    }
    let mut range = state.all_versions();
    loop {
        let page = owner.scan(range.clone().page(100, None)).await?;
        let more = page.more;
        for (key, loaded) in super::draft::records::<VersionRecord>(page)? {
            if uses(&loaded.record) {
                return Ok(true);
            }
            range = range.after(&key);
        }
        if !more {
            return Ok(false);
        }
    }
}
