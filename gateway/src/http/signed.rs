//! What must hold of a signature before s3s computes it: who signs, for which region, and that the
//! signature covers what it must.
//!
//! s3s leaves a signed header that is missing out of what it verifies, does not look at the
//! algorithm, and accepts any region and Signature Version 2.

use super::route::Query;
use super::{Refusal, date};
use crate::sigv4::{ALGORITHM, ALGORITHM_ECDSA, Authorization, CredentialScope, SERVICE, Seed};
use crate::sigv4::{Digest32, parse_digest};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};

/// The longest life of a presigned URL: a week, in seconds.
const MAX_EXPIRES_S: u64 = 7 * 24 * 3600;

/// Headers that a signature covers without naming them: both stand in the string to sign.
const COVERED: [&str; 2] = ["x-amz-content-sha256", "x-amz-date"];

/// The region that credentials must be scoped to.
#[derive(Debug, Clone)]
pub struct Regions {
    /// The name of the region, told to clients that signed for another.
    pub own: String,
    /// Names that are accepted as well, for clients with a region built in.
    pub aliases: Vec<String>,
}

impl Regions {
    fn accept(&self, region: &str) -> bool {
        region == self.own || self.aliases.iter().any(|alias| alias == region)
    }
}

/// Removes an empty Authorization header, which AWS takes for an anonymous request and s3s for a
/// malformed one.
pub(super) fn drop_empty_authorization(parts: &mut Parts) {
    let mut values = parts.headers.get_all(http::header::AUTHORIZATION).iter();
    if values.all(|value| value.as_bytes().trim_ascii().is_empty()) {
        parts.headers.remove(http::header::AUTHORIZATION);
    }
}

/// Header bytes that are not UTF-8 are ISO 8859-1, of old what HTTP headers are made of. Clients
/// that send such text have signed it as UTF-8.
pub(super) fn decode_latin_1(headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        if std::str::from_utf8(value.as_bytes()).is_ok() {
            continue;
        }
        let text: String = value.as_bytes().iter().copied().map(char::from).collect();
        if let Ok(decoded) = HeaderValue::from_bytes(text.as_bytes()) {
            *value = decoded;
        }
    }
}

/// Whether nothing in the request claims to be a signature.
pub(super) fn is_anonymous(parts: &Parts, query: &Query) -> bool {
    !parts.headers.contains_key(http::header::AUTHORIZATION)
        && query.get("X-Amz-Signature").is_none()
}

/// Checks the signature's outer form. Returns what a chain of chunk signatures would begin with;
/// `None` for an anonymous request and for a presigned one, whose body cannot be chunk-signed.
pub(super) fn check(
    parts: &Parts,
    query: &Query,
    regions: &Regions,
) -> Result<Option<Seed>, Refusal> {
    let header = authorization(parts)?;
    let presigned = query.get("X-Amz-Signature").is_some();
    if query.get("Signature").is_some() {
        return Err(version_2());
    }
    match header {
        Some(_) if presigned => Err(Refusal::bad(
            "InvalidArgument",
            "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature \
             query string parameter or the Authorization header should be specified",
        )),
        Some(header) => check_header(parts, header, regions).map(Some),
        None if presigned => check_presigned(parts, query, regions).map(|()| None),
        None => Ok(None),
    }
}

fn authorization(parts: &Parts) -> Result<Option<&str>, Refusal> {
    let mut values = parts.headers.get_all(http::header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let value = value.to_str().ok().filter(|_| values.next().is_none());
    value
        .map(|value| Some(value.trim()))
        .ok_or_else(|| malformed("it is not one line of text"))
}

fn check_header(parts: &Parts, header: &str, regions: &Regions) -> Result<Seed, Refusal> {
    let (algorithm, fields) = header
        .split_once(char::is_whitespace)
        .unwrap_or((header, ""));
    check_algorithm(algorithm)?;
    let fields = Authorization::parse(fields).ok_or_else(|| {
        malformed(
            "it needs Credential, SignedHeaders and Signature, each once, with commas between",
        )
    })?;
    let (_, scope) = CredentialScope::parse(fields.credential).ok_or_else(|| {
        malformed(
            "the Credential is not of the form \"<key>/YYYYMMDD/REGION/SERVICE/aws4_request\"",
        )
    })?;
    check_scope(&scope, regions, &AUTHORIZATION_ERRORS)?;
    let signature: Digest32 = parse_digest(fields.signature.as_bytes())
        .ok_or_else(|| malformed("the Signature is not 64 hexadecimal digits"))?;
    check_coverage(parts, fields.signed_headers)?;
    let date = parts
        .headers
        .get("x-amz-date")
        .and_then(|date| date.to_str().ok())
        .unwrap_or_default();
    check_day(&scope, date, &AUTHORIZATION_ERRORS)?;
    Ok(Seed {
        signature,
        timestamp: date.to_owned(),
        scope,
    })
}

fn check_presigned(parts: &Parts, query: &Query, regions: &Regions) -> Result<(), Refusal> {
    let field = |name: &'static str| {
        query.get(name).ok_or_else(|| {
            query_error(
                "Query-string authentication version 4 requires the X-Amz-Algorithm, \
                 X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and \
                 X-Amz-Expires parameters.",
            )
        })
    };
    check_algorithm(field("X-Amz-Algorithm")?)?;
    let (_, scope) = CredentialScope::parse(field("X-Amz-Credential")?)
        .ok_or_else(|| query_error("Error parsing the X-Amz-Credential parameter."))?;
    check_scope(&scope, regions, &QUERY_ERRORS)?;
    let date = field("X-Amz-Date")?;
    if !date::is_basic(date) {
        return Err(query_error(
            "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
        ));
    }
    check_day(&scope, date, &QUERY_ERRORS)?;
    let expires = field("X-Amz-Expires")?.parse::<u64>();
    let expires = expires.map_err(|_| query_error("X-Amz-Expires should be a number"))?;
    if expires > MAX_EXPIRES_S {
        return Err(query_error(
            "X-Amz-Expires must be less than a week (in seconds); that is 604800",
        ));
    }
    check_coverage(parts, field("X-Amz-SignedHeaders")?)
}

fn check_algorithm(algorithm: &str) -> Result<(), Refusal> {
    match algorithm {
        ALGORITHM => Ok(()),
        ALGORITHM_ECDSA => Err(Refusal::not_implemented("Signature Version 4A")),
        "AWS" => Err(version_2()),
        _ => Err(
            Refusal::bad("InvalidArgument", "Unsupported Authorization Type")
                .with("ArgumentName", "Authorization"),
        ),
    }
}

/// How the two places of a credential name its errors.
struct ScopeErrors {
    code: &'static str,
    prefix: &'static str,
}

const AUTHORIZATION_ERRORS: ScopeErrors = ScopeErrors {
    code: "AuthorizationHeaderMalformed",
    prefix: "The authorization header is malformed",
};
const QUERY_ERRORS: ScopeErrors = ScopeErrors {
    code: "AuthorizationQueryParametersError",
    prefix: "Error parsing the X-Amz-Credential parameter",
};

fn check_scope(
    scope: &CredentialScope,
    regions: &Regions,
    errors: &ScopeErrors,
) -> Result<(), Refusal> {
    let ScopeErrors { code, prefix } = errors;
    if scope.service != SERVICE {
        let message = format!(
            "{prefix}; incorrect service \"{}\". This endpoint belongs to \"{SERVICE}\".",
            scope.service
        );
        return Err(Refusal::bad(code, message));
    }
    if !regions.accept(&scope.region) {
        let (region, own) = (&scope.region, &regions.own);
        let message = format!("{prefix}; the region '{region}' is wrong; expecting '{own}'");
        return Err(Refusal::bad(code, message).with("Region", own));
    }
    Ok(())
}

/// The day of the scope is that of the signature, where the latter is a time at all.
fn check_day(scope: &CredentialScope, date: &str, errors: &ScopeErrors) -> Result<(), Refusal> {
    let day = date.get(..8).filter(|_| date::is_basic(date));
    match day {
        Some(day) if day != scope.date => Err(Refusal::bad(
            errors.code,
            format!(
                "{}; Invalid credential date \"{}\". This date is not the same as X-Amz-Date: \
                 \"{day}\".",
                errors.prefix, scope.date
            ),
        )),
        _ => Ok(()),
    }
}

/// Every signed header is there, and every header that says what the request does is signed.
fn check_coverage(parts: &Parts, signed_headers: &str) -> Result<(), Refusal> {
    let signed: Vec<&str> = signed_headers.split(';').collect();
    if !signed.iter().all(|name| is_present(parts, name)) {
        return Err(Refusal::forbidden(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. A \
             signed header is missing from the request.",
        ));
    }
    let mut not_signed: Vec<&str> = parts
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .filter(|name| name.starts_with("x-amz-") && !COVERED.contains(name))
        .chain(["host"])
        .filter(|name| !signed.contains(name))
        .collect();
    if not_signed.is_empty() {
        return Ok(());
    }
    not_signed.sort_unstable();
    let message = "There were headers present in the request which were not signed";
    Err(Refusal::forbidden("AccessDenied", message).with("HeadersNotSigned", not_signed.join(", ")))
}

/// s3s knows headers by their lower-case name and passes over values that are not UTF-8. HTTP/2
/// carries the host in the URI.
fn is_present(parts: &Parts, name: &str) -> bool {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return false;
    }
    let mut values = parts.headers.get_all(name).iter().peekable();
    if values.peek().is_none() {
        return name == "host" && parts.uri.authority().is_some();
    }
    values.all(|value| std::str::from_utf8(value.as_bytes()).is_ok())
}

fn malformed(what: &str) -> Refusal {
    let ScopeErrors { code, prefix } = AUTHORIZATION_ERRORS;
    Refusal::bad(code, format!("{prefix}; {what}."))
}

fn query_error(message: &'static str) -> Refusal {
    Refusal::bad(QUERY_ERRORS.code, message)
}

fn version_2() -> Refusal {
    Refusal::bad(
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. Please use \
         AWS4-HMAC-SHA256.",
    )
}
