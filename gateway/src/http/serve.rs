//! Accepts connections and serves the front on them.

use super::S3Front;
use super::connection::{Connection, Shared};
use crate::admission::{ENTRY_BYTES, MemoryBudget};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// The pause after a failed accept: usually the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What one listener grants its clients.
#[derive(Debug, Clone)]
pub struct ServeLimits {
    /// The most connections at once; further ones wait in the listener's queue.
    pub max_connections: usize,
    /// The most that are awake at once: that have sent something of a request, or had an answer just now. What
    /// others send waits in the kernel.
    pub max_awake: usize,
    /// The longest time from the first to the last byte of a request's headers, and the longest
    /// that a connection may be idle before a request.
    pub header_read: Duration,
    /// The most header fields of a request.
    pub max_headers: usize,
    /// The most bytes of a request's headers.
    pub max_head_bytes: usize,
    /// The most bytes that HTTP/1.1 reads at once; it is a part of the lease of an upload.
    pub max_buffer_bytes: usize,
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
            max_awake: 4096,
            header_read: Duration::from_secs(30),
            max_headers: 256,
            max_head_bytes: 16 * 1024,
            max_buffer_bytes: ENTRY_BYTES as usize,
            max_streams: 16,
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
    let drain = limits.drain;
    let shared = Arc::new(Shared::new(front, limits, shutdown.clone()));
    let mut connections = JoinSet::new();
    loop {
        let slot = tokio::select! {
            () = shutdown.cancelled() => break,
            slot = shared.slot() => slot,
        };
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = Connection {
            shared: Arc::clone(&shared),
            _slot: slot,
        };
        connections.spawn(connection.serve(stream));
    }
    drop(listener);
    let ended = timeout(drain, async {
        while connections.join_next().await.is_some() {}
    });
    if ended.await.is_err() {
        tracing::warn!(
            connections = connections.len(),
            "cut off what did not finish in time"
        );
    }
    connections.shutdown().await;
}
