//! Making placement groups: which disks share a group.

use super::{PgClass, PlacementGroup};
use crate::cluster_map::ClusterMap;
use crate::ids::{ChunkClusterId, DiskId, NodeId, PgId};
use crate::profile::{Domain, ErasureProfile};
use std::collections::BTreeMap;

/// Why placement groups cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// Fewer failure domains, or fewer disks in them, than the profile needs.
    #[error(
        "profile {profile} needs room for {} shards of which the loss of one {domain} leaves {}: the map has room \
         for {room} in {domains} {domain}s. Add disks in further {domain}s, or choose a narrower profile",
        profile.shards(), profile.data()
    )]
    TooFewDomains {
        /// The profile asked for.
        profile: ErasureProfile,
        /// What it is to survive the loss of.
        domain: Domain,
        /// Failure domains with at least one usable disk.
        domains: usize,
        /// Shards that these domains can take without breaking the promise.
        room: usize,
    },
}

/// A disk that may be given shards.
struct Candidate {
    id: DiskId,
    node: NodeId,
    label: u128,
    weight: u64,
}

/// Shards of one group that one failure domain may hold: with zones as many as the group can lose, since there
/// are few zones; of disks, nodes and racks there are enough for one each.
fn shards_per_domain(profile: ErasureProfile, domain: Domain) -> usize {
    match domain {
        Domain::Disk | Domain::Node | Domain::Rack => 1,
        Domain::Zone => profile.parity().max(1),
    }
}

/// Makes `count` groups with ids from `first_id` on over the disks of `cluster` that take writes. No two shards of
/// a group lie in one failure domain; where that is a zone, they are spread over the zones evenly, and within a
/// zone over its nodes, so that the loss of a zone leaves what the profile needs. Disks are loaded by weight as
/// evenly as that allows. The same arguments give the same groups.
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
    let usable: Vec<Candidate> = map
        .disks
        .iter()
        .filter(|disk| disk.cluster == cluster && map.state_of(disk).takes_writes())
        .map(|disk| Candidate {
            id: disk.id,
            node: disk.node,
            label: map.domain_label(disk.id, domain),
            weight: u64::from(disk.weight.max(1)),
        })
        .collect();
    require_room(&usable, profile, domain)?;
    // Load so far, and the same for each shard position: data shards are read, parity shards mostly
    // are not, so each position is spread too.
    let mut load: BTreeMap<DiskId, u64> = BTreeMap::new();
    let mut at: BTreeMap<(DiskId, usize), u64> = BTreeMap::new();
    let mut groups = Vec::with_capacity(count);
    for index in 0..count {
        let disks = choose_disks(&usable, profile, domain, index as u64, &load);
        for disk in &disks {
            *load.entry(*disk).or_default() += 1;
        }
        let disks = in_spread_order(disks, &mut at);
        let id = PgId(first_id.0 + u32::try_from(index).expect("group counts are small"));
        groups.push(PlacementGroup {
            id,
            cluster,
            class,
            profile,
            version: 1,
            disks,
            ..Default::default()
        });
    }
    Ok(groups)
}

fn require_room(
    usable: &[Candidate],
    profile: ErasureProfile,
    domain: Domain,
) -> Result<(), PlacementError> {
    let most = shards_per_domain(profile, domain);
    let mut disks_in: BTreeMap<u128, usize> = BTreeMap::new();
    for disk in usable {
        *disks_in.entry(disk.label).or_default() += 1;
    }
    let room: usize = disks_in.values().map(|disks| (*disks).min(most)).sum();
    if room < profile.shards() {
        return Err(PlacementError::TooFewDomains {
            profile,
            domain,
            domains: disks_in.len(),
            room,
        });
    }
    Ok(())
}

/// The disks of one group: each time the domain that has fewest shards of it, there the node that has fewest,
/// there the disk with the lowest load for its weight.
fn choose_disks(
    usable: &[Candidate],
    profile: ErasureProfile,
    domain: Domain,
    index: u64,
    load: &BTreeMap<DiskId, u64>,
) -> Vec<DiskId> {
    let most = shards_per_domain(profile, domain);
    let mut chosen: Vec<&Candidate> = Vec::with_capacity(profile.shards());
    for _ in 0..profile.shards() {
        let in_domain = |disk: &Candidate| chosen.iter().filter(|c| c.label == disk.label).count();
        let on_node = |disk: &Candidate| chosen.iter().filter(|c| c.node == disk.node).count();
        let next = usable
            .iter()
            .filter(|disk| chosen.iter().all(|c| c.id != disk.id) && in_domain(disk) < most)
            .min_by_key(|disk| {
                let nodes = if domain == Domain::Zone {
                    on_node(disk)
                } else {
                    0
                };
                let scaled = load.get(&disk.id).copied().unwrap_or(0) * 1000 / disk.weight;
                (in_domain(disk), nodes, scaled, mix(disk.id.0, index))
            })
            .expect("there is room for every shard");
        chosen.push(next);
    }
    chosen.into_iter().map(|disk| disk.id).collect()
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
