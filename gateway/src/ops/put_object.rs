//! PutObject.

use super::checksum::{self, show_checksum};
use super::commit::until_known;
use super::found::refuse_early;
use super::receive::{Upload, Wire};
use super::{OpResult, detached, tags, unsupported, version};
use crate::context::{Context, Owned};
use crate::digest::ChecksumAlgorithm;
use crate::error::ApiError;
use crate::headers::{StoredHeaders, storage_class};
use crate::precondition;
use index::key::object::ObjectChecksum;
use index::{CommittedVersion, ObjectMeta, PutObject, WriteCondition};
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// PutObject: the object is durable and visible when this returns, or nothing is left of it.
///
/// # Errors
/// What stands between the signer and the bucket; a header that is not offered; a body that is not
/// what it declared; 412 or 404 by the client's condition; 503 and 507 of the disks.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<PutObjectInput>,
) -> OpResult<PutObjectOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    unsupported::check(&request.headers)?;
    let condition = precondition::of_write(&request.headers)?;
    let stored = StoredHeaders::read(&request.headers, input.metadata.as_ref())?;
    let meta = ObjectMeta {
        account: owned.signer.canonical_id.clone(),
        storage_class: storage_class(&request.headers)?,
        headers: stored.headers,
        user_metadata: stored.user_metadata,
        tags: tags::parse_header(&request.headers)?,
    };
    refuse_early(&context, &owned.bucket, &input.key, &condition).await?;
    let upload = Upload::open(&context, &request).await?;
    let key = request.input.key;
    let bucket = owned.bucket.clone();
    let (committed, checksum) = detached(put(context, owned, key, upload, meta, condition)).await?;
    let mut output = PutObjectOutput {
        e_tag: Some(ETag::Strong(committed.etag)),
        checksum_type: checksum::shown_type(checksum.as_ref()),
        version_id: version::shown(&bucket, committed.version),
        ..PutObjectOutput::default()
    };
    show_checksum!(output, &checksum, 0);
    Ok(S3Response::new(output))
}

/// Receives the body and commits it.
async fn put(
    context: Arc<Context>,
    owned: Owned,
    key: String,
    upload: Upload<Wire>,
    meta: ObjectMeta,
    condition: WriteCondition,
) -> Result<(CommittedVersion, Option<ObjectChecksum>), ApiError> {
    let bucket = &owned.bucket;
    let inline_bytes = context.config.inline_bytes;
    let default = ChecksumAlgorithm::DEFAULT;
    let received = upload
        .receive(&context, bucket, inline_bytes, default)
        .await?;
    let checksum = checksum::stored(&received.digests);
    let mut op_id = context.index.new_op_id();
    let new = PutObject {
        bucket,
        key: &key,
        body: received.stored.body(bucket),
        etag: received.digests.etag(),
        checksum: checksum.clone(),
        meta,
        condition,
        op_id,
    };
    let committed = until_known(&context, &mut op_id, |op_id| {
        context.index.put_object(PutObject {
            op_id,
            ..new.clone()
        })
    })
    .await;
    match committed {
        Ok(committed) => Ok((committed, checksum)),
        Err(failed) => Err(received.stored.uncommitted(&context, failed).await.into()),
    }
}
