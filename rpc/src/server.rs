//! The answering end: a listener that talks TLS 1.3 to nodes of its own cluster and to nobody else.
//!
//! Without a certificate of the cluster nobody gets a byte beyond the TLS handshake. What is refused is
//! logged, with who and why, and counted. All that peers can make a server hold is bounded:
//! [`Limits::server_bytes`](crate::Limits::server_bytes).

mod admission;
mod call;
mod connection;
mod listener;
mod service;

pub use admission::{Admission, Caller, RefuseCopies};
pub use service::{Context, Request, Response, Service};

use crate::node::Node;
use admission::Present;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A running server. Dropping it stops it at once; [`shutdown`](Self::shutdown) lets calls finish.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    address: SocketAddr,
}

/// What the tasks of a server have in common.
struct Shared {
    node: Arc<Node>,
    service: Service,
    admission: Box<dyn Admission>,
    present: Arc<Present>,
    next_connection: AtomicU64,
    /// Bytes of requests that may be held for handlers.
    budget: Arc<Semaphore>,
    /// Connections that may be open.
    places: Arc<Semaphore>,
    handshakes: Arc<Semaphore>,
    /// No new connections and calls.
    stopping: CancellationToken,
    /// No connections at all.
    stopped: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Starts to take connections. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the listener's address cannot be told.
    pub fn start(
        node: Arc<Node>,
        listener: TcpListener,
        service: Service,
        admission: impl Admission + 'static,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let limits = &node.limits;
        let shared = Arc::new(Shared {
            budget: Arc::new(Semaphore::new(limits.request_bytes)),
            places: Arc::new(Semaphore::new(limits.connections)),
            handshakes: Arc::new(Semaphore::new(limits.handshakes)),
            node,
            service,
            admission: Box::new(admission),
            present: Arc::default(),
            next_connection: AtomicU64::new(0),
            stopping: CancellationToken::new(),
            stopped: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        shared.tasks.spawn(listener::run(shared.clone(), listener));
        Ok(Self { shared, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Who is connected, once for each connection.
    #[must_use]
    pub fn callers(&self) -> Vec<Caller> {
        self.shared.present.list()
    }

    /// Takes no new connections and calls, finishes the calls under way for as long as the limits allow
    /// (`drain`), and ends. Peers see refused calls as not sent.
    pub async fn shutdown(self) {
        self.shared.stopping.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
        self.shared.stopped.cancel();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.service)
    }
}
