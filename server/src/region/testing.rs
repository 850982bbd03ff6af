//! A small region in one process: nodes with certificates and servers on loopback, and one index for all.

use crate::cluster::Cluster;
use crate::disks;
use crate::region::beat::{Beats, BeatsOf};
use crate::region::dirty::{self, Forwarding};
use crate::region::follow::{self, Following};
use crate::region::keeper::{self, Keeping};
use chunkstore::DiskUsage;
use index::Index;
use parking_lot::Mutex;
use rpc::client::Network;
use rpc::identity::{
    ClusterCa, Credentials, Identity, NODE_VALIDITY, NodeKey, NodeRequest, TrustBundle,
};
use rpc::server::{RefuseCopies, Server, Service};
use scheduler::DirtyGroups;
use scheduler::plan::outage::OutageLimits;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::{
    ChunkCluster, ChunkClusterId, Clock, ClusterMap, ClusterView, DiskId, DiskInfo, Domain,
    ErasureProfile, InstallationId, NodeId, NodeInfo, PgClass, RegionId, Roles, ZoneId, ZoneInfo,
};

const INSTALLATION: InstallationId = InstallationId(0xca17);
const REGION: RegionId = RegionId(1);
const DISKS: u32 = 3;

/// A map of nodes that each are a zone with this many disks, with placement groups: 5+4 and 1+3
/// for three zones with three disks.
pub fn view(addresses: &BTreeMap<NodeId, String>, disks: u32) -> ClusterView {
    let profiles = ErasureProfile::for_zones(addresses.len(), disks as usize);
    let (striped, small) = profiles.unwrap();
    let cluster = ChunkCluster {
        id: ChunkClusterId(1),
        striped,
        small,
        domain: Domain::Zone,
        weight: 1,
        ..Default::default()
    };
    let zone = |node: &NodeId| ZoneId(node.0 as u16);
    let nodes = addresses.iter().map(|(id, address)| NodeInfo {
        id: *id,
        zone: zone(id),
        name: format!("n{id}"),
        addresses: vec![address.clone()],
        roles: Roles::all(),
        ..Default::default()
    });
    let zones = addresses.keys().map(|id| ZoneInfo {
        id: zone(id),
        name: format!("z{id}"),
        ..Default::default()
    });
    let info = |node: NodeId, number: u32| DiskInfo {
        id: disk(node.0, number),
        node,
        zone: zone(&node),
        cluster: cluster.id,
        weight: 1,
        ..Default::default()
    };
    let disks = addresses
        .keys()
        .flat_map(|node| (0..disks).map(move |number| info(*node, number)));
    let map = ClusterMap {
        installation: INSTALLATION,
        region: REGION,
        epoch: 1,
        clusters: vec![cluster.clone()],
        disks: disks.collect(),
        nodes: nodes.collect(),
        zones: zones.collect(),
        ..Default::default()
    };
    let mut view = ClusterView {
        map,
        ..Default::default()
    };
    for kind in [
        (PgClass::Striped, cluster.striped),
        (PgClass::Small, cluster.small),
    ] {
        disks::add_groups(&mut view, &cluster, kind.0, kind.1, 60).unwrap();
    }
    view
}

pub fn disk(node: u32, number: u32) -> DiskId {
    DiskId(u128::from(node * 100 + number))
}

/// The region, and what its nodes have in common.
pub struct Region {
    ca: ClusterCa,
    pub clock: Arc<dyn Clock>,
    pub index: Index,
    pub limits: OutageLimits,
    pub addresses: BTreeMap<NodeId, String>,
}

/// A node that runs; dropped, it is as if it were killed.
pub struct Node {
    pub network: Arc<Network>,
    pub beats: Arc<Beats>,
    pub cluster: Arc<Cluster>,
    pub dirty: Arc<DirtyGroups>,
    /// Makes the node keep the map.
    pub leads: watch::Sender<Option<u64>>,
    /// Tells the node who repairs.
    pub worker: watch::Sender<Option<NodeId>>,
    pub removed: CancellationToken,
    /// How often it was told of a view, and what it saved last.
    pub views: Arc<AtomicUsize>,
    pub saved: Arc<Mutex<ClusterMap>>,
    pub tasks: JoinSet<()>,
    _server: Server,
}

impl Region {
    /// A region of `count` nodes, none of which runs; their addresses are taken.
    pub async fn new(count: u32) -> (Self, BTreeMap<NodeId, TcpListener>) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let index = Index::in_memory(Arc::clone(&clock), Arc::new(OsEntropy));
        Self::on(index, count).await
    }

    /// The same with this index.
    pub async fn on(index: Index, count: u32) -> (Self, BTreeMap<NodeId, TcpListener>) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let ca = ClusterCa::create(INSTALLATION, REGION, &*clock, &OsEntropy).unwrap();
        let (mut addresses, mut listeners) = (BTreeMap::new(), BTreeMap::new());
        for id in (1..=count).map(NodeId) {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            addresses.insert(id, listener.local_addr().unwrap().to_string());
            listeners.insert(id, listener);
        }
        index
            .replace_cluster_view(0, &view(&addresses, DISKS))
            .await
            .unwrap();
        let limits = OutageLimits {
            trust_after: Duration::from_secs(2),
            ..Default::default()
        };
        let region = Self {
            ca,
            clock,
            index,
            limits,
            addresses,
        };
        (region, listeners)
    }

    /// `count` nodes that run, of which the first keeps the map.
    pub async fn start(count: u32) -> (Self, BTreeMap<NodeId, Node>) {
        let (region, listeners) = Self::new(count).await;
        let mut nodes = BTreeMap::new();
        for (id, listener) in listeners {
            nodes.insert(id, region.run(id, listener).await);
        }
        nodes[&NodeId(1)].leads.send_replace(Some(1));
        (region, nodes)
    }

    pub fn node(&self, id: NodeId) -> Arc<rpc::Node> {
        let key = NodeKey::generate().unwrap();
        let wanted = NodeRequest {
            request: &key.certificate_request().unwrap(),
            node: id,
            names: &["127.0.0.1".into()],
            validity: NODE_VALIDITY,
        };
        let certificate = self.ca.issue(&wanted, &*self.clock, &OsEntropy).unwrap();
        let bundle = TrustBundle::new(vec![self.ca.certificate().clone()]).unwrap();
        let credentials = Credentials::new(key, certificate, bundle).unwrap();
        let identity = Identity::new(credentials, Arc::clone(&self.clock)).unwrap();
        Arc::new(rpc::Node::new(
            Arc::new(identity),
            "1.0-test",
            rpc::Limits::default(),
            Arc::clone(&self.clock),
            Arc::new(OsEntropy),
        ))
    }

    fn beats(&self, node: Arc<rpc::Node>, leadership: watch::Receiver<Option<u64>>) -> Arc<Beats> {
        let usage = DiskUsage {
            capacity: 1000,
            ..Default::default()
        };
        let first = disk(node.id().node.0, 0);
        Beats::new(BeatsOf {
            node,
            clock: Arc::clone(&self.clock),
            leadership: Some(leadership),
            usage: Box::new(move || vec![(first, usage)]),
        })
    }

    /// Runs a node with all that this module's tests are about.
    pub async fn run(&self, id: NodeId, listener: TcpListener) -> Node {
        let stored = self.index.cluster_view().await.unwrap().unwrap();
        let node = self.node(id);
        let (leads, leadership) = watch::channel(None);
        let beats = self.beats(Arc::clone(&node), leadership.clone());
        let dirty = Arc::new(DirtyGroups::default());
        let network = Arc::new(Network::new(Arc::clone(&node)));
        let worker = watch::Sender::new(None);
        let forwarding = Forwarding {
            network: Arc::clone(&network),
            worker: worker.subscribe(),
            dirty: Arc::clone(&dirty),
        };
        let service = dirty::service(beats.service(Service::new()), &forwarding);
        let server = Server::start(node, listener, service, RefuseCopies).unwrap();
        let cluster = Arc::new(Cluster::new(stored));
        let (views, removed) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let saved = Arc::new(Mutex::new(ClusterMap::default()));
        let (told, keep) = (Arc::clone(&views), Arc::clone(&saved));
        let following = Following {
            network: Arc::clone(&network),
            index: self.index.clone(),
            cluster: Arc::clone(&cluster),
            beats: Arc::clone(&beats),
            on_view: Box::new(move |_| {
                told.fetch_add(1, Ordering::SeqCst);
            }),
            save_peers: Arc::new(move |map| {
                *keep.lock() = map.clone();
                Ok(())
            }),
            refresh_usage: Box::new(|| Box::pin(async {})),
            removed: removed.clone(),
        };
        let keeping = Keeping {
            me: id,
            leadership,
            index: self.index.clone(),
            cluster: Arc::clone(&cluster),
            beats: Arc::clone(&beats),
            limits: self.limits,
        };
        let mut tasks = JoinSet::new();
        let beating = Arc::clone(&beats).run(Arc::clone(&network), Arc::clone(&cluster));
        tasks.spawn(async { match beating.await {} });
        tasks.spawn(async { match follow::run(following).await {} });
        tasks.spawn(async { match keeper::run(keeping).await {} });
        tasks.spawn(async { match dirty::run(forwarding).await {} });
        Node {
            network,
            beats,
            cluster,
            dirty,
            leads,
            worker,
            removed,
            views,
            saved,
            tasks,
            _server: server,
        }
    }
}

impl Node {
    /// The nodes that the published map says are down.
    pub fn down(&self) -> Vec<u32> {
        let view = self.cluster.view();
        let down = view.map.nodes.iter().filter(|node| node.is_down);
        down.map(|node| node.id.0).collect()
    }
}

/// Waits until something holds and returns how long that took; the test fails if it takes too long.
pub async fn until(what: &str, holds: impl Fn() -> bool) -> Duration {
    let clock = SystemClock::new();
    while !holds() {
        assert!(clock.monotonic() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    clock.monotonic()
}
