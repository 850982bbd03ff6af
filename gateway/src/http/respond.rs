//! Completes answers: ids, the XML body of errors, and what the connection needs to know.

use super::details::Details;
use super::route::Level;
use super::{FrontConfig, Refusal, RequestId};
use crate::body::WireState;
use crate::xml::escape_controls;
use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode, Version};
use http_body_util::BodyExt;
use s3s::{Body, StdError};
use std::fmt::Write;
use std::pin::Pin;
use std::task::{Context, Poll};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");
const HOST_ID: HeaderName = HeaderName::from_static("x-amz-id-2");
const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// What of a request its answer needs.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) id: RequestId,
    pub(super) method: Method,
    version: Version,
    /// The region, when this is a HeadBucket: older clients learn it from whatever the answer is.
    region: Option<HeaderValue>,
    /// What errors tell of it.
    details: Details,
    /// The client waits for a 100 that hyper does not send, as there is no body to go on with.
    waits_in_vain: bool,
}

impl Asked {
    pub(super) fn new(id: RequestId, parts: &Parts, level: Level, config: &FrontConfig) -> Self {
        let method = parts.method.clone();
        let is = |name, value| parts.headers.get(name).is_some_and(|own| own == value);
        let heads_bucket = method == Method::HEAD && level == Level::Bucket;
        let region = heads_bucket.then(|| HeaderValue::from_str(&config.regions.own).ok());
        Self {
            id,
            method,
            version: parts.version,
            region: region.flatten(),
            details: Details::of(parts, &config.hosts),
            waits_in_vain: is(header::EXPECT, "100-continue") && is(header::CONTENT_LENGTH, "0"),
        }
    }
}

/// An extension of an operation's answer: the status that S3 answers with, where s3s has another one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnswerStatus(pub(crate) StatusCode);

/// Who answered.
pub(super) enum Answered {
    Refused(Refusal),
    /// With what the operation's error says beside its code.
    Served(Response<Body>, Vec<(&'static str, String)>),
}

/// The answer as it goes out.
pub(super) fn complete(asked: &Asked, answered: Answered, wire: &WireState) -> Response<Body> {
    let mut response = match answered {
        Answered::Refused(refusal) => refused(asked, &refusal),
        Answered::Served(response, details) => match wire.failure().map(Refusal::from) {
            // s3s calls whatever goes wrong in a body that it reads an internal error.
            Some(refusal) if response.status() == StatusCode::INTERNAL_SERVER_ERROR => {
                refused(asked, &refusal)
            }
            failure => completed(asked, late(asked, response), failure, details),
        },
    };
    if asked.method == Method::HEAD && response.headers().contains_key(header::CONTENT_RANGE) {
        // s3s answers a HEAD of a range with 200.
        if response.status() == StatusCode::OK {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
    }
    let status = response.status();
    if asked.method == Method::HEAD || status == StatusCode::NOT_MODIFIED {
        *response.body_mut() = Body::empty();
    }
    if status == StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(header::CONTENT_TYPE);
    }
    let headers = response.headers_mut();
    // What does not exist is in no region.
    if let Some(region) = asked
        .region
        .as_ref()
        .filter(|_| status != StatusCode::NOT_FOUND)
    {
        headers.insert(BUCKET_REGION, region.clone());
    }
    headers.insert(REQUEST_ID, header_value(&asked.id.to_string()));
    headers.insert(HOST_ID, header_value(&asked.id.host_id()));
    headers.insert(header::SERVER, HeaderValue::from_static("Cairn"));
    if status.is_server_error() {
        // A cache in front must not keep a failure.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if (asked.waits_in_vain || !wire.is_whole()) && asked.version < Version::HTTP_2 {
        // The rest of the body is still on its way; it must not be taken for a request. And botocore,
        // once it got a final answer where it waited for a 100, misreads the next on the connection.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Logs an answer, within the request's span.
pub(super) fn log(response: &Response<Body>) {
    let status = response.status();
    if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED {
        tracing::warn!(status = status.as_u16(), "the request failed");
    } else {
        tracing::debug!(status = status.as_u16(), "answered");
    }
}

fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("hexadecimal digits are visible ASCII")
}

fn refused(asked: &Asked, refusal: &Refusal) -> Response<Body> {
    let mut elements = String::new();
    element(&mut elements, "Code", refusal.code);
    element(&mut elements, "Message", &refusal.message);
    let body = error_body(asked, elements, &refusal.details);
    let mut response = Response::new(body);
    *response.status_mut() = refusal.status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, APPLICATION_XML);
    // The body tells the region too, but the answer to a HEAD has none.
    let region = refusal.details.iter().find(|(name, _)| *name == "Region");
    if let Some(region) = region.and_then(|(_, text)| HeaderValue::from_str(text).ok()) {
        headers.insert(BUCKET_REGION, region);
    }
    response
}

/// Adds to an error of s3s or of an operation what it leaves out.
fn completed(
    asked: &Asked,
    mut response: Response<Body>,
    failure: Option<Refusal>,
    mut details: Vec<(&'static str, String)>,
) -> Response<Body> {
    if response.status().is_success() {
        if let Some(AnswerStatus(status)) = response.extensions().get().copied() {
            *response.status_mut() = status;
        }
        return response;
    }
    let Some(body) = response.body().bytes() else {
        return response;
    };
    let Some(mut elements) = error_elements(&body) else {
        return response;
    };
    let code = between(&elements, "<Code>", "</Code>")
        .unwrap_or_default()
        .to_owned();
    if !elements.contains("<Message>") {
        element(&mut elements, "Message", default_message(&code));
    }
    let failure = failure.filter(|failure| failure.code == code);
    details.extend(failure.into_iter().flat_map(|failure| failure.details));
    let body = error_body(asked, elements, &details);
    *response.body_mut() = body;
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, APPLICATION_XML);
    response
}

/// Completes an XML body that begins before its operation has ended: s3s sends the declaration, then
/// blanks, and in the end the answer. Where that is an error, it has a declaration of its own, which
/// no parser takes, and no ids.
fn late(asked: &Asked, mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    let is_xml = headers.get(header::CONTENT_TYPE) == Some(&APPLICATION_XML);
    if !is_xml || headers.remove(header::TRANSFER_ENCODING).is_none() {
        return response;
    }
    let asked = asked.clone();
    response.map(|body| {
        let frames = body.map_frame(move |frame| {
            frame.map_data(|bytes| match error_elements(&bytes) {
                Some(elements) => Bytes::from(error_xml(&asked, elements, &[])),
                None => bytes,
            })
        });
        Body::http_body_unsync(frames)
    })
}

const APPLICATION_XML: HeaderValue = HeaderValue::from_static("application/xml");

/// What stands inside `<Error>`, if that is what the body is.
fn error_elements(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    between(text, "<Error>", "</Error>").map(str::to_owned)
}

fn between<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(open)?;
    rest.rsplit_once(close).map(|(inner, _)| inner)
}

fn error_body(asked: &Asked, elements: String, details: &[(&'static str, String)]) -> Body {
    let declaration = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
    let error = error_xml(asked, elements, details);
    Body::from(format!("{declaration}\n{error}"))
}

/// The whole `<Error>`, with what the request tells of it, and its ids.
fn error_xml(asked: &Asked, mut elements: String, details: &[(&'static str, String)]) -> String {
    for (name, text) in details {
        element(&mut elements, name, text);
    }
    let code = between(&elements, "<Code>", "</Code>").unwrap_or_default();
    let told = asked.details.elements(code);
    let ids = [
        ("Resource", asked.details.path().to_owned()),
        ("RequestId", asked.id.to_string()),
        ("HostId", asked.id.host_id()),
    ];
    for (name, text) in told.into_iter().chain(ids) {
        if !elements.contains(&format!("<{name}>")) {
            element(&mut elements, name, &text);
        }
    }
    format!("<Error>{elements}</Error>")
}

fn element(elements: &mut String, name: &str, text: &str) {
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let escaped = escape_controls(&escaped);
    write!(elements, "<{name}>{escaped}</{name}>").expect("a String takes all that is written");
}

/// AWS's words for the codes that s3s sends without any.
fn default_message(code: &str) -> &str {
    match code {
        "AccessDenied" => "Access Denied",
        "IncompleteBody" => {
            "You did not provide the number of bytes specified by the Content-Length HTTP header."
        }
        "InternalError" => "We encountered an internal error. Please try again.",
        "InvalidBucketName" => "The specified bucket is not valid.",
        "InvalidURI" => "Couldn't parse the specified URI.",
        "KeyTooLongError" => "Your key is too long.",
        "MalformedXML" => {
            "The XML you provided was not well-formed or did not validate against our published \
             schema."
        }
        "MaxMessageLengthExceeded" => "Your request was too big.",
        "MethodNotAllowed" => "The specified method is not allowed against this resource.",
        "MissingContentLength" => "You must provide the Content-Length HTTP header.",
        "MissingRequestBodyError" => "Request Body is empty.",
        "NoSuchBucket" => "The specified bucket does not exist.",
        "NoSuchKey" => "The specified key does not exist.",
        "NoSuchUpload" => {
            "The specified upload does not exist. The upload ID may be invalid, or the upload may \
             have been aborted or completed."
        }
        "NotImplemented" => {
            "A header or query you provided implies functionality that is not implemented."
        }
        "PreconditionFailed" => "At least one of the pre-conditions you specified did not hold.",
        "SignatureDoesNotMatch" => {
            "The request signature we calculated does not match the signature you provided. Check \
             your key and signing method."
        }
        "SlowDown" => "Please reduce your request rate.",
        other => other,
    }
}

/// The body of an answer. It is read within the request's span, so that what happens while it is
/// sent is logged with the request's id.
#[derive(Debug)]
pub struct FrontBody {
    inner: Body,
    span: tracing::Span,
}

impl FrontBody {
    pub(super) fn new(inner: Body, span: tracing::Span) -> Self {
        Self { inner, span }
    }
}

impl http_body::Body for FrontBody {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, StdError>>> {
        let Self { inner, span } = &mut *self;
        let _within = span.enter();
        Pin::new(inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}
