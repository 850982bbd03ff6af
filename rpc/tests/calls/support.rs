//! A small region: one authority, nodes with certificates, servers on loopback.

use bytes::Bytes;
use rpc::client::{Network, Peer};
use rpc::identity::{
    Certificate, ClusterCa, Credentials, Identity, NODE_VALIDITY, NodeKey, NodeRequest, TrustBundle,
};
use rpc::server::{RefuseCopies, Response, Server, Service};
use rpc::{Limits, Node};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use types::clock::{Clock, SystemClock};
use types::entropy::OsEntropy;
use types::ids::{InstallationId, NodeId, RegionId};

pub const INSTALLATION: InstallationId = InstallationId(0xca17);
pub const REGION: RegionId = RegionId(1);
pub const SECOND: Duration = Duration::from_secs(1);
/// Longer than any call of these tests may take.
pub const LONG: Duration = Duration::from_secs(20);

/// An authority and what its nodes are given.
pub struct Region {
    pub ca: ClusterCa,
    pub clock: Arc<dyn Clock>,
}

impl Region {
    pub fn new() -> Self {
        Self::of(INSTALLATION, REGION)
    }

    pub fn of(installation: InstallationId, region: RegionId) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let ca = ClusterCa::create(installation, region, &*clock, &OsEntropy).unwrap();
        Self { ca, clock }
    }

    pub fn issue(&self, key: &NodeKey, node: u32) -> Certificate {
        self.issue_at(key, node, &*self.clock)
    }

    pub fn issue_at(&self, key: &NodeKey, node: u32, clock: &dyn Clock) -> Certificate {
        let wanted = NodeRequest {
            request: &key.certificate_request().unwrap(),
            node: NodeId(node),
            names: &["127.0.0.1".into(), "node.example.com".into()],
            validity: NODE_VALIDITY,
        };
        self.ca.issue(&wanted, clock, &OsEntropy).unwrap()
    }

    pub fn bundle(&self) -> TrustBundle {
        TrustBundle::new(vec![self.ca.certificate().clone()]).unwrap()
    }

    pub fn credentials(&self, node: u32, bundle: TrustBundle) -> Credentials {
        let key = NodeKey::generate().unwrap();
        let certificate = self.issue(&key, node);
        Credentials::new(key, certificate, bundle).unwrap()
    }

    pub fn node(&self, node: u32) -> Arc<Node> {
        self.node_with(node, Limits::default())
    }

    pub fn node_with(&self, node: u32, limits: Limits) -> Arc<Node> {
        node_of(self.credentials(node, self.bundle()), limits)
    }
}

pub fn node_of(credentials: Credentials, limits: Limits) -> Arc<Node> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let identity = Arc::new(Identity::new(credentials, clock.clone()).unwrap());
    Arc::new(Node::new(
        identity,
        "1.0-test",
        limits,
        clock,
        Arc::new(OsEntropy),
    ))
}

/// A service that answers with what it got.
pub fn echo() -> Service {
    Service::new()
        .unary("echo", 4 << 20, |_, request| async move {
            Ok(Response {
                message: request.message,
                body: request.body,
            })
        })
        .streaming("echo-stream", |_, request| async move {
            Ok(Response {
                message: request.message,
                body: request.body,
            })
        })
}

pub async fn serve(node: &Arc<Node>, service: Service) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Server::start(node.clone(), listener, service, RefuseCopies).unwrap()
}

pub fn network(node: &Arc<Node>, peers: &[(u32, SocketAddr)]) -> Network {
    let network = Network::new(node.clone());
    network.update(addresses(peers));
    network
}

pub fn addresses(peers: &[(u32, SocketAddr)]) -> BTreeMap<NodeId, Vec<String>> {
    let peers = peers.iter();
    peers
        .map(|(id, at)| (NodeId(*id), vec![at.to_string()]))
        .collect()
}

/// A server as node 1 and a caller as node 2.
pub struct Pair {
    pub server: Server,
    pub network: Network,
    pub peer: Peer,
}

pub async fn pair(service: Service) -> Pair {
    pair_with(service, Limits::default()).await
}

pub async fn pair_with(service: Service, limits: Limits) -> Pair {
    let region = Region::new();
    let server = serve(&region.node_with(1, limits.clone()), service).await;
    let network = network(&region.node_with(2, limits), &[(1, server.address())]);
    let peer = network.peer(NodeId(1)).unwrap();
    Pair {
        server,
        network,
        peer,
    }
}

/// Bytes that differ from their neighbours.
pub fn bytes(length: usize) -> Bytes {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

/// Waits until something holds; the test fails if it does not soon.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..1000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}
