//! The layer in front of s3s: everything about the wire that s3s leaves open.
//!
//! The life of a request: it gets an id and a span; forms, unknown sub-resources, foreign regions
//! and incomplete signatures are refused with AWS's codes; the body of an upload is taken out
//! ([`crate::body::TakenBody`]); s3s verifies the signature and calls the operation; the answer is
//! completed with ids and what the error's XML lacks. A refused request's body is not read, so a
//! client that sent `Expect: 100-continue` never sends it.
//!
//! The server filters s3s's own log with [`S3S_LOG_DIRECTIVE`].

mod activity;
mod connection;
mod date;
mod details;
mod hoisted;
mod io;
mod parked;
mod payload;
mod refusal;
mod relay;
mod request_id;
mod respond;
mod route;
mod serve;
mod signed;
mod xml_body;

pub use refusal::Refusal;
pub(crate) use relay::{SentXml, restore};
pub use request_id::{RequestId, RequestIds};
pub(crate) use respond::AnswerStatus;
pub use respond::FrontBody;
pub(crate) use route::Query;
pub use serve::{ServeLimits, serve};
pub use signed::Regions;

use crate::admission::{COLLECTED_BYTES_MAX, MemoryBudget};
use crate::auth::Users;
use crate::body::{PayloadError, PayloadSpec, PayloadStream, TakenBody, WireBody};
use crate::error::ErrorDetails;
use crate::host::Hosts;
use crate::ops::Multiplexed;
use bytes::Bytes;
use http::Version;
use http::request::Parts;
use respond::{Answered, Asked};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, StdError};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tracing::Instrument;
use types::Clock;

/// The `tracing` filter directive for s3s: it logs every 4xx at ERROR, and whole headers at DEBUG.
/// The front logs what matters itself.
pub const S3S_LOG_DIRECTIVE: &str = "s3s=off";

/// The largest XML request body, in bytes: 10,000 parts with checksums, or 1,000 keys of 1,024
/// bytes written as character references, fit.
pub const MAX_XML_BODY_LEN: usize = COLLECTED_BYTES_MAX as usize;

/// What the front needs to know.
#[derive(Debug, Clone)]
pub struct FrontConfig {
    /// The region, and the names clients may also sign for.
    pub regions: Regions,
    /// The domains for virtual-host style; the same that s3s has been given.
    pub hosts: Hosts,
    /// The longest wait for the next bytes of a request body.
    pub body_idle: Duration,
}

impl FrontConfig {
    /// The default of [`FrontConfig::body_idle`], in seconds.
    pub const DEFAULT_BODY_IDLE_S: u64 = 60;
}

/// Builds the s3s service that the front expects: our users, hosts and limits, signed requests
/// only. It is two services, see [`relay`]: one that verifies, and behind it one that parses. XML
/// bodies, which are collected, count against `budget`; `clock` tells how fast they come.
#[must_use]
pub fn s3_service(
    s3: impl s3s::S3 + Clone,
    users: Users,
    hosts: Hosts,
    budget: MemoryBudget,
    clock: Arc<dyn Clock>,
) -> S3Service {
    let mut config = S3Config::default();
    config.xml_max_body_size = MAX_XML_BODY_LEN;
    let config = Arc::new(StaticConfigProvider::new(Arc::new(config)));
    let mut operations = S3ServiceBuilder::new(s3.clone());
    operations.set_host(hosts.clone());
    operations.set_config(Arc::clone(&config) as _);
    let mut verifying = S3ServiceBuilder::new(s3);
    verifying.set_auth(users);
    verifying.set_host(hosts);
    verifying.set_config(config);
    verifying.set_route(relay::Relay {
        operations: operations.build(),
        budget,
        clock,
    });
    verifying.build()
}

/// The S3 service as the network sees it. Cheap to clone.
#[derive(Clone)]
pub struct S3Front {
    inner: Arc<Inner>,
}

struct Inner {
    service: S3Service,
    config: FrontConfig,
    ids: RequestIds,
}

impl S3Front {
    /// Puts the front before `service`, which should come from [`s3_service`].
    #[must_use]
    pub fn new(service: S3Service, config: FrontConfig, ids: RequestIds) -> Self {
        Self {
            inner: Arc::new(Inner {
                service,
                config,
                ids,
            }),
        }
    }

    /// Answers one request. Every failure is an answer, with an XML body that names it; only a
    /// fault within the body of an answer ends as an error of that body, and so of the connection.
    pub async fn handle<B>(&self, request: http::Request<B>) -> http::Response<FrontBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        let (mut parts, body) = request.into_parts();
        signed::decode_latin_1(&mut parts.headers);
        let aim = Aim::of(&parts, &self.inner.config.hosts);
        let asked = Asked::new(self.inner.ids.next(), &parts, aim.level, &self.inner.config);
        let wire = WireBody::new(body, self.inner.config.body_idle);
        let state = wire.state();
        let span = tracing::info_span!(
            "request",
            id = %asked.id,
            method = %asked.method,
            bucket = aim.bucket,
            path = %parts.uri.path(),
            op = tracing::field::Empty,
        );
        let answered = self.answer(parts, aim, wire).instrument(span.clone()).await;
        let response = respond::complete(&asked, answered, &state);
        span.in_scope(|| respond::log(&response));
        response.map(|body| FrontBody::new(body, span))
    }

    async fn answer(&self, mut parts: Parts, aim: Aim, wire: WireBody) -> Answered {
        let body = match self.admit(&mut parts, &aim, wire) {
            Ok(body) => body,
            Err(refusal) => return Answered::Refused(refusal),
        };
        let details = ErrorDetails::default();
        parts.extensions.insert(details.clone());
        parts.extensions.insert(aim.query);
        if parts.version == Version::HTTP_2 {
            parts.extensions.insert(Multiplexed);
        }
        match self
            .inner
            .service
            .call(http::Request::from_parts(parts, body))
            .await
        {
            Ok(response) => Answered::Served(response, details.take()),
            Err(error) => {
                tracing::error!(error = ?error, "s3s could not write a response");
                Answered::Refused(Refusal::internal())
            }
        }
    }

    /// Decides whether s3s sees the request, and what body it sees.
    fn admit(&self, parts: &mut Parts, aim: &Aim, wire: WireBody) -> Result<Body, Refusal> {
        let config = &self.inner.config;
        let Aim { level, query, .. } = aim;
        route::refuse_form(parts)?;
        route::refuse_unknown(&parts.method, *level, query)?;
        signed::drop_empty_authorization(parts);
        date::settle(parts);
        let seed = signed::check(parts, query, &config.regions)?;
        date::require(parts)?;
        route::refuse_anonymous_overrides(parts, query)?;
        let spec = payload::spec(&parts.headers, seed)?;
        if route::is_upload(parts, *level, query) {
            payload::require_length(&spec)?;
            parts.extensions.insert(TakenBody::new(spec, wire));
            return Ok(Body::empty());
        }
        if matches!(spec, PayloadSpec::Chunked(_)) {
            return Err(Refusal::not_implemented(
                "aws-chunked bodies other than object data",
            ));
        }
        if wire.state().is_whole() {
            payload::check_empty(&parts.method, &spec)?;
            return Ok(Body::empty());
        }
        let bytes_max = MAX_XML_BODY_LEN as u64;
        if spec.declared_len().is_some_and(|len| len > bytes_max) {
            return Err(Refusal::from(&PayloadError::TextTooLong { bytes_max }));
        }
        let stream =
            PayloadStream::open(spec, wire, None).map_err(|error| Refusal::from(&error))?;
        let len = stream
            .declared_len()
            .map_or(bytes_max, |len| len.min(bytes_max));
        parts.extensions.insert(relay::Collected(len));
        let stream = stream.of_text(bytes_max);
        let checked = crate::digest::check_small_body(parts, SmallBody(stream));
        Ok(Body::http_body_unsync(checked))
    }
}

/// What a request is aimed at.
struct Aim {
    level: route::Level,
    query: Query,
    /// In virtual-host style.
    bucket: Option<String>,
}

impl Aim {
    fn of(parts: &Parts, hosts: &Hosts) -> Self {
        let host = parts.headers.get(http::header::HOST);
        let bucket = route::bucket_in_host(host, &parts.uri, hosts);
        Self {
            level: route::level(parts.uri.path(), bucket.is_some()),
            query: Query::parse(&parts.uri),
            bucket,
        }
    }
}

/// A body that s3s itself reads: XML, of at most [`MAX_XML_BODY_LEN`] bytes. An error in it is
/// remembered in the wire's state, because s3s would call it an internal one.
struct SmallBody(PayloadStream);

impl http_body::Body for SmallBody {
    type Data = Bytes;
    type Error = PayloadError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, PayloadError>>> {
        self.0.poll_next(cx).map_ok(http_body::Frame::data)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.0
            .declared_len()
            .map_or_else(http_body::SizeHint::default, |len| {
                http_body::SizeHint::with_exact(len)
            })
    }
}

impl<B> hyper::service::Service<http::Request<B>> for S3Front
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    type Response = http::Response<FrontBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: http::Request<B>) -> Self::Future {
        let front = self.clone();
        Box::pin(async move { Ok(front.handle(request).await) })
    }
}

impl<B> tower::Service<http::Request<B>> for S3Front
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError>,
{
    type Response = http::Response<FrontBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        hyper::service::Service::call(self, request)
    }
}

#[cfg(test)]
mod tests;
