//! Maps that a region may go by, and every way in which one may not.

use super::*;
use crate::cluster_map::{ChunkCluster, DiskInfo, NodeInfo, ZoneInfo};
use crate::ids::PgId;
use crate::pg::{PgClass, make_groups};
use crate::profile::{Domain, ErasureProfile};

/// Three zones, each with `nodes` nodes of `disks` disks, and a hundred groups of 5+4.
fn region(nodes: u32, disks: u32) -> ClusterView {
    let mut map = ClusterMap::default();
    let profile = ErasureProfile::new(5, 4).expect("a profile");
    map.clusters.push(ChunkCluster {
        id: ChunkClusterId(1),
        striped: profile,
        domain: Domain::Zone,
        ..Default::default()
    });
    for zone in 1..=3 {
        let id = ZoneId(zone);
        map.zones.push(ZoneInfo {
            id,
            name: format!("zone-{zone}"),
            ..Default::default()
        });
        for number in 0..nodes {
            let node = NodeId(u32::from(zone) * 100 + number);
            map.nodes.push(NodeInfo {
                id: node,
                zone: id,
                name: format!("node-{node}"),
                addresses: vec![format!("127.0.{zone}.{number}:7000")],
                ..Default::default()
            });
            map.disks.extend((0..disks).map(|disk| DiskInfo {
                id: DiskId(u128::from(node.0 * 100 + disk)),
                node,
                zone: id,
                cluster: ChunkClusterId(1),
                weight: 1,
                ..Default::default()
            }));
        }
    }
    let kind = (PgClass::Striped, profile);
    let made = make_groups(&map, ChunkClusterId(1), Domain::Zone, kind, PgId(1), 100);
    let groups = made.expect("the map holds it").into_iter();
    ClusterView {
        map,
        groups: groups.map(|group| (group.id, group)).collect(),
    }
}

fn fault(change: impl FnOnce(&mut ClusterView)) -> MapFault {
    let mut view = region(1, 3);
    change(&mut view);
    check_map(&view).expect_err("it must be refused")
}

#[test]
fn a_region_of_three_zones_is_taken() {
    for (nodes, disks) in [(1, 3), (3, 1), (2, 4)] {
        assert_eq!(check_map(&region(nodes, disks)), Ok(()));
    }
}

#[test]
fn within_a_zone_shards_lie_on_different_nodes_where_there_are_enough() {
    let view = region(3, 2);
    for group in view.groups.values() {
        let mut nodes = group.domains(&view.map, Domain::Node);
        nodes.sort_unstable();
        nodes.dedup();
        assert_eq!(nodes.len(), 9);
    }
}

#[test]
fn what_stands_twice_is_refused() {
    let twice = |change: fn(&mut ClusterMap)| match fault(|view| change(&mut view.map)) {
        MapFault::Twice { what, .. } => what,
        other => panic!("{other}"),
    };
    assert_eq!(twice(|map| map.zones[1].id = map.zones[0].id), "zone");
    assert_eq!(
        twice(|map| map.zones[1].name = map.zones[0].name.clone()),
        "zone name"
    );
    assert_eq!(twice(|map| map.nodes[1].id = map.nodes[0].id), "node");
    assert_eq!(
        twice(|map| map.nodes[1].name = map.nodes[0].name.clone()),
        "node name"
    );
    let address = |map: &mut ClusterMap| map.nodes[1].addresses = map.nodes[0].addresses.clone();
    assert_eq!(twice(address), "node address");
    assert_eq!(twice(|map| map.disks[1].id = map.disks[0].id), "disk");
}

#[test]
fn a_node_that_was_removed_leaves_its_name_and_address_to_another() {
    let mut view = region(2, 3);
    view.map.nodes[0].is_removed = true;
    let (name, addresses) = (
        view.map.nodes[0].name.clone(),
        view.map.nodes[0].addresses.clone(),
    );
    view.map.nodes[1].name = name;
    view.map.nodes[1].addresses = addresses;
    assert_eq!(check_map(&view), Ok(()));
}

#[test]
fn places_that_do_not_fit_are_refused() {
    let no_zone = fault(|view| view.map.nodes[0].zone = ZoneId(9));
    assert!(matches!(no_zone, MapFault::NoSuchZone { .. }), "{no_zone}");
    let no_node = fault(|view| view.map.disks[0].node = NodeId(9));
    assert!(matches!(no_node, MapFault::NoSuchNode { .. }), "{no_node}");
    let zone = fault(|view| view.map.disks[0].zone = ZoneId(2));
    assert!(matches!(zone, MapFault::WrongZone { .. }), "{zone}");
    let cluster = fault(|view| view.map.disks[0].cluster = ChunkClusterId(2));
    assert!(
        matches!(cluster, MapFault::NoSuchCluster { .. }),
        "{cluster}"
    );
}

#[test]
fn a_disk_may_be_in_no_chunk_cluster_yet_and_has_no_place_in_a_group_then() {
    let mut view = region(1, 3);
    let spare = DiskInfo {
        id: DiskId(7),
        cluster: ChunkClusterId::NONE,
        ..view.map.disks[0].clone()
    };
    view.map.disks.push(spare);
    assert_eq!(check_map(&view), Ok(()));
    view.groups.get_mut(&PgId(1)).expect("a group").disks[0] = DiskId(7);
    let foreign = check_map(&view).expect_err("it must be refused");
    assert!(
        matches!(foreign, MapFault::Group(GroupFault::ForeignDisk { .. })),
        "{foreign}"
    );
}

#[test]
fn groups_that_break_their_promise_are_refused_with_the_reason() {
    let twice = fault(|view| {
        let group = view.groups.get_mut(&PgId(1)).expect("a group");
        group.disks[1] = group.disks[0];
    });
    assert!(
        twice.to_string().contains("two shards in one disk"),
        "{twice}"
    );
    let short = fault(|view| {
        view.groups.get_mut(&PgId(1)).expect("a group").disks.pop();
    });
    assert!(short.to_string().contains("8 disks"), "{short}");
    let foreign = fault(|view| {
        view.groups.get_mut(&PgId(1)).expect("a group").disks[0] = DiskId(7);
    });
    assert!(
        matches!(foreign, MapFault::Group(GroupFault::ForeignDisk { .. })),
        "{foreign}"
    );
    // Five of nine shards in one zone: without it four are left of the five that are needed.
    let mut view = region(2, 3);
    let group = view.groups.get_mut(&PgId(1)).expect("a group").clone();
    let in_first = |disk: &&DiskInfo| disk.zone == ZoneId(1);
    let mut first: Vec<DiskId> = view
        .map
        .disks
        .iter()
        .filter(in_first)
        .map(|disk| disk.id)
        .collect();
    first.truncate(5);
    let zones = group.domains(&view.map, Domain::Zone);
    let others = group
        .disks
        .iter()
        .zip(zones)
        .filter(|(_, zone)| *zone != 1)
        .map(|(id, _)| *id);
    let disks: Vec<DiskId> = first.into_iter().chain(others).take(9).collect();
    view.groups.get_mut(&PgId(1)).expect("a group").disks = disks;
    let crowded = check_map(&view).expect_err("it must be refused");
    assert!(
        matches!(crowded, MapFault::Group(GroupFault::TooManyInDomain { .. })),
        "{crowded}"
    );
    let mut view = region(3, 3);
    view.map.clusters[0].domain = Domain::Node;
    let same_node = |a: &DiskInfo, b: &DiskInfo| a.node == b.node && a.id != b.id;
    let group = view.groups.get_mut(&PgId(1)).expect("a group");
    let one = view
        .map
        .disk(group.disks[0])
        .expect("it is in the map")
        .clone();
    let beside = view
        .map
        .disks
        .iter()
        .find(|disk| same_node(disk, &one))
        .expect("three a node");
    group.disks[1] = beside.id;
    let shared = check_map(&view).expect_err("it must be refused");
    assert!(shared.to_string().contains("in one node"), "{shared}");
}
