//! What the headers of a request say of its body.

use super::Refusal;
use crate::body::{ChunkedSpec, PayloadError, PayloadSpec};
use crate::sigv4::{Digest32, Seed, parse_digest};
use http::{HeaderMap, Method, StatusCode, header};
use sha2::{Digest, Sha256};

const CONTENT_SHA256: &str = "x-amz-content-sha256";
const DECODED_LENGTH: &str = "x-amz-decoded-content-length";
const TRAILER: &str = "x-amz-trailer";

/// The most names in x-amz-trailer.
const MAX_TRAILER_NAMES: usize = 16;

/// Reads x-amz-content-sha256 and what it asks for. `seed` is the request's own signature.
pub(super) fn spec(headers: &HeaderMap, seed: Option<Seed>) -> Result<PayloadSpec, Refusal> {
    let signed = |headers, trailers| {
        let seed = seed.clone().ok_or_else(|| {
            Refusal::forbidden(
                "AccessDenied",
                "Signed chunks need an Authorization header.",
            )
        })?;
        chunked(headers, Some(seed), trailers)
    };
    let spec = match text(headers, CONTENT_SHA256)? {
        None | Some("UNSIGNED-PAYLOAD") => plain(headers, None),
        Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER") => chunked(headers, None, true),
        Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") => signed(headers, false),
        Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") => signed(headers, true),
        Some(
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
            | "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
        ) => Err(Refusal::not_implemented("Signature Version 4A")),
        Some(digest) => plain(headers, Some(digest)),
    }?;
    let framed = matches!(&spec, PayloadSpec::Chunked(chunked) if chunked.trailers.is_some());
    if headers.contains_key(TRAILER) && !framed {
        let message = "x-amz-trailer announces trailers, and x-amz-content-sha256 allows none.";
        return Err(Refusal::bad("MalformedTrailerError", message));
    }
    Ok(spec)
}

/// An upload must say how long it is.
pub(super) fn require_length(spec: &PayloadSpec) -> Result<(), Refusal> {
    spec.declared_len().map(|_| ()).ok_or_else(missing_length)
}

/// Compares the promised digest with that of an empty body, where the operation reads the body.
pub(super) fn check_empty(method: &Method, spec: &PayloadSpec) -> Result<(), Refusal> {
    let reads = method == Method::PUT || method == Method::POST;
    let PayloadSpec::Plain {
        sha256: Some(declared),
        ..
    } = spec
    else {
        return Ok(());
    };
    let computed: Digest32 = Sha256::digest(b"").into();
    if !reads || computed == *declared {
        return Ok(());
    }
    let [declared, computed] = [*declared, computed].map(hex::encode);
    Err(Refusal::from(&PayloadError::Sha256Mismatch {
        declared,
        computed,
    }))
}

fn plain(headers: &HeaderMap, digest: Option<&str>) -> Result<PayloadSpec, Refusal> {
    let sha256 = match digest {
        None => None,
        Some(digest) => Some(parse_digest(digest.as_bytes()).ok_or_else(|| {
            Refusal::bad(
                "InvalidArgument",
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, one of the STREAMING constants, or \
                 a valid sha256 value.",
            )
            .with("ArgumentName", CONTENT_SHA256)
            .with("ArgumentValue", digest)
        })?),
    };
    Ok(PayloadSpec::Plain {
        len: number(headers, header::CONTENT_LENGTH.as_str())?,
        sha256,
    })
}

fn chunked(
    headers: &HeaderMap,
    seed: Option<Seed>,
    has_trailers: bool,
) -> Result<PayloadSpec, Refusal> {
    let decoded_len = number(headers, DECODED_LENGTH)?.ok_or_else(missing_length)?;
    let trailers = if has_trailers {
        Some(trailer_names(headers)?)
    } else {
        None
    };
    Ok(PayloadSpec::Chunked(ChunkedSpec {
        decoded_len,
        seed,
        trailers,
    }))
}

fn trailer_names(headers: &HeaderMap) -> Result<Vec<String>, Refusal> {
    let names: Vec<String> = text(headers, TRAILER)?
        .unwrap_or_default()
        .split(',')
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    if names.len() > MAX_TRAILER_NAMES {
        return Err(Refusal::bad(
            "InvalidRequest",
            "x-amz-trailer names too many trailers.",
        ));
    }
    Ok(names)
}

/// The value of a header that may stand once.
fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let value = value.to_str().ok().filter(|_| values.next().is_none());
    value
        .map(|value| Some(value.trim()))
        .ok_or_else(|| invalid(name))
}

fn number(headers: &HeaderMap, name: &'static str) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers
        .contains_key(name)
        .then(|| text(headers, name))
        .transpose()?
        .flatten()
    else {
        return Ok(None);
    };
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    value
        .parse()
        .ok()
        .filter(|_| digits)
        .map(Some)
        .ok_or_else(|| invalid(name))
}

fn invalid(name: &str) -> Refusal {
    Refusal::bad(
        "InvalidArgument",
        format!("The header {name} is malformed or repeated."),
    )
    .with("ArgumentName", name)
}

fn missing_length() -> Refusal {
    let message = "You must provide the Content-Length HTTP header.";
    Refusal::new(StatusCode::LENGTH_REQUIRED, "MissingContentLength", message)
}
