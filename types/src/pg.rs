//! Placement groups: `k + m` disks in shard order, in distinct failure domains.
//!
//! Construction and the rule of acknowledgement are pure functions here, so that every crate agrees
//! on them without depending on one another.

use crate::cluster_map::{ClusterMap, DiskState};
use crate::ids::{ChunkClusterId, DiskId, PgId};
use crate::profile::{Domain, ErasureProfile};
use crate::record;
use crate::wire::{DecodeError, Field, Input};
use std::collections::BTreeMap;

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

/// Whether a stripe with the shards in `durable` on stable storage may be acknowledged.
///
/// With the whole group writable, the loss of any one failure domain after the acknowledgement must
/// leave `k` shards. While the cluster map marks positions (`down`) as taking no writes, `k + 1`
/// durable shards suffice, since one domain is already lost. A profile without parity promises only
/// its disks. `domains` holds the failure-domain label of each position.
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
    let (k, count) = (profile.data(), durable.len());
    if profile.parity() == 0 {
        return count == k;
    }
    let survives_any_domain = || {
        durable.iter().all(|lost| {
            let left = durable
                .iter()
                .filter(|kept| domains[*kept] != domains[lost])
                .count();
            left >= k
        })
    };
    if down.is_empty() {
        count > k && survives_any_domain()
    } else {
        count > k
    }
}

/// Why placement groups cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// Fewer failure domains than shards.
    #[error(
        "profile {profile} needs {} failure domains with a usable disk, the map has {domains}: add disks or choose a narrower profile",
        profile.shards()
    )]
    TooFewDomains {
        /// The profile asked for.
        profile: ErasureProfile,
        /// Failure domains with at least one usable disk.
        domains: usize,
    },
}

/// Number of groups of `profile` over `disks` disks, about [`GROUPS_PER_DISK`] for each disk.
#[must_use]
pub fn group_count(disks: usize, profile: ErasureProfile) -> usize {
    (disks * GROUPS_PER_DISK).div_ceil(profile.shards())
}

/// Makes `count` groups with ids from `first_id` on over the disks of `cluster` that take writes, no
/// two shards of a group in one failure domain, disks loaded by weight as evenly as that allows. The
/// same arguments give the same groups.
///
/// # Errors
/// [`PlacementError`] when the map cannot hold the profile.
pub fn make_groups(
    map: &ClusterMap,
    cluster: ChunkClusterId,
    domain: Domain,
    (class, profile): (PgClass, ErasureProfile),
    first_id: PgId,
    count: usize,
) -> Result<Vec<PlacementGroup>, PlacementError> {
    let usable: Vec<_> = map
        .disks
        .iter()
        .filter(|disk| disk.cluster == cluster && disk.state.takes_writes())
        .map(|disk| {
            (
                disk.id,
                map.domain_label(disk.id, domain),
                u64::from(disk.weight.max(1)),
            )
        })
        .collect();
    let mut domains: Vec<u128> = usable.iter().map(|(_, label, _)| *label).collect();
    domains.sort_unstable();
    domains.dedup();
    if domains.len() < profile.shards() {
        return Err(PlacementError::TooFewDomains {
            profile,
            domains: domains.len(),
        });
    }
    // Load so far, and the same for each shard position: data shards are read, parity shards mostly
    // are not, so each position is spread too.
    let mut load: BTreeMap<DiskId, u64> = BTreeMap::new();
    let mut at: BTreeMap<(DiskId, usize), u64> = BTreeMap::new();
    let mut groups = Vec::with_capacity(count);
    for index in 0..count {
        let mut disks: Vec<DiskId> = Vec::with_capacity(profile.shards());
        let mut taken: Vec<u128> = Vec::with_capacity(profile.shards());
        for _ in 0..profile.shards() {
            let (id, label, _) = usable
                .iter()
                .filter(|(_, label, _)| !taken.contains(label))
                .min_by_key(|(id, _, weight)| {
                    let scaled = load.get(id).copied().unwrap_or(0) * 1000 / weight;
                    (scaled, mix(id.0, index as u64))
                })
                .expect("there are at least as many domains as shards");
            disks.push(*id);
            taken.push(*label);
            *load.entry(*id).or_default() += 1;
        }
        let disks = in_spread_order(disks, &mut at);
        let id = PgId(first_id.0 + u32::try_from(index).expect("group counts are small"));
        let group = PlacementGroup {
            id,
            cluster,
            class,
            profile,
            version: 1,
            disks,
            ..Default::default()
        };
        groups.push(group);
    }
    Ok(groups)
}

/// Gives each shard position to the disk of the group that has had that position least.
fn in_spread_order(mut rest: Vec<DiskId>, at: &mut BTreeMap<(DiskId, usize), u64>) -> Vec<DiskId> {
    let mut ordered = Vec::with_capacity(rest.len());
    for position in 0..rest.len() {
        let (index, _) = rest
            .iter()
            .enumerate()
            .min_by_key(|(_, id)| (at.get(&(**id, position)).copied().unwrap_or(0), id.0))
            .expect("one disk is left for each position");
        let id = rest.swap_remove(index);
        *at.entry((id, position)).or_default() += 1;
        ordered.push(id);
    }
    ordered
}

/// A fixed scrambling of a disk id and a group index: ties go to a different disk each time.
fn mix(id: u128, index: u64) -> u64 {
    let mut z = (id as u64) ^ ((id >> 64) as u64) ^ index.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
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

    /// The positions whose disk the map says can be read.
    #[must_use]
    pub fn readable(&self, map: &ClusterMap) -> ShardSet {
        self.positions(map, DiskState::gives_reads)
    }

    /// True when the map leaves enough writable positions for an acknowledgement.
    #[must_use]
    pub fn can_take_writes(&self, map: &ClusterMap, domain: Domain) -> bool {
        let down = self.not_writable(map);
        let up = ShardSet::first(self.profile.shards()).minus(down);
        may_acknowledge(self.profile, &self.domains(map, domain), up, down)
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
