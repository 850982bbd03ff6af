//! Clients of HTTP/2, which may send and ask for much at once on each of many connections.

use crate::common::s3::S3;
use crate::process::reset_peak;
use crate::slow::LIMIT;
use crate::steady::look;
use crate::wire::piece;
use crate::{BUCKET, MIB, clients, start};
use bytes::Bytes;
use clients::{Beside, Onlooker};
use http::{Method, Request, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// More than the server lets in at once.
const CONNECTIONS: u64 = 64;
/// Requests at once on each; more than the server wants.
const STREAMS: u64 = 20;
/// What is sent of each upload, which then pauses: more than a window.
const SENT_BYTES: u64 = MIB / 2;
/// Time for the server to take what it can.
const SETTLE: Duration = Duration::from_secs(3);

type Client = SendRequest<UnsyncBoxBody<Bytes, Infallible>>;

/// The first bytes of an object of `seed`, as fast as they are taken; then nothing, and no end.
struct Begun {
    seed: u64,
    sent: u64,
}

impl Body for Begun {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.sent >= SENT_BYTES {
            return Poll::Pending;
        }
        let piece = piece(self.seed, self.sent, SENT_BYTES - self.sent);
        self.sent += piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(piece)))))
    }
}

/// A connection, which has a task of its own.
async fn connect(s3: &S3) -> (Client, JoinHandle<()>) {
    let stream = TcpStream::connect(s3.address()).await.unwrap();
    let builder = http2::Builder::new(TokioExecutor::new());
    let (client, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    let task = tokio::spawn(async move {
        // The server may have had enough of it.
        let _ = connection.await;
    });
    (client, task)
}

fn request(
    s3: &S3,
    method: Method,
    key: &str,
    length: u64,
    body: UnsyncBoxBody<Bytes, Infallible>,
) -> Request<UnsyncBoxBody<Bytes, Infallible>> {
    let length = length.to_string();
    let headers = [("content-length", length.as_str())];
    let signed = s3.signed(method, &format!("/{BUCKET}/{key}"), &headers);
    signed.map(|()| body)
}

/// One request; its answer is kept and not read.
fn ask(
    client: &Client,
    request: Request<UnsyncBoxBody<Bytes, Infallible>>,
) -> JoinHandle<Option<http::Response<Incoming>>> {
    let mut client = client.clone();
    tokio::spawn(async move {
        client.ready().await.ok()?;
        client.send_request(request).await.ok()
    })
}

/// Keeps `CONNECTIONS` with `STREAMS` requests on each, looks at the server, and lets them go.
async fn crowd(
    what: &str,
    s3: &S3,
    pid: u32,
    beside: Beside,
    make: impl Fn(u64) -> Request<UnsyncBoxBody<Bytes, Infallible>> + Send + Sync + Clone + 'static,
) {
    reset_peak(pid);
    let held = clients::each(CONNECTIONS, |connection| {
        let (s3, make) = (s3.clone(), make.clone());
        async move {
            let (client, task) = connect(&s3).await;
            let asked = (0..STREAMS).map(|n| ask(&client, make(connection * STREAMS + n)));
            (asked.collect::<Vec<_>>(), client, task)
        }
    });
    let held = held.await;
    let onlooker = Onlooker::beside(s3, BUCKET, beside).await;
    tokio::time::sleep(SETTLE).await;
    look(what, onlooker, pid).await;
    for (asked, _, task) in held {
        asked.iter().for_each(JoinHandle::abort);
        task.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_windows_are_within_the_limit() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    let uploads = {
        let s3 = s3.clone();
        move |seed| {
            let body = Begun { seed, sent: 0 }.boxed_unsync();
            request(&s3, Method::PUT, &format!("h2-{seed}"), 64 * MIB, body)
        }
    };
    crowd(
        "1,280 uploads over 64 connections of HTTP/2",
        s3,
        pid,
        Beside::Room,
        uploads,
    )
    .await;
    clients::put(s3, &format!("/{BUCKET}/large"), 3, 64 * MIB).await;
    let downloads = {
        let s3 = s3.clone();
        move |_| {
            let none = Empty::new().boxed_unsync();
            request(&s3, Method::GET, "large", 0, none)
        }
    };
    crowd(
        "1,280 downloads over 64 connections of HTTP/2",
        s3,
        pid,
        Beside::Crowd,
        downloads,
    )
    .await;
    // Those that went make room.
    let (client, task) = connect(s3).await;
    let answer = loop {
        let none = Empty::new().boxed_unsync();
        let answer = ask(&client, request(s3, Method::GET, "large", 0, none));
        let answer = answer.await.unwrap().expect("a new connection is served");
        if answer.status() == StatusCode::OK {
            break answer;
        }
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    };
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body.len() as u64, 64 * MIB);
    let mut read = 0;
    while read < 64 * MIB {
        let piece = piece(3, read, 64 * MIB - read);
        assert!(body[read as usize..][..piece.len()] == *piece);
        read += piece.len() as u64;
    }
    task.abort();
}
