//! Headers whose feature is not there. They are refused, so that nothing is accepted and then
//! ignored; empty ones ask for nothing.

use crate::error::ApiError;
use http::{HeaderMap, HeaderValue, header};

/// A header that begins with one of these asks for a feature that is not there.
const PREFIXES: [&str; 3] = [
    "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption",
    "x-amz-object-lock-",
];

/// A header with one of these names asks for a feature that is not there.
const NAMES: [&str; 3] = [
    "x-amz-write-offset-bytes",
    "x-amz-bucket-namespace",
    "x-amz-bucket-object-lock-enabled",
];

const ACL: &str = "x-amz-acl";
/// Headers that begin with this grant rights to somebody.
const GRANT: &str = "x-amz-grant-";
/// Canned ACLs that give the owner of the bucket every right and nobody else any.
const PRIVATE_ACLS: [&str; 2] = ["private", "bucket-owner-full-control"];

/// Refuses a request that asks for what is not there.
///
/// # Errors
/// 501 NotImplemented, naming the header; 400 for an ACL that would give others rights.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        let name = name.as_str();
        let listed =
            PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name);
        if listed && !says_no(name, value) {
            return Err(ApiError::not_implemented(format_args!("the header {name}")));
        }
    }
    if asks_for_acl(headers) {
        return Err(no_acls());
    }
    Ok(())
}

/// Refuses conditions on what S3 does without any: the start of an upload and its parts.
///
/// # Errors
/// 501 NotImplemented, naming the header.
pub(crate) fn check_unconditional(headers: &HeaderMap) -> Result<(), ApiError> {
    for name in [header::IF_MATCH, header::IF_NONE_MATCH] {
        if headers.get(&name).is_some_and(|value| !value.is_empty()) {
            return Err(ApiError::not_implemented(format_args!("the header {name}")));
        }
    }
    Ok(())
}

/// Whether a request asks for rights of anybody but the owner of the bucket.
pub(crate) fn asks_for_acl(headers: &HeaderMap) -> bool {
    headers
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .any(|(name, value)| {
            name.as_str().starts_with(GRANT) || (name == ACL && !is_private(value))
        })
}

/// What AWS answers about ACLs where the owner of the bucket owns its objects.
pub(crate) fn no_acls() -> ApiError {
    let message = "The bucket does not allow ACLs";
    ApiError::bad("AccessControlListNotSupported", message)
}

/// The values with which a client asks for what is there anyway: no object lock, and names for all accounts.
fn says_no(name: &str, value: &HeaderValue) -> bool {
    let usual: &[u8] = match name {
        "x-amz-bucket-object-lock-enabled" => b"false",
        "x-amz-bucket-namespace" => b"global",
        _ => return false,
    };
    value.as_bytes().eq_ignore_ascii_case(usual)
}

fn is_private(value: &HeaderValue) -> bool {
    PRIVATE_ACLS
        .iter()
        .any(|acl| value.as_bytes() == acl.as_bytes())
}

#[cfg(test)]
mod tests;
