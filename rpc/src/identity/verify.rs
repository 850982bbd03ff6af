//! Who is let in: rustls verifies the chain, and this file what our certificates say beyond it.

use super::{Certificate, NodeIdentity, chain_of};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::ring::{cipher_suite, default_provider};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier};
use rustls::time_provider::TimeProvider;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerMisbehaved,
    RootCertStore, SignatureScheme,
};
use std::cell::RefCell;
use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use types::clock::Clock;
use types::limits::RPC_CLOCK_TOLERANCE;

/// The cryptography of all our connections. AES-128 stands first: it takes a third less time than
/// AES-256, and is not what an attacker would begin with.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        let mut provider = default_provider();
        provider.cipher_suites = vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ];
        Arc::new(provider)
    });
    PROVIDER.clone()
}

/// The time that certificates are held against.
#[derive(Debug)]
pub struct ClusterTime(Arc<dyn Clock>);

impl ClusterTime {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(clock)
    }

    pub fn now(&self) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_millis(self.0.now_ms()))
    }
}

impl TimeProvider for ClusterTime {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.now())
    }
}

tokio::task_local! {
    /// What the peer of the handshake under way says it is, whether or not it is believed.
    static CLAIM: RefCell<Option<String>>;
}

/// Runs a handshake, and tells besides its outcome what the peer claimed to be, for the log.
pub async fn with_claim<T>(handshake: impl Future<Output = T>) -> (T, Option<String>) {
    let scoped = async {
        let outcome = handshake.await;
        (outcome, CLAIM.with(|claim| claim.borrow_mut().take()))
    };
    CLAIM.scope(RefCell::new(None), scoped).await
}

/// Lets in nodes of one region of one installation, and nobody else.
#[derive(Debug)]
pub struct ClusterVerifier {
    own: NodeIdentity,
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
}

impl ClusterVerifier {
    pub fn new(own: NodeIdentity, roots: RootCertStore) -> Result<Self, VerifierBuilderError> {
        let roots = Arc::new(roots);
        let clients =
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider()).build()?;
        Ok(Self {
            own,
            roots,
            clients,
        })
    }

    /// Verifies the certificates of a peer that is connected, in either direction.
    pub fn verify_chain(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), Error> {
        let (end_entity, intermediates) =
            chain.split_first().ok_or(Error::NoCertificatesPresented)?;
        self.verify(end_entity, now, |now| {
            let verified = self
                .clients
                .verify_client_cert(end_entity, intermediates, now);
            verified.map(|_| ())
        })
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        now: UnixTime,
        chain_is_valid: impl Fn(UnixTime) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // Outside of a handshake nobody asks.
        let _ = CLAIM.try_with(|claim| {
            let text = chain_of(std::slice::from_ref(end_entity));
            *claim.borrow_mut() = Some(text);
        });
        match chain_is_valid(now) {
            Err(error) if is_expired(&error) => chain_is_valid(earlier(now))?,
            outcome => outcome?,
        }
        self.is_one_of_us(end_entity)
    }

    fn is_one_of_us(&self, end_entity: &CertificateDer<'_>) -> Result<(), Error> {
        let certificate =
            Certificate::from_der(end_entity).map_err(|_| CertificateError::BadEncoding)?;
        let Some(peer) = certificate.node() else {
            return Err(refuse(
                "the certificate names no node of a Cairn cluster".into(),
            ));
        };
        if peer.installation != self.own.installation {
            return Err(refuse(format!(
                "{peer} is of another installation than {}: its address leads to the wrong cluster",
                self.own
            )));
        }
        if peer.region != self.own.region {
            return Err(refuse(format!(
                "{peer} is of another region than {}: its address leads to the wrong region",
                self.own
            )));
        }
        Ok(())
    }
}

fn refuse(why: String) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(
        std::io::Error::other(why),
    ))))
}

fn is_expired(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. }
        )
    )
}

/// Our clock may be ahead of the peer's.
fn earlier(now: UnixTime) -> UnixTime {
    let seconds = now.as_secs().saturating_sub(RPC_CLOCK_TOLERANCE.as_secs());
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

/// There is no TLS 1.2 here.
fn no_tls12() -> Error {
    PeerMisbehaved::SelectedUnofferedCipherSuite.into()
}

impl ClientCertVerifier for ClusterVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Nodes have one certificate: hints would only tell strangers the cluster's name.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.verify(end_entity, now, |now| {
            let verified = self
                .clients
                .verify_client_cert(end_entity, intermediates, now);
            verified.map(|_| ())
        })?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.clients.supported_verify_schemes()
    }
}

impl ServerCertVerifier for ClusterVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(end_entity, now, |now| {
            verify_issued_by(&self.roots, end_entity, intermediates, now)
        })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(no_tls12())
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
        self.clients.supported_verify_schemes()
    }
}

/// Whether a server's certificate leads to one of the authorities. Its names are not looked at.
pub fn verify_issued_by(
    roots: &RootCertStore,
    end_entity: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<(), Error> {
    verify_server_cert_signed_by_trust_anchor(
        &ParsedCertificate::try_from(end_entity)?,
        roots,
        intermediates,
        now,
        provider().signature_verification_algorithms.all,
    )
}
