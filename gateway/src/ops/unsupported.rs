//! Headers whose feature is not there. They are refused, so that nothing is accepted and then
//! ignored; empty ones ask for nothing.

use crate::error::ApiError;
use http::{HeaderMap, HeaderValue};

/// A header that begins with one of these asks for a feature that is not there.
const PREFIXES: [&str; 4] = [
    "x-amz-server-side-encryption",
    "x-amz-copy-source-server-side-encryption",
    "x-amz-object-lock-",
    "x-amz-grant-",
];

/// A header with one of these names asks for a feature that is not there.
const NAMES: [&str; 2] = [
    "x-amz-write-offset-bytes",
    "x-amz-bucket-object-lock-enabled",
];

const ACL: &str = "x-amz-acl";
/// Canned ACLs that give the owner of the bucket every right and nobody else any.
const PRIVATE_ACLS: [&str; 2] = ["private", "bucket-owner-full-control"];

/// Refuses a request that asks for what is not there.
///
/// # Errors
/// 501 NotImplemented, naming the header.
pub(crate) fn check(headers: &HeaderMap) -> Result<(), ApiError> {
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        let name = name.as_str();
        let listed =
            PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name);
        if (listed && !says_no(name, value)) || (name == ACL && !is_private(value)) {
            return Err(ApiError::not_implemented(format_args!("the header {name}")));
        }
    }
    Ok(())
}

/// The flag with which a client says that it does not want object lock.
fn says_no(name: &str, value: &HeaderValue) -> bool {
    name == "x-amz-bucket-object-lock-enabled" && value.as_bytes().eq_ignore_ascii_case(b"false")
}

fn is_private(value: &HeaderValue) -> bool {
    PRIVATE_ACLS
        .iter()
        .any(|acl| value.as_bytes() == acl.as_bytes())
}

#[cfg(test)]
mod tests;
