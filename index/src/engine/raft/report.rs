//! How a group is, for operators.

use super::RaftEngine;
use super::network::node_id;
use crate::store::StoreError;
use ::types::{NodeId, PartitionId};
use openraft::ServerState;
use std::time::Duration;

/// A group as one node sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupReport {
    /// The partition.
    pub partition: PartitionId,
    /// The term.
    pub term: u64,
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeId>,
    /// Whether this node does.
    pub leads: bool,
    /// Index of the last entry of this node's log.
    pub last_log: Option<u64>,
    /// Index of the last entry that this node has applied.
    pub last_applied: Option<u64>,
    /// Index of the last entry that is only in the partition's files, and no more in the log.
    pub purged: Option<u64>,
    /// On the leader: how long ago a quorum has answered it.
    pub quorum_age: Option<Duration>,
    /// Everybody who belongs to the group.
    pub members: Vec<MemberReport>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberReport {
    /// The node.
    pub node: NodeId,
    /// Where it is.
    pub address: String,
    /// Whether it votes; a learner does not.
    pub is_voter: bool,
    /// On the leader: entries that the member's log lacks.
    pub lag: Option<u64>,
}

impl RaftEngine {
    /// How the group of `partition` is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] while the engine starts and after it has ended.
    pub fn report(&self, partition: PartitionId) -> Result<GroupReport, StoreError> {
        let group = self.group(partition)?;
        let metrics = group.raft.metrics().borrow().clone();
        let membership = metrics.membership_config.membership();
        let voters: Vec<u64> = membership.voter_ids().collect();
        let next_log = metrics.last_log_index.map_or(0, |last| last + 1);
        let replication = metrics.replication.as_ref();
        let lag = |node: &u64| {
            let matched = replication?.get(node)?;
            let next = matched.map_or(0, |matched| matched.index + 1);
            Some(next_log.saturating_sub(next))
        };
        let members = membership.nodes().map(|(node, member)| MemberReport {
            node: node_id(*node),
            address: member.addr.clone(),
            is_voter: voters.contains(node),
            lag: lag(node),
        });
        let leads = metrics.state == ServerState::Leader;
        Ok(GroupReport {
            partition,
            term: metrics.current_term,
            leader: metrics.current_leader.map(node_id),
            leads,
            last_log: metrics.last_log_index,
            last_applied: metrics.last_applied.map(|at| at.index),
            purged: metrics.purged.map(|at| at.index),
            quorum_age: leads.then(|| group.quorum_age(metrics.vote)),
            members: members.collect(),
        })
    }
}
