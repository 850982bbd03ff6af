//! GetBucketVersioning and PutBucketVersioning.

use super::{OpResult, detached};
use crate::context::Context;
use crate::error::{self, ApiError};
use index::Versioning;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// GetBucketVersioning: no status as long as none was set.
///
/// # Errors
/// What stands between the signer and the bucket.
pub async fn get(
    context: Arc<Context>,
    request: S3Request<GetBucketVersioningInput>,
) -> OpResult<GetBucketVersioningOutput> {
    let expected = request.input.expected_bucket_owner.as_deref();
    let owned = context
        .owned(&request, &request.input.bucket, expected)
        .await?;
    let status = match owned.bucket.versioning {
        Versioning::Unversioned => None,
        Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
    };
    Ok(S3Response::new(GetBucketVersioningOutput {
        mfa_delete: None,
        status: status.map(BucketVersioningStatus::from_static),
    }))
}

/// PutBucketVersioning: every write after the answer goes by it.
///
/// # Errors
/// What stands between the signer and the bucket; 400 for a configuration without a status, or with one
/// that is none; 501 for MFA delete.
pub async fn put(
    context: Arc<Context>,
    request: S3Request<PutBucketVersioningInput>,
) -> OpResult<PutBucketVersioningOutput> {
    let expected = request.input.expected_bucket_owner.as_deref();
    let owned = context
        .owned(&request, &request.input.bucket, expected)
        .await?;
    let versioning = asked(&request.input.versioning_configuration)?;
    detached(async move {
        Ok(context
            .index
            .set_versioning(&owned.bucket, versioning)
            .await?)
    })
    .await?;
    Ok(S3Response::new(PutBucketVersioningOutput::default()))
}

/// What a configuration asks for.
fn asked(configuration: &VersioningConfiguration) -> Result<Versioning, ApiError> {
    let mfa_delete = configuration.mfa_delete.as_ref().map(MFADelete::as_str);
    match mfa_delete {
        None | Some(MFADelete::DISABLED) => {}
        Some(MFADelete::ENABLED) => {
            return Err(ApiError::not_implemented(format_args!("MFA delete")));
        }
        Some(_) => return Err(error::malformed_xml()),
    }
    let status = configuration.status.as_ref();
    match status.map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Ok(Versioning::Enabled),
        Some(BucketVersioningStatus::SUSPENDED) => Ok(Versioning::Suspended),
        Some(_) => Err(error::malformed_xml()),
        None => Err(ApiError::bad(
            "IllegalVersioningConfigurationException",
            "The Versioning element must be specified",
        )),
    }
}
