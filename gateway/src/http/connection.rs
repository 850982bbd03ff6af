//! One connection: HTTP/1.1, or HTTP/2 without TLS for clients that begin with it.
//!
//! Between two requests an HTTP/1.1 connection sleeps: nothing is left of it but its socket. hyper's buffers,
//! which grow with the bodies that pass, come with the first byte of the next request.

use super::activity::{Activity, Watched};
use super::io::{ConnectionIo, Stall};
use super::{S3Front, ServeLimits};
use bytes::Bytes;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;

/// What a client of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// When less than this part of what there is for connections is left, they may be idle for a shorter time, so
/// that idle ones do not keep others out.
const CROWDED_SHARE: usize = 8;
/// That time.
const CROWDED_IDLE: Duration = Duration::from_secs(5);
/// A connection sleeps when it has been idle for so long, where there is room for more that are awake: clients that
/// make one request after the other go on sooner.
const AWAKE_IDLE: Duration = Duration::from_millis(200);

/// How long, and over how many bytes, a connection that is turned away still listens.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: u64 = 1024 * 1024;

/// Bytes that a client of HTTP/2 may send ahead on one request.
const HTTP2_STREAM_BYTES: u32 = 64 * 1024;
/// The same for all requests of a connection.
const HTTP2_WINDOW_BYTES: u32 = 256 * 1024;
/// What a connection of HTTP/2 takes, in connections that are awake: its window, the headers of its requests,
/// and what they are kept in.
const HTTP2_SLOTS: u32 = 16;
/// The share of connections that are awake that may be of HTTP/2.
const HTTP2_SHARE: usize = 4;

/// What all connections of a listener share.
pub(super) struct Shared {
    front: S3Front,
    limits: ServeLimits,
    /// One for each connection.
    slots: Arc<Semaphore>,
    /// One for each that is awake.
    awake: Semaphore,
    /// One for each of HTTP/2.
    http2: Semaphore,
    shutdown: CancellationToken,
}

impl Shared {
    pub(super) fn new(front: S3Front, limits: ServeLimits, shutdown: CancellationToken) -> Self {
        // An awake one takes many, and there must be some for others.
        let awake = limits.max_awake.max(2 * HTTP2_SLOTS as usize);
        Self {
            front,
            slots: Arc::new(Semaphore::new(limits.max_connections)),
            awake: Semaphore::new(awake),
            http2: Semaphore::new((awake / HTTP2_SHARE / HTTP2_SLOTS as usize).max(1)),
            limits,
            shutdown,
        }
    }

    /// Waits until there may be one more connection.
    pub(super) async fn slot(&self) -> OwnedSemaphorePermit {
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        slot.expect("the semaphore is never closed")
    }

    /// Whether connections are about to run out.
    fn is_crowded(&self) -> bool {
        self.slots.available_permits() < self.limits.max_connections / CROWDED_SHARE
    }

    /// Whether those that are awake are about to run out.
    fn is_busy(&self) -> bool {
        self.awake.available_permits() < self.limits.max_awake / CROWDED_SHARE
    }

    /// How long a client may take over the headers of a request.
    fn header_read(&self) -> Duration {
        if self.is_crowded() || self.is_busy() {
            self.limits.header_read.min(CROWDED_IDLE)
        } else {
            self.limits.header_read
        }
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.header_read())
            .max_headers(self.limits.max_headers)
            .max_header_size(self.limits.max_head_bytes)
            .max_buf_size(self.limits.max_buffer_bytes);
        builder
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let head_bytes = u32::try_from(self.limits.max_head_bytes).unwrap_or(u32::MAX);
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .keep_alive_interval(self.limits.header_read)
            .max_header_list_size(head_bytes)
            .max_concurrent_streams(self.limits.max_streams)
            .max_send_buf_size(HTTP2_STREAM_BYTES as usize)
            .initial_stream_window_size(HTTP2_STREAM_BYTES)
            .initial_connection_window_size(HTTP2_WINDOW_BYTES);
        builder
    }
}

/// See the module.
pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) _slot: OwnedSemaphorePermit,
}

impl Connection {
    /// Serves the connection to its end.
    pub(super) async fn serve(self, mut stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection broke before its first request");
            return;
        }
        let header_read = self.shared.limits.header_read;
        let Ok(Some(mut ahead)) = timeout(header_read, self.first_bytes(&stream)).await else {
            return;
        };
        // What serves a connection is large, and not there while it sleeps.
        if *ahead == *PREFACE {
            return Box::pin(self.serve_http2(stream, ahead)).await;
        }
        loop {
            let Some(rest) = Box::pin(self.serve_http1(stream, ahead)).await else {
                return;
            };
            (stream, ahead) = rest;
            if ahead.is_empty() && !self.is_asked(&stream).await {
                return;
            }
        }
    }

    /// As many bytes as it takes to tell HTTP/2 from HTTP/1.1.
    async fn first_bytes(&self, stream: &TcpStream) -> Option<Bytes> {
        let mut first = [0; PREFACE.len()];
        let mut length = 0;
        loop {
            if !self.is_asked(stream).await {
                return None;
            }
            match stream.try_read(&mut first[length..]) {
                Ok(0) => return None,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
            if length == PREFACE.len() || !PREFACE.starts_with(&first[..length]) {
                return Some(Bytes::copy_from_slice(&first[..length]));
            }
        }
    }

    /// Waits for the client to say something; false when it is to be waited for no longer.
    async fn is_asked(&self, stream: &TcpStream) -> bool {
        let longest = self.shared.limits.header_read;
        let (mut waited, mut first) = (Duration::ZERO, [0]);
        while waited < longest && (waited.is_zero() || !self.shared.is_crowded()) {
            let pause = CROWDED_IDLE.min(longest - waited);
            tokio::select! {
                biased;
                () = self.shared.shutdown.cancelled() => return false,
                // Not `readable`, which is true until a read has found nothing: hyper, woken for nothing, would stay.
                peeked = timeout(pause, stream.peek(&mut first)) => match peeked {
                    Ok(peeked) => return matches!(peeked, Ok(1)),
                    Err(_) => waited += pause,
                }
            }
        }
        false
    }

    /// Some of `of`; `None` when they took too long to come.
    async fn take<'a>(&self, of: &'a Semaphore, count: u32) -> Option<SemaphorePermit<'a>> {
        let permit = timeout(self.shared.limits.header_read, of.acquire_many(count)).await;
        Some(permit.ok()?.expect("the semaphore is never closed"))
    }

    fn watched(&self, stream: TcpStream, ahead: Bytes) -> (TokioIo<ConnectionIo>, Watched) {
        let limits = &self.shared.limits;
        let stall = Stall {
            longest: limits.write_stall,
            budget: limits.budget.clone(),
        };
        let activity = Arc::<Activity>::default();
        let service = Watched {
            front: self.shared.front.clone(),
            activity: Arc::clone(&activity),
        };
        let io = ConnectionIo::new(stream, ahead, stall, activity);
        (TokioIo::new(io), service)
    }

    /// Serves requests until there are none for a while: what is left then, with what was read of the next one.
    /// `None` when the connection has ended.
    async fn serve_http1(&self, stream: TcpStream, ahead: Bytes) -> Option<(TcpStream, Bytes)> {
        let Some(_awake) = self.take(&self.shared.awake, 1).await else {
            turn_away(stream).await;
            return None;
        };
        let (io, service) = self.watched(stream, ahead);
        let activity = Arc::clone(&service.activity);
        let mut served = self.shared.http1().serve_connection(io, service);
        let mut idle = Idle::default();
        let mut shutdown = pin!(self.shared.shutdown.cancelled());
        let mut is_last = false;
        let ended = poll_fn(|cx| {
            if !is_last && shutdown.as_mut().poll(cx).is_ready() {
                is_last = true;
                Pin::new(&mut served).graceful_shutdown();
            }
            if let Poll::Ready(ended) = Pin::new(&mut served).poll(cx) {
                return Poll::Ready(Some(ended));
            }
            if is_last {
                return Poll::Pending;
            }
            idle.poll(&activity, &self.shared, cx).map(|()| None)
        });
        match ended.await {
            Some(ended) => {
                note(ended);
                None
            }
            None => {
                // Nothing is left to be read or written of any request, so this loses nothing.
                let parts = served.into_parts();
                let (stream, rest) = parts.io.into_inner().into_parts();
                Some((stream, [parts.read_buf, rest].concat().into()))
            }
        }
    }

    /// How long a connection of HTTP/2 is put up with whose client reads none of its answers: no write waits for it,
    /// so the socket does not tell.
    fn unread_max(&self) -> Duration {
        let longest = self.shared.limits.write_stall;
        if self.shared.http2.available_permits() == 0 {
            longest.min(2 * CROWDED_IDLE)
        } else {
            longest
        }
    }

    async fn serve_http2(&self, stream: TcpStream, ahead: Bytes) {
        let Some(_few) = self.take(&self.shared.http2, 1).await else {
            return;
        };
        let Some(_awake) = self.take(&self.shared.awake, HTTP2_SLOTS).await else {
            return;
        };
        let (io, service) = self.watched(stream, ahead);
        let activity = Arc::clone(&service.activity);
        let mut served = pin!(self.shared.http2().serve_connection(io, service));
        let mut is_last = false;
        let mut unread_for = Duration::ZERO;
        loop {
            let (before, pause) = (activity.progress(), self.shared.header_read());
            tokio::select! {
                biased;
                ended = served.as_mut() => return note(ended),
                () = self.shared.shutdown.cancelled(), if !is_last => {
                    is_last = true;
                    served.as_mut().graceful_shutdown();
                }
                () = sleep(pause) => {
                    let is_still = activity.progress() == before;
                    if is_still && activity.waits_for_readers() {
                        unread_for += pause;
                        if unread_for >= self.unread_max() {
                            return;
                        }
                        continue;
                    }
                    unread_for = Duration::ZERO;
                    if !is_still || activity.in_flight() > 0 {
                        continue;
                    }
                    if is_last {
                        return;
                    }
                    is_last = true;
                    served.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// What a request is told for which there is no place.
const NO_PLACE: &str = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\nRetry-After: 1\r\n\
    Cache-Control: no-store\r\nConnection: close\r\nContent-Length: 159\r\n\r\n\
    <?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
    <Error><Code>SlowDown</Code><Message>Too many requests are under way. Please reduce your request rate.</Message></Error>";

/// Answers a request that is not read, and listens for a moment: to close over unread bytes would reset the
/// connection, and the client might never see the answer.
async fn turn_away(mut stream: TcpStream) {
    let told = async {
        stream.write_all(NO_PLACE.as_bytes()).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    if !matches!(timeout(LINGER, told).await, Ok(Ok(_))) {
        tracing::debug!("a client that was turned away did not wait for its answer");
    }
}

fn note(ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "the connection ended early");
    }
}

/// Measures how long a connection has been idle.
#[derive(Default)]
struct Idle {
    /// Runs between two requests; with how many there were before.
    timer: Option<(usize, Pin<Box<Sleep>>)>,
}

impl Idle {
    /// Ready when the connection may sleep.
    fn poll(&mut self, activity: &Activity, shared: &Shared, cx: &mut Context<'_>) -> Poll<()> {
        if !activity.is_between_requests() {
            return Poll::Pending;
        }
        // A buffer that has grown belonged to the memory of a body, which has been given back.
        if activity.has_grown() || shared.is_busy() {
            return Poll::Ready(());
        }
        let asked = activity.asked();
        if self.timer.as_ref().is_none_or(|(since, _)| *since != asked) {
            self.timer = Some((asked, Box::pin(sleep(AWAKE_IDLE))));
        }
        let (_, timer) = self.timer.as_mut().expect("it was just set");
        timer.as_mut().poll(cx)
    }
}
