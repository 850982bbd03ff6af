//! From a TCP connection to one with a node of the cluster, or to a line in the log.

use super::{Shared, connection};
use crate::counters;
use crate::identity::with_claim;
use rustls::pki_types::CertificateDer;
use rustls::{CertificateError, Error as TlsError, InvalidMessage};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::warn;

/// Pause after the kernel would not hand over a connection: it lacks memory or file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes connections until the server stops.
pub async fn run(shared: Arc<Shared>, listener: TcpListener) {
    loop {
        let accepted = tokio::select! {
            () = shared.stopping.cancelled() => return,
            accepted = next(&shared, &listener) => accepted,
        };
        match accepted {
            Ok((stream, address, handshake)) => {
                let Ok(place) = shared.places.clone().try_acquire_owned() else {
                    counters::refused("full");
                    warn!(%address, "refused a connection: as many are open as the limits allow");
                    continue;
                };
                let task = one(shared.clone(), stream, address, handshake, place);
                shared.tasks.spawn(task);
            }
            Err(error) => {
                warn!(%error, "cannot take connections from other nodes");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn next(
    shared: &Shared,
    listener: &TcpListener,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let handshakes = shared.handshakes.clone();
    let permit = handshakes.acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    Ok((stream, address, permit))
}

async fn one(
    shared: Arc<Shared>,
    stream: TcpStream,
    address: SocketAddr,
    handshake: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
) {
    let limit = shared.node.limits.handshake_time;
    let accepting = with_claim(tokio::time::timeout(limit, accept(&shared, stream)));
    let (outcome, claim) = tokio::select! {
        () = shared.stopping.cancelled() => return,
        outcome = accepting => outcome,
    };
    let claim = claim.unwrap_or_else(|| "nobody we know of".into());
    let (reason, why) = match outcome {
        Ok(Ok((tls, chain))) => {
            connection::run(&shared, tls, chain, address, handshake).await;
            return;
        }
        Ok(Err(error)) => (reason(&error), error.to_string()),
        Err(_) => ("slow", format!("no handshake within {limit:?}")),
    };
    counters::refused(reason);
    warn!(%address, peer = %claim, reason, why, "refused a connection");
}

type Chain = Vec<CertificateDer<'static>>;

async fn accept(shared: &Shared, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, Chain)> {
    stream.set_nodelay(true)?;
    let config = shared.node.identity.ready().server.clone();
    let tls = TlsAcceptor::from(config).accept(stream).await?;
    let (_, session) = tls.get_ref();
    let chain = session.peer_certificates().unwrap_or_default();
    let chain = chain.iter().map(|one| one.clone().into_owned()).collect();
    Ok((tls, chain))
}

/// One word for the metric.
fn reason(error: &io::Error) -> &'static str {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref());
    match tls {
        Some(TlsError::NoCertificatesPresented) => "no-certificate",
        Some(TlsError::InvalidCertificate(error)) => match error {
            CertificateError::UnknownIssuer | CertificateError::BadSignature => "other-authority",
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => "expired",
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "not-valid-yet"
            }
            CertificateError::Other(_) => "not-of-this-cluster",
            _ => "bad-certificate",
        },
        Some(TlsError::InvalidMessage(InvalidMessage::InvalidContentType)) => "not-tls",
        Some(_) => "tls",
        None => "cut",
    }
}
