//! ListParts.

use super::OpResult;
use super::acl::owner;
use super::checksum::show_checksum;
use super::listing::{self, page_limit};
use crate::context::Context;
use crate::digest;
use crate::error::{self, ApiError};
use crate::headers::{shown_class, timestamp};
use crate::xml;
use index::key::upload::{PartRecord, UploadRecord};
use s3s::S3Request;
use s3s::dto::*;
use std::sync::Arc;
use types::UploadId;

/// ListParts: the parts of an open upload, by number.
///
/// # Errors
/// What stands between the signer and the upload; 400 for a bad max-parts or marker.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<ListPartsInput>,
) -> OpResult<ListPartsOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    let upload = UploadId::parse(&input.upload_id).ok_or_else(error::no_such_upload)?;
    let limit = page_limit(input.max_parts, "max-parts")?;
    let after = marker(input.part_number_marker)?;
    let lease = listing::lease(&context, limit).await?;
    let page = context
        .index
        .list_parts(&owned.bucket, &input.key, upload, (after, limit))
        .await?;
    let record = page.upload;
    let last = page.parts.last().map_or(after, |part| part.number);
    let owner = owner(&owned.signer);
    let list = ListPartsOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        upload_id: Some(input.upload_id.clone()),
        checksum_algorithm: algorithm(&record),
        checksum_type: algorithm(&record)
            .map(|_| ChecksumType::from_static(digest::type_name(record.checksum_type))),
        initiator: Some(initiator(&owner)),
        owner: Some(owner),
        storage_class: Some(StorageClass::from(
            shown_class(&record.storage_class).to_owned(),
        )),
        is_truncated: Some(page.next.is_some()),
        max_parts: i32::try_from(limit).ok(),
        part_number_marker: Some(i32::from(after)),
        next_part_number_marker: Some(i32::from(last)),
        parts: Some(
            page.parts
                .into_iter()
                .map(|part| shown(part, algorithm(&record).is_some()))
                .collect(),
        ),
        ..ListPartsOutput::default()
    };
    xml::answer(&list, lease)
}

fn marker(marker: Option<i32>) -> Result<u16, ApiError> {
    let marker = u16::try_from(marker.unwrap_or(0));
    marker.map_err(|_| {
        let message = "Argument part-number-marker must be an integer between 0 and 65535";
        ApiError::bad("InvalidArgument", message)
    })
}

/// A part as it is listed. Without an algorithm of the upload's, its checksum is only kept, as in S3.
fn shown(record: PartRecord, with_checksum: bool) -> Part {
    let mut part = Part {
        e_tag: Some(ETag::Strong(record.etag)),
        last_modified: Some(timestamp(record.modified_ms)),
        part_number: Some(i32::from(record.number)),
        size: i64::try_from(record.plain_length).ok(),
        ..Part::default()
    };
    if with_checksum {
        show_checksum!(part, &record.checksum, 0);
    }
    part
}

/// The checksum algorithm of an upload that has one.
pub(super) fn algorithm(record: &UploadRecord) -> Option<ChecksumAlgorithm> {
    let name = &record.checksum_algorithm;
    (!name.is_empty()).then(|| ChecksumAlgorithm::from(name.clone()))
}

/// Whoever owns an upload has started it.
pub(super) fn initiator(owner: &Owner) -> Initiator {
    Initiator {
        display_name: owner.display_name.clone(),
        id: owner.id.clone(),
    }
}
