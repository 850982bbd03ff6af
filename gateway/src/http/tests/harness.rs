//! A server with a small S3 behind it, a client that signs by hand, and their wire.

use crate::admission::MemoryBudget;
use crate::auth::{User, Users};
use crate::body::{PayloadError, open_payload};
use crate::host::Hosts;
use crate::http::{FrontConfig, Regions, RequestIds, S3Front, ServeLimits, s3_service, serve};
use crate::sigv4::{CredentialScope, Digest32, hmac, signing_key};
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use s3s::dto::*;
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use types::clock::{Clock, SystemClock};
use types::entropy::SeededEntropy;

pub const ACCESS_KEY: &str = "AKEXAMPLE";
pub const SECRET_KEY: &str = "secret/example+key";
pub const REGION: &str = "pek3";
pub const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// What reached the operations.
#[derive(Default)]
pub struct Seen {
    pub payload: Vec<u8>,
    pub trailers: Vec<(String, String)>,
    pub calls: Vec<&'static str>,
}

#[derive(Clone, Default)]
struct SmallS3(Arc<Mutex<Seen>>);

fn s3_failure(error: &PayloadError) -> S3Error {
    let code = S3ErrorCode::from_bytes(error.code().as_bytes()).unwrap();
    let mut failure = S3Error::with_message(code, error.to_string());
    failure.set_status_code(error.status());
    failure
}

impl SmallS3 {
    async fn receive<T>(&self, name: &'static str, request: &mut S3Request<T>) -> S3Result<()> {
        self.0.lock().calls.push(name);
        crate::http::restore(request);
        let mut stream = open_payload(request).map_err(|error| s3_failure(&error))?;
        let mut payload = Vec::new();
        while let Some(bytes) = stream.next().await.map_err(|error| s3_failure(&error))? {
            payload.extend_from_slice(&bytes);
        }
        assert_eq!(stream.declared_len(), Some(payload.len() as u64));
        let mut seen = self.0.lock();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        seen.trailers = stream.trailers().iter().map(owned).collect();
        seen.payload = payload;
        Ok(())
    }
}

#[async_trait::async_trait]
impl S3 for SmallS3 {
    async fn put_object(
        &self,
        mut request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        if request.input.key == "refused" {
            return Err(s3_error!(NoSuchBucket));
        }
        self.receive("PutObject", &mut request).await?;
        Ok(S3Response::new(PutObjectOutput::default()))
    }

    async fn upload_part(
        &self,
        mut request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.receive("UploadPart", &mut request).await?;
        Ok(S3Response::new(UploadPartOutput::default()))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        match request.input.key.as_str() {
            "broken" => {
                let late = async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Err(std::io::Error::other("a shard is lost"))
                };
                let pieces = stream::iter([Ok("half".into())]).chain(stream::once(late));
                let body = StreamingBlob::wrap(Box::pin(pieces));
                let output = GetObjectOutput {
                    body: Some(body),
                    content_length: Some(8),
                    ..GetObjectOutput::default()
                };
                Ok(S3Response::new(output))
            }
            "unchanged" => Err(s3_error!(NotModified)),
            "failing" => Err(s3_error!(InternalError)),
            _ => Err(s3_error!(NoSuchKey)),
        }
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        if request.input.key == "present" {
            let content_length = Some(5);
            let output = HeadObjectOutput {
                content_length,
                ..HeadObjectOutput::default()
            };
            return Ok(S3Response::new(output));
        }
        Err(s3_error!(NoSuchKey))
    }

    async fn list_buckets(
        &self,
        _: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        Ok(S3Response::new(ListBucketsOutput::default()))
    }

    async fn delete_bucket(
        &self,
        _: S3Request<DeleteBucketInput>,
    ) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.0.lock().calls.push("DeleteBucket");
        Ok(S3Response::new(DeleteBucketOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        assert_eq!(request.input.delete.objects.len(), 1);
        self.0.lock().calls.push("DeleteObjects");
        Ok(S3Response::new(DeleteObjectsOutput::default()))
    }
}

/// A front over a small S3, and what that sees.
pub fn front(body_idle: Duration) -> (S3Front, Arc<Mutex<Seen>>) {
    let s3 = SmallS3::default();
    let seen = Arc::clone(&s3.0);
    let user = User {
        name: "ann".into(),
        canonical_id: "id-ann".into(),
        access_key: ACCESS_KEY.into(),
        secret_key: SECRET_KEY.into(),
    };
    let users = Users::new([user]).unwrap();
    let hosts = Hosts::new(&["s3.test".to_owned()], &[REGION.to_owned()]).unwrap();
    let regions = Regions {
        own: REGION.into(),
        aliases: vec!["us-east-1".into()],
    };
    let budget = MemoryBudget::new(64 << 20, Duration::from_millis(50));
    let service = s3_service(
        s3,
        users,
        hosts.clone(),
        budget,
        Arc::new(SystemClock::new()),
    );
    let config = FrontConfig {
        regions,
        hosts,
        body_idle,
    };
    let front = S3Front::new(service, config, RequestIds::new(&SeededEntropy::new(7)));
    (front, seen)
}

/// A running server; it stops when dropped.
pub struct Server {
    pub address: SocketAddr,
    pub seen: Arc<Mutex<Seen>>,
    pub shutdown: CancellationToken,
    pub task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(Duration::from_secs(20), ServeLimits::default()).await
    }

    pub async fn start_with(body_idle: Duration, limits: ServeLimits) -> Self {
        let (front, seen) = front(body_idle);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listener, front, shutdown.clone(), limits));
        Self {
            address,
            seen,
            shutdown,
            task,
        }
    }

    /// Sends `bytes`, reads to the end of the connection.
    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        Answer::read(&mut stream).await
    }

    pub async fn send(&self, call: &Call) -> Answer {
        self.raw(&call.wire()).await
    }
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub async fn read(stream: &mut TcpStream) -> Self {
        let mut bytes = Vec::new();
        let read = stream.read_to_end(&mut bytes);
        tokio::time::timeout(Duration::from_secs(30), read)
            .await
            .expect("the server hangs")
            .unwrap();
        Self::parse(&String::from_utf8(bytes).unwrap())
    }

    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .unwrap_or_else(|| panic!("no answer: {text:?}"));
        Self {
            status: status.parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    /// The text of the first element of this name.
    pub fn element(&self, name: &str) -> &str {
        let (_, rest) = self
            .body
            .split_once(&format!("<{name}>"))
            .unwrap_or_default();
        rest.split_once('<').unwrap_or_default().0
    }

    #[track_caller]
    pub fn expect(&self, status: u16, code: &str) {
        assert_eq!(
            (self.status, self.element("Code")),
            (status, code),
            "{}\n{}",
            self.head,
            self.body
        );
    }
}

/// A request, and how to sign it.
#[derive(Clone)]
pub struct Call {
    pub method: &'static str,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub host: String,
    pub headers: Vec<(String, String)>,
    pub unsigned_headers: Vec<(String, String)>,
    /// Named as signed, yet neither sent nor part of what is signed.
    pub phantom_header: Option<&'static str>,
    /// Sent and signed as `date`, in place of `x-amz-date`.
    pub date_header: Option<String>,
    pub content_sha256: String,
    pub region: String,
    pub anonymous: bool,
    pub body: Vec<u8>,
}

pub fn now() -> String {
    let seconds = i64::try_from(SystemClock::new().now_ms() / 1000).unwrap();
    let now = time::OffsetDateTime::from_unix_timestamp(seconds).unwrap();
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    now.format(&format).unwrap()
}

fn encode(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| {
            if keep(byte) {
                (byte as char).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

/// The seed of a chunk chain as the client knows it.
pub struct Chain {
    pub key: Digest32,
    pub date: String,
    pub scope: String,
    pub previous: String,
}

impl Chain {
    /// Frames `data` as the next chunk; the CRLF after the data of the last chunk is left out.
    pub fn chunk(&mut self, data: &[u8]) -> Vec<u8> {
        let Self {
            date,
            scope,
            previous,
            ..
        } = self;
        let [empty, sha256] = [&b""[..], data].map(|bytes| hex::encode(Sha256::digest(bytes)));
        let signed =
            format!("AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{previous}\n{empty}\n{sha256}");
        self.previous = hex::encode(hmac(&self.key, signed.as_bytes()));
        let header = format!("{:x};chunk-signature={}\r\n", data.len(), self.previous);
        let end: &[u8] = if data.is_empty() { b"" } else { b"\r\n" };
        [header.as_bytes(), data, end].concat()
    }

    pub fn trailer(&mut self, line: &str) -> Vec<u8> {
        let Self {
            date,
            scope,
            previous,
            ..
        } = self;
        let sha256 = hex::encode(Sha256::digest(format!("{line}\n")));
        let signed = format!("AWS4-HMAC-SHA256-TRAILER\n{date}\n{scope}\n{previous}\n{sha256}");
        let signature = hex::encode(hmac(&self.key, signed.as_bytes()));
        format!("{line}\r\nx-amz-trailer-signature:{signature}\r\n\r\n").into_bytes()
    }
}

impl Call {
    pub fn new(method: &'static str, path: &str) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            host: "127.0.0.1".into(),
            headers: Vec::new(),
            unsigned_headers: Vec::new(),
            phantom_header: None,
            date_header: None,
            content_sha256: UNSIGNED.into(),
            region: REGION.into(),
            anonymous: false,
            body: Vec::new(),
        }
    }

    pub fn put(path: &str, body: &[u8]) -> Self {
        let mut call = Self::new("PUT", path);
        call.body = body.to_vec();
        call
    }

    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The request with this framing, whose body is made from the chain of its own signature.
    pub fn chunked(
        mut self,
        framing: &str,
        len: usize,
        body: impl Fn(&mut Chain) -> Vec<u8>,
    ) -> Vec<u8> {
        self.content_sha256 = framing.into();
        self = self.header("x-amz-decoded-content-length", &len.to_string());
        let date = now();
        let (_, mut chain) = self.sign(&date);
        self.body = body(&mut chain);
        self.wire_at(&date)
    }

    pub fn wire(&self) -> Vec<u8> {
        self.wire_at(&now())
    }

    fn sign(&self, date: &str) -> (String, Chain) {
        let mut headers = self.headers.clone();
        headers.push(("host".into(), self.host.clone()));
        headers.push(("x-amz-content-sha256".into(), self.content_sha256.clone()));
        headers.push(self.date_line(date));
        headers.sort();
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let canonical_names = names.join(";");
        let (method, path, query) = (self.method, &self.path, self.query_string());
        let request = format!(
            "{method}\n{path}\n{query}\n{lines}\n{canonical_names}\n{}",
            self.content_sha256
        );
        let scope = CredentialScope {
            date: date[..8].into(),
            region: self.region.clone(),
            service: "s3".into(),
        };
        let key = signing_key(SECRET_KEY, &scope);
        let sha256 = hex::encode(Sha256::digest(request));
        let signed = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{sha256}");
        let signature = hex::encode(hmac(&key, signed.as_bytes()));
        names.extend(self.phantom_header);
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={}, Signature={signature}",
            names.join(";")
        );
        let chain = Chain {
            key,
            date: date.into(),
            scope: scope.to_string(),
            previous: signature,
        };
        (authorization, chain)
    }

    /// The header that says when the call is signed, and what it says.
    fn date_line(&self, date: &str) -> (String, String) {
        match &self.date_header {
            Some(value) => ("date".into(), value.clone()),
            None => ("x-amz-date".into(), date.into()),
        }
    }

    fn query_string(&self) -> String {
        let mut pairs: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        pairs.sort();
        pairs.join("&")
    }

    pub fn wire_at(&self, date: &str) -> Vec<u8> {
        let query = self.query_string();
        let mark = if query.is_empty() { "" } else { "?" };
        let mut head = format!("{} {}{mark}{query} HTTP/1.1\r\n", self.method, self.path);
        let (date_name, date_value) = self.date_line(date);
        head += &format!("host: {}\r\n{date_name}: {date_value}\r\n", self.host);
        head += &format!("x-amz-content-sha256: {}\r\n", self.content_sha256);
        if !self.anonymous {
            head += &format!("authorization: {}\r\n", self.sign(date).0);
        }
        for (name, value) in self.headers.iter().chain(&self.unsigned_headers) {
            head += &format!("{name}: {value}\r\n");
        }
        let has = |wanted: &str| self.unsigned_headers.iter().any(|(name, _)| name == wanted);
        if !has("content-length") && !has("transfer-encoding") && !self.body.is_empty() {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        if !has("connection") {
            head += "connection: close\r\n";
        }
        [head.as_bytes(), b"\r\n", &self.body].concat()
    }

    pub fn unsigned_header(mut self, name: &str, value: &str) -> Self {
        self.unsigned_headers.push((name.into(), value.into()));
        self
    }
}
