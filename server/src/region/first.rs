//! The first node of a region for tests: a real directory, an index in memory, and no other node to call.

use super::change::{first_view, peers_of};
use super::context::AdminContext;
use super::describe::NodeDescription;
use super::home::{NewHome, NodeHome};
use crate::cluster::Cluster;
use crate::root_key;
use index::Index;
use rpc::client::Network;
use rpc::identity::{
    Certificate, ClusterCa, Identity, NODE_VALIDITY, NodeKey, NodeRequest, TrustBundle,
};
use rpc::{Limits, Node};
use std::path::Path;
use std::sync::Arc;
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::{Clock, ClusterView, DiskId, Entropy, InstallationId, NodeId, RegionId, Roles};

/// The description of node `number`, with two disks.
pub fn description(number: u32, zone: &str) -> NodeDescription {
    NodeDescription {
        name: format!("n{number}"),
        zone: zone.to_owned(),
        addresses: vec![format!("10.0.0.{number}:9002")],
        roles: Roles::all(),
        disks: 2,
        ..Default::default()
    }
}

/// A certificate for `key`.
pub fn certificate(
    authority: &ClusterCa,
    key: &NodeKey,
    node: u32,
    clock: &dyn Clock,
) -> Certificate {
    let request = key.certificate_request().unwrap();
    let wanted = NodeRequest {
        request: &request,
        node: NodeId(node),
        names: &[],
        validity: NODE_VALIDITY,
    };
    authority.issue(&wanted, clock, &OsEntropy).unwrap()
}

/// Makes the directory of node 1, with the authority and `view` as its first.
pub fn first_home(dir: &Path, view: &ClusterView) -> NodeHome {
    let clock = SystemClock::new();
    let key = NodeHome::prepare(dir, &[]).unwrap();
    let (installation, region) = (view.map.installation, view.map.region);
    let authority = ClusterCa::create(installation, region, &clock, &OsEntropy).unwrap();
    let new = NewHome {
        name: "n1",
        certificate: &certificate(&authority, &key, 1, &clock),
        bundle: &TrustBundle::new(vec![authority.certificate().clone()]).unwrap(),
        root: &root_key::generate(&OsEntropy),
        peers: &peers_of(&view.map),
        first: Some((&authority, view)),
    };
    NodeHome::create(dir, &new).unwrap()
}

/// The first view: node 1 with two disks.
pub fn view() -> ClusterView {
    let disks = [DiskId(11), DiskId(12)];
    first_view(InstallationId(7), RegionId(1), &description(1, "a"), &disks)
}

/// Node 1 in `dir`, whose clock is `clock`.
pub async fn context_at(dir: &Path, clock: Arc<dyn Clock>) -> AdminContext {
    let view = view();
    let home = first_home(&dir.join("n1"), &view);
    let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
    let index = Index::in_memory(Arc::clone(&clock), Arc::clone(&entropy));
    index.replace_cluster_view(0, &view).await.unwrap();
    let identity = Identity::new(home.credentials().unwrap(), Arc::clone(&clock)).unwrap();
    let (identity, limits) = (Arc::new(identity), Limits::default());
    let node = Node::new(
        identity,
        "0.0.0",
        limits,
        Arc::clone(&clock),
        Arc::clone(&entropy),
    );
    let cluster = Cluster::new(view);
    AdminContext {
        index,
        cluster: Arc::new(cluster),
        network: Arc::new(Network::new(Arc::new(node))),
        engine: None,
        home: Arc::new(home),
        formats: Arc::default(),
        dirty: Arc::default(),
        advertise: None,
        join_port: 9003,
        clock,
        entropy,
    }
}

/// Node 1 in `dir`.
pub async fn context(dir: &Path) -> AdminContext {
    context_at(dir, Arc::new(SystemClock::new())).await
}
