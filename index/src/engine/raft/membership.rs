//! Forming groups and changing their members.
//!
//! Replacing a node for good: add the new one as a learner in each group, promote it, then remove the old
//! one. A node id is never used again.

use super::types::{Member, Raft};
use super::{RaftEngine, number};
use crate::store::StoreError;
use ::types::{NodeId, PartitionId};
use openraft::ChangeMembers;
use openraft::error::{ClientWriteError, InitializeError, RaftError};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

/// Why a group was not formed or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// See [`StoreError`]: another node leads, or it is not known whether the change was made.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The group has a log already: it was formed before.
    #[error("partition {0} has members already: add this node to them instead")]
    AlreadyFormed(PartitionId),
    /// The change makes no sense now, or another one is under way.
    #[error("the members cannot be changed so: {0}")]
    Refused(String),
}

impl RaftEngine {
    /// Forms a new group of `members`, this node among them, with their addresses. On one node is enough;
    /// on several it must be the same members.
    ///
    /// # Errors
    /// [`ChangeError::AlreadyFormed`] where there is a log.
    pub async fn bootstrap(
        &self,
        partition: PartitionId,
        members: &BTreeMap<NodeId, String>,
    ) -> Result<(), ChangeError> {
        let group = self.group(partition)?;
        let members = members.iter();
        let members: BTreeMap<u64, Member> = members
            .map(|(node, address)| (number(*node), Member::new(address)))
            .collect();
        match group.raft.initialize(members).await {
            Ok(()) => Ok(()),
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                Err(ChangeError::AlreadyFormed(partition))
            }
            Err(RaftError::APIError(error)) => Err(ChangeError::Refused(error.to_string())),
            Err(RaftError::Fatal(error)) => Err(stopped(&error)),
        }
    }

    /// Adds a node that gets the log and does not vote, and waits until it is nearly up to date.
    ///
    /// # Errors
    /// [`ChangeError`]; [`StoreError::Indeterminate`] when it takes longer than `deadline`.
    pub async fn add_learner(
        &self,
        partition: PartitionId,
        node: NodeId,
        address: &str,
        deadline: Duration,
    ) -> Result<(), ChangeError> {
        let member = Member::new(address);
        self.change(partition, deadline, |raft| async move {
            raft.add_learner(number(node), member, true).await.map(drop)
        })
        .await
    }

    /// Makes a learner a voter.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn promote(
        &self,
        partition: PartitionId,
        node: NodeId,
        deadline: Duration,
    ) -> Result<(), ChangeError> {
        let nodes = BTreeSet::from([number(node)]);
        self.change(partition, deadline, |raft| async move {
            let change = ChangeMembers::AddVoterIds(nodes);
            raft.change_membership(change, true).await.map(drop)
        })
        .await
    }

    /// Removes a voter or a learner.
    ///
    /// # Errors
    /// [`ChangeError`].
    pub async fn remove(
        &self,
        partition: PartitionId,
        node: NodeId,
        deadline: Duration,
    ) -> Result<(), ChangeError> {
        let number = number(node);
        let members = self.group(partition)?.members();
        let is_voter = members.voter_ids().any(|voter| voter == number);
        if is_voter && members.voter_ids().count() == 1 {
            let reason = "the last voter cannot be removed".to_owned();
            return Err(ChangeError::Refused(reason));
        }
        let nodes = BTreeSet::from([number]);
        self.change(partition, deadline, |raft| async move {
            let change = if is_voter {
                ChangeMembers::RemoveVoters(nodes)
            } else {
                ChangeMembers::RemoveNodes(nodes)
            };
            raft.change_membership(change, false).await.map(drop)
        })
        .await
    }

    async fn change<F>(
        &self,
        partition: PartitionId,
        deadline: Duration,
        change: impl FnOnce(Raft) -> F,
    ) -> Result<(), ChangeError>
    where
        F: Future<Output = Result<(), RaftError<u64, ClientWriteError<u64, Member>>>>,
    {
        let group = self.group(partition)?;
        group.lead()?;
        let changed = tokio::time::timeout(deadline, change(group.raft.clone())).await;
        match changed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                let reason = "another node became the leader meanwhile".to_owned();
                Err(StoreError::Indeterminate(reason).into())
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(error)))) => {
                Err(ChangeError::Refused(error.to_string()))
            }
            Ok(Err(RaftError::Fatal(error))) => Err(stopped(&error)),
            Err(_) => {
                let reason = format!("the change of members was not made in {deadline:?}");
                Err(StoreError::Indeterminate(reason).into())
            }
        }
    }
}

fn stopped(error: &dyn std::fmt::Display) -> ChangeError {
    StoreError::Indeterminate(error.to_string()).into()
}
