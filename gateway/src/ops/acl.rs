//! ACLs, as AWS has them since 2023 unless told otherwise (BucketOwnerEnforced): the owner of a bucket has
//! every right, nobody else any, and they cannot be changed.

use super::{OpResult, found, unsupported, version};
use crate::auth::Identity;
use crate::context::{Context, Owned};
use crate::error::ApiError;
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
    let owned = context.owned(&request, &input.bucket, expected).await?;
    exists(&context, &owned, &input.key, input.version_id.as_deref()).await?;
    Ok(S3Response::new(GetObjectAclOutput {
        grants: Some(full_control(&owned.signer)),
        owner: Some(owner(&owned.signer)),
        request_charged: None,
    }))
}

/// PutBucketAcl: takes the ACL that the bucket has anyway.
///
/// # Errors
/// What stands between the signer and the bucket; 400 AccessControlListNotSupported for every other ACL,
/// and MissingSecurityHeader for none.
pub async fn put_of_bucket(
    context: Arc<Context>,
    request: S3Request<PutBucketAclInput>,
) -> OpResult<PutBucketAclOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    unsupported::check(&request.headers)?;
    let canned = input.acl.as_ref().map(BucketCannedACL::as_str);
    check_unchanged(canned, input.access_control_policy.as_ref(), &owned.signer)?;
    Ok(S3Response::new(PutBucketAclOutput::default()))
}

/// PutObjectAcl: takes the ACL that the object has anyway.
///
/// # Errors
/// What stands between the signer and the object; 404 when there is none; 400
/// AccessControlListNotSupported for every other ACL, and MissingSecurityHeader for none.
pub async fn put_of_object(
    context: Arc<Context>,
    request: S3Request<PutObjectAclInput>,
) -> OpResult<PutObjectAclOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    exists(&context, &owned, &input.key, input.version_id.as_deref()).await?;
    unsupported::check(&request.headers)?;
    let canned = input.acl.as_ref().map(ObjectCannedACL::as_str);
    check_unchanged(canned, input.access_control_policy.as_ref(), &owned.signer)?;
    Ok(S3Response::new(PutObjectAclOutput::default()))
}

/// Refuses a request about a version that is not there, or that is a delete marker.
async fn exists(
    context: &Context,
    owned: &Owned,
    key: &str,
    version: Option<&str>,
) -> Result<(), ApiError> {
    let target = version::parse(version)?;
    found::find(context, &owned.bucket, key, target)
        .await
        .map(drop)
}

/// Whether an ACL leaves things as they are; that the canned one does has been checked with the headers.
fn check_unchanged(
    canned: Option<&str>,
    policy: Option<&AccessControlPolicy>,
    owner: &Identity,
) -> Result<(), ApiError> {
    match (canned, policy) {
        (None | Some(""), None) => Err(ApiError::bad(
            "MissingSecurityHeader",
            "Your request was missing a required header",
        )),
        (_, Some(policy)) if !is_full_control(policy, owner) => Err(unsupported::no_acls()),
        _ => Ok(()),
    }
}

/// Whether a policy grants the owner every right, and nobody else any.
fn is_full_control(policy: &AccessControlPolicy, owner: &Identity) -> bool {
    let [grant] = policy.grants.as_deref().unwrap_or_default() else {
        return false;
    };
    let of_owner = |id: Option<&String>| id == Some(&owner.canonical_id);
    let permission = grant.permission.as_ref().map(Permission::as_str);
    permission == Some(Permission::FULL_CONTROL)
        && of_owner(
            grant
                .grantee
                .as_ref()
                .and_then(|grantee| grantee.id.as_ref()),
        )
        && policy
            .owner
            .as_ref()
            .is_none_or(|owner| of_owner(owner.id.as_ref()))
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
