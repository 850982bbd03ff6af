//! When a request was signed: `x-amz-date`, or the `Date` header of a client that sends no other.
//!
//! s3s reads `x-amz-date` alone. The time is part of what is signed, in the form of `x-amz-date`,
//! so a time that was moved in between fails the signature whichever header carried it.

use super::Refusal;
use http::header::{AUTHORIZATION, DATE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc2822;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

const AMZ_DATE: &str = "x-amz-date";
const BASIC: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// Gives a request signed by its headers, without an `x-amz-date`, the one that its `Date` says.
pub(super) fn settle(parts: &mut Parts) {
    let headers = &mut parts.headers;
    if !headers.contains_key(AUTHORIZATION) || headers.contains_key(AMZ_DATE) {
        return;
    }
    let date = text(headers, DATE.as_str()).and_then(parse_date);
    let utc = date.and_then(|date| date.checked_to_offset(UtcOffset::UTC));
    let basic = utc.and_then(|date| date.format(BASIC).ok());
    if let Some(value) = basic.and_then(|basic| HeaderValue::try_from(basic).ok()) {
        headers.insert(AMZ_DATE, value);
    }
}

/// A request signed by its headers says when.
///
/// # Errors
/// 403 AccessDenied if it does not, or says no time.
pub(super) fn require(parts: &Parts) -> Result<(), Refusal> {
    let headers = &parts.headers;
    if !headers.contains_key(AUTHORIZATION) || text(headers, AMZ_DATE).is_some_and(is_basic) {
        return Ok(());
    }
    let message = "AWS authentication requires a valid Date or x-amz-date header";
    Err(Refusal::forbidden("AccessDenied", message))
}

/// The header's value, if it is there once and is text.
fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// The two forms that a `Date` comes in: that of mail and HTTP, and that of `x-amz-date`.
fn parse_date(value: &str) -> Option<OffsetDateTime> {
    if is_basic(value) {
        return PrimitiveDateTime::parse(value, BASIC)
            .ok()
            .map(PrimitiveDateTime::assume_utc);
    }
    OffsetDateTime::parse(value, &Rfc2822).ok()
}

/// Whether a time is in the form of `x-amz-date`.
pub(super) fn is_basic(value: &str) -> bool {
    value.len() == 16 && PrimitiveDateTime::parse(value, BASIC).is_ok()
}
