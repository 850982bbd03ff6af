//! ListMultipartUploads and ListParts.

use super::{Scope, after_entry, prefix_of};
use crate::api::{Bucket, ListUploads, ListedUpload, PartPage, UploadPage};
use crate::context::Context;
use crate::error::UploadError;
use crate::key::upload::{PartRecord, UploadRecord};
use crate::key::{Key, KeyRange};
use crate::ops::draft::{corrupt, decode, decode_key, records};
use crate::ops::upload;
use crate::owner::PartitionOwner;
use crate::store::{ScanEntry, StoreError};
use bytes::Bytes;
use types::{BucketId, UploadId};

/// Entries read at a time: completed uploads, which stand among the open ones for a week, are passed over.
const ENTRIES_PER_PAGE: usize = 1000;

/// An entry of the list.
enum Found {
    Upload(Box<ListedUpload>),
    Prefix(String),
}

pub(crate) async fn list(ctx: &Context, list: ListUploads<'_>) -> Result<UploadPage, StoreError> {
    let mut result = UploadPage::default();
    if list.max_uploads == 0 {
        return Ok(result);
    }
    let owner = ctx.owner(list.bucket.partition)?;
    let scope = Scope {
        prefix: list.prefix,
        delimiter: list.delimiter,
    };
    let mut range = uploads_after(list.bucket.id, scope, &list);
    let mut last = None;
    let mut count = 0;
    while range.start < range.end {
        let request = range.clone().page(ENTRIES_PER_PAGE, scope.grouping());
        let page = owner.scan(request).await?;
        for entry in page.entries {
            range = after_entry(range, &entry);
            let Some(found) = open_entry(owner, entry).await? else {
                continue;
            };
            if count == list.max_uploads {
                result.next = last;
                return Ok(result);
            }
            count += 1;
            match found {
                Found::Upload(upload) => {
                    last = Some((upload.key.clone(), Some(upload.record.id)));
                    result.uploads.push(*upload);
                }
                Found::Prefix(prefix) => {
                    last = Some((prefix.clone(), None));
                    result.common_prefixes.push(prefix);
                }
            }
        }
        if !page.more {
            break;
        }
    }
    Ok(result)
}

fn uploads_after(bucket: BucketId, scope: Scope<'_>, list: &ListUploads<'_>) -> KeyRange {
    let range = Key::uploads_range(bucket, scope.prefix);
    let marker = list.key_marker;
    match list.upload_marker {
        _ if marker.is_empty() => range,
        Some(upload) => range.after(&upload::upload_key(bucket, marker, upload).encode()),
        None if scope.gives_prefix(marker) => {
            range.after_prefix(&Key::uploads_range(bucket, marker).start)
        }
        None => range.after_prefix(&Key::uploads_of(bucket, marker).start),
    }
}

/// What the list shows of an entry: nothing of completed uploads.
async fn open_entry(owner: &PartitionOwner, entry: ScanEntry) -> Result<Option<Found>, StoreError> {
    match entry {
        ScanEntry::Group(group) => {
            let prefix = prefix_of(&group)?;
            Ok(holds_open(owner, &group)
                .await?
                .then_some(Found::Prefix(prefix)))
        }
        ScanEntry::Value(encoded, value) => {
            let Key::Upload { key, .. } = decode_key(&encoded)? else {
                return Err(corrupt(&encoded, "not the key of an upload".to_owned()));
            };
            let record: UploadRecord = decode(&encoded, value.value)?;
            let is_open = record.completed.is_none();
            Ok(is_open.then(|| Found::Upload(Box::new(ListedUpload { key, record }))))
        }
    }
}

/// Whether an open upload is among those whose keys begin with `group`.
async fn holds_open(owner: &PartitionOwner, group: &Bytes) -> Result<bool, StoreError> {
    let mut range = KeyRange::of_prefix(group);
    loop {
        let page = owner
            .scan(range.clone().page(ENTRIES_PER_PAGE, None))
            .await?;
        let more = page.more;
        for (key, upload) in records::<UploadRecord>(page)? {
            if upload.record.completed.is_none() {
                return Ok(true);
            }
            range = range.after(&key);
        }
        if !more {
            return Ok(false);
        }
    }
}

pub(crate) async fn list_parts(
    ctx: &Context,
    bucket: &Bucket,
    key: &str,
    upload: UploadId,
    (after, max_parts): (u16, usize),
) -> Result<PartPage, UploadError> {
    let owner = ctx.owner(bucket.partition)?;
    let record = upload::get(ctx, bucket, key, upload).await?;
    let record = record.filter(|record| record.completed.is_none());
    let mut result = PartPage {
        upload: record.ok_or(UploadError::NoSuchUpload)?,
        parts: Vec::new(),
        next: None,
    };
    if max_parts == 0 {
        return Ok(result);
    }
    let marker = Key::Part {
        bucket: bucket.id,
        upload,
        number: after,
    }
    .encode();
    let range = Key::parts_range(bucket.id, upload).after(&marker);
    let (entries, more) = super::collect(owner, range, None, max_parts).await?;
    for entry in entries {
        if let ScanEntry::Value(encoded, value) = entry {
            result
                .parts
                .push(decode::<PartRecord>(&encoded, value.value)?);
        }
    }
    result.next = result.parts.last().map(|part| part.number).filter(|_| more);
    Ok(result)
}
