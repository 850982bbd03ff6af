//! A walk through the positions of one group, and what it has come to.

use super::Entries;
use chunkstore::RepairReport;
use index::MissingShards;
use std::collections::BTreeMap;
use tracing::{debug, info, warn};
use types::{ChunkId, PartitionId, PgId, ShardSet};

/// What a walk has left to a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Left {
    /// Entries of the group that stay on the list of missing shards.
    pub entries: usize,
    /// Positions that need no other walk for them.
    pub passed: ShardSet,
    /// Positions that could not be looked at whole, or could be rebuilt another time.
    pub failed: ShardSet,
}

impl Left {
    /// Of a group that could not be walked at all.
    pub fn everything() -> Self {
        let all = ShardSet(u32::MAX);
        Self {
            entries: usize::MAX,
            passed: all,
            failed: all,
        }
    }
}

/// A walk under way.
#[derive(Debug)]
pub(super) struct Walk {
    pub pg: PgId,
    position: usize,
    /// Where the position goes on.
    pub from: Option<(ChunkId, u32)>,
    /// Entries of the list of missing shards that the walk sees to, read before it began.
    entries: Entries,
    /// Of chunks that `entries` name, positions at which a stripe could not be rebuilt.
    lost: BTreeMap<ChunkId, ShardSet>,
    /// Positions that have whatever the disks know of, but for `lost`.
    done: ShardSet,
    /// As in [`Left`].
    failed: ShardSet,
    /// A disk could not be listed while the walk was at this position.
    is_partly_unlisted: bool,
    /// Stripes that could not be rebuilt, counted at each position.
    unrecoverable: usize,
}

impl Walk {
    pub fn new(pg: PgId, entries: Entries) -> Self {
        let chunks = entries.iter().map(|(_, entry)| entry.chunk);
        let lost = chunks.map(|chunk| (chunk, ShardSet::default()));
        Self {
            pg,
            position: 0,
            from: None,
            lost: lost.collect(),
            entries,
            done: ShardSet::default(),
            failed: ShardSet::default(),
            is_partly_unlisted: false,
            unrecoverable: 0,
        }
    }

    /// The position to go on with, of `count`; those that are `down` are passed over, and not done.
    pub fn next_position(&mut self, count: usize, down: ShardSet) -> Option<usize> {
        while self.position < count && down.contains(self.position) {
            self.leave_position();
        }
        (self.position < count).then_some(self.position)
    }

    /// Takes what was done at the position.
    pub fn take(&mut self, report: &RepairReport) {
        let position = self.position;
        metrics::counter!("cairn_repair_shards_total").increment(report.rebuilt);
        metrics::counter!("cairn_repair_bytes_total").increment(report.rebuilt_bytes);
        metrics::counter!("cairn_repair_unrecoverable_total")
            .increment(report.unrecoverable.len() as u64);
        if report.rebuilt > 0 {
            info!(pg = %self.pg, position, shards = report.rebuilt, "shards rebuilt");
        }
        for lost in &report.unrecoverable {
            debug!(pg = %self.pg, position, chunk = %lost.chunk, stripe = lost.stripe, why = lost.reason,
                "a stripe cannot be rebuilt");
            if lost.may_return {
                self.failed.insert(position);
            }
            if let Some(positions) = self.lost.get_mut(&lost.chunk) {
                positions.insert(position);
            }
        }
        self.unrecoverable += report.unrecoverable.len();
        if !report.unlisted.is_empty() {
            if !self.is_partly_unlisted {
                warn!(pg = %self.pg, position, disks = ?report.unlisted, "not every disk could be asked while repairing");
            }
            self.is_partly_unlisted = true;
            self.failed.insert(position);
        }
        self.from = report.next;
        if self.from.is_none() {
            if !self.is_partly_unlisted {
                self.done.insert(position);
            }
            self.leave_position();
        }
    }

    /// The position could not be gone through to its end.
    pub fn give_position_up(&mut self) {
        self.failed.insert(self.position);
        self.leave_position();
    }

    fn leave_position(&mut self) {
        self.position += 1;
        self.from = None;
        self.is_partly_unlisted = false;
    }

    fn has_mended(&self, entry: &MissingShards) -> bool {
        let wanted = ShardSet(entry.positions);
        let lost = self.lost.get(&entry.chunk).copied().unwrap_or_default();
        wanted.minus(self.done).is_empty() && wanted.0 & lost.0 == 0
    }

    /// The entries whose shards are all there now, or whose chunk is on no disk any more.
    pub fn mended(&self) -> impl Iterator<Item = &(PartitionId, MissingShards)> {
        self.entries
            .iter()
            .filter(|(_, entry)| self.has_mended(entry))
    }

    /// What the walk has left at its end.
    pub fn left(&self) -> Option<Left> {
        if self.unrecoverable > 0 {
            // Deleted while a disk was down, or never finished: only what the index names is a loss.
            info!(pg = %self.pg, stripes = self.unrecoverable, "stripes of the group cannot be rebuilt");
        }
        let left = Left {
            entries: self.entries.len() - self.mended().count(),
            passed: ShardSet(self.done.0 | self.failed.0),
            failed: self.failed,
        };
        let is_complete = left.entries == 0 && left.failed.is_empty();
        (!is_complete).then_some(left)
    }
}

#[cfg(test)]
mod tests;
