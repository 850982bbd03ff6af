//! Tests of placement: groups keep their promises, load is even, and the rule of acknowledgement is
//! the one that the design states, checked against a direct reading of it.

use super::*;
use crate::cluster_map::ChunkCluster;
use crate::ids::{NodeId, ZoneId};
use proptest::prelude::*;

fn map(disks: usize, zones: usize) -> ClusterMap {
    let disk = |n: usize| DiskInfo {
        id: DiskId(1000 + n as u128),
        node: NodeId(n as u32),
        zone: ZoneId((n % zones) as u16),
        weight: 1,
        ..Default::default()
    };
    ClusterMap {
        clusters: vec![ChunkCluster::default()],
        disks: (0..disks).map(disk).collect(),
        ..Default::default()
    }
}

fn profile(data: u8, parity: u8) -> ErasureProfile {
    ErasureProfile::new(data, parity).unwrap()
}

fn groups(
    map: &ClusterMap,
    domain: Domain,
    profile: ErasureProfile,
    count: usize,
) -> Vec<PlacementGroup> {
    let class = PgClass::Striped;
    make_groups(
        map,
        ChunkClusterId(0),
        domain,
        (class, profile),
        PgId(7),
        count,
    )
    .unwrap()
}

/// What the design says, word for word, for shards that each have a domain of their own.
#[test]
fn acknowledgement_needs_what_the_design_lists() {
    for (data, parity, needed) in [(9, 6, 14), (5, 4, 8), (4, 2, 5), (2, 2, 3), (8, 4, 9)] {
        let profile = profile(data, parity);
        let own: Vec<u128> = (0..profile.shards() as u128).collect();
        // 9+6 and 5+4 are for three zones: position modulo three is the zone.
        let zones: Vec<u128> = own.iter().map(|n| n % 3).collect();
        let domains = if data == 9 || data == 5 { &zones } else { &own };
        for count in 0..=profile.shards() {
            // Worst choice of `count` durable shards: keep as many as possible in one domain.
            let mut order: Vec<usize> = (0..profile.shards()).collect();
            order.sort_by_key(|position| domains[*position]);
            let mut durable = ShardSet::default();
            order
                .iter()
                .take(count)
                .for_each(|position| durable.insert(*position));
            let acknowledged = may_acknowledge(profile, domains, durable, ShardSet::default());
            assert_eq!(
                acknowledged,
                count >= needed,
                "{profile} with {count} shards"
            );
        }
    }
}

#[test]
fn one_disk_promises_only_itself() {
    let none = ShardSet::default();
    assert!(!may_acknowledge(profile(1, 0), &[1], none, none));
    assert!(may_acknowledge(
        profile(1, 0),
        &[1],
        ShardSet::first(1),
        none
    ));
}

#[test]
fn with_a_domain_marked_down_one_spare_shard_suffices() {
    let domains: Vec<u128> = (0..6).collect();
    let down = ShardSet(0b10_0000);
    assert!(may_acknowledge(
        profile(4, 2),
        &domains,
        ShardSet::first(5),
        down
    ));
    assert!(!may_acknowledge(
        profile(4, 2),
        &domains,
        ShardSet::first(4),
        down
    ));
    // A slow shard is not a lost domain: without the mark, 4 of 6 is not enough either way.
    assert!(!may_acknowledge(
        profile(4, 2),
        &domains,
        ShardSet::first(4),
        ShardSet::default()
    ));
}

#[test]
fn too_few_domains_is_refused_with_the_reason() {
    let map = map(8, 2);
    let made = make_groups(
        &map,
        ChunkClusterId(0),
        Domain::Zone,
        (PgClass::Striped, profile(4, 2)),
        PgId(0),
        1,
    );
    assert_eq!(
        made,
        Err(PlacementError::TooFewDomains {
            profile: profile(4, 2),
            domain: Domain::Zone,
            domains: 2,
            room: 4
        })
    );
}

#[test]
fn shards_are_spread_over_three_zones_evenly() {
    for (disks, wide, small) in [
        (9, (5, 4), (1, 3)),
        (15, (9, 6), (1, 3)),
        (30, (9, 6), (1, 2)),
    ] {
        let map = map(disks, 3);
        for (data, parity) in [wide, small] {
            let profile = profile(data, parity);
            let made = groups(&map, Domain::Zone, profile, 60);
            for group in &made {
                assert_eq!(check_group(&map, group, Domain::Zone), Ok(()));
                let zones = group.domains(&map, Domain::Zone);
                for zone in 0..3 {
                    let there = zones.iter().filter(|label| **label == zone).count();
                    assert!(
                        there <= profile.shards().div_ceil(3),
                        "{profile}: {there} in a zone"
                    );
                }
            }
            let load = |id| {
                made.iter()
                    .filter(|group| group.disks.contains(&id))
                    .count()
            };
            let loads: Vec<usize> = map.disks.iter().map(|disk| load(disk.id)).collect();
            let (most, least) = (loads.iter().max().unwrap(), loads.iter().min().unwrap());
            assert!(most - least <= 2, "{profile} over {disks}: {loads:?}");
        }
    }
}

/// A zone with 5 + 4 loses a disk: the other eight can still bear the loss of a zone, so they must.
#[test]
fn a_disk_that_is_down_does_not_lower_the_promise_for_zones() {
    let zones: Vec<u128> = (0..9).map(|n| n % 3).collect();
    let profile = profile(5, 4);
    let one_disk = ShardSet(1);
    let eight = ShardSet::first(9).minus(one_disk);
    assert!(may_acknowledge(profile, &zones, eight, one_disk));
    assert!(!may_acknowledge(
        profile,
        &zones,
        eight.minus(ShardSet(2)),
        one_disk
    ));
    // Nor do two, in different zones: such a group takes no writes, others do.
    let two_disks = ShardSet(0b11);
    assert!(!may_acknowledge(
        profile,
        &zones,
        ShardSet::first(9).minus(two_disks),
        two_disks
    ));
    // With a zone down the two that are left cannot bear the loss of another one.
    let zone = ShardSet(0b001_001_001);
    let six = ShardSet::first(9).minus(zone);
    assert!(may_acknowledge(profile, &zones, six, zone));
    assert!(!may_acknowledge(
        profile,
        &zones,
        six.minus(ShardSet(2)),
        zone
    ));
}

/// Small objects over three zones have a zone with one copy: its disk that is down is not the zone.
#[test]
fn one_disk_of_a_zone_is_not_the_zone_where_a_group_has_no_other_there() {
    let mut map = map(9, 3);
    let small = profile(1, 3);
    let group = groups(&map, Domain::Zone, small, 30).remove(0);
    let zones = group.domains(&map, Domain::Zone);
    let alone = (0..4).find(|one| zones.iter().filter(|zone| **zone == zones[*one]).count() == 1);
    let alone = alone.expect("a zone has one copy");
    let mark = |map: &mut ClusterMap, gone: &dyn Fn(&DiskInfo) -> bool| {
        for disk in map.disks.iter_mut().filter(|disk| gone(disk)) {
            disk.state = DiskState::Down;
        }
    };
    mark(&mut map, &|disk| disk.id == group.disks[alone]);
    assert_eq!(group.lost_domains(&map, Domain::Zone), ShardSet::default());
    assert!(
        group.can_take_writes(&map, Domain::Zone),
        "three copies in two zones"
    );
    let both_in_one =
        (0..4).filter(|one| zones.iter().filter(|zone| **zone == zones[*one]).count() == 2);
    let mut durable = ShardSet::default();
    both_in_one.for_each(|position| durable.insert(position));
    let lost = group.lost_domains(&map, Domain::Zone);
    assert!(
        !may_acknowledge(small, &zones, durable, lost),
        "one zone has both"
    );

    let zone = map.disk(group.disks[alone]).expect("a disk").zone;
    mark(&mut map, &|disk| disk.zone == zone);
    let lost = group.lost_domains(&map, Domain::Zone);
    assert_eq!(lost, ShardSet(1 << alone));
    assert!(
        may_acknowledge(small, &zones, durable, lost),
        "the zone is lost"
    );
}

#[test]
fn every_position_of_every_disk_is_used_evenly() {
    let map = map(6, 1);
    let groups = groups(&map, Domain::Disk, profile(4, 2), 100);
    for disk in &map.disks {
        for position in 0..6 {
            let count = groups
                .iter()
                .filter(|group| group.disks[position] == disk.id)
                .count();
            assert!(
                (14..=20).contains(&count),
                "{count} times at position {position}"
            );
        }
    }
}

#[test]
fn weights_decide_shares() {
    let mut map = map(12, 1);
    map.disks[0].weight = 2;
    map.disks
        .iter_mut()
        .skip(1)
        .for_each(|disk| disk.weight = 1);
    let groups = groups(&map, Domain::Disk, profile(1, 2), 400);
    let share = |id| {
        groups
            .iter()
            .filter(|group| group.disks.contains(&id))
            .count()
    };
    let (heavy, light) = (share(map.disks[0].id), share(map.disks[1].id));
    assert!(
        (heavy * 10).abs_diff(light * 20) <= light * 3,
        "{heavy} against {light}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is marked down: unless a whole zone is, what is acknowledged survives the loss of any.
    #[test]
    fn only_a_lost_zone_lowers_the_promise(durable in 0_u32..1 << 15, down in 0_u32..1 << 15) {
        let profile = profile(9, 6);
        let zones: Vec<u128> = (0..15).map(|n| n % 3).collect();
        let (down, durable) = (ShardSet(down), ShardSet(durable & !down));
        let in_zone = |set: ShardSet, zone| set.iter().filter(|at| zones[*at] == zone).count();
        prop_assume!((0..3).all(|zone| in_zone(down, zone) < 5));
        let survives = (0..3).all(|zone| durable.len() - in_zone(durable, zone) >= 9);
        prop_assert_eq!(may_acknowledge(profile, &zones, durable, down), survives);
    }

    #[test]
    fn no_two_shards_share_a_domain(disks in 3_usize..20, data in 1_u8..5, parity in 0_u8..4) {
        let profile = profile(data, parity);
        prop_assume!(disks >= profile.shards());
        let map = map(disks, 3);
        let made = groups(&map, Domain::Node, profile, 50);
        prop_assert_eq!(made.len(), 50);
        for group in &made {
            let mut labels = group.domains(&map, Domain::Node);
            labels.sort_unstable();
            labels.dedup();
            prop_assert_eq!(labels.len(), profile.shards());
        }
        let load = |id| made.iter().filter(|group| group.disks.contains(&id)).count();
        let loads: Vec<usize> = map.disks.iter().map(|disk| load(disk.id)).collect();
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1);
        prop_assert_eq!(groups(&map, Domain::Node, profile, 50), made, "the same map, the same groups");
    }

    #[test]
    fn acknowledged_data_survives_any_domain(
        labels in prop::collection::vec(0_u128..4, 6),
        durable in 0_u32..64,
    ) {
        let (profile, durable) = (profile(4, 2), ShardSet(durable));
        if may_acknowledge(profile, &labels, durable, ShardSet::default()) {
            for lost in 0..4 {
                let left = durable.iter().filter(|position| labels[*position] != lost).count();
                prop_assert!(left >= 4);
            }
        }
    }
}
