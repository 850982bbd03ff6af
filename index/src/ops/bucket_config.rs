//! Configurations of a bucket (`j/`), each a record of its own.
//!
//! A change depends on the bucket being open as it was read, so none is left behind by a deletion. It does not
//! write `b/`: writes of objects go on beside it.

use super::bucket::{event, settle, state_key};
use super::draft::{Draft, Drafted, decode_key, load};
use crate::api::Bucket;
use crate::context::{ATTEMPTS, Context, contended};
use crate::error::UpdateBucketError;
use crate::key::Key;
use crate::key::bucket::{BucketPhase, BucketState, BucketTags};
use crate::key::feed::EventKind;
use crate::owner::PartitionOwner;
use crate::store::{ScanEntry, StoreError};
use std::collections::BTreeMap;
use types::BucketId;
use types::limits::BATCH_OPERATIONS_MAX;
use types::wire::Field;

/// Name of the configuration that holds the bucket's tags.
const TAGGING: &str = "tagging";

fn config_key(bucket: BucketId, name: &str) -> Key {
    Key::BucketConfig {
        bucket,
        name: name.to_owned(),
    }
}

pub(crate) async fn tags(
    ctx: &Context,
    bucket: &Bucket,
) -> Result<BTreeMap<String, String>, StoreError> {
    let owner = ctx.owner(bucket.partition)?;
    let found = load::<BucketTags>(owner, &config_key(bucket.id, TAGGING)).await?;
    Ok(found.map(|found| found.record.tags).unwrap_or_default())
}

/// Replaces the tags; none remove the configuration.
pub(crate) async fn set_tags(
    ctx: &Context,
    bucket: &Bucket,
    tags: BTreeMap<String, String>,
) -> Result<(), UpdateBucketError> {
    set(ctx, bucket, TAGGING, tags_record(tags).as_ref()).await
}

/// Makes `draft` give a bucket that is being created these tags.
pub(crate) fn draft_tags(draft: &mut Draft, bucket: BucketId, tags: BTreeMap<String, String>) {
    draft_config(
        draft,
        &config_key(bucket, TAGGING),
        tags_record(tags).as_ref(),
    );
}

fn tags_record(tags: BTreeMap<String, String>) -> Option<BucketTags> {
    (!tags.is_empty()).then(|| BucketTags {
        tags,
        ..Default::default()
    })
}

fn draft_config<T: Field>(draft: &mut Draft, key: &Key, record: Option<&T>) {
    match record {
        Some(record) => draft.put(key, record),
        None => draft.delete(key),
    }
}

/// Writes a configuration, or removes it.
async fn set<T: Field>(
    ctx: &Context,
    bucket: &Bucket,
    name: &str,
    record: Option<&T>,
) -> Result<(), UpdateBucketError> {
    let owner = ctx.owner(bucket.partition)?;
    let key = config_key(bucket.id, name);
    for _ in 0..ATTEMPTS {
        let state = load::<BucketState>(owner, &state_key(bucket.id)).await?;
        let state = state.ok_or(UpdateBucketError::NoSuchBucket)?;
        if state.record.phase == BucketPhase::Closing {
            settle(ctx, owner, bucket.id).await?;
            continue;
        }
        let mut draft = Draft::default();
        draft.expect(&state_key(bucket.id), Some(state.seq));
        draft_config(&mut draft, &key, record);
        draft.tell(&event(EventKind::BucketChanged, bucket.id));
        if let Drafted::Committed(_) = draft.commit(owner).await? {
            return Ok(());
        }
    }
    Err(contended().into())
}

/// Makes `draft` delete all configurations of a bucket that is closing, so none can come meanwhile.
pub(crate) async fn delete_all(
    owner: &PartitionOwner,
    draft: &mut Draft,
    bucket: BucketId,
) -> Result<(), StoreError> {
    let request = Key::configs_range(bucket).page(BATCH_OPERATIONS_MAX, None);
    let page = owner.scan(request).await?;
    assert!(!page.more, "a bucket has few configurations");
    for entry in page.entries {
        if let ScanEntry::Value(key, _) = entry {
            draft.delete(&decode_key(&key)?);
        }
    }
    Ok(())
}
