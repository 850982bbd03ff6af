//! Version ids as clients write and read them.

use crate::error::ApiError;
use index::key::bucket::Versioning;
use index::{Bucket, VersionRef};
use types::VersionId;

/// The name of the null version.
const NULL: &str = "null";

/// The version that a request names; none when it names none.
///
/// # Errors
/// 400 InvalidArgument for an empty one, and for what no version of ours was ever called. (A version that is merely gone is
/// for the caller to miss.)
pub(crate) fn parse(text: Option<&str>) -> Result<Option<VersionRef>, ApiError> {
    match text {
        None => Ok(None),
        Some("") => Err(ApiError::bad(
            "InvalidArgument",
            "Version id cannot be the empty string",
        )),
        Some(NULL) => Ok(Some(VersionRef::Null)),
        Some(id) => match VersionId::parse(id) {
            // One version has one name: upper-case digits are no way to write it.
            Some(version) if version.to_string() == id => Ok(Some(VersionRef::Id(version))),
            _ => Err(ApiError::bad(
                "InvalidArgument",
                "Invalid version id specified",
            )),
        },
    }
}

/// The x-amz-version-id of a version in `bucket`, which may have been read before its versioning changed.
/// S3 sends none as long as a bucket never had versioning.
pub(crate) fn shown(bucket: &Bucket, version: VersionRef) -> Option<String> {
    match (bucket.versioning, version) {
        (Versioning::Unversioned, VersionRef::Null) => None,
        _ => Some(name(version)),
    }
}

/// The name of a version, in lists and answers.
pub(crate) fn name(version: VersionRef) -> String {
    match version {
        VersionRef::Null => NULL.to_owned(),
        VersionRef::Id(id) => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_one_name() {
        let id = VersionRef::Id(VersionId(0xabc));
        for version in [id, VersionRef::Null] {
            assert_eq!(parse(Some(&name(version))).ok(), Some(Some(version)));
        }
        assert_eq!(parse(None).ok(), Some(None));
        let upper = name(id).to_ascii_uppercase();
        for wrong in ["", upper.as_str(), "Null", "1", " null", "../../etc/passwd"] {
            let error = parse(Some(wrong)).unwrap_err();
            assert_eq!(error.code(), "InvalidArgument", "{wrong}");
        }
    }
}
