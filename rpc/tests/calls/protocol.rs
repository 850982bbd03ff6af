//! What a server makes of peers that have a certificate and speak another way than ours do.

use crate::handshake::settings;
use crate::support::{INSTALLATION, REGION, Region, SECOND, bytes, echo, serve, until};
use bytes::Bytes;
use h2::client::SendRequest;
use rpc::error::Refusal;
use rpc::server::{Response, Server, Service};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpStream;
use types::ids::{InstallationId, NodeId, RegionId};
use types::record;

record! {
    /// A hello as it is on the wire.
    pub struct Hello {
        1 => installation: InstallationId,
        2 => region: RegionId,
        3 => node: NodeId,
        4 => wanted: NodeId,
        5 => boot: [u8; 16],
        7 => version_min: u32,
        8 => version_max: u32,
        99 => novelty: String,
    }
}

record! {
    /// A call as it is on the wire.
    pub struct Call {
        1 => version: u32,
        2 => installation: InstallationId,
        3 => region: RegionId,
        5 => remaining_ms: u64,
        6 => method: String,
        7 => message: Bytes,
        8 => body_bytes: Option<u64>,
        99 => novelty: String,
    }
}

record! {
    /// An answer as it is on the wire.
    pub struct Reply {
        1 => status: u32,
        2 => code: u32,
        3 => text: String,
        5 => message: Bytes,
    }
}

fn hello() -> Hello {
    Hello {
        installation: INSTALLATION,
        region: REGION,
        node: NodeId(2),
        wanted: NodeId(1),
        boot: [1; 16],
        version_min: 1,
        version_max: 9,
        novelty: "of a newer version".into(),
        ..Default::default()
    }
}

fn call() -> Call {
    Call {
        version: 1,
        installation: INSTALLATION,
        region: REGION,
        remaining_ms: 5000,
        method: "echo".into(),
        message: Bytes::from_static(b"m"),
        body_bytes: Some(0),
        novelty: "of a newer version".into(),
        ..Default::default()
    }
}

struct Raw {
    send: SendRequest<Bytes>,
    server: Server,
}

async fn raw(service: Service) -> Raw {
    let region = Region::new();
    let server = serve(&region.node(1), service).await;
    let config = settings(&region, Some((&region, &*region.clock)));
    let stream = TcpStream::connect(server.address()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from("node.example.com").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let tls = connector.connect(name, stream).await.unwrap();
    let (send, connection) = h2::client::handshake(tls).await.unwrap();
    tokio::spawn(connection);
    Raw { send, server }
}

impl Raw {
    /// Sends these bytes, and reads the head of the answer.
    async fn send(&self, path: &str, bytes: Vec<u8>) -> Result<Reply, h2::Error> {
        let request = http::Request::post(format!("https://cairn{path}"))
            .body(())
            .unwrap();
        let mut send = self.send.clone().ready().await?;
        let (response, mut stream) = send.send_request(request, false)?;
        stream.send_data(bytes.into(), true)?;
        let mut body = response.await?.into_body();
        let mut answer = Vec::new();
        while let Some(piece) = body.data().await {
            answer.extend_from_slice(&piece?);
        }
        Ok(Reply::decode(answer.split_off(4).into()).unwrap())
    }

    async fn hello(&self, hello: &Hello) -> Reply {
        self.send("/hello", framed(&hello.encode())).await.unwrap()
    }

    async fn call(&self, call: &Call) -> Reply {
        self.send("/call", framed(&call.encode())).await.unwrap()
    }
}

fn framed(header: &[u8]) -> Vec<u8> {
    [&u32::try_from(header.len()).unwrap().to_be_bytes(), header].concat()
}

#[track_caller]
fn refuses(reply: &Reply, refusal: Refusal, words: &str) {
    assert_eq!(
        (reply.status, reply.code),
        (1, refusal.code()),
        "{}",
        reply.text
    );
    assert!(reply.text.contains(words), "no {words:?} in {}", reply.text);
}

#[tokio::test]
async fn a_newer_peer_is_served_in_the_common_version() {
    let raw = raw(echo()).await;
    let reply = raw.hello(&hello()).await;
    assert_eq!(reply.status, 0, "{}", reply.text);
    let reply = raw.call(&call()).await;
    assert_eq!((reply.status, &*reply.message), (0, &b"m"[..]));
    assert_eq!(raw.server.callers()[0].boot, [1; 16]);
}

#[tokio::test]
async fn hellos_that_do_not_fit_are_refused_with_what_to_do() {
    let raw = raw(echo()).await;
    let cases = [
        (
            Hello {
                installation: InstallationId(9),
                ..hello()
            },
            Refusal::Installation,
            "correct it",
        ),
        (
            Hello {
                region: RegionId(9),
                ..hello()
            },
            Refusal::Region,
            "calls stay inside a region",
        ),
        (
            Hello {
                node: NodeId(9),
                ..hello()
            },
            Refusal::Node,
            "its own certificate",
        ),
        (
            Hello {
                wanted: NodeId(9),
                ..hello()
            },
            Refusal::Node,
            "in the cluster map leads here",
        ),
        (
            Hello {
                version_min: 8,
                ..hello()
            },
            Refusal::Version,
            "upgrade the older one",
        ),
    ];
    for (hello, refusal, words) in cases {
        refuses(&raw.hello(&hello).await, refusal, words);
        refuses(
            &raw.call(&call()).await,
            Refusal::NotGreeted,
            "begins with a hello",
        );
    }
    let reply = raw.send("/hello", framed(b"\x09\x09\x09")).await.unwrap();
    refuses(&reply, Refusal::Malformed, "cannot be read");
    assert!(raw.server.callers().is_empty());
    assert_eq!(raw.hello(&hello()).await.status, 0);
    refuses(
        &raw.hello(&hello()).await,
        Refusal::Malformed,
        "second hello",
    );
}

#[tokio::test]
async fn calls_that_do_not_fit_are_refused_with_what_to_do() {
    let raw = raw(echo()).await;
    raw.hello(&hello()).await;
    let cases = [
        (
            Call {
                installation: InstallationId(9),
                ..call()
            },
            Refusal::Installation,
            "correct it",
        ),
        (
            Call {
                region: RegionId(9),
                ..call()
            },
            Refusal::Region,
            "stay inside a region",
        ),
        (
            Call {
                version: 2,
                ..call()
            },
            Refusal::Version,
            "connect again",
        ),
        (
            Call {
                remaining_ms: 0,
                ..call()
            },
            Refusal::Late,
            "passed on arrival",
        ),
        (
            Call {
                method: "x".repeat(5000),
                ..call()
            },
            Refusal::UnknownMethod,
            "older version",
        ),
        (
            Call {
                body_bytes: Some(5),
                ..call()
            },
            Refusal::Malformed,
            "5 were announced",
        ),
        (
            Call {
                body_bytes: Some(u64::MAX),
                ..call()
            },
            Refusal::TooLarge,
            "the method takes",
        ),
    ];
    for (call, refusal, words) in cases {
        refuses(&raw.call(&call).await, refusal, words);
    }
    assert_eq!(raw.call(&call()).await.status, 0);
}

#[tokio::test]
async fn what_is_no_call_is_refused() {
    let raw = raw(echo()).await;
    raw.hello(&hello()).await;
    let too_long = [&(1_u32 << 30).to_be_bytes()[..], b"abc"].concat();
    for bytes in [
        framed(b"\x09\x09\x09"),
        vec![0, 0, 0, 9, 1],
        vec![],
        too_long,
    ] {
        let reply = raw.send("/call", bytes).await.unwrap();
        refuses(&reply, Refusal::Malformed, "");
    }
    raw.send("/other", vec![]).await.unwrap_err();
    assert_eq!(raw.call(&call()).await.status, 0);
}

#[tokio::test]
async fn a_body_longer_than_announced_is_not_executed() {
    let executed = Arc::new(AtomicUsize::new(0));
    let counted = executed.clone();
    let service = Service::new().unary("echo", 100, move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok(Response::default()) }
    });
    let raw = raw(service).await;
    raw.hello(&hello()).await;
    let announced = Call {
        body_bytes: Some(10),
        ..call()
    };
    for length in [9, 11, 5000] {
        let bytes = [framed(&announced.encode()), bytes(length).to_vec()].concat();
        let reply = raw.send("/call", bytes).await.unwrap();
        refuses(&reply, Refusal::Malformed, "10 were announced");
    }
    assert_eq!(executed.load(Ordering::SeqCst), 0);
    let bytes = [framed(&announced.encode()), bytes(10).to_vec()].concat();
    assert_eq!(raw.send("/call", bytes).await.unwrap().status, 0);
    assert_eq!(executed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn half_a_request_is_never_executed() {
    let executed = Arc::new(AtomicUsize::new(0));
    let counted = executed.clone();
    let service = Service::new().unary("echo", 100, move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Ok(Response::default()) }
    });
    let raw = raw(service).await;
    raw.hello(&hello()).await;
    let announced = Call {
        body_bytes: Some(10),
        remaining_ms: 300,
        ..call()
    };
    let whole = [framed(&announced.encode()), bytes(10).to_vec()].concat();
    let request = || http::Request::post("https://cairn/call").body(()).unwrap();
    for cut in [0, 3, 20, whole.len() - 1] {
        // Given up by the caller.
        let mut send = raw.send.clone().ready().await.unwrap();
        let (_response, mut stream) = send.send_request(request(), false).unwrap();
        stream
            .send_data(Bytes::copy_from_slice(&whole[..cut]), false)
            .unwrap();
        tokio::time::sleep(SECOND / 20).await;
        stream.send_reset(h2::Reason::CANCEL);
    }
    // Never ended: the deadline does it.
    let mut send = raw.send.clone().ready().await.unwrap();
    let (response, mut stream) = send.send_request(request(), false).unwrap();
    stream
        .send_data(Bytes::copy_from_slice(&whole[..whole.len() - 1]), false)
        .unwrap();
    let mut body = response.await.unwrap().into_body();
    let answer = body.data().await.unwrap().unwrap();
    let reply = Reply::decode(answer.slice(4..)).unwrap();
    refuses(&reply, Refusal::Late, "before the body was here");
    until("nothing ran", || executed.load(Ordering::SeqCst) == 0).await;
    assert_eq!(raw.send("/call", whole).await.unwrap().status, 0);
    assert_eq!(executed.load(Ordering::SeqCst), 1);
}
