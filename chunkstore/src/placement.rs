//! Which placement group takes the next chunk, and which disks a group stands for: the cluster view
//! joined with the disks at hand, worked out once for each view.

use crate::buffers;
use crate::erasure::Codec;
use crate::health::DiskHandle;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::limits::CELL_BYTES;
use types::{
    ChunkClusterId, ChunkId, ClusterView, DiskId, ErasureProfile, PgClass, PgId, PlacementGroup,
    ShardSet,
};

/// A placement group as of one view.
#[derive(Debug)]
pub(crate) struct Group {
    pub record: PlacementGroup,
    /// The disk at each position; `None` for one that this process cannot reach.
    pub disks: Vec<Option<Arc<DiskHandle>>>,
    /// Failure-domain label of each position.
    pub domains: Vec<u128>,
    /// Positions that the map says take no writes.
    pub down: ShardSet,
    /// Those of them whose whole failure domain takes none.
    pub lost: ShardSet,
    /// Positions that the map says can be read.
    pub readable: ShardSet,
    pub codec: Arc<Codec>,
}

impl Group {
    /// The disk at a position, when it can be reached.
    pub fn disk(&self, position: usize) -> Option<&Arc<DiskHandle>> {
        self.disks[position].as_ref()
    }

    fn has_room(&self) -> bool {
        let disks = self.disks.iter().enumerate();
        disks
            .filter(|(position, _)| !self.down.contains(*position))
            .all(|(_, disk)| disk.as_ref().is_none_or(|disk| disk.has_room()))
    }
}

/// Groups of one chunk cluster that take writes.
#[derive(Debug)]
struct Share {
    weight: u64,
    groups: Vec<Arc<Group>>,
}

/// Why there is no group for a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoGroup {
    /// Every group that could take writes has a disk without room.
    Full,
    /// There is none, or only such as were excluded.
    NotWritable,
}

/// What a stripe takes in memory, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct StripeMemory {
    /// While it is written, with its parity.
    pub written: usize,
    /// While it is read: as many cells as it takes to rebuild some, and those.
    pub read: usize,
    /// Once it has been read, and is given out.
    pub given: usize,
}

impl StripeMemory {
    fn of(profile: ErasureProfile) -> Self {
        let (data, parity) = (profile.data(), profile.parity());
        // Copies are the same bytes.
        let coded = if data > 1 { parity } else { 0 };
        Self {
            written: buffers::held_bytes(data * CELL_BYTES)
                + buffers::held_bytes(coded * CELL_BYTES),
            read: (data + parity) * buffers::held_bytes(CELL_BYTES),
            given: data * buffers::held_bytes(CELL_BYTES),
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            written: self.written.max(other.written),
            read: self.read.max(other.read),
            given: self.given.max(other.given),
        }
    }
}

/// All groups of a view, ready for use.
#[derive(Debug)]
pub(crate) struct Plan {
    pub view: Arc<ClusterView>,
    /// The disks at hand that the groups were joined with.
    pub disks: Arc<BTreeMap<DiskId, Arc<DiskHandle>>>,
    /// The most that a stripe of any group takes in memory, in bytes.
    pub memory_max: StripeMemory,
    groups: BTreeMap<PgId, Arc<Group>>,
    striped: Vec<Share>,
    small: Vec<Share>,
    fallback: Vec<Share>,
}

impl Plan {
    pub fn new(view: Arc<ClusterView>, disks: Arc<BTreeMap<DiskId, Arc<DiskHandle>>>) -> Self {
        let groups: BTreeMap<PgId, Arc<Group>> = view
            .groups
            .values()
            .map(|record| (record.id, Arc::new(join(&view, record, &disks))))
            .collect();
        let shares = |class| shares(&view, &groups, class);
        let profiles = groups.values().map(|group| group.record.profile);
        Self {
            memory_max: profiles
                .map(StripeMemory::of)
                .fold(StripeMemory::default(), StripeMemory::max),
            striped: shares(PgClass::Striped),
            small: shares(PgClass::Small),
            fallback: shares(PgClass::Fallback),
            groups,
            view,
            disks,
        }
    }

    pub fn group(&self, id: PgId) -> Option<&Arc<Group>> {
        self.groups.get(&id)
    }

    /// The group for a new chunk with id `chunk`: one of `class` that takes writes and has room on all
    /// disks, or else one of class Fallback. Chunk clusters share by weight; inside one every group is
    /// as likely, since groups were made with the disks' weights. The choice follows from the chunk id,
    /// which is as good as random here.
    pub fn pick(
        &self,
        class: PgClass,
        chunk: ChunkId,
        excluded: &[PgId],
    ) -> Result<&Arc<Group>, NoGroup> {
        let shares = match class {
            PgClass::Striped => &self.striped,
            PgClass::Small => &self.small,
            PgClass::Fallback => &self.fallback,
        };
        let random = scramble(chunk.0);
        let mut reason = NoGroup::NotWritable;
        for shares in [shares, &self.fallback] {
            for group in in_turn(shares, random) {
                if !group.has_room() {
                    reason = NoGroup::Full;
                } else if !excluded.contains(&group.record.id) {
                    return Ok(group);
                }
            }
        }
        Err(reason)
    }
}

/// All groups of `shares`, from a place on that follows from `random`: the cluster by weight, then the
/// group.
fn in_turn(shares: &[Share], random: u64) -> impl Iterator<Item = &Arc<Group>> {
    let total: u64 = shares.iter().map(|share| share.weight).sum();
    let mut at = random % total.max(1);
    let first = shares
        .iter()
        .position(|share| {
            let is_here = at < share.weight;
            at = at.saturating_sub(share.weight);
            is_here
        })
        .unwrap_or(0);
    let (before, from) = shares.split_at(first);
    from.iter().chain(before).flat_map(move |share| {
        let start = (scramble(u128::from(random)) % share.groups.len() as u64) as usize;
        let (before, from) = share.groups.split_at(start);
        from.iter().chain(before)
    })
}

fn join(
    view: &ClusterView,
    record: &PlacementGroup,
    disks: &BTreeMap<DiskId, Arc<DiskHandle>>,
) -> Group {
    let cluster = view.map.cluster(record.cluster);
    let domain = cluster.map(|cluster| cluster.domain).unwrap_or_default();
    Group {
        disks: record
            .disks
            .iter()
            .map(|id| disks.get(id).cloned())
            .collect(),
        domains: record.domains(&view.map, domain),
        down: record.not_writable(&view.map),
        lost: record.lost_domains(&view.map, domain),
        readable: record.readable(&view.map),
        codec: Codec::of(record.profile),
        record: record.clone(),
    }
}

fn shares(view: &ClusterView, groups: &BTreeMap<PgId, Arc<Group>>, class: PgClass) -> Vec<Share> {
    let mut by_cluster: BTreeMap<ChunkClusterId, Vec<Arc<Group>>> = BTreeMap::new();
    for record in view.writable(class) {
        let groups_there = by_cluster.entry(record.cluster).or_default();
        groups_there.extend(groups.get(&record.id).cloned());
    }
    by_cluster
        .into_iter()
        .map(|(id, groups)| Share {
            weight: view
                .map
                .cluster(id)
                .map_or(0, |cluster| u64::from(cluster.weight)),
            groups,
        })
        .collect()
}

/// SplitMix64's finish: spreads ids that differ in a counter.
fn scramble(id: u128) -> u64 {
    let mut z = (id as u64) ^ ((id >> 64) as u64).rotate_left(32);
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests;
