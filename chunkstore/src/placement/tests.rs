use super::*;
use crate::testing::MemoryShards;
use types::pg::make_groups;
use types::{ChunkCluster, DiskInfo, DiskState, Domain, ErasureProfile};

/// Two chunk clusters of three disks with the given weights, eight groups of 1+2 in each.
fn view(weights: [u32; 2]) -> ClusterView {
    let profile = ErasureProfile::new(1, 2).unwrap();
    let mut view = ClusterView::default();
    for (number, weight) in (0_u16..).zip(weights) {
        let cluster = ChunkClusterId(number);
        view.map.clusters.push(ChunkCluster {
            id: cluster,
            striped: profile,
            small: profile,
            weight,
            ..Default::default()
        });
        for disk in 0..3 {
            view.map.disks.push(DiskInfo {
                id: DiskId(u128::from(number) * 10 + disk),
                cluster,
                ..Default::default()
            });
        }
        let kind = (PgClass::Striped, profile);
        let first = PgId(u32::from(number) * 100);
        let groups = make_groups(&view.map, cluster, Domain::Disk, kind, first, 8).unwrap();
        view.groups
            .extend(groups.into_iter().map(|group| (group.id, group)));
    }
    view
}

type Handles = Arc<BTreeMap<DiskId, Arc<DiskHandle>>>;

fn disks(view: &ClusterView) -> (Vec<Arc<MemoryShards>>, Handles) {
    let store = |disk: &DiskInfo| Arc::new(MemoryShards::new(disk.id, 1 << 30));
    let stores: Vec<_> = view.map.disks.iter().map(store).collect();
    let handle = |store: &Arc<MemoryShards>| Arc::new(DiskHandle::new(Arc::clone(store) as _));
    let handles = stores
        .iter()
        .map(|store| (handle(store).id(), handle(store)));
    (stores.clone(), Arc::new(handles.collect()))
}

/// How often each group is picked for chunks with consecutive ids.
fn picks(plan: &Plan, excluded: &[PgId], count: u128) -> BTreeMap<PgId, usize> {
    let mut picks = BTreeMap::new();
    for chunk in 0..count {
        let group = plan
            .pick(PgClass::Striped, ChunkId(chunk), excluded)
            .unwrap();
        *picks.entry(group.record.id).or_default() += 1;
    }
    picks
}

#[test]
fn clusters_share_by_weight_and_groups_evenly() {
    let view = view([3, 1]);
    let (_, disks) = disks(&view);
    let picks = picks(&Plan::new(Arc::new(view), Arc::clone(&disks)), &[], 3200);
    assert_eq!(picks.len(), 16, "every group has a share: {picks:?}");
    for (pg, count) in picks {
        let expected = if pg.0 < 100 { 300 } else { 100 };
        assert!(
            count > expected * 2 / 3 && count < expected * 3 / 2,
            "{pg}: {count}"
        );
    }
}

#[test]
fn a_cluster_of_weight_zero_is_the_last_resort() {
    let view = view([0, 1]);
    let (stores, disks) = disks(&view);
    let plan = Plan::new(Arc::new(view), Arc::clone(&disks));
    assert!(picks(&plan, &[], 100).keys().all(|pg| pg.0 >= 100));
    stores[4].set_capacity(1);
    assert!(picks(&plan, &[], 100).keys().all(|pg| pg.0 < 100));
}

#[test]
fn excluded_groups_are_left_out() {
    let view = view([1, 0]);
    let (_, disks) = disks(&view);
    let plan = Plan::new(Arc::new(view), Arc::clone(&disks));
    let excluded: Vec<PgId> = (0..7).map(PgId).collect();
    assert_eq!(
        picks(&plan, &excluded, 10).into_keys().collect::<Vec<_>>()[0],
        PgId(7)
    );
}

#[test]
fn without_a_writable_group_there_is_none() {
    let view = view([1, 1]);
    let (stores, disks) = disks(&view);
    for number in [1, 5] {
        stores[number].set_capacity(1000);
    }
    let plan = Plan::new(Arc::new(view.clone()), Arc::clone(&disks));
    let pick = |plan: &Plan| {
        plan.pick(PgClass::Striped, ChunkId(1), &[])
            .map(|_| ())
            .err()
    };
    assert_eq!(pick(&plan), Some(NoGroup::Full));
    let mut down = view;
    for disk in [0, 1, 10, 11] {
        down.map = down.map.with_disk_state(DiskId(disk), DiskState::Down);
    }
    let plan = Plan::new(Arc::new(down), Arc::clone(&disks));
    assert_eq!(pick(&plan), Some(NoGroup::NotWritable));
}

#[test]
fn a_disk_that_said_it_was_full_counts_as_full_until_it_has_more_room() {
    let store = Arc::new(MemoryShards::new(DiskId(1), 1 << 30));
    let disk = DiskHandle::new(Arc::clone(&store) as _);
    assert!(disk.has_room());
    disk.note_full();
    assert!(!disk.has_room());
    store.set_capacity(2 << 30);
    assert!(disk.has_room());
    disk.note_full();
    disk.note_stored();
    assert!(disk.has_room());
}

#[test]
fn a_disk_that_does_not_tell_its_room_is_left_to_a_put_to_find_out() {
    let store = Arc::new(MemoryShards::new(DiskId(1), 0));
    assert!(DiskHandle::new(store as _).has_room());
}
