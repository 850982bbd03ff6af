//! What a node has seen of the others, so that one whose disk went back in time can be told so.
//!
//! A node that votes from an old copy of its disk may vote twice in one term, or elect a leader that lacks
//! what it had acknowledged itself: acknowledged writes would be lost without a word. In each group a node
//! moves in one direction only: its vote rises, and under one vote the log that it has acknowledged grows.
//! Its peers remember how far it was; at its next start it asks them.
//!
//! What is remembered is kept in memory, and written now and then; how often a node was started is written
//! when it says hello. A copy of a disk from before the last start is always found out, one from after it
//! by each peer that has been up since.
//!
//! Once every group goes on without a node, nothing counts on what it promised: it is forgotten, and may come back with
//! an empty disk as a member that was never seen.

use super::entry::{LogIdRecord, VoteRecord};
use super::log_store::{kind, read, record_key};
use super::message::{NodeRecord, SeenRecord};
use super::types::{LogId, Vote};
use crate::engine::rocks::records::{Change, Records};
use crate::store::StoreError;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{NodeId, PartitionId, envelope};

/// That a node's disk is older than what another has seen of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the disk of index node {node} has gone back in time: node {witness} has seen it {seen}, the disk \
     has {found}. It may have forgotten votes and entries that the others count on, so it takes no part: \
     with an empty folder it may come back once it has been removed from its groups"
)]
pub struct RolledBack {
    /// The node.
    pub node: NodeId,
    /// Who knows more of it than its disk.
    pub witness: NodeId,
    /// What the witness has seen.
    pub seen: String,
    /// What the disk has instead.
    pub found: String,
}

/// How far a node is known to be in a group.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Seen {
    vote: Vote,
    last: Option<LogId>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Peer {
    starts: u64,
    nonce: u64,
    groups: BTreeMap<PartitionId, Seen>,
}

/// What is known of the other nodes.
#[derive(Debug)]
pub struct Peers {
    records: Arc<Records>,
    peers: Mutex<BTreeMap<u64, Peer>>,
    /// What is written.
    stored: tokio::sync::Mutex<BTreeMap<u64, Peer>>,
}

impl Peers {
    /// What is stored.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] and [`StoreError::Unavailable`].
    pub fn open(records: Arc<Records>) -> Result<Self, StoreError> {
        let mut peers = BTreeMap::new();
        let (start, end) = (record_key(kind::PEER, 0), record_key(kind::PEER + 1, 0));
        let mut keys = Vec::new();
        records.visit(&start, &end, |key, _| {
            keys.push(key);
            std::ops::ControlFlow::Continue(())
        })?;
        for key in keys {
            let found = read(&records, &key, |payload| Ok(NodeRecord::decode(payload)?))?;
            if let Some(record) = found {
                peers.insert(record.node, Peer::from(&record));
            }
        }
        Ok(Self {
            records,
            peers: Mutex::new(peers.clone()),
            stored: tokio::sync::Mutex::new(peers),
        })
    }

    /// Notes that `node` has stored `vote`, and under it its log up to `last`.
    pub fn saw(&self, node: u64, partition: PartitionId, vote: Vote, last: Option<LogId>) {
        let mut peers = self.peers.lock();
        let groups = &mut peers.entry(node).or_default().groups;
        let seen = groups.entry(partition).or_default();
        if vote > seen.vote {
            *seen = Seen { vote, last };
        } else if vote == seen.vote {
            seen.last = seen.last.max(last);
        }
    }

    /// Takes a node's hello: what was known of it before, unless it `may_be_member` of no group. What it says is stored
    /// on return.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub async fn hello(
        &self,
        hello: &NodeRecord,
        may_be_member: bool,
    ) -> Result<Option<NodeRecord>, String> {
        let known = {
            let mut peers = self.peers.lock();
            if !may_be_member {
                peers.remove(&hello.node);
            }
            let known = peers.get(&hello.node).cloned();
            let peer = peers.entry(hello.node).or_default();
            if hello.starts > peer.starts {
                (peer.starts, peer.nonce) = (hello.starts, hello.nonce);
            }
            known
        };
        self.store().await?;
        Ok(known.map(|known| known.record(hello.node)))
    }

    /// Writes what has changed since the last time.
    ///
    /// # Errors
    /// What the log's device says.
    pub async fn store(&self) -> Result<(), String> {
        let mut stored = self.stored.lock().await;
        let peers = self.peers.lock().clone();
        let changed = peers
            .iter()
            .filter(|(node, peer)| stored.get(node) != Some(peer));
        let changes: Vec<Change> = changed
            .map(|(node, peer)| {
                let key = record_key(kind::PEER, u32::try_from(*node).unwrap_or(u32::MAX));
                let sealed = envelope::seal(&key, 0, &peer.record(*node).encode());
                Change::Put(key, sealed.into())
            })
            .collect();
        if !changes.is_empty() {
            self.records.write(changes).await?;
        }
        *stored = peers;
        Ok(())
    }
}

impl From<&NodeRecord> for Peer {
    fn from(record: &NodeRecord) -> Self {
        let groups = record.groups.iter().map(|seen| {
            let last = seen.last.as_ref().map(LogIdRecord::log_id);
            let vote = seen.vote.vote();
            (seen.partition, Seen { vote, last })
        });
        Self {
            starts: record.starts,
            nonce: record.nonce,
            groups: groups.collect(),
        }
    }
}

impl Peer {
    fn record(&self, node: u64) -> NodeRecord {
        let groups = self.groups.iter();
        NodeRecord {
            node,
            starts: self.starts,
            nonce: self.nonce,
            groups: groups
                .map(|(partition, seen)| SeenRecord {
                    partition: *partition,
                    vote: VoteRecord::from(&seen.vote),
                    last: seen.last.as_ref().map(LogIdRecord::from),
                    ..SeenRecord::default()
                })
                .collect(),
            ..NodeRecord::default()
        }
    }
}

/// Compares a node's own state with what `witness` knows of it.
///
/// # Errors
/// [`RolledBack`].
pub fn compare(mine: &NodeRecord, known: &NodeRecord, witness: NodeId) -> Result<(), RolledBack> {
    let rolled_back = |seen, found| {
        Err(RolledBack {
            node: super::network::node_id(mine.node),
            witness,
            seen,
            found,
        })
    };
    let (me, theirs) = (Peer::from(mine), Peer::from(known));
    let is_other_start = theirs.starts == me.starts && theirs.nonce != me.nonce;
    if theirs.starts > me.starts || is_other_start {
        let seen = format!("at its start number {}", theirs.starts);
        // This start is already counted.
        return rolled_back(seen, format!("{} starts", me.starts.saturating_sub(1)));
    }
    for (partition, seen) in &theirs.groups {
        let found = me.groups.get(partition).copied().unwrap_or_default();
        if seen.vote > found.vote || (seen.vote == found.vote && seen.last > found.last) {
            return rolled_back(describe(*partition, seen), describe(*partition, &found));
        }
    }
    Ok(())
}

fn describe(partition: PartitionId, seen: &Seen) -> String {
    let last = seen.last.map_or("nothing".to_owned(), |at| at.to_string());
    format!(
        "in partition {partition} with vote {} and log up to {last}",
        seen.vote
    )
}

#[cfg(test)]
mod tests;
