//! Completing a multipart upload.
//!
//! The parts are checked against the request, their chunks are written to pages when they are many, and one
//! small batch makes the version. It depends on `m/` as it was read first: no part can have come or
//! changed in between. `p/` records are left to reclaim, which knows the parts that the version uses.

use super::bucket;
use super::draft::{Draft, Loaded, load, outcome_of, records};
use super::pages::{Guard, PageWriter};
use super::put::{self, Attempt, NewVersion, committed, set_lengths};
use super::upload::upload_key;
use crate::api::{CommittedVersion, CompleteUpload, VersionRef};
use crate::context::{ATTEMPTS, Context, contended};
use crate::error::CompleteUploadError;
use crate::key::Key;
use crate::key::feed::EventKind;
use crate::key::object::VersionRecord;
use crate::key::reclaim::{PartSet, ReclaimRecord};
use crate::key::upload::{CompletedUpload, PartRecord, UploadRecord};
use crate::owner::PartitionOwner;
use crate::store::StoreError;
use std::collections::BTreeMap;
use types::{BucketId, Manifest, PartEntry, UploadId};

/// Part records read at a time.
const PARTS_PER_PAGE: usize = 256;

pub(crate) async fn complete(
    ctx: &Context,
    complete: CompleteUpload<'_>,
) -> Result<CommittedVersion, CompleteUploadError> {
    check_order(&complete.parts)?;
    let bucket = complete.bucket.id;
    let owner = ctx.owner(complete.bucket.partition)?;
    let object = Key::Current {
        bucket,
        key: complete.key.to_owned(),
    }
    .encode();
    let upload = upload_key(bucket, complete.key, complete.upload).encode();
    for _ in 0..ATTEMPTS {
        let attempt = {
            let _latch = owner.latch(&[object.clone(), upload.clone()]).await;
            attempt(ctx, owner, &complete).await?
        };
        match attempt {
            Attempt::Done(committed) => return Ok(committed),
            Attempt::Again => {}
            Attempt::Closing => bucket::settle(ctx, owner, bucket).await?,
        }
    }
    Err(contended().into())
}

fn check_order(parts: &[(u16, String)]) -> Result<(), CompleteUploadError> {
    let rises = parts.is_sorted_by(|(one, _), (next, _)| one < next);
    if parts.is_empty() || !rises {
        return Err(CompleteUploadError::InvalidPartOrder);
    }
    Ok(())
}

async fn attempt(
    ctx: &Context,
    owner: &PartitionOwner,
    complete: &CompleteUpload<'_>,
) -> Result<Attempt<CommittedVersion>, CompleteUploadError> {
    let key = upload_key(complete.bucket.id, complete.key, complete.upload);
    if let Some(first) = outcome_of(owner, complete.op_id).await? {
        return Ok(Attempt::Done(committed(first)));
    }
    let upload = load::<UploadRecord>(owner, &key).await?;
    let Some(upload) = upload else {
        return Err(CompleteUploadError::NoSuchUpload);
    };
    if let Some(done) = &upload.record.completed {
        return repeat(complete, done).map(Attempt::Done);
    }
    if let Err(error) = check_parts(owner, complete).await {
        // Another process may have stored parts, or have ended the upload, while they were looked at.
        let again = load::<UploadRecord>(owner, &key).await?;
        return match again.map(|again| again.seq) == Some(upload.seq) {
            true => Err(error),
            false => Ok(Attempt::Again),
        };
    }
    let (manifest, guard) = assemble(ctx, owner, complete).await?;
    let new = NewVersion {
        bucket: complete.bucket.id,
        key: complete.key,
        record: record_of_upload(&upload.record, complete, manifest),
        inline: None,
        guard,
        missing: Vec::new(),
        oldest_ms: None,
        condition: complete.condition.clone(),
        event: EventKind::Complete,
        op_id: complete.op_id,
    };
    let now_ms = ctx.clock.now_ms();
    let finish = |draft: &mut Draft, version: &VersionRecord| {
        finish_upload(draft, (complete, &key), &upload, version, now_ms);
    };
    Ok(put::attempt(ctx, owner, &new, &finish).await?)
}

/// The answer to a completion of a completed upload: the first one's, if it is the same. (The ETag is
/// made of the parts' ETags.)
fn repeat(
    complete: &CompleteUpload<'_>,
    done: &CompletedUpload,
) -> Result<CommittedVersion, CompleteUploadError> {
    if done.etag != complete.etag {
        return Err(CompleteUploadError::NoSuchUpload);
    }
    Ok(CommittedVersion {
        version: VersionRef::of(done.is_null, done.version),
        etag: done.etag.clone(),
        last_modified_ms: done.last_modified_ms,
    })
}

/// Parts with numbers above `after`, in order, and whether there are more.
async fn page_of_parts(
    owner: &PartitionOwner,
    (bucket, upload): (BucketId, UploadId),
    after: u16,
) -> Result<(Vec<PartRecord>, bool), StoreError> {
    let last = Key::Part {
        bucket,
        upload,
        number: after,
    }
    .encode();
    let range = Key::parts_range(bucket, upload).after(&last);
    let page = owner.scan(range.page(PARTS_PER_PAGE, None)).await?;
    let more = page.more;
    let parts = records::<PartRecord>(page)?
        .into_iter()
        .map(|(_, loaded)| loaded.record);
    Ok((parts.collect(), more))
}

/// Checks that each part of the request was uploaded with its ETag, and is large enough.
async fn check_parts(
    owner: &PartitionOwner,
    complete: &CompleteUpload<'_>,
) -> Result<(), CompleteUploadError> {
    let mut wanted: BTreeMap<u16, &str> = complete
        .parts
        .iter()
        .map(|(number, etag)| (*number, etag.as_str()))
        .collect();
    let last = complete.parts.last().map(|(number, _)| *number);
    let (mut after, mut more) = (0, true);
    while more {
        let parts;
        (parts, more) = page_of_parts(owner, (complete.bucket.id, complete.upload), after).await?;
        for part in &parts {
            after = part.number;
            let Some(etag) = wanted.remove(&part.number) else {
                continue;
            };
            if etag != part.etag {
                return Err(CompleteUploadError::InvalidPart {
                    number: part.number,
                });
            }
            if part.plain_length < complete.part_bytes_min && Some(part.number) != last {
                return Err(CompleteUploadError::PartTooSmall {
                    number: part.number,
                    length: part.plain_length,
                    minimum: complete.part_bytes_min,
                });
            }
        }
    }
    match wanted.first_key_value() {
        Some((number, _)) => Err(CompleteUploadError::InvalidPart { number: *number }),
        None => Ok(()),
    }
}

/// The manifest of the wanted parts, one after another, and the guard of its pages.
async fn assemble(
    ctx: &Context,
    owner: &PartitionOwner,
    complete: &CompleteUpload<'_>,
) -> Result<(Manifest, Option<Guard>), StoreError> {
    let mut writer = PageWriter::new(ctx, owner, complete.bucket.id);
    let wanted: Vec<u16> = complete.parts.iter().map(|(number, _)| *number).collect();
    let (mut after, mut more) = (0, true);
    while more {
        let parts;
        (parts, more) = page_of_parts(owner, (complete.bucket.id, complete.upload), after).await?;
        for part in parts {
            after = part.number;
            if wanted.binary_search(&part.number).is_err() {
                continue;
            }
            let entry = PartEntry {
                number: part.number,
                length: part.manifest.length,
                checksum: part
                    .checksum
                    .map(|checksum| checksum.value)
                    .unwrap_or_default(),
                ..Default::default()
            };
            writer.push_part(entry).await?;
            for chunk in part.manifest.chunks {
                writer.push_chunk(chunk).await?;
            }
        }
    }
    writer.finish().await
}

fn record_of_upload(
    upload: &UploadRecord,
    complete: &CompleteUpload<'_>,
    manifest: Manifest,
) -> VersionRecord {
    let mut record = VersionRecord {
        account: upload.account.clone(),
        storage_class: upload.storage_class.clone(),
        headers: upload.headers.clone(),
        user_metadata: upload.user_metadata.clone(),
        tags: upload.tags.clone(),
        encryption: upload.encryption.clone(),
        etag: complete.etag.clone(),
        checksum: complete.checksum.clone(),
        parts: u32::try_from(complete.parts.len()).expect("part numbers are u16 and rise"),
        manifest,
        ..Default::default()
    };
    set_lengths(&mut record);
    record
}

/// Adds to the version's batch what ends the upload.
fn finish_upload(
    draft: &mut Draft,
    (complete, key): (&CompleteUpload<'_>, &Key),
    upload: &Loaded<UploadRecord>,
    version: &VersionRecord,
    now_ms: u64,
) {
    let completed = CompletedUpload {
        version: version.id,
        is_null: version.is_null,
        etag: version.etag.clone(),
        last_modified_ms: version.last_modified_ms(),
        completed_ms: now_ms,
        ..Default::default()
    };
    let mut used = PartSet::default();
    complete
        .parts
        .iter()
        .for_each(|(number, _)| used.insert(*number));
    draft.expect(key, Some(upload.seq));
    let record = UploadRecord {
        completed: Some(completed),
        ..upload.record.clone()
    };
    draft.put(key, &record);
    draft.reclaim(&ReclaimRecord::of_upload(
        complete.bucket.id,
        complete.upload,
        used,
    ));
}
