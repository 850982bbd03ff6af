//! Whether a stripe may be acknowledged, from the answers so far and the cluster map. Pure; the rule
//! itself is [`may_acknowledge`].

use types::pg::may_acknowledge;
use types::{ErasureProfile, ShardSet};

/// What the answers so far amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Enough shards are on stable storage.
    Durable,
    /// Answers that may yet come can make it durable.
    Pending,
    /// It becomes durable if the cluster map marks the disks that failed as down.
    AwaitsMap,
    /// Nothing can make it durable.
    Failed,
}

/// What the cluster map says of a group's positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Positions that take no writes.
    pub down: ShardSet,
    /// Those of them whose whole failure domain takes none.
    pub lost: ShardSet,
    /// Positions that can be read.
    pub readable: ShardSet,
}

/// The answers to one stripe.
#[derive(Debug, Clone)]
pub(crate) struct Quorum {
    profile: ErasureProfile,
    domains: Vec<u128>,
    /// Positions whose shard is on stable storage.
    pub durable: ShardSet,
    /// Positions that have yet to answer.
    pub pending: ShardSet,
    /// Positions whose disk failed, or cannot be reached.
    pub failed: ShardSet,
    /// Positions that were not asked, because their disk is late, as the first of a zone that dies is.
    pub late: ShardSet,
}

impl Quorum {
    /// A stripe that was sent to the positions in `pending`. `domains` as for [`may_acknowledge`].
    pub fn new(profile: ErasureProfile, domains: Vec<u128>, pending: ShardSet) -> Self {
        Self {
            profile,
            domains,
            durable: ShardSet::default(),
            pending,
            failed: ShardSet::default(),
            late: ShardSet::default(),
        }
    }

    /// Whether the positions in `durable` alone would make a stripe durable once the domains of `lost` are lost.
    pub fn would_be_durable(&self, durable: ShardSet, lost: ShardSet) -> bool {
        may_acknowledge(self.profile, &self.domains, durable, lost)
    }

    /// A shard on a disk that the map has since given up does not count as durable.
    pub fn verdict(&self, marks: Marks) -> Verdict {
        let lost = ShardSet::first(self.profile.shards()).minus(marks.readable);
        let durable = self.durable.minus(lost);
        let hoped_for = union(durable, self.pending);
        if self.would_be_durable(durable, marks.lost) {
            Verdict::Durable
        } else if self.would_be_durable(hoped_for, marks.lost) {
            Verdict::Pending
        } else if self.would_be_durable(hoped_for, union(marks.down, union(self.failed, self.late)))
        {
            Verdict::AwaitsMap
        } else {
            Verdict::Failed
        }
    }

    /// Positions without a durable shard.
    pub fn missing(&self) -> ShardSet {
        ShardSet::first(self.profile.shards()).minus(self.durable)
    }
}

fn union(one: ShardSet, other: ShardSet) -> ShardSet {
    ShardSet(one.0 | other.0)
}

#[cfg(test)]
mod tests;
