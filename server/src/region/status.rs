//! How a node is, as it tells the others (`node.status`), and how that is asked of all of them at once.

use super::context::{AdminContext, in_use};
use anyhow::Result;
use bytes::Bytes;
use futures::future::join_all;
use index::engine::raft::GroupReport;
use rpc::client::Call;
use rpc::error::Failure;
use rpc::server::{Request, Response, Service};
use std::time::Duration;
use types::format::FormatRange;
use types::limits::RPC_BULK_BYTES;
use types::{ClusterView, DiskId, FormatVersion, NodeId, NodeInfo, PartitionId, record};

/// The method by which a node tells how it is.
const METHOD: &str = "node.status";
/// Time for an answer.
const DEADLINE: Duration = Duration::from_millis(1500);
/// Bytes of an answer: hundreds of disks and partitions.
const ANSWER_BYTES: usize = 512 * 1024;
/// The node cannot tell.
const FAILED: u32 = 1;

record! {
    /// How a node is.
    pub struct NodeStatus {
        /// Its version of Cairn.
        1 => product: String,
        /// The epoch of the map that it goes by.
        2 => epoch: u64,
        /// When its certificate ends, in milliseconds since the Unix epoch.
        3 => certificate_ends_ms: u64,
        /// Fingerprint of who signed it; zeros where that is nobody whom the node trusts.
        4 => issuer: [u8; 32],
        /// Fingerprints of those whom it trusts.
        5 => trusts: Vec<[u8; 32]>,
        /// Fingerprints of the authorities that it holds.
        6 => holds: Vec<[u8; 32]>,
        /// Whether it runs an engine of the index.
        7 => keeps_index: bool,
        8 => groups: Vec<GroupStatus>,
        9 => disks: Vec<DiskStatus>,
        /// Placement groups that wait for repair there.
        10 => waiting_repairs: u64,
        /// The formats that its binary knows.
        11 => formats: FormatRange,
        /// The format that it writes.
        12 => writes: FormatVersion,
    }
}

record! {
    /// A group of the index as one node sees it.
    pub struct GroupStatus {
        1 => partition: PartitionId,
        2 => term: u64,
        3 => leader: Option<NodeId>,
        /// Whether the node that tells leads.
        4 => leads: bool,
        5 => last_log: u64,
        6 => applied: u64,
        /// On the leader: how long ago a quorum has answered, in milliseconds.
        7 => quorum_age_ms: Option<u64>,
        8 => members: Vec<MemberStatus>,
    }
}

record! {
    /// A member of a group.
    pub struct MemberStatus {
        1 => node: NodeId,
        2 => is_voter: bool,
        /// On the leader: entries that the member lacks.
        3 => lag: Option<u64>,
    }
}

record! {
    /// A disk that is here.
    pub struct DiskStatus {
        1 => id: DiskId,
        2 => directory: String,
        3 => capacity_bytes: u64,
        4 => available_bytes: u64,
        5 => live_bytes: u64,
        6 => shards: u64,
    }
}

/// How this node is.
///
/// # Errors
/// Its own files cannot be read.
pub fn own(context: &AdminContext) -> Result<NodeStatus> {
    let held = context.home.credentials()?;
    let bundle = held.bundle();
    let issuer = bundle.issuer_of(held.certificate());
    let kept = context.home.authorities()?;
    let engine = context.engine.as_ref();
    let reports = engine.iter().flat_map(|engine| {
        let partitions = context.index.all_partitions().into_iter();
        // A group that cannot tell yet has nothing to tell.
        partitions.filter_map(|partition| engine.report(partition).ok())
    });
    let here = context.cluster.disks().into_iter().filter_map(|disk| {
        Some(DiskStatus {
            id: disk.id,
            directory: disk.directory?.display().to_string(),
            capacity_bytes: disk.usage.capacity,
            available_bytes: disk.usage.available,
            live_bytes: disk.usage.live,
            shards: disk.usage.shards,
            ..Default::default()
        })
    });
    let node = context.network.node();
    Ok(NodeStatus {
        product: node.product.clone(),
        epoch: context.view().map.epoch,
        certificate_ends_ms: node.identity.not_after_ms(),
        issuer: issuer.map_or([0; 32], |issuer| issuer.fingerprint().0),
        trusts: bundle
            .authorities()
            .iter()
            .map(|one| one.fingerprint().0)
            .collect(),
        holds: kept
            .iter()
            .map(|one| one.certificate().fingerprint().0)
            .collect(),
        keeps_index: engine.is_some(),
        groups: reports.map(GroupStatus::from).collect(),
        disks: here.collect(),
        waiting_repairs: context.dirty.len() as u64,
        formats: FormatRange::own(),
        writes: context.formats.finalised().get(),
        ..Default::default()
    })
}

impl From<GroupReport> for GroupStatus {
    fn from(report: GroupReport) -> Self {
        let members = report.members.iter().map(|member| MemberStatus {
            node: member.node,
            is_voter: member.is_voter,
            lag: member.lag,
            ..Default::default()
        });
        let ms = |age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        Self {
            partition: report.partition,
            term: report.term,
            leader: report.leader,
            leads: report.leads,
            last_log: report.last_log.unwrap_or(0),
            applied: report.last_applied.unwrap_or(0),
            quorum_age_ms: report.quorum_age.map(ms),
            members: members.collect(),
            ..Default::default()
        }
    }
}

/// Asks one node.
///
/// # Errors
/// Why there is no answer, for people.
pub async fn ask_node(context: &AdminContext, node: NodeId) -> Result<NodeStatus, String> {
    if node == context.me() {
        return own(context).map_err(|error| format!("{error:#}"));
    }
    let peer = context
        .network
        .peer(node)
        .ok_or("it is not known here yet")?;
    let call =
        Call::new(METHOD, Bytes::new(), DEADLINE).answered_by(ANSWER_BYTES.max(RPC_BULK_BYTES));
    let response = peer.call(call).await.map_err(|error| error.to_string())?;
    let body = response
        .body
        .collect(ANSWER_BYTES)
        .await
        .map_err(|error| error.to_string())?;
    NodeStatus::decode(body).map_err(|error| error.to_string())
}

/// Nodes, and how they are or why they do not answer.
pub type Asked = Vec<(NodeInfo, Result<NodeStatus, String>)>;

/// Asks every node of `view` that takes part, at the same time.
pub async fn ask_all(context: &AdminContext, view: &ClusterView) -> Asked {
    let nodes: Vec<NodeInfo> = in_use(view).cloned().collect();
    let asked = nodes.into_iter().map(|node| async move {
        let status = ask_node(context, node.id).await;
        (node, status)
    });
    join_all(asked).await
}

/// Adds the method by which the node tells how it is.
pub fn add_method(service: Service, context: AdminContext) -> Service {
    service.unary(METHOD, 0, move |_, _: Request| {
        let context = context.clone();
        async move {
            let status =
                own(&context).map_err(|error| Failure::new(FAILED, format!("{error:#}")))?;
            Ok(Response {
                body: Bytes::from(status.encode()).into(),
                ..Default::default()
            })
        }
    })
}
