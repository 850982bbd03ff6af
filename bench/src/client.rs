//! One client: one connection that is kept, one request at a time.

use crate::content::Stretch;
use crate::sign::{Credentials, Signer, UNSIGNED_PAYLOAD};
use anyhow::{Context, Result, bail, ensure};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use types::clock::Clock;

/// After this time without a whole answer, an operation has failed.
const ANSWER_DEADLINE: Duration = Duration::from_secs(120);
/// More of an error's body is not read.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// The service, and how requests to it are signed.
#[derive(Debug, Clone)]
pub struct Target {
    address: SocketAddr,
    host: HeaderValue,
    credentials: Credentials,
    signs_payload: bool,
}

impl Target {
    /// The service at `http://host:port`.
    pub fn new(endpoint: &str, credentials: Credentials, signs_payload: bool) -> Result<Self> {
        let Some(host) = endpoint.strip_prefix("http://") else {
            bail!(
                "endpoint {endpoint}: only http://HOST:PORT can be measured; TLS is not supported"
            );
        };
        let host = host.trim_end_matches('/');
        ensure!(
            !host.contains('/'),
            "endpoint {endpoint}: it may not have a path"
        );
        let with_port = if host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
        {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let address = with_port
            .to_socket_addrs()
            .with_context(|| format!("endpoint {endpoint}: the name cannot be resolved"))?
            .next()
            .with_context(|| format!("endpoint {endpoint}: the name has no address"))?;
        Ok(Self {
            address,
            host: HeaderValue::from_str(host)
                .with_context(|| format!("endpoint {endpoint}: not a host name"))?,
            credentials,
            signs_payload,
        })
    }
}

/// A request, before it is signed. Path and query are percent-encoded, the query's names in order.
#[derive(Debug)]
pub struct Call<'a> {
    pub method: Method,
    pub path: &'a str,
    pub query: &'a str,
    pub headers: &'a [(HeaderName, HeaderValue)],
    pub body: Stretch,
}

impl<'a> Call<'a> {
    /// A request with a path only.
    pub fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            query: "",
            headers: &[],
            body: Stretch::empty(),
        }
    }
}

/// Why an operation failed.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The service answered with an error.
    Refused {
        /// The status of HTTP.
        status: u16,
        /// S3's code, where there was one.
        code: String,
        /// S3's explanation, where there was one.
        message: String,
        /// The time after which to try again.
        retry_after: Option<Duration>,
    },
    /// No whole answer came.
    Connection(String),
    /// The answer was a success with something else than what was stored.
    Wrong(&'static str),
}

impl Fault {
    /// Whether the service asks for patience.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { status: 503, .. })
    }

    /// What errors are counted by.
    pub fn label(&self) -> String {
        match self {
            Self::Refused { status, code, .. } => format!("{status} {code}"),
            Self::Connection(why) => format!("connection: {why}"),
            Self::Wrong(what) => format!("WRONG: {what}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { message, .. } => {
                write!(out, "{}: {}", self.label(), message.trim_end_matches('.'))
            }
            _ => out.write_str(&self.label()),
        }
    }
}

impl std::error::Error for Fault {}

/// See the head of the file.
pub struct Client {
    target: Arc<Target>,
    signer: Signer,
    connection: Option<SendRequest<Stretch>>,
}

impl Client {
    /// A client that connects when it is first used.
    pub fn new(target: Arc<Target>, clock: Arc<dyn Clock>) -> Self {
        let host = target.host.to_str().unwrap_or_default().to_owned();
        Self {
            signer: Signer::new(target.credentials.clone(), host, clock),
            target,
            connection: None,
        }
    }

    /// Connects, unless there is a connection that can be used.
    pub async fn connect(&mut self) -> Result<(), Fault> {
        if self
            .connection
            .as_ref()
            .is_some_and(|sender| !sender.is_closed())
        {
            return Ok(());
        }
        let broken = |error: &dyn fmt::Display| Fault::Connection(error.to_string());
        let stream = TcpStream::connect(self.target.address)
            .await
            .map_err(|error| broken(&error))?;
        stream.set_nodelay(true).map_err(|error| broken(&error))?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(&error))?;
        // Its errors are those of the requests on it.
        tokio::spawn(connection);
        self.connection = Some(sender);
        Ok(())
    }

    /// Makes a request and gives the answer's headers; its body goes to `sink`, piece by piece as it comes.
    pub async fn call(
        &mut self,
        call: Call<'_>,
        sink: impl FnMut(&[u8]),
    ) -> Result<HeaderMap, Fault> {
        let answer = tokio::time::timeout(ANSWER_DEADLINE, self.exchange(call, sink)).await;
        let answer = answer.unwrap_or_else(|_| {
            let limit = ANSWER_DEADLINE.as_secs();
            Err(Fault::Connection(format!("no answer within {limit} s")))
        });
        if matches!(answer, Err(Fault::Connection(_))) {
            self.connection = None;
        }
        answer
    }

    /// As [`Self::call`], with the whole body.
    pub async fn fetch(&mut self, call: Call<'_>) -> Result<(HeaderMap, Vec<u8>), Fault> {
        let mut body = Vec::new();
        let headers = self
            .call(call, |piece| body.extend_from_slice(piece))
            .await?;
        Ok((headers, body))
    }

    async fn exchange(
        &mut self,
        call: Call<'_>,
        mut sink: impl FnMut(&[u8]),
    ) -> Result<HeaderMap, Fault> {
        self.connect().await?;
        let request = self.request(call);
        let sender = self.connection.as_mut().expect("connected above");
        let broken = |error: hyper::Error| Fault::Connection(error.to_string());
        sender.ready().await.map_err(broken)?;
        let response = sender.send_request(request).await.map_err(broken)?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let (head, mut body) = response.into_parts();
        while let Some(frame) = body.frame().await {
            if let Ok(piece) = frame.map_err(broken)?.into_data() {
                sink(&piece);
            }
        }
        Ok(head.headers)
    }

    fn request(&mut self, call: Call<'_>) -> Request<Stretch> {
        let payload = if self.target.signs_payload {
            call.body.sha256()
        } else {
            UNSIGNED_PAYLOAD.to_owned()
        };
        let signature = self
            .signer
            .sign(call.method.as_str(), call.path, call.query, &payload);
        let uri = if call.query.is_empty() {
            call.path.to_owned()
        } else {
            format!("{}?{}", call.path, call.query)
        };
        let has_body = call.method == Method::PUT || call.method == Method::POST;
        let mut request = Request::builder()
            .method(call.method)
            .uri(uri)
            .header(HOST, &self.target.host)
            .header("x-amz-content-sha256", payload)
            .header("x-amz-date", signature.date)
            .header(AUTHORIZATION, signature.authorization);
        if has_body {
            // hyper leaves it out of an empty one, and S3 insists on it.
            request = request.header(CONTENT_LENGTH, call.body.left());
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        request
            .body(call.body)
            .expect("path, query and headers were encoded by us")
    }
}

/// What an error says.
async fn refusal(response: Response<Incoming>) -> Fault {
    let (head, mut body) = response.into_parts();
    let mut text = Vec::new();
    while text.len() < ERROR_BYTES_MAX {
        let Some(Ok(frame)) = body.frame().await else {
            break;
        };
        if let Ok(piece) = frame.into_data() {
            text.extend_from_slice(&piece);
        }
    }
    let text = String::from_utf8_lossy(&text);
    let retry_after = head.headers.get(RETRY_AFTER);
    let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
    Fault::Refused {
        status: head.status.as_u16(),
        code: element(&text, "Code").unwrap_or_default().to_owned(),
        message: element(&text, "Message").unwrap_or_default().to_owned(),
        retry_after: seconds.map(Duration::from_secs),
    }
}

/// The text of the first element of this name.
pub fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(endpoint: &str) -> Result<Target> {
        let credentials = Credentials {
            access_key: String::new(),
            secret_key: String::new(),
            region: String::new(),
        };
        Target::new(endpoint, credentials, false)
    }

    #[test]
    fn endpoints_are_hosts_with_ports() {
        let good = target("http://127.0.0.1:9000/").unwrap();
        assert_eq!(good.address.port(), 9000);
        assert_eq!(good.host, "127.0.0.1:9000");
        assert_eq!(target("http://127.0.0.1").unwrap().address.port(), 80);
        for bad in [
            "https://127.0.0.1",
            "127.0.0.1:9000",
            "http://127.0.0.1/path",
        ] {
            assert!(target(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn elements_are_found() {
        let xml = "<Error><Code>NoSuchKey</Code><Message>no &amp; no</Message></Error>";
        assert_eq!(element(xml, "Code"), Some("NoSuchKey"));
        assert_eq!(element(xml, "Key"), None);
    }
}
