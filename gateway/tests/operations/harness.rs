//! A gateway over memory, and a client that signs.

mod sign;

pub use sign::encode;

use bytes::Bytes;
use chunkstore::testing::{ClusterShape, MemoryCluster};
use gateway::admission::MemoryBudget;
use gateway::auth::{User, Users};
use gateway::config::GatewayConfig;
use gateway::context::Context;
use gateway::digest::Md5Pool;
use gateway::host::Hosts;
use gateway::http::{FrontBody, FrontConfig, Regions, RequestIds, S3Front, s3_service};
use gateway::s3::Gateway;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use index::{Index, IndexStore};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use types::Clock;
use types::entropy::SeededEntropy;

pub const REGION: &str = "pek3";
pub const REGION_ALIAS: &str = "us-east-1";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// Who sends a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Ann,
    Bob,
    Nobody,
}

impl Who {
    fn access_key(self) -> &'static str {
        if self == Self::Ann { "AKANN" } else { "AKBOB" }
    }

    fn secret_key(self) -> &'static str {
        if self == Self::Ann {
            "ann's secret"
        } else {
            "bob's secret"
        }
    }
}

/// A gateway with its index and its disks.
pub struct Server {
    pub front: S3Front,
    pub cluster: MemoryCluster,
    pub index: Index,
    pub budget: MemoryBudget,
}

pub fn small_config() -> GatewayConfig {
    GatewayConfig {
        region: REGION.to_owned(),
        admission_wait: Duration::from_millis(50),
        commit_deadline: Duration::from_secs(5),
        ..GatewayConfig::default()
    }
}

impl Server {
    pub fn new() -> Self {
        Self::with(small_config(), None)
    }

    /// A server on an engine of the test's own.
    pub fn with(config: GatewayConfig, engine: Option<Arc<dyn IndexStore>>) -> Self {
        let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
        let clock: Arc<dyn Clock> = Arc::clone(&cluster.clock) as _;
        let entropy = Arc::new(SeededEntropy::new(7));
        let index = match engine {
            None => Index::in_memory(Arc::clone(&clock), entropy),
            Some(engine) => {
                let settings = index::IndexConfig::in_dir("memory".into());
                Index::with_store(&settings, engine, Arc::clone(&clock), entropy).unwrap()
            }
        };
        config.check().unwrap();
        let budget = MemoryBudget::new(config.memory_limit_bytes, config.admission_wait);
        let context = Context {
            index: index.clone(),
            chunks: cluster.store.clone(),
            cache: None,
            users: users(),
            config,
            budget: budget.clone(),
            md5_pool: Md5Pool::new(),
            clock: Arc::clone(&clock),
        };
        let hosts = Hosts::new(&["s3.test".to_owned()], &[REGION.to_owned()]).unwrap();
        let service = s3_service(
            Gateway::new(Arc::new(context)),
            users(),
            hosts.clone(),
            budget.clone(),
            clock,
        );
        let config = FrontConfig {
            regions: Regions {
                own: REGION.to_owned(),
                aliases: vec![REGION_ALIAS.to_owned()],
            },
            hosts,
            body_idle: Duration::from_secs(5),
        };
        let front = S3Front::new(service, config, RequestIds::new(&SeededEntropy::new(3)));
        Self {
            front,
            cluster,
            index,
            budget,
        }
    }

    /// A server with the bucket `bucket` of Ann.
    pub async fn with_bucket() -> Self {
        let server = Self::new();
        server.make_bucket().await;
        server
    }

    pub async fn make_bucket(&self) {
        assert_eq!(self.send(put("/bucket")).await.status, 200);
    }

    pub async fn send(&self, request: Request) -> Answer {
        let body = Full::new(request.body.clone());
        self.send_body(request, body).await
    }

    /// Sends a request whose body breaks off after `sent`.
    pub async fn send_broken(&self, request: Request, sent: Bytes) -> Answer {
        let pieces: Vec<Result<Frame<Bytes>, io::Error>> = vec![
            Ok(Frame::data(sent)),
            Err(io::Error::other("connection reset")),
        ];
        let body = StreamBody::new(futures::stream::iter(pieces));
        self.send_body(request, body).await
    }

    /// Sends a request whose body comes as a stream.
    pub async fn send_stream<B>(&self, request: Request, body: B) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<s3s::StdError>,
    {
        self.send_body(request, body).await
    }

    /// The body of an answer, to be read frame by frame.
    pub async fn open(&self, request: Request) -> FrontBody {
        let body = Full::new(request.body.clone());
        self.front
            .handle(request.signed().map(|()| body))
            .await
            .into_body()
    }

    /// The same, on a connection of HTTP/2.
    pub async fn open_multiplexed(&self, request: Request) -> FrontBody {
        let mut request = request.signed().map(|()| Full::default());
        *request.version_mut() = http::Version::HTTP_2;
        self.front.handle(request).await.into_body()
    }

    async fn send_body<B>(&self, request: Request, body: B) -> Answer
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<s3s::StdError>,
    {
        let response = self.front.handle(request.signed().map(|()| body)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map(|whole| whole.to_bytes());
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.map_err(|error| error.to_string()),
        }
    }
}

fn users() -> Users {
    let user = |who: Who, name: &str| User {
        name: name.to_owned(),
        canonical_id: format!("{name}-id"),
        access_key: who.access_key().to_owned(),
        secret_key: who.secret_key().into(),
    };
    Users::new([user(Who::Ann, "ann"), user(Who::Bob, "bob")]).unwrap()
}

/// An answer, read to its end; `body` is an error when it broke off.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: Result<Bytes, String>,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.as_ref().unwrap().to_vec()).unwrap()
    }

    pub fn bytes(&self) -> &Bytes {
        self.body.as_ref().unwrap()
    }

    /// What stands in the first `<name>`, empty when there is none.
    pub fn element(&self, name: &str) -> String {
        self.elements(name).into_iter().next().unwrap_or_default()
    }

    /// What stands in each `<name>`, in order.
    pub fn elements(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let text = self.text();
        let parts = text.split(&open).skip(1);
        parts
            .map(|part| part.split(&close).next().unwrap().to_owned())
            .collect()
    }

    /// Status and error code together.
    pub fn refusal(&self) -> (u16, String) {
        (self.status, self.element("Code"))
    }
}

/// A request in the making. The path is not encoded.
#[derive(Debug, Clone)]
pub struct Request {
    method: http::Method,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
    body: Bytes,
    who: Who,
    length: Option<u64>,
    payload: &'static str,
    region: &'static str,
    secret: Option<&'static str>,
    presigned: bool,
}

pub fn request(method: http::Method, path: &str) -> Request {
    Request {
        method,
        path: path.to_owned(),
        query: Vec::new(),
        headers: Vec::new(),
        body: Bytes::new(),
        who: Who::Ann,
        length: None,
        payload: UNSIGNED,
        region: REGION,
        secret: None,
        presigned: false,
    }
}

pub fn get(path: &str) -> Request {
    request(http::Method::GET, path)
}

pub fn head(path: &str) -> Request {
    request(http::Method::HEAD, path)
}

pub fn put(path: &str) -> Request {
    request(http::Method::PUT, path)
}

pub fn post(path: &str) -> Request {
    request(http::Method::POST, path)
}

pub fn delete(path: &str) -> Request {
    request(http::Method::DELETE, path)
}

impl Request {
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Announces another length than the body has.
    pub fn length(mut self, length: u64) -> Self {
        self.length = Some(length);
        self
    }

    /// Wraps the body as SDKs do by default: unsigned aws-chunks, and a checksum in a trailer.
    pub fn with_trailer(mut self, name: &str, value: &str) -> Self {
        let body = self.body;
        let mut framed = format!("{:x}\r\n", body.len()).into_bytes();
        framed.extend_from_slice(&body);
        framed.extend_from_slice(format!("\r\n0\r\n{name}:{value}\r\n\r\n").as_bytes());
        self.body = framed.into();
        self.payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
        self.header("x-amz-trailer", name)
            .header("x-amz-decoded-content-length", &body.len().to_string())
    }

    pub fn by(mut self, who: Who) -> Self {
        self.who = who;
        self
    }

    /// Signs for another region.
    pub fn region(mut self, region: &'static str) -> Self {
        self.region = region;
        self
    }

    /// Signs with another key than the signer's.
    pub fn secret(mut self, secret: &'static str) -> Self {
        self.secret = Some(secret);
        self
    }
}

/// Bytes that differ from place to place, so that a wrong offset shows.
pub fn pattern(length: usize, seed: u64) -> Bytes {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

pub fn etag(body: &[u8]) -> String {
    let md5 = openssl::hash::hash(openssl::hash::MessageDigest::md5(), body).unwrap();
    format!("\"{}\"", hex::encode(md5))
}

/// Waits until the disks hold nothing, for at most two seconds.
pub async fn shards_gone(server: &Server) -> bool {
    for _ in 0..200 {
        if server.cluster.shard_count() == 0 {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}
