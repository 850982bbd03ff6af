//! ListObjectVersions.

use super::acl::owner;
use super::listing::{self, Encoding, page_limit, shown_checksum};
use super::{OpResult, version};
use crate::context::Context;
use crate::error::ApiError;
use crate::headers::{shown_class, timestamp};
use crate::xml;
use index::{ListVersions, ListedVersion, VersionPage, VersionRef};
use s3s::S3Request;
use s3s::dto::*;
use s3s::xml::{SerResult, Serialize, SerializeContent, Serializer};
use std::io::Write;
use std::sync::Arc;

/// ListObjectVersions: versions and delete markers in one order, by key and the newest first.
///
/// # Errors
/// What stands between the signer and the bucket; 400 for a bad max-keys, marker or encoding-type.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<ListObjectVersionsInput>,
) -> OpResult<ListObjectVersionsOutput> {
    let expected = request.input.expected_bucket_owner.as_deref();
    let owned = context
        .owned(&request, &request.input.bucket, expected)
        .await?;
    let input = request.input;
    let encoding = Encoding::of(input.encoding_type.as_ref())?;
    let limit = page_limit(input.max_keys, "max-keys")?;
    let key_marker = input.key_marker.as_deref().unwrap_or_default();
    let list = ListVersions {
        bucket: &owned.bucket,
        prefix: input.prefix.as_deref().unwrap_or_default(),
        delimiter: input.delimiter.as_deref().unwrap_or_default(),
        key_marker,
        version_marker: version_marker(key_marker, input.version_id_marker.as_deref())?,
        max_keys: limit,
    };
    let lease = listing::lease(&context, limit).await?;
    let page = context.index.list_versions(list).await?;
    let owner = owner(&owned.signer);
    let (next_key, next_version) = page.next.clone().unzip();
    let delimiter = input.delimiter.filter(|delimiter| !delimiter.is_empty());
    let head = ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: Some(encoding.text(input.prefix.as_deref().unwrap_or_default())),
        key_marker: Some(encoding.text(input.key_marker.as_deref().unwrap_or_default())),
        version_id_marker: Some(input.version_id_marker.unwrap_or_default()),
        next_key_marker: encoding.optional(next_key.as_deref()),
        next_version_id_marker: next_version.flatten().map(version::name),
        max_keys: i32::try_from(limit).ok(),
        delimiter: encoding.optional(delimiter.as_deref()),
        encoding_type: encoding.shown(),
        is_truncated: Some(page.next.is_some()),
        common_prefixes: Some(encoding.prefixes(&page.common_prefixes)),
        ..ListObjectVersionsOutput::default()
    };
    let page = Page {
        head,
        entries: entries(page, encoding, &owner),
    };
    xml::answer(&page, lease)
}

/// S3 refuses a version marker that has no key.
fn version_marker(key_marker: &str, marker: Option<&str>) -> Result<Option<VersionRef>, ApiError> {
    let Some(marker) = marker.filter(|marker| !marker.is_empty()) else {
        return Ok(None);
    };
    if key_marker.is_empty() {
        let message = "A version-id marker cannot be specified without a key marker.";
        return Err(ApiError::bad("InvalidArgument", message));
    }
    version::parse(Some(marker))
}

/// A page as S3 writes it. s3s would put all delete markers before all versions, and clients that read
/// the list as it comes would take an old version for the newest of its key.
struct Page {
    /// Everything but the entries.
    head: ListObjectVersionsOutput,
    entries: Vec<Entry>,
}

enum Entry {
    Version(Box<ObjectVersion>),
    Marker(DeleteMarkerEntry),
}

impl Serialize for Page {
    fn serialize<W: Write>(&self, s: &mut Serializer<W>) -> SerResult {
        s.element_with_ns("ListVersionsResult", xml::NAMESPACE, |s| {
            self.head.serialize_content(s)?;
            for entry in &self.entries {
                match entry {
                    Entry::Version(version) => s.content("Version", &**version)?,
                    Entry::Marker(marker) => s.content("DeleteMarker", marker)?,
                }
            }
            Ok(())
        })
    }
}

fn entries(page: VersionPage, encoding: Encoding, owner: &Owner) -> Vec<Entry> {
    let entry = |listed: ListedVersion| {
        if listed.record.delete_marker {
            Entry::Marker(marker(&listed, encoding, owner))
        } else {
            Entry::Version(Box::new(object(listed, encoding, owner)))
        }
    };
    page.versions.into_iter().map(entry).collect()
}

fn marker(listed: &ListedVersion, encoding: Encoding, owner: &Owner) -> DeleteMarkerEntry {
    DeleteMarkerEntry {
        is_latest: Some(listed.is_latest),
        key: Some(encoding.text(&listed.key)),
        last_modified: Some(timestamp(listed.record.last_modified_ms())),
        owner: Some(owner.clone()),
        version_id: Some(version::name(listed.version)),
    }
}

fn object(listed: ListedVersion, encoding: Encoding, owner: &Owner) -> ObjectVersion {
    let record = listed.record;
    let checksum = record.checksum.as_ref();
    let (checksum_algorithm, checksum_type) =
        shown_checksum(checksum.map(|checksum| (checksum.algorithm.as_str(), checksum.kind)));
    ObjectVersion {
        checksum_algorithm,
        checksum_type,
        is_latest: Some(listed.is_latest),
        key: Some(encoding.text(&listed.key)),
        last_modified: Some(timestamp(record.last_modified_ms())),
        owner: Some(owner.clone()),
        size: i64::try_from(record.plain_length).ok(),
        storage_class: Some(ObjectVersionStorageClass::from(
            shown_class(&record.storage_class).to_owned(),
        )),
        version_id: Some(version::name(listed.version)),
        e_tag: Some(ETag::Strong(record.etag)),
        ..ObjectVersion::default()
    }
}
