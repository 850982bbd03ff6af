//! What goes on beside reads and writes: leaders say that they lead, replicas are flushed, logs are cut.

use super::group::Group;
use super::message::AppendRecord;
use super::options::{RaftOptions, Timing};
use super::peers::Peers;
use crate::engine::rocks::replica::Replica;
use openraft::ServerState;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked whether there is enough to flush.
const FLUSH_PERIOD: Duration = Duration::from_millis(100);
/// Looks at the above between two writes of what is known of other nodes.
const STORE_PEERS_PERIODS: u32 = 100;

/// Who leads a group: see [`super::RaftEngine::leadership`].
pub type Leadership = watch::Sender<Option<u64>>;

/// Says to members that have heard nothing for a heartbeat that this node leads. openraft's own heartbeats
/// wait in its loop behind each sync of the log, and stop while a member receives a snapshot.
///
/// A leader whom no quorum answers falls silent for a while: if others hear it although it does not hear
/// them, they would never elect another.
pub async fn pulse(group: Arc<Group>, timing: Timing) {
    let link = &group.link;
    let silence_after = 2 * timing.election_max;
    // Long enough for others to miss it, to elect, and to lose an election.
    let silence = 4 * timing.election_max;
    loop {
        tokio::time::sleep(timing.heartbeat / 2).await;
        let vote = link.log.vote();
        let server = group.server();
        let leads = vote.committed && vote.leader_id.node_id == link.me;
        if !leads || server.state != ServerState::Leader {
            continue;
        }
        let members = server.membership_config.membership();
        let now = link.clock.monotonic();
        if link.acks.is_silent(vote, now) {
            continue;
        }
        if link.acks.unanswered(vote, link.me, members, now) > silence_after {
            let partition = group.partition.0;
            tracing::warn!(partition, "no quorum answers this leader: it keeps silent");
            link.acks.fall_silent(vote, now + silence);
            continue;
        }
        if link.log.writing_for() > Some(timing.stall_max) {
            continue;
        }
        let before = now.saturating_sub(timing.heartbeat);
        for node in link.acks.quiet(vote, members, link.me, before) {
            let address = members.get_node(&node).map(|member| member.addr.clone());
            let (link, deadline) = (Arc::clone(link), timing.election_min);
            tokio::spawn(async move {
                let pulse = AppendRecord::pulse(&vote);
                let address = address.unwrap_or_default();
                // Who does not answer is counted by `Acks`, and openraft hears of newer leaders itself.
                let _ = link.append(node, &address, pulse, deadline).await;
            });
        }
    }
}

/// Watches openraft: tells who leads, and returns why the group has ended.
pub async fn watch_group(group: Arc<Group>, leadership: Leadership) -> Option<String> {
    let mut metrics = group.raft.metrics();
    loop {
        let leads = {
            let metrics = metrics.borrow_and_update();
            if let Err(fatal) = &metrics.running_state {
                let is_failure = !matches!(fatal, openraft::error::Fatal::Stopped);
                return is_failure.then(|| fatal.to_string());
            }
            let leads = metrics.state == ServerState::Leader;
            leads.then(|| (metrics.vote.leader_id.term << 32) | metrics.id)
        };
        leadership.send_if_modified(|known| {
            let is_new = *known != leads;
            *known = leads;
            is_new
        });
        if metrics.changed().await.is_err() {
            return Some("its loop has panicked".to_owned());
        }
    }
}

/// Flushes the replica when enough was applied, and cuts the logs up to the flush before: members that are
/// a little behind find their entries there.
pub async fn flush(
    groups: Vec<Arc<Group>>,
    replica: Arc<Replica>,
    peers: Arc<Peers>,
    options: RaftOptions,
) {
    let mut flushed_at: Vec<u64> = groups.iter().map(|group| group.next()).collect();
    for period in 1_u32.. {
        tokio::time::sleep(FLUSH_PERIOD).await;
        if period % STORE_PEERS_PERIODS == 0
            && let Err(error) = peers.store().await
        {
            tracing::warn!(error, "what is known of other nodes was not stored");
        }
        let applied = groups.iter().map(|group| group.next());
        let entries: u64 = applied
            .zip(&flushed_at)
            .map(|(next, flushed)| next.saturating_sub(*flushed))
            .sum();
        let is_enough = replica.unflushed_bytes() >= options.flush_bytes;
        if !is_enough && entries < options.flush_entries {
            continue;
        }
        flushed_at = groups.iter().map(|group| group.next()).collect();
        for group in &groups {
            flush_group(group, options.snapshot_hold).await;
        }
        let replica = Arc::clone(&replica);
        let flushed = tokio::task::spawn_blocking(move || replica.flush()).await;
        if let Ok(Err(error)) = flushed {
            // The next entry that is applied finds it out, and ends the group.
            tracing::error!(%error, "the replica was not written to files");
        }
    }
}

async fn flush_group(group: &Group, hold: Duration) {
    let snapshots = &group.link.snapshots;
    if group.next() == 0 || snapshots.is_in_use(hold) {
        return;
    }
    let trigger = group.raft.trigger();
    let before = snapshots.announced().and_then(|meta| meta.last_log_id);
    if let Some(before) = before {
        // A group that has ended is reported elsewhere.
        let _ = trigger.purge_log(before.index).await;
    }
    let _ = trigger.snapshot().await;
}
