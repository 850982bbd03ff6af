//! Accepts connections and serves the front on them: HTTP/1.1, and HTTP/2 without TLS for clients
//! that begin with it.

use super::S3Front;
use super::io::{ConnectionIo, Stall};
use crate::admission::MemoryBudget;
use http::header;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The pause after a failed accept: usually the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// When less than this part of all connections is left, new ones may be idle for a shorter time, so that
/// idle ones do not keep others out.
const CROWDED_SHARE: usize = 4;
/// That time.
const CROWDED_HEADER_READ: Duration = Duration::from_secs(5);

/// What one listener grants its clients.
#[derive(Debug, Clone)]
pub struct ServeLimits {
    /// The most connections at once; further ones wait in the listener's queue.
    pub max_connections: usize,
    /// The longest time from the first to the last byte of a request's headers, and the longest
    /// that a connection may be idle before a request.
    pub header_read: Duration,
    /// The most header fields of a request.
    pub max_headers: usize,
    /// The most bytes of headers, and of what HTTP/1.1 reads or writes at once.
    pub max_buffer_len: usize,
    /// The most requests at once on one HTTP/2 connection.
    pub max_streams: u32,
    /// The longest time without progress in sending to a client.
    pub write_stall: Duration,
    /// The budget for bodies: while it has none left, clients that do not read are given less time.
    pub budget: Option<MemoryBudget>,
    /// How long requests may go on after the signal to shut down.
    pub drain: Duration,
}

impl Default for ServeLimits {
    fn default() -> Self {
        Self {
            max_connections: 10_000,
            header_read: Duration::from_secs(30),
            max_headers: 256,
            max_buffer_len: 128 * 1024,
            max_streams: 64,
            write_stall: Duration::from_secs(60),
            budget: None,
            drain: Duration::from_secs(30),
        }
    }
}

/// Serves `front` on `listener` until `shutdown`. Then no connection is accepted any more, idle
/// ones are closed, and requests that have begun are finished, for at most `limits.drain`; what is
/// not done by then is cut off. Returns when no connection is left.
pub async fn serve(
    listener: TcpListener,
    front: S3Front,
    shutdown: CancellationToken,
    limits: ServeLimits,
) {
    let limits = Arc::new(limits);
    let slots = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let is_crowded = slots.available_permits() < limits.max_connections / CROWDED_SHARE;
        let connection = Connection {
            front: front.clone(),
            header_read: if is_crowded {
                limits.header_read.min(CROWDED_HEADER_READ)
            } else {
                limits.header_read
            },
            limits: Arc::clone(&limits),
            watcher: graceful.watcher(),
            _slot: slot,
        };
        connections.spawn(connection.serve(stream));
    }
    drop(listener);
    if timeout(limits.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "cut off what did not finish in time"
        );
    }
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

struct Connection {
    front: S3Front,
    header_read: Duration,
    limits: Arc<ServeLimits>,
    watcher: Watcher,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn serve(self, stream: TcpStream) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the connection broke before its first request");
            return;
        }
        let asked = Arc::new(AtomicBool::new(false));
        let unread = Arc::new(AtomicBool::new(false));
        let service = {
            let (front, asked, unread) = (self.front, Arc::clone(&asked), Arc::clone(&unread));
            hyper::service::service_fn(move |request: http::Request<Incoming>| {
                asked.store(true, Ordering::Relaxed);
                let (front, unread) = (front.clone(), Arc::clone(&unread));
                // Boxed, because hyper keeps room for the whole future while the connection is idle.
                Box::pin(async move {
                    let response = front.handle(request).await;
                    if response.headers().contains_key(header::CONNECTION) {
                        unread.store(true, Ordering::Release);
                    }
                    Ok::<_, std::convert::Infallible>(response)
                })
            })
        };
        let stall = Stall {
            longest: self.limits.write_stall,
            budget: self.limits.budget.clone(),
        };
        let io = TokioIo::new(ConnectionIo::new(stream, stall, unread));
        let builder = builder(&self.limits, self.header_read);
        let mut served = pin!(
            self.watcher
                .watch(builder.serve_connection(io, service).into_owned())
        );
        // The first bytes decide between HTTP/1.1 and HTTP/2; hyper sets no limit on that wait.
        let outcome = match timeout(self.header_read, &mut served).await {
            Ok(outcome) => outcome,
            Err(_) if asked.load(Ordering::Relaxed) => served.await,
            Err(_) => return,
        };
        if let Err(error) = outcome {
            tracing::debug!(error = %error, "the connection ended early");
        }
    }
}

fn builder(limits: &ServeLimits, header_read: Duration) -> Builder<TokioExecutor> {
    let header_len = u32::try_from(limits.max_buffer_len).unwrap_or(u32::MAX);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_read)
        .max_headers(limits.max_headers)
        .max_buf_size(limits.max_buffer_len);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(header_read)
        .max_header_list_size(header_len)
        .max_concurrent_streams(limits.max_streams)
        .initial_stream_window_size(1024 * 1024)
        .initial_connection_window_size(4 * 1024 * 1024);
    builder
}
