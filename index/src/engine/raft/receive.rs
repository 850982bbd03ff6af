//! What other nodes ask of this one.

use super::group::Group;
use super::message::{
    AppendRecord, ArrivedRecord, PartRecord, RequestRecord, ResponseRecord, VoteAskRecord,
};
use super::types::{AppendResponse, Snapshot, Vote};
use super::{RaftEngine, number};
use crate::store::StoreError;
use ::types::{NodeId, PartitionId};
use bytes::Bytes;
use std::sync::Arc;

type Answered = Result<ResponseRecord, String>;

impl RaftEngine {
    /// Answers what `from`, whom the transport has identified, sent about `partition`.
    pub async fn receive(&self, from: NodeId, partition: PartitionId, message: Bytes) -> Bytes {
        let answer = self.answer(from, partition, message).await;
        let answer = answer.unwrap_or_else(|refusal| ResponseRecord {
            refusal: Some(refusal),
            ..ResponseRecord::default()
        });
        answer.to_message()
    }

    async fn answer(&self, from: NodeId, partition: PartitionId, message: Bytes) -> Answered {
        let request = RequestRecord::from_message(&message).map_err(|error| error.to_string())?;
        let from = number(from);
        let is_from = |node: u64| {
            let forged = || format!("node {from} speaks for node {node}");
            (node == from).then_some(()).ok_or_else(forged)
        };
        if let Some(hello) = &request.hello {
            is_from(hello.node)?;
            return Ok(self.take_hello(hello).await);
        }
        let group = self.group(partition).map_err(|error| error.to_string())?;
        if let Some(append) = request.append {
            is_from(append.vote.node)?;
            return take_append(&group, from, append).await;
        }
        if let Some(ask) = request.vote {
            is_from(ask.vote.node)?;
            return take_vote(&group, &ask).await;
        }
        if let Some(part) = request.part {
            is_from(part.vote.node)?;
            return take_part(&group, part).await;
        }
        Err("the message asks nothing that this binary knows".to_owned())
    }
}

async fn take_append(group: &Group, from: u64, append: AppendRecord) -> Answered {
    let last = append.entries.last().map(|entry| entry.at.log_id());
    let vote = append.vote.vote();
    let request = append.request().map_err(|error| error.to_string())?;
    let answer = group.raft.append_entries(request).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if !matches!(answer, AppendResponse::HigherVote(_)) {
        // A leader sends what its own log has.
        group.link.peers.saw(from, group.partition, vote, last);
    }
    Ok(ResponseRecord {
        append: Some((&answer).into()),
        ..ResponseRecord::default()
    })
}

async fn take_vote(group: &Group, ask: &VoteAskRecord) -> Answered {
    let answer = group.raft.vote(ask.request()).await;
    let answer = answer.map_err(|error| error.to_string())?;
    Ok(ResponseRecord {
        vote: Some((&answer).into()),
        ..ResponseRecord::default()
    })
}

async fn take_part(group: &Arc<Group>, part: PartRecord) -> Answered {
    let vote = part.vote.vote();
    let theirs = accept_leader(group, vote).await?;
    let arrived = |bytes, is_installed, vote: &Vote| ResponseRecord {
        part: Some(ArrivedRecord {
            vote: vote.into(),
            bytes,
            is_installed,
            ..ArrivedRecord::default()
        }),
        ..ResponseRecord::default()
    };
    if let Some(newer) = theirs {
        return Ok(arrived(0, false, &newer));
    }
    let _one_at_a_time = group.receiving.lock().await;
    if group.next() > part.at.index {
        return Ok(arrived(0, true, &vote));
    }
    let text = |error: StoreError| error.to_string();
    let snapshots = Arc::clone(&group.link.snapshots);
    let id = part.id;
    if !part.install {
        let taken = move || snapshots.take_part(&id, part.offset, &part.part);
        return Ok(arrived(blocking(taken).await.map_err(text)?, false, &vote));
    }
    let complete = move || snapshots.complete(&id);
    let (meta, data) = blocking(complete).await.map_err(text)?;
    let snapshot = Snapshot {
        meta,
        snapshot: Box::new(data),
    };
    let installed = group.raft.install_full_snapshot(vote, snapshot).await;
    let installed = installed.map_err(|error| error.to_string())?;
    Ok(arrived(0, true, &installed.vote))
}

/// Has openraft accept the sender as the leader, so that no election begins while the snapshot arrives.
/// Returns the newer vote when there is one.
async fn accept_leader(group: &Group, vote: Vote) -> Result<Option<Vote>, String> {
    let pulse = AppendRecord::pulse(&vote).request();
    let pulse = pulse.map_err(|error| error.to_string())?;
    match group.raft.append_entries(pulse).await {
        Ok(AppendResponse::HigherVote(newer)) => Ok(Some(newer)),
        Ok(_) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let acted = tokio::task::spawn_blocking(act).await;
    acted.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
}
