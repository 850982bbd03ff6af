//! What lists take and give back.

use super::{Bucket, VersionRef};
use crate::key::object::{ChecksumType, VersionRecord};
use crate::key::upload::{PartRecord, UploadRecord};
use types::{PartEntry, UploadId};

/// What a ListBuckets asks for.
#[derive(Debug, Clone, Copy)]
pub struct ListBuckets<'a> {
    /// Canonical id of the account.
    pub owner: &'a str,
    /// Only names that begin with this.
    pub prefix: &'a str,
    /// Only names after this one.
    pub after: &'a str,
    /// Buckets at the most.
    pub max: usize,
}

/// A page of an account's buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BucketPage {
    /// In the order of their names' bytes.
    pub buckets: Vec<Bucket>,
    /// When there is more: the last name of this page, to be the next `after`.
    pub next: Option<String>,
}

/// What a ListObjects asks for.
#[derive(Debug, Clone)]
pub struct ListObjects<'a> {
    /// The bucket.
    pub bucket: &'a Bucket,
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Past the prefix, keys are collapsed up to the first of these; empty for no grouping.
    pub delimiter: &'a str,
    /// Only keys (and prefixes) after this one.
    pub start_after: &'a str,
    /// Keys and prefixes at the most, from 0 to `types::limits::LIST_KEYS_MAX`.
    pub max_keys: usize,
}

/// A key in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// The key.
    pub key: String,
    /// Bytes of the object.
    pub size: u64,
    /// Its ETag.
    pub etag: String,
    /// Its Last-Modified.
    pub last_modified_ms: u64,
    /// As S3 names it.
    pub storage_class: String,
    /// Name and type of the checksum, if it has one.
    pub checksum: Option<(String, ChecksumType)>,
}

/// A page of a list. Keys and prefixes are in byte order, each list by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectPage {
    /// Keys.
    pub objects: Vec<ListedObject>,
    /// Prefixes.
    pub common_prefixes: Vec<String>,
    /// When there is more: the last key or prefix of this page, to be the next `start_after`.
    pub next: Option<String>,
}

/// What a ListObjectVersions asks for.
#[derive(Debug, Clone)]
pub struct ListVersions<'a> {
    /// The bucket.
    pub bucket: &'a Bucket,
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// As in [`ListObjects`].
    pub delimiter: &'a str,
    /// Only keys (and prefixes) after this one.
    pub key_marker: &'a str,
    /// With it, the versions of `key_marker` that are older than this one are listed first.
    pub version_marker: Option<VersionRef>,
    /// Versions and prefixes at the most, from 0 to `types::limits::LIST_KEYS_MAX`.
    pub max_keys: usize,
}

/// A version in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedVersion {
    /// What is known of it; a delete marker says so.
    pub record: VersionRecord,
    /// The key.
    pub key: String,
    /// How clients name it.
    pub version: VersionRef,
    /// True for the newest version of the key.
    pub is_latest: bool,
}

/// A page of versions: by key, the newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// Versions and delete markers.
    pub versions: Vec<ListedVersion>,
    /// Prefixes.
    pub common_prefixes: Vec<String>,
    /// When there is more: the next `key_marker` and `version_marker`.
    pub next: Option<(String, Option<VersionRef>)>,
}

/// What a ListMultipartUploads asks for.
#[derive(Debug, Clone)]
pub struct ListUploads<'a> {
    /// The bucket.
    pub bucket: &'a Bucket,
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// As in [`ListObjects`].
    pub delimiter: &'a str,
    /// Only keys (and prefixes) after this one.
    pub key_marker: &'a str,
    /// With it, the later uploads of `key_marker` are listed first.
    pub upload_marker: Option<UploadId>,
    /// Uploads and prefixes at the most, from 0 to `types::limits::LIST_KEYS_MAX`.
    pub max_uploads: usize,
}

/// An upload in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedUpload {
    /// The key.
    pub key: String,
    /// What is known of it.
    pub record: UploadRecord,
}

/// A page of open uploads: by key, then upload id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadPage {
    /// Uploads that are neither completed nor aborted.
    pub uploads: Vec<ListedUpload>,
    /// Prefixes.
    pub common_prefixes: Vec<String>,
    /// When there is more: the next `key_marker` and `upload_marker`.
    pub next: Option<(String, Option<UploadId>)>,
}

/// A page of an upload's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartPage {
    /// The upload.
    pub upload: UploadRecord,
    /// Parts by number.
    pub parts: Vec<PartRecord>,
    /// When there is more: the last number of this page.
    pub next: Option<u16>,
}

/// A part of an object that a multipart upload made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedPart {
    /// Offset in the object of the part's first byte.
    pub offset: u64,
    /// The part.
    pub entry: PartEntry,
}

/// A page of an object's parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectPartPage {
    /// Parts by number.
    pub parts: Vec<PlacedPart>,
    /// When there is more: the last number of this page.
    pub next: Option<u16>,
}
