//! ListObjectVersions: `c/` and `v/` merged by key, the newest version of each key first.
//!
//! A page is made of several reads, and a version may move between `c/` and `v/` meanwhile. So `v/` is
//! read before `c/`, and once more after if anything was committed: whatever is there all the while is
//! found in one of the three.
//!
//! `c/` is read no further than the page can reach. Where keys lie under delete markers there is nothing under
//! `c/` any more, and a read to its end would pass all the deletions that the engine has not forgotten yet.

use super::objects::keys_after;
use super::{Scope, collect, prefix_of};
use crate::api::{ListVersions, ListedVersion, VersionPage, VersionRef};
use crate::context::Context;
use crate::key::object::VersionRecord;
use crate::key::{Key, KeyRange};
use crate::ops::draft::{corrupt, decode, decode_key};
use crate::ops::versions::KeyState;
use crate::owner::PartitionOwner;
use crate::store::{ScanEntry, StoreError};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use types::{BucketId, Order};

/// Versions by key and falling order; a common prefix, which has no order, by itself.
type Merged = BTreeMap<(String, Option<Reverse<Order>>), Option<VersionRecord>>;

pub(crate) async fn list(ctx: &Context, list: ListVersions<'_>) -> Result<VersionPage, StoreError> {
    if list.max_keys == 0 {
        return Ok(VersionPage::default());
    }
    let owner = ctx.owner(list.bucket.partition)?;
    let scope = Scope {
        prefix: list.prefix,
        delimiter: list.delimiter,
    };
    let current = keys_after(list.bucket.id, scope, list.key_marker);
    let noncurrent = noncurrent_after(owner, scope, &list).await?;
    let mut merged = Merged::new();
    let began = owner.last_seq().await?;
    let limit = list.max_keys + 1;
    let reached = merge(owner, &mut merged, (noncurrent.clone(), scope), limit).await?;
    let current = up_to(current, list.bucket.id, reached)?;
    merge(owner, &mut merged, (current, scope), limit).await?;
    if owner.last_seq().await? != began {
        merge(owner, &mut merged, (noncurrent, scope), limit).await?;
    }
    Ok(cut(merged, &list))
}

/// The `v/` records after the markers.
async fn noncurrent_after(
    owner: &PartitionOwner,
    scope: Scope<'_>,
    list: &ListVersions<'_>,
) -> Result<KeyRange, StoreError> {
    let (bucket, marker) = (list.bucket.id, list.key_marker);
    let range = Key::versions_range(bucket, scope.prefix);
    if marker.is_empty() {
        return Ok(range);
    }
    if scope.gives_prefix(marker) {
        return Ok(range.after_prefix(&Key::versions_range(bucket, marker).start));
    }
    let of_key = Key::versions_of(bucket, marker);
    let order = match list.version_marker {
        None => return Ok(range.after_prefix(&of_key.start)),
        Some(VersionRef::Id(id)) => Some(Order {
            time: id.time(),
            region: id.region(),
            epoch: 0,
        }),
        Some(VersionRef::Null) => null_order(&KeyState::load(owner, bucket, marker).await?),
    };
    Ok(match order {
        Some(order) => {
            let last = Key::Version {
                bucket,
                key: marker.to_owned(),
                order,
            };
            range.after(&last.encode())
        }
        // The null version is gone: rather some versions twice than one not at all.
        None => KeyRange {
            start: range.start.max(of_key.start),
            end: range.end,
        },
    })
}

fn null_order(state: &KeyState) -> Option<Order> {
    let current = state.current().filter(|current| current.is_null);
    current.map(|current| current.order).or(state.null_order())
}

/// The part of `current` that the page can reach, when `v/` was read up to and with `reached`.
fn up_to(
    current: KeyRange,
    bucket: BucketId,
    reached: Option<ScanEntry>,
) -> Result<KeyRange, StoreError> {
    let end = match reached {
        None => return Ok(current),
        Some(ScanEntry::Group(group)) => Key::objects_range(bucket, &prefix_of(&group)?).end,
        Some(ScanEntry::Value(encoded, _)) => {
            let key = key_of(&encoded)?;
            let last = Key::Current { bucket, key }.encode();
            [last.as_ref(), &[0]].concat().into()
        }
    };
    Ok(KeyRange {
        end: current.end.min(end),
        ..current
    })
}

/// The S3 key of a version.
fn key_of(encoded: &[u8]) -> Result<String, StoreError> {
    match decode_key(encoded)? {
        Key::Current { key, .. } | Key::Version { key, .. } => Ok(key),
        _ => Err(corrupt(encoded, "not the key of a version".to_owned())),
    }
}

/// Reads up to `limit` entries of `range` into `merged`; returns the last one if the range has more.
async fn merge(
    owner: &PartitionOwner,
    merged: &mut Merged,
    (range, scope): (KeyRange, Scope<'_>),
    limit: usize,
) -> Result<Option<ScanEntry>, StoreError> {
    let (entries, more) = collect(owner, range, scope.grouping(), limit).await?;
    let reached = entries.last().filter(|_| more).cloned();
    for entry in entries {
        match entry {
            ScanEntry::Group(group) => {
                merged.insert((prefix_of(&group)?, None), None);
            }
            ScanEntry::Value(encoded, value) => {
                let key = key_of(&encoded)?;
                let record: VersionRecord = decode(&encoded, value.value)?;
                merged.insert((key, Some(Reverse(record.order))), Some(record));
            }
        }
    }
    Ok(reached)
}

/// The first entries of what was merged. Each read gave one entry more than the page holds, so what the
/// page holds is complete, and what is left over tells that there is more.
fn cut(merged: Merged, list: &ListVersions<'_>) -> VersionPage {
    let mut page = VersionPage::default();
    let truncated = merged.len() > list.max_keys;
    let mut last: Option<(String, Option<VersionRef>)> = None;
    let mut null_of = None;
    // Older versions of this key follow a newer one, on this page or on the one before.
    let mut begun = list.version_marker.map(|_| list.key_marker.to_owned());
    for ((name, _), record) in merged.into_iter().take(list.max_keys) {
        let Some(record) = record else {
            last = Some((name.clone(), None));
            page.common_prefixes.push(name);
            continue;
        };
        let version = VersionRef::of(record.is_null, record.id);
        last = Some((name.clone(), Some(version)));
        if record.is_null && null_of.replace(name.clone()).as_ref() == Some(&name) {
            // Replaced by the one before while the page was read.
            continue;
        }
        let is_latest = begun.as_ref() != Some(&name);
        begun = Some(name.clone());
        page.versions.push(ListedVersion {
            record,
            key: name,
            version,
            is_latest,
        });
    }
    page.next = last.filter(|_| truncated);
    page
}
