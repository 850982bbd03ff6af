//! What a request is aimed at, as far as it must be known before s3s routes it.
//!
//! s3s picks the operation by the sub-resources it knows, and ignores the others: it would answer
//! `DELETE /bucket?versioning` by deleting the bucket. Those are refused here.

use super::{Refusal, hoisted};
use crate::host::Hosts;
use http::request::Parts;
use http::{HeaderValue, Method, Uri};
use std::borrow::Cow;
use std::sync::Arc;

/// The decoded query parameters, in order. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Query(Arc<[(String, String)]>);

impl Query {
    pub(crate) fn parse(uri: &http::Uri) -> Self {
        let query = uri.query().unwrap_or_default().as_bytes();
        let pairs: Vec<_> = form_urlencoded::parse(query).into_owned().collect();
        Self(pairs.into())
    }

    /// The first value of this parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// The names of the parameters, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The parameters with their values, in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

/// What the path of a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// The service.
    Root,
    Bucket,
    Object,
}

/// What a path names, by the rules of s3s: it decodes the path before it looks for slashes. `in_host`: the host
/// names the bucket.
pub(super) fn level(path: &str, in_host: bool) -> Level {
    let mut path = Cow::Borrowed(path);
    if path.contains('%') {
        path = Cow::Owned(path.replace("%2F", "/").replace("%2f", "/"));
    }
    let path = path.strip_prefix('/').unwrap_or(&path);
    if in_host {
        return if path.is_empty() {
            Level::Bucket
        } else {
            Level::Object
        };
    }
    match path.split_once('/') {
        Some((_, key)) if !key.is_empty() => Level::Object,
        _ if path.is_empty() => Level::Root,
        _ => Level::Bucket,
    }
}

/// The bucket of a request in virtual-host style.
pub(super) fn bucket_in_host(
    host: Option<&HeaderValue>,
    uri: &Uri,
    hosts: &Hosts,
) -> Option<String> {
    let authority = uri.authority().map(http::uri::Authority::as_str);
    let header = host.and_then(|host| host.to_str().ok());
    hosts.target(header.or(authority)?).bucket
}

/// What makes an upload a copy.
const COPY_SOURCE: &str = "x-amz-copy-source";

/// Whether s3s will route the request to PutObject or UploadPart, whose body the front takes.
pub(super) fn is_upload(parts: &Parts, level: Level, query: &Query) -> bool {
    parts.method == Method::PUT
        && level == Level::Object
        && !parts.headers.contains_key(COPY_SOURCE)
        && !hoisted::holds(query, COPY_SOURCE)
        && !OBJECT_PUT.iter().any(|name| query.has(name))
}

/// Uploads by HTML form are not implemented, and s3s would collect them in memory.
pub(super) fn refuse_form(parts: &Parts) -> Result<(), Refusal> {
    let form = "multipart/form-data";
    let is_form = parts
        .headers
        .get_all(http::header::CONTENT_TYPE)
        .iter()
        .filter_map(|value| value.as_bytes().get(..form.len()))
        .any(|start| start.eq_ignore_ascii_case(form.as_bytes()));
    if parts.method == Method::POST && is_form {
        return Err(Refusal::not_implemented(
            "uploads by HTML form (POST Object)",
        ));
    }
    Ok(())
}

/// Only a signed request may choose the headers of its answer.
pub(super) fn refuse_anonymous_overrides(parts: &Parts, query: &Query) -> Result<(), Refusal> {
    let overrides = query.names().any(|name| name.starts_with("response-"));
    if overrides && parts.method == Method::GET && super::signed::is_anonymous(parts, query) {
        let message =
            "Request specific response headers cannot be used for anonymous GET requests.";
        return Err(Refusal::bad("InvalidRequest", message));
    }
    Ok(())
}

/// Refuses a sub-resource that s3s would not see, half of the name of a part or an upload, and a version
/// for what makes one.
pub(super) fn refuse_unknown(method: &Method, level: Level, query: &Query) -> Result<(), Refusal> {
    refuse_version(method, level, query)?;
    let Some(routed) = routed(method, level) else {
        return Ok(());
    };
    let writes = *method != Method::GET;
    for (name, value) in query.0.iter() {
        let name = name.as_str();
        let known = SUB_RESOURCES.contains(&name);
        // Parameters of the signature, and headers beside them, are none of the resource.
        let is_header = name.to_ascii_lowercase().starts_with("x-amz-");
        let bare = value.is_empty() && name != "versionId" && !is_header;
        let counts = if writes { known || bare } else { known && bare };
        if counts && !routed.contains(&name) {
            return Err(Refusal::not_implemented(&format!(
                "{method} of the sub-resource {name}"
            )));
        }
    }
    let (part, upload) = (query.has("partNumber"), query.has("uploadId"));
    let half = match *method {
        Method::PUT => part != upload,
        // It would delete the object.
        Method::DELETE => part && !upload,
        _ => false,
    };
    if half && level == Level::Object {
        let message = "An upload of a part needs both partNumber and uploadId.";
        return Err(Refusal::bad("InvalidArgument", message));
    }
    Ok(())
}

/// What writes an object makes a version and takes none.
fn refuse_version(method: &Method, level: Level, query: &Query) -> Result<(), Refusal> {
    let makes = match *method {
        Method::PUT => !OBJECT_PUT.iter().any(|name| query.has(name)),
        Method::POST => query.has("uploads") || query.has("uploadId"),
        _ => false,
    };
    match query
        .get("versionId")
        .filter(|_| makes && level == Level::Object)
    {
        None => Ok(()),
        Some(version) => {
            let message = "This operation does not accept a version-id.";
            Err(Refusal::bad("InvalidArgument", message)
                .with("ArgumentName", "versionId")
                .with("ArgumentValue", version))
        }
    }
}

/// The sub-resources by which s3s 0.14 chooses an operation for this method. `None` where a
/// sub-resource that is overlooked does no harm.
fn routed(method: &Method, level: Level) -> Option<&'static [&'static str]> {
    match (method, level) {
        (&Method::GET, Level::Bucket) => Some(&BUCKET_GET),
        (&Method::PUT, Level::Bucket) => Some(&BUCKET_PUT),
        (&Method::DELETE, Level::Bucket) => Some(&BUCKET_DELETE),
        (&Method::GET, Level::Object) => Some(&OBJECT_GET),
        (&Method::PUT, Level::Object) => Some(&OBJECT_PUT),
        (&Method::DELETE, Level::Object) => Some(&["tagging", "uploadId"]),
        _ => None,
    }
}

const BUCKET_GET: [&str; 26] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "lifecycle",
    "location",
    "logging",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "session",
    "tagging",
    "uploads",
    "versioning",
    "versions",
    "website",
];

const BUCKET_PUT: [&str; 20] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "lifecycle",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "tagging",
    "versioning",
    "website",
];

const BUCKET_DELETE: [&str; 14] = [
    "analytics",
    "cors",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "lifecycle",
    "metadataTable",
    "metrics",
    "ownershipControls",
    "policy",
    "publicAccessBlock",
    "replication",
    "tagging",
    "website",
];

const OBJECT_GET: [&str; 7] = [
    "acl",
    "attributes",
    "legal-hold",
    "retention",
    "tagging",
    "torrent",
    "uploadId",
];

const OBJECT_PUT: [&str; 4] = ["acl", "legal-hold", "retention", "tagging"];

/// Every sub-resource of S3's interface.
const SUB_RESOURCES: [&str; 38] = [
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "append",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploads",
    "versioning",
    "website",
];
