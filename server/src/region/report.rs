//! The state of the region in one answer: `cairn admin status`, as JSON and as the tables that people read.

use super::context::AdminContext;
use super::finalise::Next;
use super::status::{Asked, GroupStatus, NodeStatus, ask_all};
use crate::cluster::state_name;
use crate::format;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use types::limits::RPC_NODE_VALIDITY;
use types::{
    ChunkClusterId, ClusterView, DiskState, FormatVersion, NodeId, NodeInfo, PartitionId, PgClass,
};

mod attention;
mod table;

pub use table::{groups_table, nodes_table};

/// Entries that a member of a group may lack before somebody should look.
const LAG_MAX: u64 = 10_000;
/// Time for the index to tell which disks came back, and which format was finalised.
const INDEX_WAIT: Duration = Duration::from_secs(1);
const DAY_MS: u64 = 24 * 3600 * 1000;
/// Days that are left of a certificate when somebody should look: its renewal has failed for some.
const DAYS_MIN: u64 = RPC_NODE_VALIDITY.as_secs() / (24 * 3600) / 4;

/// The region.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Which it is.
    pub installation: String,
    /// The node that tells.
    pub told_by: String,
    /// The epoch of the map.
    pub epoch: u64,
    /// What has been finalised, and what could be; absent where the index does not answer.
    #[serde(default)]
    pub format: Option<FormatLine>,
    /// The nodes.
    pub nodes: Vec<NodeLine>,
    /// The disks.
    pub disks: Vec<DiskLine>,
    /// The groups of the index.
    pub index: Vec<GroupLine>,
    /// The chunk clusters.
    pub clusters: Vec<ClusterLine>,
    /// What is being done in the background.
    pub tasks: Tasks,
    /// What somebody should look at.
    pub attention: Vec<String>,
}

/// A node.
#[derive(Debug, Serialize, Deserialize)]
pub struct NodeLine {
    /// Its number.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The name of its zone.
    pub zone: String,
    /// Its rack; empty where that is not known.
    pub rack: String,
    /// Where others reach it.
    pub addresses: Vec<String>,
    /// What it does.
    pub roles: String,
    /// `up`, `down` in the map, or `silent`: it did not answer now.
    pub state: String,
    /// Its version of Cairn; empty when it did not answer.
    pub version: String,
    /// The formats that this version knows, `oldest-newest`; empty when it did not answer.
    #[serde(default)]
    pub formats: String,
    /// Days until its certificate ends.
    pub certificate_days: Option<u64>,
    /// Its disks in the map.
    pub disks: usize,
    /// Why it did not answer.
    pub error: Option<String>,
}

/// The format of what is stored and sent.
#[derive(Debug, Serialize, Deserialize)]
pub struct FormatLine {
    /// The finalised one, which is written.
    pub finalised: u32,
    /// The newest that a node knows, where it is newer.
    pub next: Option<u32>,
    /// Why `next` cannot be finalised yet; empty when it can.
    pub waits_for: Vec<String>,
}

/// A disk.
#[derive(Debug, Serialize, Deserialize)]
pub struct DiskLine {
    /// Its id.
    pub id: String,
    /// The name of its node.
    pub node: String,
    /// Its chunk cluster; 0 for none yet.
    pub cluster: u16,
    /// Its state in the map.
    pub state: String,
    /// Where its node has it; the rest is unknown without it.
    pub directory: Option<String>,
    /// Bytes that the device holds.
    pub capacity_bytes: u64,
    /// Bytes that are left on it.
    pub available_bytes: u64,
    /// Bytes of shards that are in use.
    pub live_bytes: u64,
    /// Shards on it.
    pub shards: u64,
}

/// A group of the index.
#[derive(Debug, Serialize, Deserialize)]
pub struct GroupLine {
    /// The partition; 0 is the control partition.
    pub partition: u32,
    /// Who leads; none while nobody does.
    pub leader: Option<String>,
    /// The term.
    pub term: u64,
    /// Milliseconds since a quorum answered the leader.
    pub quorum_age_ms: Option<u64>,
    /// Who belongs to it.
    pub members: Vec<MemberLine>,
}

/// A member of a group.
#[derive(Debug, Serialize, Deserialize)]
pub struct MemberLine {
    /// The node.
    pub node: String,
    /// Whether it votes.
    pub votes: bool,
    /// Entries that it lacks, as far as the leader knows.
    pub lag: Option<u64>,
}

/// A chunk cluster.
#[derive(Debug, Serialize, Deserialize)]
pub struct ClusterLine {
    /// Its number.
    pub id: u16,
    /// Profile of large objects.
    pub striped: String,
    /// Profile of small objects.
    pub small: String,
    /// What both survive the loss of.
    pub domain: String,
    /// Its disks.
    pub disks: usize,
    /// Its placement groups.
    pub groups: usize,
    /// Those that take writes now.
    pub writable: usize,
}

/// What is being done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tasks {
    /// Placement groups that wait for repair, over all nodes.
    pub waiting_repairs: u64,
    /// Disks that were away and are being walked.
    pub returned_disks: Vec<String>,
}

/// Asks every node, and puts together what they and the map say. It answers also when the index does not.
pub async fn gather(context: &AdminContext) -> Report {
    let view = context.newest_view().await;
    let asked = ask_all(context, &view).await;
    let returned = scheduler::returned::remembered(&context.index);
    let returned = tokio::time::timeout(INDEX_WAIT, returned).await;
    // Who does not answer is told of otherwise.
    let returned = returned.ok().and_then(Result::ok).unwrap_or_default();
    let kept = tokio::time::timeout(INDEX_WAIT, format::load(&context.index)).await;
    let format = kept.ok().and_then(Result::ok).map(|kept| kept.finalised);
    let now_ms = context.clock.now_ms();
    let mut report = Report {
        installation: view.map.installation.to_string(),
        told_by: context.home.name().to_owned(),
        epoch: view.map.epoch,
        format: format.map(|finalised| format_line(finalised, &asked)),
        nodes: asked
            .iter()
            .map(|(node, status)| node_line(&view, node, status, now_ms))
            .collect(),
        disks: disk_lines(&view, &asked),
        index: group_lines(&view, &asked, &context.index.all_partitions()),
        clusters: cluster_lines(&view),
        tasks: Tasks {
            waiting_repairs: asked
                .iter()
                .flat_map(|(_, status)| status)
                .map(|status| status.waiting_repairs)
                .sum(),
            returned_disks: returned.iter().map(ToString::to_string).collect(),
        },
        attention: Vec::new(),
    };
    report.attention = attention::of(&report);
    report
}

fn format_line(finalised: FormatVersion, asked: &Asked) -> FormatLine {
    let (next, waits_for) = match Next::of(finalised, asked) {
        Next::Nothing => (None, Vec::new()),
        Next::Possible(next) => (Some(next.0), Vec::new()),
        Next::Waits(next, reasons) => (Some(next.0), reasons),
    };
    FormatLine {
        finalised: finalised.0,
        next,
        waits_for,
    }
}

fn node_line(
    view: &ClusterView,
    node: &NodeInfo,
    status: &Result<NodeStatus, String>,
    now_ms: u64,
) -> NodeLine {
    let zone = view.map.zones.iter().find(|zone| zone.id == node.zone);
    let days = |status: &NodeStatus| status.certificate_ends_ms.saturating_sub(now_ms) / DAY_MS;
    let disks = view
        .map
        .disks
        .iter()
        .filter(|disk| disk.node == node.id && disk.state != DiskState::Removed);
    let state = match (node.is_down, status) {
        (true, _) => "down",
        (false, Ok(_)) => "up",
        (false, Err(_)) => "silent",
    };
    NodeLine {
        id: node.id.0,
        name: node.name.clone(),
        zone: zone.map_or_else(|| node.zone.to_string(), |zone| zone.name.clone()),
        rack: node.rack.clone(),
        addresses: node.addresses.clone(),
        roles: node.roles.to_string(),
        state: state.to_owned(),
        version: status
            .as_ref()
            .map_or_else(|_| String::new(), |status| status.product.clone()),
        formats: status
            .as_ref()
            .map_or_else(|_| String::new(), |status| status.formats.to_string()),
        certificate_days: status.as_ref().ok().map(days),
        disks: disks.count(),
        error: status.as_ref().err().cloned(),
    }
}

fn disk_lines(view: &ClusterView, asked: &Asked) -> Vec<DiskLine> {
    let told: BTreeMap<_, _> = asked
        .iter()
        .flat_map(|(_, status)| status)
        .flat_map(|status| &status.disks)
        .map(|disk| (disk.id, disk.clone()))
        .collect();
    let in_use = view
        .map
        .disks
        .iter()
        .filter(|disk| disk.state != DiskState::Removed);
    let line = |disk: &types::DiskInfo| {
        let told = told.get(&disk.id).cloned();
        let directory = told.as_ref().map(|told| told.directory.clone());
        let told = told.unwrap_or_default();
        DiskLine {
            id: disk.id.to_string(),
            node: name_of(view, disk.node),
            cluster: disk.cluster.0,
            state: state_name(view.map.state_of(disk)).to_owned(),
            directory,
            capacity_bytes: told.capacity_bytes,
            available_bytes: told.available_bytes,
            live_bytes: told.live_bytes,
            shards: told.shards,
        }
    };
    in_use.map(line).collect()
}

fn group_lines(view: &ClusterView, asked: &Asked, partitions: &[PartitionId]) -> Vec<GroupLine> {
    let line = |partition: &PartitionId| {
        let told = asked
            .iter()
            .flat_map(|(_, status)| status)
            .flat_map(|status| &status.groups);
        let told: Vec<&GroupStatus> = told.filter(|group| group.partition == *partition).collect();
        // The leader knows best; where there is none, whoever has heard of the latest term.
        let best = told.iter().max_by_key(|group| (group.leads, group.term));
        let leader = told
            .iter()
            .any(|group| group.leads)
            .then(|| best.and_then(|group| group.leader))
            .flatten();
        let members = best
            .iter()
            .flat_map(|group| &group.members)
            .map(|member| MemberLine {
                node: name_of(view, member.node),
                votes: member.is_voter,
                lag: member.lag,
            });
        GroupLine {
            partition: partition.0,
            leader: leader.map(|leader| name_of(view, leader)),
            term: best.map_or(0, |group| group.term),
            quorum_age_ms: best.and_then(|group| group.quorum_age_ms),
            members: members.collect(),
        }
    };
    partitions.iter().map(line).collect()
}

fn cluster_lines(view: &ClusterView) -> Vec<ClusterLine> {
    let line = |cluster: &types::ChunkCluster| {
        let of_cluster = |id: ChunkClusterId| id == cluster.id;
        let writable = [PgClass::Striped, PgClass::Small, PgClass::Fallback]
            .into_iter()
            .flat_map(|class| view.writable(class))
            .filter(|group| of_cluster(group.cluster));
        let disks = view
            .map
            .disks
            .iter()
            .filter(|disk| of_cluster(disk.cluster) && disk.state != DiskState::Removed);
        ClusterLine {
            id: cluster.id.0,
            striped: cluster.striped.to_string(),
            small: cluster.small.to_string(),
            domain: cluster.domain.to_string(),
            disks: disks.count(),
            groups: view
                .groups
                .values()
                .filter(|group| of_cluster(group.cluster))
                .count(),
            writable: writable.count(),
        }
    };
    view.map.clusters.iter().map(line).collect()
}

fn name_of(view: &ClusterView, node: NodeId) -> String {
    view.map
        .node(node)
        .map_or_else(|| format!("#{node}"), |node| node.name.clone())
}

#[cfg(test)]
mod tests;
