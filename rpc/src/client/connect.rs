//! Making one connection: TCP, TLS, hello; and the task that keeps it going until it ends.

use super::peer::Shared;
use crate::counters::{self, Open, Side};
use crate::error::CallError;
use crate::identity::Certificate;
use crate::message::{Hello, ReplyHeader, VERSION_MAX, VERSION_MIN, Welcome, frame};
use crate::transport::{client_settings, read_header, until_dead};
use bytes::Bytes;
use futures::future::poll_fn;
use h2::client::{Connection, SendRequest};
use http::{Method, Request, Uri};
use rustls::pki_types::{CertificateDer, ServerName};
use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use types::ids::NodeId;
use types::limits::RPC_TRUST_CHECK;

/// An open connection, on which calls can be made.
#[derive(Debug, Clone)]
pub struct Link {
    pub send: SendRequest<Bytes>,
    /// The version of the protocol that was agreed on.
    pub version: u32,
    /// Places for calls under way.
    pub places: Arc<Semaphore>,
    /// Ends when no new calls may go here.
    pub ended: CancellationToken,
    /// When it was made, by the monotonic clock.
    pub since: Duration,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoLink {
    pub why: String,
}

fn because(what: &str, why: impl std::fmt::Display) -> NoLink {
    NoLink {
        why: format!("{what}: {why}"),
    }
}

/// Connects to the first of the addresses that answers as the node that is meant.
pub async fn connect(shared: &Arc<Shared>) -> Result<Link, NoLink> {
    let addresses = shared.addresses();
    let mut error = because("no address", "the cluster map has none for the node");
    for address in addresses {
        let limit = shared.node.limits.connect;
        error = match tokio::time::timeout(limit, connect_to(shared, &address)).await {
            Ok(Ok(link)) => return Ok(link),
            Ok(Err(error)) => error,
            Err(_) => because(&address, format!("no connection within {limit:?}")),
        };
    }
    debug!(peer = %shared.id, why = error.why, "cannot reach a node");
    Err(error)
}

type Io = TlsStream<TcpStream>;
type Chain = Vec<CertificateDer<'static>>;

async fn connect_to(shared: &Arc<Shared>, address: &str) -> Result<Link, NoLink> {
    let stream = TcpStream::connect(address).await;
    let stream = stream.map_err(|error| because(address, error))?;
    stream
        .set_nodelay(true)
        .map_err(|error| because(address, error))?;
    let (io, chain) = secure(shared, address, stream).await?;

    let limits = &shared.node.limits;
    let handshake = client_settings(limits).handshake::<_, Bytes>(io).await;
    let (send, connection) = handshake.map_err(|error| because(address, error))?;
    let ended = CancellationToken::new();
    let keeper = keep(shared.clone(), connection, chain, ended.clone());
    // The connection must be kept going while the hello is exchanged; it ends with the last handle.
    tokio::spawn(keeper);
    let greeted = greet(shared, send.clone())
        .await
        .inspect_err(|_| ended.cancel());
    let welcome = greeted.map_err(|error| because(address, error))?;
    debug!(peer = %shared.id, address, product = welcome.product, "connected");
    // What the peer allows, as it said in the settings that came before its welcome.
    let places = limits
        .calls_per_connection
        .min(send.current_max_send_streams());
    Ok(Link {
        send,
        version: welcome.version,
        places: Arc::new(Semaphore::new(places)),
        ended,
        since: shared.node.clock.monotonic(),
    })
}

async fn secure(shared: &Shared, address: &str, stream: TcpStream) -> Result<(Io, Chain), NoLink> {
    let config = shared.node.identity.ready().client.clone();
    // Nodes are known by their id, not by their name: the verifier does not look at this one.
    let name = ServerName::try_from("node.cairn.internal").expect("a DNS name");
    let secured = TlsConnector::from(config).connect(name, stream).await;
    let io = secured.map_err(|error| {
        counters::refused("peer");
        warn!(peer = %shared.id, address, why = %error, "no secure connection");
        because(address, error)
    })?;
    let chain = io.get_ref().1.peer_certificates().unwrap_or_default();
    let chain: Chain = chain.iter().map(|one| one.clone().into_owned()).collect();
    let certificate = chain
        .first()
        .and_then(|der| Certificate::from_der(der).ok());
    match certificate.and_then(|certificate| certificate.node()) {
        Some(identity) if identity.node == shared.id => Ok((io, chain)),
        other => {
            let other = other.map_or("nobody".into(), |identity| identity.to_string());
            let why = format!(
                "the cluster map says that node {} is there, and {other} is",
                shared.id
            );
            counters::refused("other-node");
            warn!(peer = %shared.id, address, why, "refused a connection");
            Err(because(address, why))
        }
    }
}

/// An empty request to this path.
pub fn request_to(path: &'static str) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(path);
    request
}

async fn greet(shared: &Shared, send: SendRequest<Bytes>) -> Result<Welcome, String> {
    let node = &shared.node;
    let own = node.id();
    let hello = Hello {
        installation: own.installation,
        region: own.region,
        node: own.node,
        wanted: shared.id,
        boot: node.boot(),
        product: node.product.clone(),
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        ..Default::default()
    };
    let text = |error: h2::Error| error.to_string();
    let mut send = send.ready().await.map_err(text)?;
    let request = request_to("https://cairn/hello");
    let (response, mut body) = send.send_request(request, false).map_err(text)?;
    body.send_data(frame(&hello.encode(), &[]), true)
        .map_err(text)?;
    let mut answer = response.await.map_err(text)?.into_body();
    let collected = read_header(&mut answer)
        .await
        .map_err(|error| error.to_string())?;
    let reply = ReplyHeader::decode(collected.header).map_err(|error| error.to_string())?;
    if let Some(error) = CallError::from_reply(shared.id, &reply) {
        warn!(peer = %shared.id, why = %error, "the node refuses us");
        return Err(error.to_string());
    }
    let welcome = Welcome::decode(reply.message).map_err(|error| error.to_string())?;
    is_meant(shared.id, &welcome)?;
    Ok(welcome)
}

fn is_meant(id: NodeId, welcome: &Welcome) -> Result<(), String> {
    if welcome.node != id {
        return Err(format!("node {} answered for node {id}", welcome.node));
    }
    if !(VERSION_MIN..=VERSION_MAX).contains(&welcome.version) {
        let version = welcome.version;
        return Err(format!(
            "it chose protocol {version}, which was not offered"
        ));
    }
    Ok(())
}

/// Keeps a connection going until it ends; then, and before, says that no new calls may go there.
async fn keep(
    shared: Arc<Shared>,
    mut connection: Connection<Io, Bytes>,
    chain: Chain,
    ended: CancellationToken,
) {
    let _open = Open::new(Side::Client);
    let _ends = ended.clone().drop_guard();
    let limits = &shared.node.limits;
    let pings = connection.ping_pong();
    let mut dead = pin!(async {
        match pings {
            Some(pings) => until_dead(pings, limits.ping_every, limits.ping_wait).await,
            None => pending().await,
        }
    });
    let mut untrusted = pin!(until_untrusted(&shared, &chain));
    let mut closing = pin!(ended.cancelled());
    let mut drained = pin!(tokio::time::sleep(limits.drain));
    let mut is_closing = false;
    let why = loop {
        tokio::select! {
            outcome = poll_fn(|context| {
                std::pin::Pin::new(&mut connection).poll(context)
            }) => break outcome.map_or_else(|error| error.to_string(), |()| "closed".into()),
            () = &mut dead => break "the peer does not answer".into(),
            () = &mut untrusted, if !is_closing => ended.cancel(),
            () = &mut closing, if !is_closing => {
                is_closing = true;
                drained.set(tokio::time::sleep(limits.drain));
            }
            () = &mut drained, if is_closing => break "what was under way did not end in time".into(),
        }
    };
    debug!(peer = %shared.id, why, "a connection ended");
}

async fn until_untrusted(shared: &Shared, chain: &Chain) {
    let identity = &shared.node.identity;
    let mut changes = identity.watch();
    loop {
        changes.mark_unchanged();
        if let Err(error) = identity.still_trusts(chain) {
            counters::refused("not-trusted-any-more");
            info!(peer = %shared.id, why = %error, "ends a connection");
            return;
        }
        let _ = tokio::time::timeout(RPC_TRUST_CHECK, changes.changed()).await;
    }
}
