//! Who may do what. Until there are bucket policies, a user has every right on the buckets that
//! they own and none on others; an anonymous request never comes this far. Pure.

use crate::auth::Identity;

/// The signer has no right to do this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Access Denied")]
pub struct AccessDenied;

/// Whether `signer` may use a bucket of the account `owner`. `expected_owner` is what the client
/// takes its owner for (x-amz-expected-bucket-owner).
///
/// # Errors
/// [`AccessDenied`] for another's bucket, and when the client expects another owner.
pub fn check_owner(
    signer: &Identity,
    owner: &str,
    expected_owner: Option<&str>,
) -> Result<(), AccessDenied> {
    let expected = expected_owner.is_none_or(|expected| expected.is_empty() || expected == owner);
    if signer.canonical_id == owner && expected {
        Ok(())
    } else {
        Err(AccessDenied)
    }
}

#[cfg(test)]
mod tests;
