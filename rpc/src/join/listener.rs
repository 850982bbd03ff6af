//! The cluster's end of joining: few connections, slowly, each with an end.

use super::exchange::{Grant, JoinRefused, JoinReply, JoinRequest, VERSION, Wanted, read, write};
use crate::counters;
use crate::node::Node;
use async_trait::async_trait;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Pause after the kernel would not hand over a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Decides who joins: holds the secret against the token's hash, consumes the token, and signs.
#[async_trait]
pub trait Decision: Send + Sync + 'static {
    /// Lets a node in, or not. What is granted must be durable on return.
    async fn decide(&self, wanted: Wanted) -> Result<Grant, JoinRefused>;
}

/// Bounds of a join listener. Anybody may talk to it, so they are narrow: who floods it can keep nodes from
/// joining for that time, and nothing else.
#[derive(Debug, Clone)]
pub struct JoinLimits {
    /// Exchanges under way; more are closed at once.
    pub connections: usize,
    /// Exchanges that may begin at once after a pause.
    pub burst: u32,
    /// Time after which one more may begin.
    pub pause: Duration,
    /// Time that an exchange may take.
    pub time: Duration,
}

impl Default for JoinLimits {
    fn default() -> Self {
        Self {
            connections: 8,
            burst: 20,
            pause: Duration::from_millis(200),
            time: Duration::from_secs(10),
        }
    }
}

/// A running join listener. It ends when it is dropped.
#[derive(Debug)]
pub struct JoinServer {
    address: SocketAddr,
    stopped: CancellationToken,
}

struct Shared {
    node: Arc<Node>,
    decision: Arc<dyn Decision>,
    limits: JoinLimits,
    stopped: CancellationToken,
}

impl JoinServer {
    /// Starts to listen. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the listener's address cannot be told.
    pub fn start(
        node: Arc<Node>,
        listener: TcpListener,
        limits: JoinLimits,
        decision: Arc<dyn Decision>,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let stopped = CancellationToken::new();
        let shared = Shared {
            node,
            decision,
            limits,
            stopped: stopped.clone(),
        };
        tokio::spawn(run(Arc::new(shared), listener));
        Ok(Self { address, stopped })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for JoinServer {
    fn drop(&mut self) {
        self.stopped.cancel();
    }
}

/// Lets a burst begin, and then one at each pause.
struct Pace {
    /// When everything that began would have been let in one by one.
    paid_until: Duration,
    pause: Duration,
    burst: u32,
}

impl Pace {
    fn may_begin(&mut self, now: Duration) -> bool {
        let paid_until = self.paid_until.max(now) + self.pause;
        let may = paid_until <= now + self.pause * self.burst;
        if may {
            self.paid_until = paid_until;
        }
        may
    }
}

async fn run(shared: Arc<Shared>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(shared.limits.connections));
    let mut pace = Pace {
        paid_until: Duration::ZERO,
        pause: shared.limits.pause,
        burst: shared.limits.burst,
    };
    loop {
        let accepted = tokio::select! {
            () = shared.stopped.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "cannot take connections of nodes that want to join");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let place = places.clone().try_acquire_owned();
        let is_in_pace = pace.may_begin(shared.node.clock.monotonic());
        let (Ok(place), true) = (place, is_in_pace) else {
            // Not logged: a line for each would be a flood too.
            counters::joined("too-many");
            continue;
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let _place = place;
            let exchange =
                tokio::time::timeout(shared.limits.time, exchange(&shared, stream, address));
            let outcome = tokio::select! {
                () = shared.stopped.cancelled() => return,
                outcome = exchange => outcome,
            };
            let why = match outcome {
                Ok(Ok(())) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => "it took too long".into(),
            };
            counters::joined("broken");
            warn!(%address, why, "an attempt to join ended early");
        });
    }
}

async fn exchange(shared: &Shared, stream: TcpStream, address: SocketAddr) -> io::Result<()> {
    let config = shared.node.identity.ready().join.clone();
    let mut tls = TlsAcceptor::from(config).accept(stream).await?;
    let request = read(&mut tls).await?;
    let reply = match decide(shared, request, address).await {
        Ok(grant) => {
            let of = grant.certificate.uris().join(" ");
            counters::joined("granted");
            info!(%address, certificate = of, "a node joins the cluster");
            JoinReply {
                certificate: grant.certificate.der().to_vec().into(),
                bundle: grant.bundle.to_pem(),
                answer: grant.answer,
                ..Default::default()
            }
        }
        Err(JoinRefused(why)) => {
            counters::joined("refused");
            warn!(%address, why, "refused a node that wanted to join");
            JoinReply {
                refused: why,
                ..Default::default()
            }
        }
    };
    write(&mut tls, &reply.encode()).await?;
    tls.shutdown().await
}

async fn decide(
    shared: &Shared,
    request: bytes::Bytes,
    address: SocketAddr,
) -> Result<Grant, JoinRefused> {
    let request = JoinRequest::decode(request)
        .map_err(|error| JoinRefused(format!("the request cannot be read: {error}")))?;
    if request.version != VERSION {
        return Err(JoinRefused(format!(
            "this is exchange {} and the cluster ({}) speaks {VERSION}: use the cluster's version of Cairn",
            request.version, shared.node.product
        )));
    }
    let wanted = Wanted::of(request, address).map_err(|error| JoinRefused(error.to_string()))?;
    shared.decision.decide(wanted).await
}
