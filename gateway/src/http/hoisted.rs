//! Headers in the query of a presigned URL.
//!
//! Presigners "hoist" the `x-amz-` headers of a request into its query, where the signature covers them, so
//! that whoever is given the URL need not send them. S3 takes them for headers, but for those of
//! checksums, of which it takes no notice there.

use super::route::Query;
use crate::error::ApiError;
use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::{S3Error, S3Result};

const PREFIX: &str = "x-amz-";

/// Parameters that are the signature's own, or about the form of a body, which is a matter of headers.
const OTHERS: [&str; 11] = [
    "x-amz-algorithm",
    "x-amz-content-sha256",
    "x-amz-credential",
    "x-amz-date",
    "x-amz-decoded-content-length",
    "x-amz-expires",
    "x-amz-sdk-checksum-algorithm",
    "x-amz-security-token",
    "x-amz-signature",
    "x-amz-signedheaders",
    "x-amz-trailer",
];
const CHECKSUMS: &str = "x-amz-checksum-";

/// The name of the header that a parameter of a presigned URL stands for, in lower case.
fn header_name(parameter: &str) -> Option<String> {
    let name = parameter.to_ascii_lowercase();
    let is_header = name.starts_with(PREFIX)
        && !OTHERS.contains(&name.as_str())
        && !name.starts_with(CHECKSUMS);
    is_header.then_some(name)
}

fn is_presigned(query: &Query) -> bool {
    query.get("X-Amz-Signature").is_some()
}

/// Whether the query of a presigned URL holds the header `name`, which is in lower case.
pub(super) fn holds(query: &Query, name: &str) -> bool {
    is_presigned(query)
        && query
            .names()
            .any(|own| header_name(own).as_deref() == Some(name))
}

/// Adds what the query of a presigned URL hoists to the headers; a header that was sent stays.
///
/// # Errors
/// 400 for what cannot be a header.
pub(super) fn lower(query: &Query, headers: &mut HeaderMap) -> S3Result<()> {
    if !is_presigned(query) {
        return Ok(());
    }
    let mut lowered = HeaderMap::new();
    for (parameter, value) in query.pairs() {
        let Some(name) = header_name(parameter) else {
            continue;
        };
        let name = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        let (Ok(name), Ok(value)) = (name, value) else {
            return Err(no_header(parameter));
        };
        if !headers.contains_key(&name) {
            lowered.append(name, value);
        }
    }
    headers.extend(lowered);
    Ok(())
}

fn no_header(parameter: &str) -> S3Error {
    let message = format!("The parameter {parameter} cannot stand for a header");
    ApiError::bad("InvalidArgument", message).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lowered(
        query: &str,
        sent: &[(&'static str, &'static str)],
    ) -> S3Result<Vec<(String, String)>> {
        let query = Query::parse(&format!("/b/k?{query}").parse().unwrap());
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_static(value));
        }
        lower(&query, &mut headers)?;
        let text = |value: &HeaderValue| value.to_str().unwrap().to_owned();
        let mut all: Vec<_> = headers
            .iter()
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect();
        all.sort();
        Ok(all)
    }

    #[test]
    fn only_headers_of_presigned_urls_are_lowered() {
        let hoisted = "X-Amz-Meta-A=1%202&x-amz-acl=private&X-Amz-Date=x&X-Amz-Credential=x\
                       &x-amz-checksum-crc32=x&x-amz-sdk-checksum-algorithm=x&x-amz-trailer=x&x-id=PutObject";
        assert_eq!(lowered(hoisted, &[]).unwrap(), []);
        let signed = format!("{hoisted}&X-Amz-Signature=00");
        let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = [own("x-amz-acl", "private"), own("x-amz-meta-a", "1 2")];
        assert_eq!(lowered(&signed, &[]).unwrap(), expected);
        let sent = lowered(&signed, &[("x-amz-acl", "public-read")]).unwrap();
        assert_eq!(sent[0], own("x-amz-acl", "public-read"));
    }

    #[test]
    fn what_cannot_be_a_header_is_refused() {
        for wrong in [
            "x-amz-meta-a=%0d%0aevil:1",
            "x-amz-meta-%20=1",
            "x-amz-meta-%0a=1",
        ] {
            let error = lowered(&format!("{wrong}&X-Amz-Signature=00"), &[]).unwrap_err();
            assert_eq!(error.code().as_str(), "InvalidArgument", "{wrong}");
        }
    }
}
