//! The new node's end of joining.

use super::exchange::{JoinReply, JoinRequest, VERSION, read, write};
use super::token::JoinToken;
use crate::identity::{
    Certificate, ClusterTime, Fingerprint, IdentityError, NodeKey, TrustBundle, provider,
    verify_issued_by,
};
use bytes::Bytes;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::verify_tls13_signature;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, PeerMisbehaved,
    RootCertStore, SignatureScheme,
};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use types::clock::Clock;

/// What a node has after it joined. The key must have been saved before, and these are to be saved next.
#[derive(Debug, Clone)]
pub struct Joined {
    /// The node's certificate.
    pub certificate: Certificate,
    /// Whom to trust.
    pub bundle: TrustBundle,
    /// What the cluster says to it.
    pub answer: Bytes,
}

/// Why a node did not join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// There is nobody to ask.
    #[error("the token names no address: give one of a node of the cluster")]
    NoAddress,
    /// Nobody who could be asked is of the token's cluster.
    #[error("the cluster was not reached: {0}")]
    NotReached(String),
    /// The answer was lost: the token may have been used.
    #[error(
        "the answer of {address} did not come ({why}): try again with the same token and key; if it is refused, have a new token made"
    )]
    Unknown {
        /// Who was asked.
        address: String,
        /// What happened.
        why: String,
    },
    /// The cluster does not take the node.
    #[error("the cluster refused: {0}")]
    Refused(String),
    /// The answer is not what was asked for.
    #[error("the cluster's answer cannot be used: {0}")]
    Answer(#[from] IdentityError),
}

/// Joins the cluster of the token: asks one address after the other until one answers that is of the
/// authority that the token names. `limit` is for each.
///
/// # Errors
/// [`JoinError`]; the same key can be used for another attempt.
pub async fn join(
    token: &JoinToken,
    key: &NodeKey,
    description: Bytes,
    clock: Arc<dyn Clock>,
    limit: Duration,
) -> Result<Joined, JoinError> {
    let request = JoinRequest {
        version: VERSION,
        token: token.id.0,
        secret: token.secret.0,
        certificate_request: key.certificate_request()?.into(),
        description,
        ..Default::default()
    };
    let config = settings(token.authority, clock)
        .map_err(|error| JoinError::NotReached(error.to_string()))?;
    let mut failed = Vec::new();
    for address in &token.addresses {
        let mut is_sent = false;
        let asked = tokio::time::timeout(limit, ask(address, &config, &request, &mut is_sent));
        let why = match asked.await {
            Ok(Ok(reply)) => return take(token, key, reply),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("nothing within {limit:?}"),
        };
        if is_sent {
            let address = address.clone();
            return Err(JoinError::Unknown { address, why });
        }
        failed.push(format!("{address}: {why}"));
    }
    if failed.is_empty() {
        return Err(JoinError::NoAddress);
    }
    Err(JoinError::NotReached(failed.join("; ")))
}

async fn ask(
    address: &str,
    config: &Arc<ClientConfig>,
    request: &JoinRequest,
    is_sent: &mut bool,
) -> io::Result<JoinReply> {
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("join.cairn.internal").expect("a DNS name");
    let mut tls = TlsConnector::from(config.clone())
        .connect(name, stream)
        .await?;
    *is_sent = true;
    write(&mut tls, &request.encode()).await?;
    JoinReply::decode(read(&mut tls).await?).map_err(io::Error::other)
}

fn take(token: &JoinToken, key: &NodeKey, reply: JoinReply) -> Result<Joined, JoinError> {
    if !reply.refused.is_empty() {
        return Err(JoinError::Refused(reply.refused));
    }
    let certificate = Certificate::from_der(&reply.certificate)?;
    if certificate.fingerprint() != key.fingerprint() {
        return Err(IdentityError::OtherKey.into());
    }
    let bundle = TrustBundle::from_pem(&reply.bundle)?;
    let mut authorities = bundle.authorities().iter();
    if !authorities.any(|authority| authority.fingerprint() == token.authority) {
        let why = "the trust bundle lacks the authority that the token names".to_owned();
        return Err(JoinError::Refused(why));
    }
    Ok(Joined {
        certificate,
        bundle,
        answer: reply.answer,
    })
}

fn settings(authority: Fingerprint, clock: Arc<dyn Clock>) -> Result<Arc<ClientConfig>, Error> {
    let mut config =
        ClientConfig::builder_with_details(provider(), Arc::new(ClusterTime::new(clock)))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pinned(authority)))
            .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    Ok(Arc::new(config))
}

/// Believes nodes of the one authority whose fingerprint is known.
#[derive(Debug)]
struct Pinned(Fingerprint);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_pinned = |der: &&CertificateDer<'_>| {
            Certificate::from_der(der).is_ok_and(|shown| shown.fingerprint() == self.0)
        };
        let Some(authority) = intermediates.iter().find(is_pinned) else {
            let text = format!(
                "it is not of the cluster that the token was made for (authority {}): check the address, \
                 or have a new token made if the cluster's authority was replaced",
                self.0
            );
            let error = OtherError(Arc::new(io::Error::other(text)));
            return Err(CertificateError::Other(error).into());
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        verify_issued_by(&roots, end_entity, &[], now)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerMisbehaved::SelectedUnofferedCipherSuite.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
