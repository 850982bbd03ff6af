//! CreateBucket.

use super::{OpResult, detached, tags, unsupported};
use crate::config::GatewayConfig;
use crate::context::Context;
use crate::error::{self, ApiError};
use crate::http::SentXml;
use index::CreateBucketError;
use s3s::dto::*;
use s3s::xml::{DeResult, Deserializer};
use s3s::{S3Request, S3Response};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Endings that S3 keeps for its own names.
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ols-s3", ".mrap", "--x-s3", "--table-s3"];
/// Beginnings that S3 keeps for its own names.
const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];

/// Here, and nowhere else, S3 answers 200 to the owner who makes a bucket again, which changes nothing.
const REGION_THAT_MAKES_AGAIN: &str = "us-east-1";

/// CreateBucket: the bucket is private and empty, and has the tags that the configuration asks for.
///
/// # Errors
/// InvalidBucketName, InvalidLocationConstraint; 400 for an ACL and for tags that S3 does not allow; 409
/// when the name is taken; 501 for object lock and buckets of other kinds.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<CreateBucketInput>,
) -> OpResult<CreateBucketOutput> {
    let input = &request.input;
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
    let tags = asked_tags(request.extensions.get())?;
    let name = request.input.bucket;
    let location = format!("/{name}");
    detached(async move {
        let owner = &signer.canonical_id;
        let created = context.index.create_bucket_with_tags(&name, owner, &tags);
        match created.await {
            Ok(_) => Ok(()),
            Err(CreateBucketError::AlreadyOwnedByYou)
                if context.config.region == REGION_THAT_MAKES_AGAIN
                    && changes_nothing(&context, &name, &tags).await? =>
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

/// The tags of a CreateBucketConfiguration, which s3s does not know; they are those of a PutBucketTagging.
fn asked_tags(xml: Option<&SentXml>) -> Result<BTreeMap<String, String>, ApiError> {
    let Some(SentXml(xml)) = xml else {
        return Ok(BTreeMap::new());
    };
    let set = read_tags(xml).map_err(|_| error::malformed_xml())?;
    tags::parse_set(tags::Of::Bucket, set)
}

fn read_tags(xml: &[u8]) -> DeResult<TagSet> {
    if xml.is_empty() {
        return Ok(TagSet::new());
    }
    let mut set = None;
    let mut reader = Deserializer::new(xml);
    reader.named_element("CreateBucketConfiguration", |content| {
        content.for_each_element(|element, name| {
            if name == b"Tags" {
                if set.replace(element.list_content("Tag")?).is_some() {
                    return Err(s3s::xml::DeError::DuplicateField);
                }
                return Ok(());
            }
            // All else is s3s's to read; this reads whatever stands in an element.
            element.content::<CreateBucketConfiguration>().map(drop)
        })
    })?;
    Ok(set.unwrap_or_default())
}

/// Whether a bucket that is there already has what its owner asks for: without tags, anything.
async fn changes_nothing(
    context: &Context,
    name: &str,
    tags: &BTreeMap<String, String>,
) -> Result<bool, ApiError> {
    if tags.is_empty() {
        return Ok(true);
    }
    match context.index.bucket(name).await? {
        Some(bucket) => Ok(context.index.bucket_tags(&bucket).await? == *tags),
        None => Ok(false),
    }
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
