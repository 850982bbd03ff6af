//! Placement groups: `k + m` disks in shard order, spread so that the loss of any one failure domain leaves
//! `k` of them.
//!
//! Construction, check and the rule of acknowledgement are pure functions here, so that every crate agrees
//! on them without depending on one another.

use crate::cluster_map::{ClusterMap, DiskInfo, DiskState};
use crate::ids::{ChunkClusterId, DiskId, PgId};
use crate::profile::{Domain, ErasureProfile};
use crate::record;
use crate::wire::{DecodeError, Field, Input};

mod check;
mod make;

pub use check::{GroupFault, check_group};
pub use make::{PlacementError, make_groups};

/// Shard replicas of placement groups that a disk holds, about; enough that the loss of a disk is
/// repaired from and to all others.
pub const GROUPS_PER_DISK: usize = 100;

/// What a placement group is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum PgClass {
    /// Objects above the small-object limit, in stripes.
    #[default]
    Striped,
    /// Small objects, one shard record a copy.
    Small,
    /// Striped, with a narrower profile over the disks that were left when no group of the cluster's
    /// own profile could be written.
    Fallback,
}

impl Field for PgClass {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Striped => 0,
            Self::Small => 1,
            Self::Fallback => 2,
        });
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        match &*bytes {
            [0] => Ok(Self::Striped),
            [1] => Ok(Self::Small),
            [2] => Ok(Self::Fallback),
            _ => Err(DecodeError::BadValue {
                what: "placement group class",
            }),
        }
    }
    fn is_default(&self) -> bool {
        *self == Self::Striped
    }
}

record! {
    /// A placement group.
    pub struct PlacementGroup {
        1 => id: PgId,
        2 => cluster: ChunkClusterId,
        3 => class: PgClass,
        4 => profile: ErasureProfile,
        /// Raised when a position changes; nodes refuse writes with an older one.
        5 => version: u32,
        /// One disk for each shard, in shard order.
        6 => disks: Vec<DiskId>,
    }
}

/// A set of shard positions of one placement group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ShardSet(pub u32);

impl ShardSet {
    /// The set with the first `count` positions.
    #[must_use]
    pub fn first(count: usize) -> Self {
        Self(if count >= 32 {
            u32::MAX
        } else {
            (1 << count) - 1
        })
    }

    /// Adds a position.
    pub fn insert(&mut self, position: usize) {
        self.0 |= 1 << position;
    }

    /// True when the position is in the set.
    #[must_use]
    pub fn contains(self, position: usize) -> bool {
        self.0 >> position & 1 == 1
    }

    /// Number of positions in the set.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// True for the empty set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Positions of this set that are not in `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The positions, lowest first.
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..32).filter(move |position| self.contains(*position))
    }
}

/// Number of groups of `profile` over `disks` disks, about [`GROUPS_PER_DISK`] for each disk.
#[must_use]
pub fn group_count(disks: usize, profile: ErasureProfile) -> usize {
    (disks * GROUPS_PER_DISK).div_ceil(profile.shards())
}

/// Whether a stripe with the shards in `durable` on stable storage may be acknowledged.
///
/// The loss of any one failure domain after the acknowledgement must leave `k` shards: a disk that is down in one of
/// three zones does not lower the promise. Only while a whole domain is marked down do `k + 1` durable shards
/// suffice, since one domain is already lost. A profile without parity promises only its disks. `domains` holds the failure-domain label of each
/// position, `down` the positions in domains that the cluster map has lost whole ([`PlacementGroup::lost_domains`]): one
/// disk of a zone is not the zone, even if the group has no other there.
#[must_use]
pub fn may_acknowledge(
    profile: ErasureProfile,
    domains: &[u128],
    durable: ShardSet,
    down: ShardSet,
) -> bool {
    assert_eq!(
        domains.len(),
        profile.shards(),
        "one domain label for each shard"
    );
    if profile.parity() == 0 {
        return durable.len() == profile.data();
    }
    durable.len() > profile.data()
        && (survives_any_domain(profile, domains, durable) || has_lost_a_domain(domains, down))
}

/// Whether every position of some domain is in `down`.
fn has_lost_a_domain(domains: &[u128], down: ShardSet) -> bool {
    down.iter().any(|lost| {
        let mut same = domains
            .iter()
            .enumerate()
            .filter(|(_, label)| **label == domains[lost]);
        same.all(|(position, _)| down.contains(position))
    })
}

/// Whether the loss of any one domain leaves `k` of the shards in `durable`.
fn survives_any_domain(profile: ErasureProfile, domains: &[u128], durable: ShardSet) -> bool {
    durable.iter().all(|lost| {
        let left = durable
            .iter()
            .filter(|kept| domains[*kept] != domains[lost]);
        left.count() >= profile.data()
    })
}

impl PlacementGroup {
    /// The failure-domain label of each position.
    #[must_use]
    pub fn domains(&self, map: &ClusterMap, domain: Domain) -> Vec<u128> {
        self.disks
            .iter()
            .map(|disk| map.domain_label(*disk, domain))
            .collect()
    }

    /// The positions whose disk the map says takes no writes.
    #[must_use]
    pub fn not_writable(&self, map: &ClusterMap) -> ShardSet {
        self.positions(map, |state| !state.takes_writes())
    }

    /// The positions in failure domains of which no disk of the group's chunk cluster takes writes.
    #[must_use]
    pub fn lost_domains(&self, map: &ClusterMap, domain: Domain) -> ShardSet {
        let mut lost = ShardSet::default();
        for position in self.not_writable(map).iter() {
            let label = map.domain_label(self.disks[position], domain);
            let is_alive = |disk: &&DiskInfo| {
                disk.cluster == self.cluster
                    && map.state_of(disk).takes_writes()
                    && map.domain_label(disk.id, domain) == label
            };
            if map.disks.iter().find(is_alive).is_none() {
                lost.insert(position);
            }
        }
        lost
    }

    /// The positions whose disk the map says can be read.
    #[must_use]
    pub fn readable(&self, map: &ClusterMap) -> ShardSet {
        self.positions(map, DiskState::gives_reads)
    }

    /// True when the map leaves enough writable positions for an acknowledgement.
    #[must_use]
    pub fn can_take_writes(&self, map: &ClusterMap, domain: Domain) -> bool {
        let up = ShardSet::first(self.profile.shards()).minus(self.not_writable(map));
        let lost = self.lost_domains(map, domain);
        may_acknowledge(self.profile, &self.domains(map, domain), up, lost)
    }

    fn positions(&self, map: &ClusterMap, wanted: impl Fn(DiskState) -> bool) -> ShardSet {
        let mut set = ShardSet::default();
        for (position, disk) in self.disks.iter().enumerate() {
            if wanted(map.state(*disk)) {
                set.insert(position);
            }
        }
        set
    }
}

#[cfg(test)]
mod tests;
