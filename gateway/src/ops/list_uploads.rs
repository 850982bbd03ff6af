//! ListMultipartUploads.

use super::OpResult;
use super::acl::owner;
use super::list_parts::{algorithm, initiator};
use super::listing::{self, Encoding, page_limit};
use crate::context::Context;
use crate::digest;
use crate::error::ApiError;
use crate::headers::{shown_class, timestamp};
use crate::xml;
use index::{ListUploads, ListedUpload, UploadPage};
use s3s::S3Request;
use s3s::dto::*;
use std::sync::Arc;
use types::UploadId;

/// ListMultipartUploads: the open uploads of a bucket, by key and then upload id.
///
/// # Errors
/// What stands between the signer and the bucket; 400 for a bad max-uploads, marker or
/// encoding-type.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<ListMultipartUploadsInput>,
) -> OpResult<ListMultipartUploadsOutput> {
    let expected = request.input.expected_bucket_owner.as_deref();
    let owned = context
        .owned(&request, &request.input.bucket, expected)
        .await?;
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_limit(input.max_uploads, "max-uploads")?;
    let key_marker = input.key_marker.as_deref().unwrap_or_default();
    let upload_marker = upload_marker(key_marker, input.upload_id_marker.as_deref())?;
    let list = ListUploads {
        bucket: &owned.bucket,
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        key_marker,
        upload_marker,
        max_uploads: limit,
    };
    let lease = listing::lease(&context, limit).await?;
    let page = if limit == 0 {
        UploadPage::default()
    } else {
        context.index.list_uploads(list).await?
    };
    let owner = owner(&owned.signer);
    let (next_key, next_upload) = page.next.clone().unzip();
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let list = ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        common_prefixes: Some(encoding.prefixes(&page.common_prefixes)),
        delimiter: encoding.optional(delimiter.as_deref()),
        encoding_type: encoding.shown(),
        is_truncated: Some(page.next.is_some()),
        key_marker: Some(encoding.text(input.key_marker.as_deref().unwrap_or_default())),
        max_uploads: i32::try_from(limit).ok(),
        next_key_marker: encoding.optional(next_key.as_deref()),
        next_upload_id_marker: next_upload.flatten().map(|id| id.to_string()),
        prefix: Some(encoding.text(input.prefix.as_deref().unwrap_or_default())),
        request_charged: None,
        upload_id_marker: Some(input.upload_id_marker.unwrap_or_default()),
        uploads: Some(
            page.uploads
                .into_iter()
                .map(|listed| upload(listed, encoding, &owner))
                .collect(),
        ),
    };
    xml::answer(&list, lease)
}

/// S3 ignores the upload marker without a key marker.
fn upload_marker(key_marker: &str, marker: Option<&str>) -> Result<Option<UploadId>, ApiError> {
    let Some(marker) = marker.filter(|marker| !marker.is_empty() && !key_marker.is_empty()) else {
        return Ok(None);
    };
    let parsed = UploadId::parse(marker);
    parsed
        .map(Some)
        .ok_or_else(|| ApiError::bad("InvalidArgument", "Invalid uploadId marker"))
}

fn upload(listed: ListedUpload, encoding: Encoding, owner: &Owner) -> MultipartUpload {
    let record = listed.record;
    MultipartUpload {
        checksum_algorithm: algorithm(&record),
        checksum_type: algorithm(&record)
            .map(|_| ChecksumType::from_static(digest::type_name(record.checksum_type))),
        initiated: Some(timestamp(record.initiated_ms)),
        initiator: Some(initiator(owner)),
        key: Some(encoding.text(&listed.key)),
        owner: Some(owner.clone()),
        storage_class: Some(StorageClass::from(
            shown_class(&record.storage_class).to_owned(),
        )),
        upload_id: Some(record.id.to_string()),
    }
}
