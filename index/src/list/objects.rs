//! ListObjects: current versions, with runs of keys collapsed into common prefixes.

use super::{Scope, collect, prefix_of};
use crate::api::{ListObjects, ListedObject, ObjectPage};
use crate::context::Context;
use crate::key::object::VersionRecord;
use crate::key::{Key, KeyRange};
use crate::ops::draft::{corrupt, decode, decode_key};
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
    let mut last = None;
    for entry in entries {
        match entry {
            ScanEntry::Value(key, value) => {
                let object = listed(&key, value)?;
                last = Some(object.key.clone());
                result.objects.push(object);
            }
            ScanEntry::Group(group) => {
                let prefix = prefix_of(&group)?;
                last = Some(prefix.clone());
                result.common_prefixes.push(prefix);
            }
        }
    }
    result.next = last.filter(|_| more);
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

fn listed(encoded: &[u8], value: Versioned) -> Result<ListedObject, StoreError> {
    let Key::Current { key, .. } = decode_key(encoded)? else {
        return Err(corrupt(
            encoded,
            "not the key of a current version".to_owned(),
        ));
    };
    let record: VersionRecord = decode(encoded, value.value)?;
    Ok(ListedObject {
        key,
        size: record.plain_length,
        last_modified_ms: record.last_modified_ms(),
        etag: record.etag,
        storage_class: record.storage_class,
        owner: record.account,
        checksum: record
            .checksum
            .map(|checksum| (checksum.algorithm, checksum.kind)),
    })
}
