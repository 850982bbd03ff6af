//! GetBucketAcl and GetObjectAcl: the owner has every right, and nobody else any.

use super::OpResult;
use crate::auth::Identity;
use crate::context::Context;
use crate::error;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// GetBucketAcl.
///
/// # Errors
/// What stands between the signer and the bucket.
pub async fn of_bucket(
    context: Arc<Context>,
    request: S3Request<GetBucketAclInput>,
) -> OpResult<GetBucketAclOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    Ok(S3Response::new(GetBucketAclOutput {
        grants: Some(full_control(&owned.signer)),
        owner: Some(owner(&owned.signer)),
    }))
}

/// GetObjectAcl.
///
/// # Errors
/// What stands between the signer and the object; 404 when there is none.
pub async fn of_object(
    context: Arc<Context>,
    request: S3Request<GetObjectAclInput>,
) -> OpResult<GetObjectAclOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context
        .owned_key(&request, &input.bucket, &input.key, expected)
        .await?;
    let target = super::version::parse(input.version_id.as_deref())?;
    let found = context
        .index
        .get_object(&owned.bucket, &input.key, target)
        .await?;
    found.ok_or_else(error::no_such_key)?;
    Ok(S3Response::new(GetObjectAclOutput {
        grants: Some(full_control(&owned.signer)),
        owner: Some(owner(&owned.signer)),
        request_charged: None,
    }))
}

/// A user as the owner of something.
pub(super) fn owner(identity: &Identity) -> Owner {
    Owner {
        display_name: Some(identity.name.clone()),
        id: Some(identity.canonical_id.clone()),
    }
}

fn full_control(identity: &Identity) -> Vec<Grant> {
    vec![Grant {
        grantee: Some(Grantee {
            display_name: Some(identity.name.clone()),
            email_address: None,
            id: Some(identity.canonical_id.clone()),
            type_: Type::from_static(Type::CANONICAL_USER),
            uri: None,
        }),
        permission: Some(Permission::from_static(Permission::FULL_CONTROL)),
    }]
}
