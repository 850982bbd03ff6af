//! One connection of a peer: its hello, its calls, and its end.

use super::admission::{Caller, Entry};
use super::{Shared, call};
use crate::counters::{self, Open, Side};
use crate::error::{Refusal, Refused};
use crate::identity::{Certificate, NodeIdentity};
use crate::message::{Hello, ReplyHeader, VERSION_MAX, VERSION_MIN, Welcome, agree, status};
use crate::transport::{read_header, send_head, server_settings, until_dead};
use bytes::Bytes;
use h2::RecvStream;
use h2::server::{Connection, SendResponse};
use http::{Request, Response};
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::server::TlsStream;
use tracing::{debug, info, warn};
use types::limits::RPC_TRUST_CHECK;

/// The path of the first request; all others go to [`CALL`].
pub const HELLO: &str = "/hello";
/// The path of calls.
pub const CALL: &str = "/call";

/// What is known of a connection.
pub struct Peer {
    pub shared: Arc<Shared>,
    pub node: NodeIdentity,
    pub address: SocketAddr,
    id: u64,
    /// There once the hello has been answered.
    greeted: Mutex<Option<Greeted>>,
    /// Given back with the hello: then the handshake has ended.
    handshake: Mutex<Option<OwnedSemaphorePermit>>,
}

#[derive(Clone)]
struct Greeted {
    version: u32,
    _entry: Arc<Entry>,
}

type Io = TlsStream<TcpStream>;

/// Serves a connection until it ends.
pub async fn run(
    shared: &Arc<Shared>,
    io: Io,
    chain: Vec<CertificateDer<'static>>,
    address: SocketAddr,
    handshake: OwnedSemaphorePermit,
) {
    let certificate = chain
        .first()
        .and_then(|der| Certificate::from_der(der).ok());
    let Some(node) = certificate.and_then(|certificate| certificate.node()) else {
        // The verifier lets none of these through.
        counters::refused("bad-certificate");
        return;
    };
    let peer = Arc::new(Peer {
        shared: shared.clone(),
        node,
        address,
        id: shared.next_connection.fetch_add(1, Ordering::Relaxed),
        greeted: Mutex::new(None),
        handshake: Mutex::new(Some(handshake)),
    });
    let _open = Open::new(Side::Server);
    let limits = &shared.node.limits;
    let handshake = server_settings(limits).handshake::<_, Bytes>(io);
    let connection = match tokio::time::timeout(limits.handshake_time, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            debug!(%address, peer = %node, %error, "a connection ended before its first call");
            return;
        }
        Err(_) => {
            refuse_slow(&peer);
            return;
        }
    };
    let ended = serve(&peer, connection, &chain).await;
    peer.greeted.lock().take();
    debug!(%address, peer = %node, ended, "a connection ended");
}

fn refuse_slow(peer: &Peer) {
    counters::refused("slow");
    warn!(address = %peer.address, peer = %peer.node, reason = "slow", "refused a connection: it sent no hello in time");
}

/// Hands out the calls of a connection, and says why it ended.
async fn serve(
    peer: &Arc<Peer>,
    mut connection: Connection<Io, Bytes>,
    chain: &[CertificateDer<'static>],
) -> &'static str {
    let shared = &peer.shared;
    let limits = &shared.node.limits;
    let pings = connection.ping_pong();
    let mut dead = pin!(async {
        match pings {
            Some(pings) => until_dead(pings, limits.ping_every, limits.ping_wait).await,
            None => pending().await,
        }
    });
    let mut late = pin!(tokio::time::sleep(limits.handshake_time));
    let mut ending = pin!(async {
        tokio::select! {
            () = shared.stopping.cancelled() => {}
            () = until_untrusted(peer, chain) => {}
        }
    });
    let mut drained = pin!(tokio::time::sleep(limits.drain));
    let (mut is_greeted, mut is_ending) = (false, false);
    loop {
        tokio::select! {
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => begin(peer, request, respond),
                Some(Err(_)) => return "the connection failed",
                None => return "closed",
            },
            () = &mut dead => return "the peer does not answer",
            () = &mut late, if !is_greeted => {
                is_greeted = peer.greeted.lock().is_some();
                if !is_greeted {
                    refuse_slow(peer);
                    return "no hello";
                }
            }
            () = &mut ending, if !is_ending => {
                is_ending = true;
                drained.set(tokio::time::sleep(limits.drain));
                connection.graceful_shutdown();
            }
            () = &mut drained, if is_ending => return "what was under way did not end in time",
            () = shared.stopped.cancelled() => return "stopped",
        }
    }
}

/// Returns when the peer's certificate is not valid any more: its authority was dropped, or it expired.
async fn until_untrusted(peer: &Peer, chain: &[CertificateDer<'static>]) {
    let identity = &peer.shared.node.identity;
    let mut changes = identity.watch();
    loop {
        // Marked as seen before the check, so that a change during it is looked at too.
        changes.mark_unchanged();
        if let Err(error) = identity.still_trusts(chain) {
            counters::refused("not-trusted-any-more");
            info!(address = %peer.address, peer = %peer.node, why = %error, "ends a connection");
            return;
        }
        let _ = tokio::time::timeout(RPC_TRUST_CHECK, changes.changed()).await;
    }
}

fn begin(peer: &Arc<Peer>, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
    let peer = peer.clone();
    match request.uri().path() {
        CALL => {
            let version = peer.greeted.lock().as_ref().map(|greeted| greeted.version);
            tokio::spawn(call::run(peer, version, request.into_body(), respond));
        }
        HELLO => {
            tokio::spawn(greet(peer, request.into_body(), respond));
        }
        _ => {
            let mut respond = respond;
            respond.send_reset(h2::Reason::REFUSED_STREAM);
        }
    }
}

async fn greet(peer: Arc<Peer>, mut stream: RecvStream, respond: SendResponse<Bytes>) {
    let Ok(collected) = read_header(&mut stream).await else {
        return;
    };
    let node = &peer.shared.node;
    let answer = match answer(&peer, collected.header) {
        Ok(welcome) => ReplyHeader {
            message: welcome.encode().into(),
            epoch: node.epoch(),
            ..Default::default()
        },
        Err(refused) => {
            let (reason, why) = (refused.reason.word(), &refused.text);
            counters::refused(reason);
            warn!(address = %peer.address, peer = %peer.node, reason, why, "refused a connection");
            refusal(&peer, &refused)
        }
    };
    reply(respond, &answer);
}

fn answer(peer: &Arc<Peer>, hello: Bytes) -> Result<Welcome, Refused> {
    let hello = Hello::decode(hello).map_err(|error| {
        Refused::new(
            Refusal::Malformed,
            format!("the hello cannot be read: {error}"),
        )
    })?;
    let node = &peer.shared.node;
    let own = node.id();
    same_cluster(own, hello.installation, hello.region)?;
    if hello.node != peer.node.node {
        let text = format!(
            "the hello is of node {}, and the certificate of node {}: give the node its own certificate",
            hello.node, peer.node.node
        );
        return Err(Refused::new(Refusal::Node, text));
    }
    if hello.wanted != own.node {
        let text = format!(
            "node {} was meant, and this is node {}: its address in the cluster map leads here; correct it",
            hello.wanted, own.node
        );
        return Err(Refused::new(Refusal::Node, text));
    }
    let version = agree(hello.version_min, hello.version_max).ok_or_else(|| {
        let text = format!(
            "node {} ({}) speaks protocol {VERSION_MIN} to {VERSION_MAX}, and node {} ({}) {} to {}: \
             upgrade the older one; versions may differ by one step during an upgrade",
            own.node, node.product, hello.node, hello.product, hello.version_min, hello.version_max
        );
        Refused::new(Refusal::Version, text)
    })?;
    let caller = Caller {
        node: peer.node,
        boot: hello.boot,
        address: peer.address,
        product: hello.product,
    };
    let mut greeted = peer.greeted.lock();
    if greeted.is_some() {
        return Err(Refused::new(
            Refusal::Malformed,
            "a second hello on one connection",
        ));
    }
    let shared = &peer.shared;
    let entry = shared.present.enter(peer.id, &caller, &*shared.admission)?;
    *greeted = Some(Greeted {
        version,
        _entry: Arc::new(entry),
    });
    peer.handshake.lock().take();
    Ok(Welcome {
        node: own.node,
        boot: node.boot(),
        product: node.product.clone(),
        version,
        ..Default::default()
    })
}

/// Whether a message is of our installation and region.
pub fn same_cluster(
    own: NodeIdentity,
    installation: types::ids::InstallationId,
    region: types::ids::RegionId,
) -> Result<(), Refused> {
    if installation != own.installation {
        let text = format!(
            "the caller is of installation {installation}, and this node of {}: its cluster map or \
             configuration names an address of another installation; correct it",
            own.installation
        );
        return Err(Refused::new(Refusal::Installation, text));
    }
    if region != own.region {
        let text = format!(
            "the caller is of region {region}, and this node of region {}: calls stay inside a region; \
             correct the address in its cluster map",
            own.region
        );
        return Err(Refused::new(Refusal::Region, text));
    }
    Ok(())
}

/// An answer that says no.
pub fn refusal(peer: &Peer, refused: &Refused) -> ReplyHeader {
    ReplyHeader {
        status: status::REFUSED,
        code: refused.reason.code(),
        text: refused.text.clone(),
        epoch: peer.shared.node.epoch(),
        body_bytes: Some(0),
        ..Default::default()
    }
}

/// Sends an answer without a body. If the peer has gone away there is nobody to tell.
pub fn reply(mut respond: SendResponse<Bytes>, header: &ReplyHeader) {
    if let Ok(mut stream) = respond.send_response(Response::new(()), false) {
        let _ = send_head(&mut stream, &header.encode(), &[], true);
    }
}
