//! CreateBucket.

use super::{OpResult, detached, unsupported};
use crate::config::GatewayConfig;
use crate::context::Context;
use crate::error::ApiError;
use index::CreateBucketError;
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::sync::Arc;

/// Endings that S3 keeps for its own names.
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ols-s3", ".mrap", "--x-s3", "--table-s3"];
/// Beginnings that S3 keeps for its own names.
const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];

/// Here, and nowhere else, S3 answers 200 to the owner who makes a bucket again, which changes nothing.
const REGION_THAT_MAKES_AGAIN: &str = "us-east-1";

/// CreateBucket: the bucket is private and empty.
///
/// # Errors
/// InvalidBucketName, InvalidLocationConstraint; 400 for an ACL; 409 when the name is taken; 501 for object
/// lock and buckets of other kinds.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<CreateBucketInput>,
) -> OpResult<CreateBucketOutput> {
    let input = &request.input;
    crate::s3::record_target(&input.bucket, None);
    let signer = context.signer(&request)?;
    if unsupported::asks_for_acl(&request.headers) {
        let message =
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting";
        return Err(ApiError::bad(
            "InvalidBucketAclWithObjectOwnership",
            message,
        ));
    }
    unsupported::check(&request.headers)?;
    refuse_ownership(input.object_ownership.as_ref())?;
    if let Some(configuration) = &input.create_bucket_configuration {
        check_configuration(&context.config, configuration)?;
    }
    if !is_bucket_name(&input.bucket) {
        let message = "The specified bucket is not valid.";
        return Err(ApiError::bad("InvalidBucketName", message));
    }
    let name = request.input.bucket;
    let location = format!("/{name}");
    detached(async move {
        let created = context.index.create_bucket(&name, &signer.canonical_id);
        match created.await {
            Ok(_) => Ok(()),
            Err(CreateBucketError::AlreadyOwnedByYou)
                if context.config.region == REGION_THAT_MAKES_AGAIN =>
            {
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    })
    .await?;
    Ok(S3Response::new(CreateBucketOutput {
        location: Some(location),
    }))
}

/// The owner of a bucket owns its objects, which is the only way there is.
fn refuse_ownership(asked: Option<&ObjectOwnership>) -> Result<(), ApiError> {
    match asked.map(ObjectOwnership::as_str) {
        None | Some(ObjectOwnership::BUCKET_OWNER_ENFORCED) => Ok(()),
        Some(_) => Err(ApiError::not_implemented(format_args!(
            "this object ownership"
        ))),
    }
}

fn check_configuration(
    config: &GatewayConfig,
    asked: &CreateBucketConfiguration,
) -> Result<(), ApiError> {
    if asked.bucket.is_some() || asked.location.is_some() {
        return Err(ApiError::not_implemented(format_args!("directory buckets")));
    }
    let constraint = asked
        .location_constraint
        .as_ref()
        .map_or("", |place| place.as_str());
    let aliases = &config.region_aliases;
    if constraint.is_empty()
        || constraint == config.region
        || aliases.iter().any(|alias| alias == constraint)
    {
        return Ok(());
    }
    let message = "The specified location-constraint is not valid";
    Err(ApiError::bad("InvalidLocationConstraint", message))
}

/// S3's rules for the names of new buckets.
fn is_bucket_name(name: &str) -> bool {
    let label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let looks_like_ip = name.split('.').count() == 4
        && name
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
    (3..=63).contains(&name.len())
        && name.split('.').all(label)
        && !looks_like_ip
        && !RESERVED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
        && !RESERVED_SUFFIXES
            .iter()
            .any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests;
