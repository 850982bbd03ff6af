//! A small S3 client: enough to store, read, list and delete, and to see every answer as it came.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use types::clock::{Clock, SystemClock};

/// How long an answer is waited for unless [`S3::with_patience`] says otherwise.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a request goes and who signs it. Clones share connections.
#[derive(Clone, Debug)]
pub struct S3 {
    endpoint: String,
    credentials: Credentials,
    http: Client<HttpConnector, Full<Bytes>>,
    patience: Duration,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status line's.
    pub status: StatusCode,
    /// All of them.
    pub headers: HeaderMap,
    /// Whole.
    pub body: Bytes,
}

/// No whole answer came: the request may or may not have been carried out.
#[derive(Debug)]
pub struct Unknown {
    /// What happened instead.
    pub reason: String,
    /// False when there was no connection to send it over, so that it certainly was not carried out.
    pub is_sent: bool,
}

impl Unknown {
    /// Of a request that was sent.
    #[must_use]
    pub fn sent(reason: String) -> Self {
        Self {
            reason,
            is_sent: true,
        }
    }
}

impl Answer {
    /// The text between `<tag>` and `</tag>`, for each time it appears.
    #[must_use]
    pub fn all(&self, tag: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.body).into_owned();
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        text.split(&open)
            .skip(1)
            .filter_map(|rest| rest.split(&close).next())
            .map(unescape)
            .collect()
    }

    /// The text of the first `tag`.
    #[must_use]
    pub fn one(&self, tag: &str) -> Option<String> {
        self.all(tag).into_iter().next()
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Fails the test unless the status is a success.
    ///
    /// # Panics
    /// With the answer, unless the status is a success.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(
            self.status.is_success(),
            "{} {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        self
    }
}

fn unescape(text: &str) -> String {
    let pairs = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    pairs
        .iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

/// Percent-encodes everything but unreserved characters and, in paths, the slash.
fn encode(text: &str, keep_slash: bool) -> String {
    let plain =
        |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b) || (keep_slash && b == b'/');
    text.bytes()
        .map(|b| {
            if plain(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

impl S3 {
    /// A client for `endpoint` (`http://127.0.0.1:PORT`).
    #[must_use]
    pub fn new(endpoint: &str, access_key: &str, secret_key: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            endpoint: endpoint.to_owned(),
            credentials: Credentials::new(access_key, secret_key, None, None, "tests"),
            http: Client::builder(TokioExecutor::new()).build(connector),
            patience: PATIENCE,
        }
    }

    /// The same client, which waits no longer than this for a connection or an answer.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(patience));
        self.http = Client::builder(TokioExecutor::new()).build(connector);
        self.patience = patience;
        self
    }

    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// When no whole answer comes in time.
    ///
    /// # Panics
    /// When the request is not well-formed.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Result<Answer, Unknown> {
        let query: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name, false), encode(value, false)))
            .collect();
        let query = if query.is_empty() {
            String::new()
        } else {
            format!("?{}", query.join("&"))
        };
        let uri = format!("{}{}{query}", self.endpoint, encode(path, true));
        let mut request = Request::builder().method(method).uri(uri);
        if body.is_empty() {
            // hyper leaves it out then, and S3 insists on it.
            request = request.header("content-length", "0");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request
            .body(Full::new(body))
            .expect("tests make well-formed requests");
        self.sign(&mut request);
        let exchange = async {
            let response = self.http.request(request).await.map_err(|error| Unknown {
                is_sent: !error.is_connect(),
                reason: format!("{error:?}"),
            })?;
            let (parts, body) = response.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| Unknown::sent(format!("{error:?}")))?
                .to_bytes();
            Ok(Answer {
                status: parts.status,
                headers: parts.headers,
                body,
            })
        };
        let late = || Unknown::sent(format!("no answer within {:?}", self.patience));
        let answer = tokio::time::timeout(self.patience, exchange).await;
        answer.unwrap_or_else(|_| Err(late()))
    }

    fn sign(&self, request: &mut Request<Full<Bytes>>) {
        let identity = self.credentials.clone().into();
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = aws_sigv4::http_request::PercentEncodingMode::Single;
        settings.uri_path_normalization_mode =
            aws_sigv4::http_request::UriPathNormalizationMode::Disabled;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(SystemTime::UNIX_EPOCH + Duration::from_millis(SystemClock::new().now_ms()))
            .settings(settings)
            .build()
            .expect("all parameters are given")
            .into();
        let headers = request.headers().iter().map(|(name, value)| {
            (
                name.as_str(),
                value.to_str().expect("test headers are text"),
            )
        });
        let uri = request.uri().to_string();
        let payload = if request.headers().contains_key("x-amz-trailer") {
            SignableBody::StreamingUnsignedPayloadTrailer
        } else {
            SignableBody::UnsignedPayload
        };
        let signable = SignableRequest::new(request.method().as_str(), uri, headers, payload)
            .expect("a well-formed request can be signed");
        let (instructions, _) = sign(signable, &params)
            .expect("signing succeeds")
            .into_parts();
        instructions.apply_to_request_http1x(request);
    }

    /// Line and headers of a signed PUT with a body of `length` bytes, for a connection of the test's own.
    ///
    /// # Panics
    /// When the request is not well-formed.
    #[must_use]
    pub fn head_of_put(&self, path: &str, length: usize) -> String {
        self.head(
            Method::PUT,
            path,
            &[("content-length", &length.to_string())],
        )
    }

    /// A signed request whose body is left to the test. `target` may have a query.
    ///
    /// # Panics
    /// When the request is not well-formed.
    #[must_use]
    pub fn signed(&self, method: Method, target: &str, headers: &[(&str, &str)]) -> Request<()> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{target}", self.endpoint));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request
            .body(Full::default())
            .expect("a well-formed request");
        self.sign(&mut request);
        request.map(|_| ())
    }

    /// Line and headers of a signed request, for a connection of the test's own. `target` may have a query.
    ///
    /// # Panics
    /// When the request is not well-formed.
    #[must_use]
    pub fn head(&self, method: Method, target: &str, headers: &[(&str, &str)]) -> String {
        let request = self.signed(method.clone(), target, headers);
        let host = self.address();
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n");
        for (name, value) in request.headers() {
            head += &format!(
                "{name}: {}\r\n",
                value.to_str().expect("test headers are text")
            );
        }
        head + "\r\n"
    }

    /// The address that requests go to.
    ///
    /// # Panics
    /// When the endpoint names a host and no address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let address = self.endpoint.trim_start_matches("http://");
        address.parse().expect("tests name addresses")
    }

    /// PutObject.
    ///
    /// # Errors
    /// As [`S3::send`].
    pub async fn put(&self, bucket: &str, key: &str, body: Bytes) -> Result<Answer, Unknown> {
        self.send(Method::PUT, &format!("/{bucket}/{key}"), &[], &[], body)
            .await
    }

    /// GetObject.
    ///
    /// # Errors
    /// As [`S3::send`].
    pub async fn get(&self, bucket: &str, key: &str) -> Result<Answer, Unknown> {
        self.send(
            Method::GET,
            &format!("/{bucket}/{key}"),
            &[],
            &[],
            Bytes::new(),
        )
        .await
    }

    /// DeleteObject.
    ///
    /// # Errors
    /// As [`S3::send`].
    pub async fn delete(&self, bucket: &str, key: &str) -> Result<Answer, Unknown> {
        self.send(
            Method::DELETE,
            &format!("/{bucket}/{key}"),
            &[],
            &[],
            Bytes::new(),
        )
        .await
    }

    /// PUT of an object that must not be there yet.
    ///
    /// # Errors
    /// As [`S3::send`].
    pub async fn put_new(&self, bucket: &str, key: &str, body: Bytes) -> Result<Answer, Unknown> {
        let path = format!("/{bucket}/{key}");
        self.send(Method::PUT, &path, &[], &[("if-none-match", "*")], body)
            .await
    }

    /// Begins a multipart upload and stores its only part; gives the upload's id and the body that
    /// completes it.
    ///
    /// # Errors
    /// As [`S3::send`].
    pub async fn upload(
        &self,
        bucket: &str,
        key: &str,
        body: Bytes,
    ) -> Result<Result<(String, Bytes), Answer>, Unknown> {
        let path = format!("/{bucket}/{key}");
        let begun = self
            .send(Method::POST, &path, &[("uploads", "")], &[], Bytes::new())
            .await?;
        let Some(upload) = begun.one("UploadId") else {
            return Ok(Err(begun));
        };
        let query = [("partNumber", "1"), ("uploadId", upload.as_str())];
        let part = self.send(Method::PUT, &path, &query, &[], body).await?;
        let Some(etag) = part.header("etag") else {
            return Ok(Err(part));
        };
        let complete = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
             </CompleteMultipartUpload>"
        );
        Ok(Ok((upload, complete.into())))
    }

    /// Completes an upload; a failure that S3 reports inside a 200 is given as a 500.
    ///
    /// # Errors
    /// As [`S3::send`].
    pub async fn complete(
        &self,
        bucket: &str,
        key: &str,
        (upload, body): &(String, Bytes),
        headers: &[(&str, &str)],
    ) -> Result<Answer, Unknown> {
        let path = format!("/{bucket}/{key}");
        let query = [("uploadId", upload.as_str())];
        let mut answer = self
            .send(Method::POST, &path, &query, headers, body.clone())
            .await?;
        if answer.status.is_success() && answer.one("Code").is_some() {
            answer.status = StatusCode::INTERNAL_SERVER_ERROR;
        }
        Ok(answer)
    }

    /// Makes a bucket.
    ///
    /// # Errors
    /// As [`S3::send`].
    pub async fn create_bucket(&self, bucket: &str) -> Result<Answer, Unknown> {
        self.send(Method::PUT, &format!("/{bucket}"), &[], &[], Bytes::new())
            .await
    }

    /// Every key of the bucket with its size, by as many pages as it takes.
    ///
    /// # Errors
    /// As [`S3::send`].
    ///
    /// # Panics
    /// When the answer is no list.
    pub async fn list(&self, bucket: &str) -> Result<Vec<(String, u64)>, Unknown> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let mut query = vec![("list-type", "2")];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let page = self
                .send(
                    Method::GET,
                    &format!("/{bucket}"),
                    &query,
                    &[],
                    Bytes::new(),
                )
                .await?
                .ok();
            let sizes = page
                .all("Size")
                .into_iter()
                .map(|size| size.parse().expect("a size"));
            found.extend(page.all("Key").into_iter().zip(sizes));
            token = page.one("NextContinuationToken");
            if token.is_none() {
                return Ok(found);
            }
        }
    }
}
