//! What the map says of disks, and its bytes.

use super::*;
use bytes::Bytes;

fn map() -> ClusterMap {
    let node = |id: u32, zone: u16, rack: &str| NodeInfo {
        id: NodeId(id),
        zone: ZoneId(zone),
        rack: rack.to_owned(),
        name: format!("node-{id}"),
        addresses: vec![format!("10.0.0.{id}:7000")],
        roles: Roles::all(),
        ..Default::default()
    };
    let disk = |id: u32, node: u32, zone: u16| DiskInfo {
        id: DiskId(id.into()),
        node: NodeId(node),
        zone: ZoneId(zone),
        ..Default::default()
    };
    ClusterMap {
        epoch: 7,
        nodes: vec![
            node(1, 1, "a"),
            node(2, 1, "a"),
            node(3, 1, "b"),
            node(4, 2, "a"),
            node(5, 2, ""),
        ],
        disks: vec![
            disk(1, 1, 1),
            disk(2, 2, 1),
            disk(3, 3, 1),
            disk(4, 4, 2),
            disk(5, 5, 2),
            disk(6, 5, 2),
        ],
        zones: vec![ZoneInfo {
            id: ZoneId(1),
            name: "pek3-a".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn the_disks_of_a_node_that_is_down_are_down_until_it_is_back() {
    let mut map = map();
    map.disks[4].state = DiskState::ReadOnly;
    map.disks[5].state = DiskState::Removed;
    let down = map.with_nodes_down(&BTreeSet::from([NodeId(5)]));
    assert_eq!(down.epoch, 8);
    let states = |map: &ClusterMap| (4..=6).map(|id| map.state(DiskId(id))).collect::<Vec<_>>();
    assert_eq!(
        states(&down),
        [DiskState::Up, DiskState::Down, DiskState::Removed]
    );
    let back = down.with_nodes_down(&BTreeSet::new());
    assert_eq!(
        states(&back),
        [DiskState::Up, DiskState::ReadOnly, DiskState::Removed]
    );
    let mut removed = back;
    removed.nodes[4].is_removed = true;
    assert_eq!(removed.state(DiskId(5)), DiskState::Down);
}

#[test]
fn nodes_of_one_rack_fail_together_and_those_of_unknown_racks_alone() {
    let map = map();
    let label = |disk| map.domain_label(DiskId(disk), Domain::Rack);
    assert_eq!(label(1), label(2));
    assert_ne!(label(1), label(3), "another rack");
    assert_ne!(
        label(1),
        label(4),
        "a rack of the same name in another zone"
    );
    assert_ne!(label(4), label(5), "no rack");
    assert_eq!(label(5), label(6), "one node");
}

#[test]
fn a_map_is_read_back_and_one_of_before_there_were_nodes_is_still_read() {
    let map = map();
    assert_eq!(ClusterMap::decode(map.encode().into()), Ok(map.clone()));
    let older = ClusterMap {
        nodes: Vec::new(),
        zones: Vec::new(),
        ..map
    };
    let bytes = Bytes::from(older.encode());
    let read = ClusterMap::decode(bytes).expect("it is read");
    assert_eq!(
        read.state(DiskId(1)),
        DiskState::Up,
        "no list of nodes, no node that is down"
    );
}

/// The bytes are persisted: they never change.
#[test]
fn the_bytes_of_nodes_and_zones_are_pinned() {
    let node = NodeInfo {
        id: NodeId(5),
        zone: ZoneId(2),
        rack: "r1".to_owned(),
        name: "n5".to_owned(),
        addresses: vec!["a:1".to_owned()],
        roles: [Role::Index].into_iter().collect(),
        is_removed: true,
        is_down: true,
        ..Default::default()
    };
    let hex: String = node
        .encode()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        hex,
        "0101050201020302723104026e35050403613a31060102070101080101"
    );
}
