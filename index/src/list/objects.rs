//! ListObjects: current versions, with runs of keys collapsed into common prefixes.

use super::{Scope, collect, prefix_of};
use crate::api::{ListObjects, ListedObject, ObjectPage};
use crate::context::Context;
use crate::key::object::ListFields;
use crate::key::{Key, KeyRange};
use crate::ops::draft::{corrupt, decode_key};
use crate::store::{ScanEntry, StoreError, Versioned};
use types::BucketId;

pub(crate) async fn list(ctx: &Context, list: ListObjects<'_>) -> Result<ObjectPage, StoreError> {
    let mut result = ObjectPage::default();
    if list.max_keys == 0 {
        return Ok(result);
    }
    let owner = ctx.owner(list.bucket.partition)?;
    let scope = Scope {
        prefix: list.prefix,
        delimiter: list.delimiter,
    };
    let range = keys_after(list.bucket.id, scope, list.start_after);
    let (entries, more) = collect(owner, range, scope.grouping(), list.max_keys).await?;
    result.next = match entries.last().filter(|_| more) {
        Some(ScanEntry::Value(key, _)) => Some(text_of(key)?),
        Some(ScanEntry::Group(group)) => Some(prefix_of(group)?),
        None => None,
    };
    result.objects.reserve(entries.len());
    for entry in &entries {
        match entry {
            ScanEntry::Value(key, value) => result.objects.push(listed(key, value)?),
            ScanEntry::Group(group) => result.common_prefixes.push(prefix_of(group)?),
        }
    }
    Ok(result)
}

/// The `c/` records of the scope's prefix after `marker`. A marker that is one of the scope's common
/// prefixes stands for all the keys that it collapses; one that lies inside such a prefix does not.
pub(super) fn keys_after(bucket: BucketId, scope: Scope<'_>, marker: &str) -> KeyRange {
    let range = Key::objects_range(bucket, scope.prefix);
    if marker.is_empty() {
        range
    } else if scope.gives_prefix(marker) {
        range.after_prefix(&Key::objects_range(bucket, marker).start)
    } else {
        range.after(
            &Key::Current {
                bucket,
                key: marker.to_owned(),
            }
            .encode(),
        )
    }
}

/// The S3 key of a `c/` record.
fn text_of(encoded: &[u8]) -> Result<String, StoreError> {
    match decode_key(encoded)? {
        Key::Current { key, .. } => Ok(key),
        _ => Err(corrupt(
            encoded,
            "not the key of a current version".to_owned(),
        )),
    }
}

fn listed(encoded: &[u8], value: &Versioned) -> Result<ListedObject, StoreError> {
    let fields = ListFields::decode(&value.value);
    let fields = fields.map_err(|error| corrupt(encoded, error.to_string()))?;
    Ok(ListedObject {
        key: text_of(encoded)?,
        size: fields.plain_length,
        last_modified_ms: fields.order.millis(),
        etag: fields.etag,
        storage_class: fields.storage_class,
        checksum: fields
            .checksum
            .map(|checksum| (checksum.algorithm, checksum.kind)),
    })
}
