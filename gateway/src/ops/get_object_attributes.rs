//! GetObjectAttributes.

use super::checksum::show_checksum;
use super::{OpResult, checksum, found, unsupported, version};
use crate::context::Context;
use crate::error::ApiError;
use crate::headers::{shown_class, timestamp};
use http::HeaderMap;
use index::PlacedPart;
use index::key::object::{ObjectChecksum, VersionRecord};
use s3s::dto::*;
use s3s::{S3Request, S3Response};
use std::collections::BTreeSet;
use std::sync::Arc;
use types::limits::LIST_KEYS_MAX;

const ATTRIBUTES: &str = "x-amz-object-attributes";
const MAX_PARTS: &str = "x-amz-max-parts";
const PART_NUMBER_MARKER: &str = "x-amz-part-number-marker";

/// GetObjectAttributes: those of the attributes that are asked for, and only these. Parts are told of
/// one by one where the object has a checksum, as S3 does, and else counted.
///
/// # Errors
/// What stands between the signer and the object; 404 and 405 as for GetObject; 400 when no attribute
/// is asked for, or one that does not exist.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<GetObjectAttributesInput>,
) -> OpResult<GetObjectAttributesOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    unsupported::check(&request.headers)?;
    let asked = asked(&request.headers)?;
    let version = version::parse(input.version_id.as_deref())?;
    let found = found::find(&context, &owned.bucket, &input.key, version).await?;
    let record = &found.record;
    let mut output = GetObjectAttributesOutput {
        last_modified: Some(timestamp(record.last_modified_ms())),
        version_id: version::shown(&owned.bucket, found.version),
        ..GetObjectAttributesOutput::default()
    };
    for attribute in asked {
        match attribute {
            Attribute::ETag => output.e_tag = Some(ETag::Strong(record.etag.clone())),
            Attribute::Checksum => output.checksum = record.checksum.as_ref().map(of_object),
            Attribute::StorageClass => {
                let class = shown_class(&record.storage_class).to_owned();
                output.storage_class = Some(StorageClass::from(class));
            }
            Attribute::ObjectSize => output.object_size = i64::try_from(record.plain_length).ok(),
            Attribute::ObjectParts if record.parts > 0 => {
                output.object_parts = Some(parts(&context, &request.headers, record).await?);
            }
            Attribute::ObjectParts => {}
        }
    }
    Ok(S3Response::new(output))
}

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Attribute {
    ETag,
    Checksum,
    ObjectParts,
    StorageClass,
    ObjectSize,
}

impl Attribute {
    fn named(name: &str) -> Option<Self> {
        match name {
            "ETag" => Some(Self::ETag),
            "Checksum" => Some(Self::Checksum),
            "ObjectParts" => Some(Self::ObjectParts),
            "StorageClass" => Some(Self::StorageClass),
            "ObjectSize" => Some(Self::ObjectSize),
            _ => None,
        }
    }
}

/// The attributes in the header, or in several of its name.
fn asked(headers: &HeaderMap) -> Result<BTreeSet<Attribute>, ApiError> {
    let mut all = BTreeSet::new();
    for value in headers.get_all(ATTRIBUTES) {
        let text = String::from_utf8_lossy(value.as_bytes());
        for name in text.split(',').map(str::trim).filter(|own| !own.is_empty()) {
            let known = Attribute::named(name).ok_or_else(|| {
                ApiError::bad("InvalidArgument", "Invalid attribute name specified.")
            })?;
            all.insert(known);
        }
    }
    if all.is_empty() {
        let message = "The x-amz-object-attributes header specifying the attributes to be \
                       retrieved is either missing or empty";
        return Err(ApiError::bad("InvalidRequest", message));
    }
    Ok(all)
}

/// The object's checksum: here, S3 writes one over parts without their count.
fn of_object(checksum: &ObjectChecksum) -> Checksum {
    let mut shown = Checksum {
        checksum_type: checksum::shown_type(Some(checksum)),
        ..Checksum::default()
    };
    show_checksum!(shown, &Some(alone(checksum)), 0);
    shown
}

/// The same checksum, to be shown without a count of parts.
fn alone(checksum: &ObjectChecksum) -> ObjectChecksum {
    ObjectChecksum {
        kind: index::key::object::ChecksumType::FullObject,
        ..checksum.clone()
    }
}

async fn parts(
    context: &Context,
    headers: &HeaderMap,
    record: &VersionRecord,
) -> Result<GetObjectAttributesParts, ApiError> {
    let mut shown = GetObjectAttributesParts {
        total_parts_count: i32::try_from(record.parts).ok(),
        ..GetObjectAttributesParts::default()
    };
    let Some(checksum) = &record.checksum else {
        return Ok(shown);
    };
    // S3 passes over values that are none.
    let max = number(headers, MAX_PARTS).map_or(LIST_KEYS_MAX, |max| max.min(LIST_KEYS_MAX));
    let after = number(headers, PART_NUMBER_MARKER).unwrap_or(0);
    let after = u16::try_from(after).unwrap_or(u16::MAX);
    let page = context.index.object_parts(record, after, max).await?;
    let last = page.parts.last().map(|part| i32::from(part.entry.number));
    shown.is_truncated = Some(page.next.is_some());
    shown.max_parts = i32::try_from(max).ok();
    shown.part_number_marker = Some(i32::from(after));
    shown.next_part_number_marker = Some(last.unwrap_or_default());
    let parts = page.parts.into_iter();
    shown.parts = Some(parts.map(|part| of_part(part, checksum)).collect());
    Ok(shown)
}

fn of_part(part: PlacedPart, of: &ObjectChecksum) -> ObjectPart {
    let mut shown = ObjectPart {
        part_number: Some(i32::from(part.entry.number)),
        size: i64::try_from(part.entry.length).ok(),
        ..ObjectPart::default()
    };
    if !part.entry.checksum.is_empty() {
        let own = ObjectChecksum {
            value: part.entry.checksum,
            ..alone(of)
        };
        show_checksum!(shown, &Some(own), 0);
    }
    shown
}

fn number(headers: &HeaderMap, name: &str) -> Option<usize> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}
