//! What a process shows of itself and whom it trusts, and how both are replaced while it runs.

use super::{
    Certificate, ClusterTime, ClusterVerifier, IdentityError, NodeIdentity, NodeKey, TrustBundle,
    provider,
};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;
use tokio::sync::watch;
use types::clock::Clock;

/// The name of our protocol in the TLS handshake.
const ALPN: &[u8] = b"cairn-rpc";

/// A node's key, its certificate, and the authorities that it trusts.
#[derive(Debug)]
pub struct Credentials {
    identity: NodeIdentity,
    certificate: Certificate,
    key: NodeKey,
    bundle: TrustBundle,
}

impl Credentials {
    /// Puts the three together.
    ///
    /// # Errors
    /// When the certificate is not for the key, or names no node.
    pub fn new(
        key: NodeKey,
        certificate: Certificate,
        bundle: TrustBundle,
    ) -> Result<Self, IdentityError> {
        if certificate.fingerprint() != key.fingerprint() {
            return Err(IdentityError::OtherKey);
        }
        let identity = certificate.node().ok_or_else(|| {
            let why = format!("it names {:?}", certificate.uris());
            IdentityError::malformed("node's certificate", why)
        })?;
        Ok(Self {
            identity,
            certificate,
            key,
            bundle,
        })
    }

    /// Which node this is.
    #[must_use]
    pub fn node(&self) -> NodeIdentity {
        self.identity
    }

    /// The node's certificate; [`not_after_ms`](Certificate::not_after_ms) says when it must have been
    /// issued again.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The authorities.
    #[must_use]
    pub fn bundle(&self) -> &TrustBundle {
        &self.bundle
    }
}

/// Credentials made ready for connections.
#[derive(Debug)]
pub(crate) struct Ready {
    pub server: Arc<ServerConfig>,
    pub client: Arc<ClientConfig>,
    /// For nodes that have no certificate yet.
    pub join: Arc<ServerConfig>,
    verifier: Arc<ClusterVerifier>,
    credentials: Credentials,
}

/// What a running process goes by: its credentials, which can be replaced.
///
/// New connections use the new ones at once. Connections whose peer is not trusted any more are ended
/// by their owners, [`server`](crate::server) and [`client`](crate::client), who watch this.
#[derive(Debug)]
pub struct Identity {
    node: NodeIdentity,
    clock: Arc<dyn Clock>,
    current: watch::Sender<Arc<Ready>>,
}

impl Identity {
    /// Begins with these credentials.
    ///
    /// # Errors
    /// When the node's own certificate is not valid now under its own bundle.
    pub fn new(credentials: Credentials, clock: Arc<dyn Clock>) -> Result<Self, IdentityError> {
        let node = credentials.node();
        let ready = Ready::new(credentials, &clock)?;
        let current = watch::Sender::new(Arc::new(ready));
        Ok(Self {
            node,
            clock,
            current,
        })
    }

    /// Replaces the credentials. On an error the process goes on with the old ones.
    ///
    /// # Errors
    /// When they are of another node, or the certificate is not valid under the new bundle: peers with
    /// the same bundle would refuse it.
    pub fn reload(&self, credentials: Credentials) -> Result<(), IdentityError> {
        if credentials.node() != self.node {
            return Err(IdentityError::OtherNode {
                is: self.node,
                becomes: credentials.node(),
            });
        }
        let ready = Ready::new(credentials, &self.clock)?;
        self.current.send_replace(Arc::new(ready));
        Ok(())
    }

    /// Which node this is.
    #[must_use]
    pub fn node(&self) -> NodeIdentity {
        self.node
    }

    /// When the certificate in use ends, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn not_after_ms(&self) -> u64 {
        self.ready().credentials.certificate.not_after_ms()
    }

    pub(crate) fn ready(&self) -> Arc<Ready> {
        self.current.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Ready>> {
        self.current.subscribe()
    }

    /// Whether a connection with a peer who showed this chain may go on.
    pub(crate) fn still_trusts(&self, chain: &[CertificateDer<'_>]) -> Result<(), rustls::Error> {
        let now = ClusterTime::new(self.clock.clone()).now();
        self.ready().verifier.verify_chain(chain, now)
    }
}

impl Ready {
    fn new(credentials: Credentials, clock: &Arc<dyn Clock>) -> Result<Self, IdentityError> {
        let time = Arc::new(ClusterTime::new(clock.clone()));
        let verifier = ClusterVerifier::new(credentials.identity, credentials.bundle.roots()?)
            .map_err(|error| IdentityError::malformed("trust bundle", error))?;
        let verifier = Arc::new(verifier);
        let chain = vec![credentials.certificate.der().clone()];
        verifier
            .verify_chain(&chain, time.now())
            .map_err(|error| IdentityError::NotTrusted(error.to_string()))?;
        let cannot = |error: rustls::Error| IdentityError::NotTrusted(error.to_string());

        let builder = || {
            ServerConfig::builder_with_details(provider(), time.clone())
                .with_protocol_versions(&[&TLS13])
                .map_err(cannot)
        };
        let mut server = builder()?
            .with_client_cert_verifier(verifier.clone())
            .with_single_cert(chain.clone(), credentials.key.to_rustls()?)
            .map_err(cannot)?;
        server.alpn_protocols = vec![ALPN.to_vec()];
        without_sessions(&mut server);

        // Whoever joins knows the authority by its fingerprint alone, so it goes into the chain.
        let mut with_authority = chain.clone();
        let issuers = credentials.bundle.authorities().iter();
        with_authority.extend(issuers.map(|issuer| issuer.der().clone()));
        let mut join = builder()?
            .with_no_client_auth()
            .with_single_cert(with_authority, credentials.key.to_rustls()?)
            .map_err(cannot)?;
        without_sessions(&mut join);

        let mut client = ClientConfig::builder_with_details(provider(), time.clone())
            .with_protocol_versions(&[&TLS13])
            .map_err(cannot)?
            .dangerous()
            .with_custom_certificate_verifier(verifier.clone())
            .with_client_auth_cert(chain, credentials.key.to_rustls()?)
            .map_err(cannot)?;
        client.alpn_protocols = vec![ALPN.to_vec()];
        client.resumption = Resumption::disabled();
        client.enable_sni = false;
        Ok(Self {
            server: Arc::new(server),
            client: Arc::new(client),
            join: Arc::new(join),
            verifier,
            credentials,
        })
    }
}

/// A resumed session is not verified again: it would let in a peer whose authority has been dropped.
fn without_sessions(config: &mut ServerConfig) {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
}
