//! Who is let in, and what the log and the metrics say of those who are not.

use crate::support::{
    INSTALLATION, LONG, REGION, Region, SECOND, addresses, echo, network, node_of, serve, until,
};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use rpc::client::{Call, Network};
use rpc::error::{CallError, Refusal};
use rpc::identity::{Credentials, Identity, NodeKey};
use rpc::server::{RefuseCopies, Server};
use rpc::{Limits, Node};
use std::io::Write;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use types::clock::{Clock, ManualClock, SystemClock};
use types::entropy::OsEntropy;
use types::ids::{InstallationId, NodeId, RegionId};

/// The log and the metrics of this thread, as text.
pub struct Watch {
    log: Log,
    pub metrics: PrometheusHandle,
    _guards: (
        tracing::subscriber::DefaultGuard,
        metrics::LocalRecorderGuard<'static>,
    ),
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Watch {
    pub fn new() -> Self {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || writer.clone())
            .finish();
        // Leaked: the guard of a local recorder borrows it, and a test's process is short.
        let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        let metrics = recorder.handle();
        let guards = (
            tracing::subscriber::set_default(subscriber),
            metrics::set_default_local_recorder(recorder),
        );
        Self {
            log,
            metrics,
            _guards: guards,
        }
    }

    fn log(&self) -> String {
        String::from_utf8(self.log.0.lock().clone()).unwrap()
    }

    async fn refused(&self, reason: &str, words: &[&str]) {
        let counter = format!("cairn_rpc_handshake_refusals_total{{reason=\"{reason}\"}} 1");
        until(&counter, || self.metrics.render().contains(&counter)).await;
        let log = self.log();
        let mut lines = log.lines();
        let line = lines.find(|line| {
            line.contains("refused a connection") && line.contains("address=127.0.0.1:")
        });
        let line = line.unwrap_or_else(|| panic!("no line in {log}"));
        for word in words {
            assert!(line.contains(word), "no {word:?} in {line}");
        }
    }
}

/// A server, and what a stranger with these credentials gets from it.
async fn stranger(credentials: Credentials, clock: Arc<dyn Clock>) -> (Watch, CallError) {
    let watch = Watch::new();
    let region = Region::new();
    let server = serve(&region.node(1), echo()).await;
    // The stranger would talk to anybody: what is tested is the server.
    let theirs = Arc::new(Identity::new(credentials, clock.clone()).unwrap());
    let node = Node::new(theirs, "1", Limits::default(), clock, Arc::new(OsEntropy));
    let network = network(&Arc::new(node), &[(1, server.address())]);
    let peer = network.peer(NodeId(1)).unwrap();
    let error = peer.call(Call::new("echo", "", LONG)).await.unwrap_err();
    (watch, error)
}

fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// Speaks TLS with these client settings, and gives the application's bytes that come.
async fn bytes_for(server: &Server, config: rustls::ClientConfig) -> std::io::Result<Vec<u8>> {
    let stream = TcpStream::connect(server.address()).await?;
    let name = rustls::pki_types::ServerName::try_from("node.example.com").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut tls = connector.connect(name, stream).await?;
    // The preface of HTTP/2, for a server that would answer it.
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await?;
    let mut got = Vec::new();
    match tls.read_to_end(&mut got).await {
        Err(_) if !got.is_empty() => Ok(got),
        outcome => outcome.map(|_| got),
    }
}

/// TLS settings of a client that trusts the region, and shows this certificate or none.
pub fn settings(trusts: &Region, shows: Option<(&Region, &dyn Clock)>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusts.ca.certificate().der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shows {
        None => builder.with_no_client_auth(),
        Some((issuer, clock)) => {
            let key = rcgen::KeyPair::generate().unwrap();
            let node_key = NodeKey::from_pem(&key.serialize_pem()).unwrap();
            let certificate = issuer.issue_at(&node_key, 2, clock);
            let der = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder
                .with_client_auth_cert(vec![certificate.der().clone()], der)
                .unwrap()
        }
    };
    config.alpn_protocols = vec![b"cairn-rpc".to_vec()];
    config
}

#[tokio::test]
async fn this_way_of_asking_gets_bytes_when_the_certificate_is_right() {
    let region = Region::new();
    let server = serve(&region.node(1), echo()).await;
    let config = settings(&region, Some((&region, &*region.clock)));
    let got = tokio::time::timeout(SECOND * 8, bytes_for(&server, config)).await;
    // The hello is missing: the connection is ended after a while, but it did speak.
    assert!(!got.unwrap().unwrap().is_empty());
}

#[tokio::test]
async fn without_a_certificate_there_is_not_a_byte() {
    let watch = Watch::new();
    let region = Region::new();
    let server = serve(&region.node(1), echo()).await;
    bytes_for(&server, settings(&region, None))
        .await
        .unwrap_err();
    watch
        .refused("no-certificate", &["nobody we know of"])
        .await;
}

#[tokio::test]
async fn anothers_authority_gets_not_a_byte() {
    let watch = Watch::new();
    let (region, other) = (Region::new(), Region::new());
    let server = serve(&region.node(1), echo()).await;
    let config = settings(&region, Some((&other, &*other.clock)));
    bytes_for(&server, config).await.unwrap_err();
    let claims = format!("peer=cairn://{INSTALLATION}/1/node/2");
    watch
        .refused("other-authority", &[&claims, "UnknownIssuer"])
        .await;
}

#[tokio::test]
async fn an_expired_certificate_gets_not_a_byte() {
    let watch = Watch::new();
    let region = Region::new();
    let server = serve(&region.node(1), echo()).await;
    let day_ms = 24 * 3600 * 1000;
    let long_ago = ManualClock::at(region.clock.now_ms() - 91 * day_ms);
    let config = settings(&region, Some((&region, &long_ago)));
    bytes_for(&server, config).await.unwrap_err();
    watch.refused("expired", &["/1/node/2"]).await;
}

#[tokio::test]
async fn clocks_may_be_a_little_apart() {
    let region = Region::new();
    let server = serve(&region.node(1), echo()).await;
    let (day_ms, minute_ms) = (24 * 3600 * 1000, 60_000);
    let now_ms = region.clock.now_ms();
    let just_over = now_ms - 90 * day_ms - 2 * minute_ms;
    for issued_ms in [just_over, now_ms + 30 * minute_ms] {
        let clock = ManualClock::at(issued_ms);
        let config = settings(&region, Some((&region, &clock)));
        let got = tokio::time::timeout(SECOND * 8, bytes_for(&server, config)).await;
        assert!(!got.unwrap().unwrap().is_empty());
    }
    let clock = ManualClock::at(now_ms + 2 * 60 * minute_ms);
    let config = settings(&region, Some((&region, &clock)));
    bytes_for(&server, config).await.unwrap_err();
}

#[tokio::test]
async fn a_certificate_of_another_installation_or_region_gets_not_a_byte() {
    for (installation, at, words) in [
        (InstallationId(0xbad), REGION, "of another installation"),
        (INSTALLATION, RegionId(2), "of another region"),
    ] {
        // The same authority, by mistake or malice: its key signs for a scope that is not its own.
        let watch = Watch::new();
        let region = Region::new();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
        region.ca.save(&certificate, &key).unwrap();
        let server = serve(&region.node(1), echo()).await;
        let config = foreign(
            &region,
            &std::fs::read_to_string(&key).unwrap(),
            installation,
            at,
        );
        bytes_for(&server, config).await.unwrap_err();
        watch
            .refused("not-of-this-cluster", &[words, "node/2"])
            .await;
    }
}

/// TLS settings with a certificate of the region's authority that names another scope.
fn foreign(
    region: &Region,
    authority_key: &str,
    installation: InstallationId,
    at: RegionId,
) -> rustls::ClientConfig {
    let signer = rcgen::KeyPair::from_pem(authority_key).unwrap();
    let issuer = rcgen::Issuer::from_ca_cert_der(region.ca.certificate().der(), &signer).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    let uri = format!("cairn://{installation}/{at}/node/2");
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.as_str().try_into().unwrap())];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(region.ca.certificate().der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let der = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.der().clone()], der)
        .unwrap();
    config.alpn_protocols = vec![b"cairn-rpc".to_vec()];
    config
}

#[tokio::test]
async fn plain_tcp_gets_no_more_than_an_alert() {
    let watch = Watch::new();
    let region = Region::new();
    let server = serve(&region.node(1), echo()).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got).await;
    // A TLS alert record is seven bytes, and the first says so.
    assert!(
        got.len() <= 7 && got.first().is_none_or(|first| *first == 0x15),
        "{got:?}"
    );
    watch.refused("not-tls", &["nobody we know of"]).await;
}

#[tokio::test]
async fn who_says_nothing_is_cut_off() {
    let watch = Watch::new();
    let region = Region::new();
    let limits = Limits {
        handshake_time: SECOND / 4,
        ..Limits::default()
    };
    let server = serve(&region.node_with(1, limits), echo()).await;
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got).await;
    assert!(got.is_empty());
    watch.refused("slow", &["no handshake within"]).await;
}

#[tokio::test]
async fn only_tls_1_3_is_spoken() {
    let region = Region::new();
    let server = serve(&region.node(1), echo()).await;
    let mut config = openssl::ssl::SslConnector::builder(openssl::ssl::SslMethod::tls()).unwrap();
    config.set_verify(openssl::ssl::SslVerifyMode::NONE);
    config
        .set_max_proto_version(Some(openssl::ssl::SslVersion::TLS1_2))
        .unwrap();
    let connector = config.build();
    let address = server.address();
    let outcome = tokio::task::spawn_blocking(move || {
        let stream = std::net::TcpStream::connect(address).unwrap();
        connector
            .connect("node.example.com", stream)
            .map(|_| ())
            .map_err(|error| error.to_string())
    });
    let error = outcome.await.unwrap().unwrap_err();
    assert!(error.contains("version"), "{error}");
}

#[tokio::test]
async fn a_stranger_is_told_that_it_was_not_reached() {
    let other = Region::new();
    let (_watch, error) = stranger(other.credentials(2, other.bundle()), system()).await;
    // Neither side trusts the other, and the caller finds out first.
    assert!(matches!(error, CallError::NotSent { .. }), "{error}");
}

#[tokio::test]
async fn the_caller_too_finds_out_that_it_reached_another_node() {
    let watch = Watch::new();
    let region = Region::new();
    let server = serve(&region.node(1), echo()).await;
    let network = network(&region.node(2), &[(3, server.address())]);
    let peer = network.peer(NodeId(3)).unwrap();
    let error = peer.call(Call::new("echo", "", LONG)).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { .. }), "{error}");
    assert!(
        error.to_string().contains("says that node 3 is there"),
        "{error}"
    );
    assert!(watch.log().contains("/1/node/1 is"), "{}", watch.log());
}

#[tokio::test]
async fn a_copy_of_a_node_is_refused_while_the_node_is_connected() {
    let watch = Watch::new();
    let region = Region::new();
    let server = serve(&region.node(1), echo()).await;
    let call = |network: &Network| {
        let peer = network.peer(NodeId(1)).unwrap();
        async move { peer.call(Call::new("echo", "", LONG)).await }
    };
    let first = network(&region.node(2), &[(1, server.address())]);
    call(&first).await.unwrap();
    assert_eq!(server.callers().len(), 1);
    let copy = network(&region.node(2), &[(1, server.address())]);
    let error = call(&copy).await.unwrap_err();
    assert!(error.is_certainly_not_executed());
    assert!(error.to_string().contains("stop the copy"), "{error}");
    watch
        .refused(Refusal::Duplicate.word(), &["node/2", "by another process"])
        .await;
    call(&first).await.unwrap();
    drop(first);
    until("the first is gone", || server.callers().is_empty()).await;
    tokio::time::sleep(SECOND / 5).await;
    call(&copy).await.unwrap();
}

#[tokio::test]
async fn an_authority_is_rotated_without_a_failed_call() {
    let (old, new) = (Region::new(), Region::new());
    let server_node = old.node(1);
    let server = serve(&server_node, echo()).await;
    let caller_node = old.node(2);
    let network = network(&caller_node, &[(1, server.address())]);
    let peer = network.peer(NodeId(1)).unwrap();
    let call = || peer.call(Call::new("echo", "", LONG));
    call().await.unwrap();
    let both = old.bundle().with(new.ca.certificate().clone());
    let nodes = [(1, &server_node), (2, &caller_node)];
    for (id, node) in nodes {
        node.identity
            .reload(old.credentials(id, both.clone()))
            .unwrap();
        call().await.unwrap();
    }
    for (id, node) in nodes {
        node.identity
            .reload(new.credentials(id, both.clone()))
            .unwrap();
        call().await.unwrap();
    }
    let before = server.callers();
    for (id, node) in nodes {
        node.identity
            .reload(new.credentials(id, new.bundle()))
            .unwrap();
        call().await.unwrap();
    }
    // The connection that was made with the old certificates has been replaced.
    until("the old connection ends", || {
        let now = server.callers();
        now.len() == 1 && now != before
    })
    .await;
    // One that is left behind cannot drop the authority of its own certificate by mistake.
    let error = server_node
        .identity
        .reload(old.credentials(1, new.bundle()))
        .unwrap_err();
    assert!(error.to_string().contains("trust bundle"), "{error}");
    call().await.unwrap();
}

#[tokio::test]
async fn a_peer_whose_authority_was_dropped_is_cut_off() {
    let watch = Watch::new();
    let (old, new) = (Region::new(), Region::new());
    let both = old.bundle().with(new.ca.certificate().clone());
    let server_node = node_of(new.credentials(1, both.clone()), Limits::default());
    let limits = Limits {
        drain: SECOND / 4,
        ..Limits::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::start(server_node.clone(), listener, echo(), RefuseCopies).unwrap();
    let network = Network::new(node_of(old.credentials(2, both), limits));
    network.update(addresses(&[(1, server.address())]));
    let peer = network.peer(NodeId(1)).unwrap();
    peer.call(Call::new("echo", "", LONG)).await.unwrap();
    server_node
        .identity
        .reload(new.credentials(1, new.bundle()))
        .unwrap();
    until("its connection ends", || server.callers().is_empty()).await;
    let error = peer.call(Call::new("echo", "", LONG)).await.unwrap_err();
    assert!(error.is_certainly_not_executed(), "{error}");
    watch.refused("other-authority", &["node/2"]).await;
    assert!(watch.log().contains("ends a connection"));
}

#[tokio::test]
async fn a_server_whose_authority_was_dropped_is_not_called_any_more() {
    let (old, new) = (Region::new(), Region::new());
    let both = old.bundle().with(new.ca.certificate().clone());
    let limits = Limits {
        drain: SECOND / 4,
        ..Limits::default()
    };
    let server = serve(
        &node_of(old.credentials(1, both.clone()), limits.clone()),
        echo(),
    )
    .await;
    let caller = node_of(new.credentials(2, both), limits);
    let network = network(&caller, &[(1, server.address())]);
    let peer = network.peer(NodeId(1)).unwrap();
    peer.call(Call::new("echo", "", LONG)).await.unwrap();
    caller
        .identity
        .reload(new.credentials(2, new.bundle()))
        .unwrap();
    until("the connection ends", || server.callers().is_empty()).await;
    let error = peer.call(Call::new("echo", "", LONG)).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { .. }), "{error}");
}
