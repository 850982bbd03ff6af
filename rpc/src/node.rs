//! What server and clients of one process have in common: who they are, and how much they may hold.

use crate::identity::{Identity, NodeIdentity};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use types::clock::Clock;
use types::entropy::Entropy;
use types::limits;

/// Bounds of connections and calls. The defaults suit a region of up to about a hundred nodes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections that a server takes; more are closed at once.
    pub connections: usize,
    /// Handshakes under way at a server; more wait in the kernel's queue. (Anybody may begin one.)
    pub handshakes: usize,
    /// Time from a connection's first byte to its hello.
    pub handshake_time: Duration,
    /// Calls under way on one connection, in each direction of calling.
    pub calls_per_connection: usize,
    /// Bytes that a peer may send ahead of what is read, on one call.
    pub call_window_bytes: u32,
    /// Bytes that a peer may send ahead of what is read, on all calls of one connection.
    pub connection_window_bytes: u32,
    /// Longest HTTP/2 frame taken: a cell that comes in one frame needs no copy to be in one piece.
    pub frame_bytes: u32,
    /// Bytes of requests that a server holds for its handlers, over all connections; what would go
    /// beyond is refused as busy.
    pub request_bytes: usize,
    /// Time between the pings of an open connection.
    pub ping_every: Duration,
    /// Time that a ping may take; then the peer is taken for dead.
    pub ping_wait: Duration,
    /// Time that calls under way have when a server stops or a peer is not trusted any more.
    pub drain: Duration,
    /// Time that a stream may stand still.
    pub stream_idle: Duration,
    /// Time that a connection may take to be made.
    pub connect: Duration,
    /// Pause after the first failed attempt to connect; it doubles with each.
    pub backoff_min: Duration,
    /// The longest such pause.
    pub backoff_max: Duration,
    /// How long calls wait for an attempt to reach a peer that was gone at the last one.
    pub retry_wait: Duration,
    /// Calls that wait for a connection to one peer; more are not sent.
    pub waiting: usize,
    /// Connections to one peer for bodies and streams, beside the one for small calls.
    pub bulk_connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            handshakes: 256,
            handshake_time: Duration::from_secs(5),
            calls_per_connection: 256,
            call_window_bytes: 1024 * 1024,
            connection_window_bytes: 2 * 1024 * 1024,
            frame_bytes: limits::RPC_FRAME_BYTES,
            request_bytes: 128 * 1024 * 1024,
            ping_every: Duration::from_millis(500),
            ping_wait: Duration::from_millis(1500),
            drain: Duration::from_secs(5),
            stream_idle: Duration::from_secs(60),
            connect: Duration::from_secs(3),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(2),
            retry_wait: Duration::from_millis(250),
            waiting: 256,
            bulk_connections: 1,
        }
    }
}

impl Limits {
    /// The most bytes that peers can make one connection hold unread: its window, one frame that is
    /// being assembled, and the buffers of TLS.
    #[must_use]
    pub fn connection_bytes(&self) -> usize {
        self.connection_window_bytes as usize
            + self.frame_bytes as usize
            + limits::RPC_TLS_BUFFER_BYTES
    }

    /// The most bytes that peers can make a server hold: what all connections hold unread, and the
    /// requests that its handlers have. (Answers are the handlers' own, and end with
    /// [`stream_idle`](Self::stream_idle) if they are not read.)
    #[must_use]
    pub fn server_bytes(&self) -> usize {
        self.connections * self.connection_bytes() + self.request_bytes
    }
}

/// This process, as it takes part in the region.
#[derive(Debug)]
pub struct Node {
    /// Its credentials.
    pub identity: Arc<Identity>,
    /// Its product version, for logs of peers.
    pub product: String,
    /// Its bounds.
    pub limits: Limits,
    boot: [u8; 16],
    epoch: AtomicU64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

impl Node {
    /// This process, with a boot id of its own.
    ///
    /// # Panics
    /// When a window or frame is not of a size that HTTP/2 has.
    #[must_use]
    pub fn new(
        identity: Arc<Identity>,
        product: impl Into<String>,
        limits: Limits,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        let windows = [limits.call_window_bytes, limits.connection_window_bytes];
        assert!(
            windows
                .iter()
                .all(|bytes| (65_535..1 << 31).contains(bytes)),
            "{limits:?}"
        );
        assert!(
            (16_384..1 << 24).contains(&limits.frame_bytes),
            "{limits:?}"
        );
        let mut boot = [0; 16];
        entropy.fill(&mut boot);
        Self {
            identity,
            product: product.into(),
            limits,
            boot,
            epoch: AtomicU64::new(0),
            clock,
            entropy,
        }
    }

    /// Which node it is.
    #[must_use]
    pub fn id(&self) -> NodeIdentity {
        self.identity.node()
    }

    /// Drawn at random when the process started: two processes with one node id differ in it.
    #[must_use]
    pub fn boot(&self) -> [u8; 16] {
        self.boot
    }

    /// The epoch of the cluster map that this process goes by; it stands in every request and answer.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Raises the epoch. A lower one is passed over: maps may be learnt of out of order.
    pub fn raise_epoch(&self, epoch: u64) {
        self.epoch.fetch_max(epoch, Ordering::Relaxed);
    }
}
