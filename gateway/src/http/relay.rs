//! From the signature to the operation.
//!
//! s3s verifies a request exactly as it was sent. It also answers 400 for headers and parameters
//! that S3 takes with a shrug: a list of ETags, a date that is none, an `Expires` of `0`. So the
//! verified request goes to a second service of s3s, without authentication, which only routes and
//! parses; what s3s is too strict about has been taken out of it. Operations read those values from
//! the request as it was sent, which [`restore`] puts back. XML bodies go there as s3s reads them
//! ([`xml_body`]), and headers that stood in the query of a presigned URL as headers ([`hoisted`]).

use super::route::Query;
use super::{MAX_XML_BODY_LEN, hoisted, parked, xml_body};
use crate::admission::{CollectedLease, Exhausted, MemoryBudget, Pace};
use crate::body::PayloadError;
use crate::error::{ApiError, malformed_xml};
use crate::headers::KEPT;
use crate::ops::Multiplexed;
use crate::xml::{NAMESPACE, XmlBody};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use http_body::Frame;
use http_body_util::BodyExt;
use s3s::auth::Credentials;
use s3s::route::S3Route;
use s3s::service::S3Service;
use s3s::{Body, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use std::sync::Arc;
use types::Clock;

/// The request as its signature covers it, in the extensions of what s3s parses.
#[derive(Clone)]
struct AsSent {
    credentials: Option<Credentials>,
    uri: Uri,
    headers: HeaderMap,
}

/// Gives `request` its signer, its URI and its headers as they were sent. To be called before an
/// operation looks at any of them; what comes from elsewhere than the front stays as it is.
pub(crate) fn restore<T>(request: &mut S3Request<T>) {
    if let Some(sent) = request.extensions.remove::<AsSent>() {
        request.credentials = sent.credentials;
        request.uri = sent.uri;
        request.headers = sent.headers;
    }
}

/// Passes every verified request on to the operations.
pub(super) struct Relay {
    /// Routes and parses; has no authentication, so nothing else may reach it.
    pub(super) operations: S3Service,
    /// What the bodies that are collected count against.
    pub(super) budget: MemoryBudget,
    /// It tells how fast they come.
    pub(super) clock: Arc<dyn Clock>,
}

#[async_trait::async_trait]
impl S3Route for Relay {
    fn is_match(&self, _: &Method, _: &Uri, _: &HeaderMap, _: &mut http::Extensions) -> bool {
        true
    }

    async fn call(&self, mut request: S3Request<Body>) -> S3Result<S3Response<Body>> {
        let query = request.extensions.get::<Query>().cloned();
        let query = query.unwrap_or_else(|| Query::parse(&request.uri));
        let is_multiplexed = request.extensions.get::<Multiplexed>().is_some();
        let attributes = query.get("attributes").is_some();
        hoisted::lower(&query, &mut request.headers)?;
        let copies = request.headers.contains_key(COPY_SOURCE);
        let mut headers = parsed_headers(&request.headers, &request.method);
        // The operation runs under it, too.
        let mut _lease = None;
        if let Some(Collected(bytes_max)) = request.extensions.get().copied()
            && !is_read(&request.method)
        {
            let (xml, lease) = self.collect(&mut request.input, bytes_max).await?;
            _lease = Some(lease);
            if headers.contains_key(header::CONTENT_LENGTH) {
                headers.insert(header::CONTENT_LENGTH, xml.len().into());
            }
            request.extensions.insert(SentXml(xml.clone()));
            request.input = Body::from(xml);
        }
        let mut parsed = http::Request::new(request.input);
        *parsed.method_mut() = request.method;
        *parsed.uri_mut() = parsed_uri(&request.uri, parsed.method())?;
        *parsed.headers_mut() = headers;
        *parsed.extensions_mut() = request.extensions;
        parsed.extensions_mut().insert(AsSent {
            credentials: request.credentials,
            uri: request.uri,
            headers: request.headers,
        });
        let answer = self.operations.call(parsed).await;
        let answer = answer.map_err(|error| {
            tracing::error!(?error, "s3s could not write a response");
            S3Error::new(S3ErrorCode::InternalError)
        })?;
        let (mut parts, mut body) = answer.into_parts();
        if let Some(XmlBody(xml)) = parts.extensions.remove() {
            // What the operation wrote itself takes the place of what s3s did.
            parts.headers.remove(header::CONTENT_LENGTH);
            body = if is_multiplexed {
                parked::body(xml, &self.budget)
            } else {
                Body::from(xml)
            };
        }
        if attributes && let Some(xml) = body.bytes() {
            body = without_quotes(&xml);
        }
        if copies && let Some(xml) = body.bytes() {
            body = with_namespace(&xml);
        }
        let mut relayed = S3Response::new(body);
        relayed.status = Some(parts.status);
        relayed.headers = parts.headers;
        relayed.extensions = parts.extensions;
        Ok(relayed)
    }
}

/// In the extensions of a request whose body s3s wants whole: bytes at the most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Collected(pub(super) u64);

impl Relay {
    /// The whole body of `bytes_max` at the most, as s3s reads it, and the memory that it takes. Memory is
    /// taken as the body comes; one that hardly comes is ended when others wait.
    async fn collect(&self, body: &mut Body, bytes_max: u64) -> S3Result<(Bytes, CollectedLease)> {
        let exhausted = |exhausted: Exhausted| S3Error::from(ApiError::from(exhausted));
        let lease = self.budget.collected(bytes_max).await;
        let mut lease = lease.map_err(exhausted)?;
        let mut pace = Pace::default();
        let mut xml = Vec::new();
        loop {
            let came = |frame: &Option<Result<Frame<Bytes>, _>>| match frame {
                Some(Ok(frame)) => frame.data_ref().map_or(0, Bytes::len),
                _ => 0,
            };
            let frame = pace.wait(self.clock.as_ref(), body.frame(), came).await;
            let piece = match frame {
                None => Bytes::new(),
                Some(None) => break,
                // Why it could not be read stands in the wire's state.
                Some(Some(Err(error))) => {
                    return Err(S3Error::with_source(S3ErrorCode::InternalError, error));
                }
                Some(Some(Ok(frame))) => frame.into_data().unwrap_or_default(),
            };
            let held = xml.len() + piece.len();
            if pace.is_too_slow() && lease.is_wanted() && (held as u64) < bytes_max {
                return Err(exhausted(Exhausted));
            }
            lease.make_room(held as u64).await.map_err(exhausted)?;
            if held > xml.capacity() {
                xml.reserve_exact(lease.room_bytes() as usize - xml.len());
            }
            xml.extend_from_slice(&piece);
        }
        let written = xml_body::written_bytes_max(&xml);
        if written > MAX_XML_BODY_LEN {
            let bytes_max = MAX_XML_BODY_LEN as u64;
            return Err(ApiError::from(PayloadError::TextTooLong { bytes_max }).into());
        }
        let held = xml.len() + written;
        lease.make_room(held as u64).await.map_err(exhausted)?;
        let xml = xml_body::readable(xml.into());
        if !xml_body::is_plausible(&xml) {
            return Err(malformed_xml().into());
        }
        Ok((xml, lease))
    }
}

/// In the extensions of an operation that has an XML body: all of it, for elements that s3s does not know.
#[derive(Debug, Clone)]
pub(crate) struct SentXml(pub(crate) Bytes);

/// GetObjectAttributes alone has ETags without quotes, which s3s cannot write.
fn without_quotes(xml: &Bytes) -> Body {
    let text = String::from_utf8_lossy(xml);
    Body::from(
        text.replace("<ETag>\"", "<ETag>")
            .replace("\"</ETag>", "</ETag>"),
    )
}

const COPY_SOURCE: HeaderName = HeaderName::from_static("x-amz-copy-source");

/// The results of copies are the ones that s3s writes without S3's namespace.
fn with_namespace(xml: &Bytes) -> Body {
    let mut text = String::from_utf8_lossy(xml).into_owned();
    for root in ["<CopyObjectResult>", "<CopyPartResult>"] {
        let name = root.trim_end_matches('>');
        let named = format!("{name} xmlns=\"{NAMESPACE}\">");
        text = text.replacen(root, &named, 1);
    }
    Body::from(text)
}

/// Parameters of a read that its operation reads itself.
const OF_READS: [&str; 7] = [
    "partNumber",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
];

/// The URI without the signature, which has been verified, and without [`OF_READS`].
fn parsed_uri(uri: &Uri, method: &Method) -> S3Result<Uri> {
    let Some(query) = uri.query() else {
        return Ok(uri.clone());
    };
    let reads = is_read(method);
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let Some((name, _)) = form_urlencoded::parse(pair.as_bytes()).next() else {
                return false;
            };
            let start = name.as_bytes().get(..SIGNATURE.len()).unwrap_or_default();
            let signs = start.eq_ignore_ascii_case(SIGNATURE.as_bytes());
            !(signs || reads && OF_READS.contains(&name.as_ref()))
        })
        .collect();
    let target = format!("{}?{}", uri.path(), kept.join("&"));
    let mut parts = uri.clone().into_parts();
    let invalid = |_| S3Error::new(S3ErrorCode::InvalidURI);
    parts.path_and_query = Some(target.parse().map_err(invalid)?);
    Uri::from_parts(parts).map_err(|_| S3Error::new(S3ErrorCode::InvalidURI))
}

/// What the parameters of a presigned URL begin with.
const SIGNATURE: &str = "X-Amz-";
const USER_METADATA: &str = "x-amz-meta-";
const OBJECT_ATTRIBUTES: HeaderName = HeaderName::from_static("x-amz-object-attributes");

/// Headers of a read that its operation reads itself.
const HEADERS_OF_READS: [HeaderName; 7] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::RANGE,
    HeaderName::from_static("x-amz-max-parts"),
    HeaderName::from_static("x-amz-part-number-marker"),
];

/// Headers of a write that its operation reads itself, beside those that a GET gives back.
const HEADERS_OF_WRITES: [HeaderName; 6] = [
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    HeaderName::from_static("x-amz-copy-source-if-match"),
    HeaderName::from_static("x-amz-copy-source-if-none-match"),
    HeaderName::from_static("x-amz-copy-source-if-modified-since"),
    HeaderName::from_static("x-amz-copy-source-if-unmodified-since"),
];

/// The headers without the signature, and without what operations read themselves.
fn parsed_headers(sent: &HeaderMap, method: &Method) -> HeaderMap {
    let reads = is_read(method);
    let is_parsed = |name: &HeaderName| {
        let own = if reads {
            HEADERS_OF_READS.contains(name)
        } else {
            HEADERS_OF_WRITES.contains(name) || KEPT.contains(name)
        };
        !own && *name != header::AUTHORIZATION
    };
    let mut headers = HeaderMap::with_capacity(sent.len() + 1);
    for (name, value) in sent.iter().filter(|(name, _)| is_parsed(name)) {
        headers.append(name, value.clone());
    }
    if reads {
        // s3s insists on it, in a form of its own.
        headers.insert(OBJECT_ATTRIBUTES, HeaderValue::from_static("ETag"));
    } else {
        join_metadata(&mut headers);
    }
    headers
}

/// User metadata that is sent in several headers of one name is one value, with commas between.
fn join_metadata(headers: &mut HeaderMap) {
    let repeated: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(USER_METADATA))
        .filter(|name| headers.get_all(*name).iter().nth(1).is_some())
        .cloned()
        .collect();
    for name in repeated {
        let values: Vec<&[u8]> = headers
            .get_all(&name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        if let Ok(joined) = HeaderValue::from_bytes(&values.join(&b","[..])) {
            headers.insert(name, joined);
        }
    }
}

fn is_read(method: &Method) -> bool {
    *method == Method::GET || *method == Method::HEAD
}

#[cfg(test)]
mod tests;
