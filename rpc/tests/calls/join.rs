//! A node without a certificate gets one, and nobody else does.

use crate::support::{LONG, REGION, Region, SECOND, echo, network, node_of, serve, until};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use rpc::Limits;
use rpc::client::Call;
use rpc::identity::{Credentials, Fingerprint, NODE_VALIDITY, NodeKey, NodeRequest};
use rpc::join::{
    Decision, Grant, JoinError, JoinLimits, JoinRefused, JoinServer, JoinToken, TokenHash, TokenId,
    Wanted, join,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::ids::NodeId;

/// Tokens with the key that used them, as a cluster would keep them.
struct Tokens {
    region: Arc<Region>,
    known: Mutex<BTreeMap<TokenId, (TokenHash, Option<Fingerprint>)>>,
    next_node: AtomicU32,
}

#[async_trait]
impl Decision for Tokens {
    async fn decide(&self, wanted: Wanted) -> Result<Grant, JoinRefused> {
        let no = || JoinRefused("the token is not valid, or has been used".into());
        {
            let mut known = self.known.lock();
            let (hash, used) = known.get_mut(&wanted.token).ok_or_else(no)?;
            if !wanted.secret.is_of(hash) || used.is_some_and(|key| key != wanted.key) {
                return Err(no());
            }
            *used = Some(wanted.key);
        }
        let request = NodeRequest {
            request: &wanted.certificate_request,
            node: NodeId(self.next_node.fetch_add(1, Ordering::SeqCst)),
            names: &[],
            validity: NODE_VALIDITY,
        };
        let issued = self
            .region
            .ca
            .issue(&request, &*self.region.clock, &OsEntropy);
        Ok(Grant {
            certificate: issued.map_err(|error| JoinRefused(error.to_string()))?,
            bundle: self.region.bundle(),
            answer: [b"hello ", &wanted.description[..]].concat().into(),
        })
    }
}

struct Cluster {
    region: Arc<Region>,
    tokens: Arc<Tokens>,
    join: JoinServer,
}

async fn cluster(limits: JoinLimits) -> Cluster {
    let region = Arc::new(Region::new());
    let tokens = Arc::new(Tokens {
        region: region.clone(),
        known: Mutex::default(),
        next_node: AtomicU32::new(10),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let join = JoinServer::start(region.node(1), listener, limits, tokens.clone()).unwrap();
    Cluster {
        region,
        tokens,
        join,
    }
}

impl Cluster {
    fn token(&self, addresses: &[SocketAddr]) -> JoinToken {
        let authority = self.region.ca.certificate().fingerprint();
        let addresses = addresses.iter().map(ToString::to_string).collect();
        let token = JoinToken::new(authority, addresses, &OsEntropy);
        let mut known = self.tokens.known.lock();
        known.insert(token.id, (token.secret.hash(), None));
        token
    }
}

async fn try_to(token: &JoinToken, key: &NodeKey) -> Result<rpc::join::Joined, JoinError> {
    let clock = Arc::new(SystemClock::new());
    join(token, key, Bytes::from_static(b"node"), clock, SECOND * 3).await
}

#[tokio::test]
async fn a_node_joins_with_its_token_and_calls() {
    let cluster = cluster(JoinLimits::default()).await;
    // The first address leads nowhere.
    let nowhere = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let token = cluster.token(&[nowhere, cluster.join.address()]);
    // As an operator carries it.
    let token: JoinToken = token.to_string().parse().unwrap();
    let key = NodeKey::generate().unwrap();
    let joined = try_to(&token, &key).await.unwrap();
    assert_eq!(joined.answer, "hello node");
    let credentials = Credentials::new(key, joined.certificate, joined.bundle).unwrap();
    assert_eq!(
        (credentials.node().node, credentials.node().region),
        (NodeId(10), REGION)
    );

    let server = serve(&cluster.region.node(2), echo()).await;
    let network = network(
        &node_of(credentials, Limits::default()),
        &[(2, server.address())],
    );
    let peer = network.peer(NodeId(2)).unwrap();
    peer.call(Call::new("echo", "", LONG)).await.unwrap();
}

#[tokio::test]
async fn a_token_serves_one_key() {
    let cluster = cluster(JoinLimits::default()).await;
    let token = cluster.token(&[cluster.join.address()]);
    let key = NodeKey::generate().unwrap();
    try_to(&token, &key).await.unwrap();
    // The answer may have been lost.
    try_to(&token, &key).await.unwrap();
    let error = try_to(&token, &NodeKey::generate().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, JoinError::Refused(_)), "{error}");
    let unknown = JoinToken::new(token.authority, token.addresses, &OsEntropy);
    let error = try_to(&unknown, &key).await.unwrap_err();
    assert!(error.to_string().contains("not valid"), "{error}");
}

#[tokio::test]
async fn the_token_is_shown_to_nobody_but_its_cluster() {
    let (ours, theirs) = (
        cluster(JoinLimits::default()).await,
        cluster(JoinLimits::default()).await,
    );
    let token = ours.token(&[theirs.join.address()]);
    // Theirs would take it: only the pinned authority stands between.
    theirs
        .tokens
        .known
        .lock()
        .insert(token.id, (token.secret.hash(), None));
    let error = try_to(&token, &NodeKey::generate().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, JoinError::NotReached(_)), "{error}");
    assert!(error.to_string().contains("not of the cluster"), "{error}");
    let used = theirs.tokens.known.lock()[&token.id].1;
    assert_eq!(used, None);
    assert!(matches!(
        try_to(&ours.token(&[]), &NodeKey::generate().unwrap()).await,
        Err(JoinError::NoAddress)
    ));
}

#[tokio::test]
async fn the_listener_for_calls_serves_no_joining() {
    let cluster = cluster(JoinLimits::default()).await;
    let server = serve(&cluster.region.node(1), echo()).await;
    let token = cluster.token(&[server.address()]);
    let error = try_to(&token, &NodeKey::generate().unwrap())
        .await
        .unwrap_err();
    assert!(!matches!(error, JoinError::Refused(_)), "{error}");
}

#[tokio::test]
async fn a_lost_answer_is_told_as_such() {
    // Of the right cluster, and it hangs up once it has the request.
    #[derive(Debug)]
    struct Hangs;
    #[async_trait]
    impl Decision for Hangs {
        async fn decide(&self, _: Wanted) -> Result<Grant, JoinRefused> {
            std::future::pending().await
        }
    }
    let region = Region::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = JoinLimits {
        time: SECOND / 2,
        ..JoinLimits::default()
    };
    let server = JoinServer::start(region.node(1), listener, limits, Arc::new(Hangs)).unwrap();
    let authority = region.ca.certificate().fingerprint();
    let token = JoinToken::new(authority, vec![server.address().to_string()], &OsEntropy);
    let error = try_to(&token, &NodeKey::generate().unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, JoinError::Unknown { .. }), "{error}");
}

#[tokio::test]
async fn attempts_are_few_at_a_time_and_slow() {
    let cluster = cluster(JoinLimits {
        connections: 3,
        burst: 6,
        pause: SECOND / 4,
        time: SECOND / 2,
    })
    .await;
    let connect = || TcpStream::connect(cluster.join.address());
    let is_closed = |mut stream: TcpStream| async move {
        let read = tokio::time::timeout(SECOND / 10, stream.read_u8()).await;
        read.is_ok()
    };
    // Three wait for a handshake; more are closed at once, and ended in time.
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(connect().await.unwrap());
    }
    assert!(is_closed(connect().await.unwrap()).await);
    for mut stream in open {
        let ended = tokio::time::timeout(SECOND * 3, stream.read_u8()).await;
        assert!(ended.expect("ended by the server").is_err());
    }
    // Garbage ends at once, but the pace holds.
    let mut closed_unread = 0;
    for _ in 0..12 {
        let mut stream = connect().await.unwrap();
        let _ = stream.write_all(&[0; 64]).await;
        let mut got = Vec::new();
        let _ = stream.read_to_end(&mut got).await;
        closed_unread += usize::from(got.is_empty());
    }
    assert!(closed_unread >= 4, "{closed_unread}");
    tokio::time::sleep(SECOND).await;
    let token = cluster.token(&[cluster.join.address()]);
    try_to(&token, &NodeKey::generate().unwrap()).await.unwrap();
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let cluster = cluster(JoinLimits::default()).await;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(cluster.region.ca.certificate().der().clone())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    for message in [&[0_u8, 0, 0, 3, 9, 9, 9][..], &[0, 0, 0, 0], &[0xff; 4]] {
        let stream = TcpStream::connect(cluster.join.address()).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("node.example.com").unwrap();
        let mut tls = connector.connect(name, stream).await.unwrap();
        tls.write_all(message).await.unwrap();
        let mut got = Vec::new();
        let _ = tls.read_to_end(&mut got).await;
        let text = String::from_utf8_lossy(&got);
        assert!(
            got.is_empty() || text.contains("cannot be read") || text.contains("exchange 0"),
            "{text}"
        );
    }
    until("nobody was let in", || {
        cluster.tokens.next_node.load(Ordering::SeqCst) == 10
    })
    .await;
}
