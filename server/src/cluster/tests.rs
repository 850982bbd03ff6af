//! Tests of changes of the cluster view.

use super::*;
use crate::region::testing::view as zones_view;
use chunkstore::testing::MemoryShards;
use std::collections::BTreeSet;
use types::NodeId;
use types::clock::ManualClock;
use types::entropy::SeededEntropy;

#[tokio::test]
async fn replacing_two_of_six_disks_is_stored_in_steps_that_can_be_taken_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let data: Vec<PathBuf> = (0..6).map(|n| dir.path().join(n.to_string())).collect();
    let mut found = disks::survey(&data).unwrap();
    let first = disks::first_start(&mut found, &SeededEntropy::new(1)).unwrap();
    let index = Index::in_memory(
        Arc::new(ManualClock::at(1)),
        Arc::new(SeededEntropy::new(2)),
    );
    index.replace_cluster_view(0, &first).await.unwrap();
    for (disk, id) in found.iter_mut().take(2).zip([77, 78]) {
        let identity = disk.identity.as_mut().unwrap();
        identity.replaces = Some(identity.disk);
        identity.disk = DiskId(id);
    }
    let target = disks::reconcile(&first, &found, disks::NODE)
        .unwrap()
        .unwrap();
    let altered = target
        .groups
        .iter()
        .filter(|(id, group)| first.groups[id] != **group)
        .count();
    assert!(altered > 2 * ALTERED_GROUPS_MAX);

    // Only the first step is stored: the next start finds the rest still to be done.
    let mut half = ClusterView {
        map: target.map.clone(),
        groups: first.groups.clone(),
    };
    for (id, group) in target.groups.iter().take(ALTERED_GROUPS_MAX) {
        half.groups.insert(*id, group.clone());
    }
    index
        .replace_cluster_view(first.map.epoch, &half)
        .await
        .unwrap();
    let again = disks::reconcile(&half, &found, disks::NODE)
        .unwrap()
        .unwrap();
    assert_eq!(again.groups, target.groups);
    let stored = store_in_steps(&index, &half, &again).await.unwrap();
    assert_eq!(stored.groups, target.groups);
    assert_eq!(index.cluster_view().await.unwrap(), Some(stored.clone()));
    assert!(
        disks::reconcile(&stored, &found, disks::NODE)
            .unwrap()
            .is_none()
    );
}

#[test]
fn with_two_of_six_disks_gone_writes_go_on_with_a_narrower_profile() {
    let dir = tempfile::tempdir().unwrap();
    let data: Vec<PathBuf> = (0..6).map(|n| dir.path().join(n.to_string())).collect();
    let mut found = disks::survey(&data).unwrap();
    let view = disks::first_start(&mut found, &SeededEntropy::new(1)).unwrap();
    let lose = |view: &ClusterView, count: usize| {
        let mut next = view.clone();
        for disk in view.map.disks.iter().take(count) {
            next.map = next.map.with_disk_state(disk.id, DiskState::Down);
        }
        let outcome = ensure_writable(&mut next);
        (next, outcome.is_ok())
    };
    let (one, ok) = lose(&view, 1);
    assert!(
        ok && one.groups.len() == view.groups.len(),
        "five of six disks hold 4+2 with one spare"
    );
    let (two, ok) = lose(&view, 2);
    assert!(ok);
    let fallback: Vec<_> = two.writable(PgClass::Fallback).collect();
    assert!(
        fallback
            .iter()
            .all(|group| group.profile.to_string() == "2+2")
    );
    assert_eq!(fallback.len(), 100);
    assert!(two.writable(PgClass::Small).next().is_some());
    let (_, ok) = lose(&view, 5);
    assert!(!ok, "one disk cannot bear a loss");
}

/// Zones of `disks` disks each, with 5+4 and 1+3.
fn zones(count: u32, disks: u32) -> ClusterView {
    let addresses = (1..=count).map(|id| (NodeId(id), format!("n{id}:1")));
    zones_view(&addresses.collect(), disks)
}

fn with_disks_down(view: &ClusterView, down: impl Fn(&types::DiskInfo) -> bool) -> ClusterView {
    let mut next = view.clone();
    for disk in next.map.disks.iter_mut().filter(|disk| down(disk)) {
        disk.state = DiskState::Down;
    }
    next
}

/// Whatever is made, it bears the loss of any one zone that has disks of it.
fn keeps_its_promise(view: &ClusterView) -> bool {
    let fallback = view.writable(PgClass::Fallback);
    let mut checked = fallback.map(|group| pg::check_group(&view.map, group, Domain::Zone));
    checked.all(|outcome| outcome.is_ok())
}

#[test]
fn a_zone_that_is_down_needs_no_other_groups() {
    let view = zones(3, 3);
    let mut next = view.clone();
    next.map = view.map.with_nodes_down(&BTreeSet::from([NodeId(2)]));
    ensure_writable(&mut next).unwrap();
    assert_eq!(next.groups, view.groups);
    assert_eq!(next.writable(PgClass::Striped).count(), 60);
}

#[test]
fn what_is_left_of_zones_gets_groups_that_bear_the_loss_of_a_zone() {
    let view = zones(3, 3);
    // A zone is down, and a disk of another: 5+4 has no spare left.
    let mut two = with_disks_down(&view, |disk| disk.id.0 == 100);
    two.map = two.map.with_nodes_down(&BTreeSet::from([NodeId(2)]));
    assert_eq!(two.writable(PgClass::Striped).count(), 0);
    ensure_writable(&mut two).unwrap();
    let made: Vec<_> = two.writable(PgClass::Fallback).cloned().collect();
    assert!(made.iter().all(|group| group.profile.to_string() == "1+3"));
    assert!(!made.is_empty() && keeps_its_promise(&two));

    // Each zone has lost a disk.
    let mut three = with_disks_down(&view, |disk| disk.id.0.is_multiple_of(100));
    assert_eq!(three.writable(PgClass::Striped).count(), 0);
    ensure_writable(&mut three).unwrap();
    let made: Vec<_> = three.writable(PgClass::Fallback).cloned().collect();
    assert!(made.iter().all(|group| group.profile.to_string() == "3+3"));
    assert!(!made.is_empty() && keeps_its_promise(&three));

    // One zone is no zone that could be lost.
    let mut one = view.clone();
    one.map = view
        .map
        .with_nodes_down(&BTreeSet::from([NodeId(2), NodeId(3)]));
    let error = ensure_writable(&mut one).unwrap_err();
    assert!(
        error.to_string().starts_with("1 zones of cluster 1"),
        "{error}"
    );
    assert_eq!(one.groups, view.groups);
}

#[test]
fn each_cluster_is_seen_to_and_disks_in_none_are_left_alone() {
    // The first cluster cannot be helped, the second can; the disks of node 4 are in none.
    let mut view = zones(4, 3);
    let mut second = view.map.clusters[0].clone();
    second.id = types::ChunkClusterId(2);
    view.map.clusters.push(second);
    for disk in &mut view.map.disks {
        disk.cluster = types::ChunkClusterId(if disk.node == NodeId(4) { 0 } else { 2 });
    }
    for group in view.groups.values_mut() {
        group.disks.clear();
        group.profile = ErasureProfile::new(5, 4).unwrap();
        group.disks = vec![DiskId(1); 9];
    }
    let error = ensure_writable(&mut view).unwrap_err();
    assert!(
        error.to_string().starts_with("0 zones of cluster 1"),
        "{error}"
    );
    let made: Vec<_> = view.writable(PgClass::Fallback).collect();
    assert!(!made.is_empty());
    for group in made {
        assert_eq!(group.cluster, types::ChunkClusterId(2));
        let nodes = group.disks.iter().filter_map(|disk| view.map.disk(*disk));
        assert!(nodes.map(|disk| disk.node).all(|node| node != NodeId(4)));
    }
}

/// Disk 100 is here; another process changes the map all the while.
#[tokio::test]
async fn evidence_of_a_local_disk_is_acted_on_and_that_of_others_is_not() {
    let index = Index::in_memory(
        Arc::new(ManualClock::at(1)),
        Arc::new(SeededEntropy::new(2)),
    );
    let mut stored = zones(3, 3);
    index.replace_cluster_view(0, &stored).await.unwrap();
    let cluster = Arc::new(Cluster::new(stored.clone()));
    let local = LocalDisk {
        directory: PathBuf::new(),
        store: Arc::new(MemoryShards::new(DiskId(100), 1)),
    };
    cluster.set_local(BTreeMap::from([(DiskId(100), local)]));
    // Not known to this process: its change must not undo it.
    stored.map = stored.map.with_nodes_down(&BTreeSet::from([NodeId(1)]));
    index.replace_cluster_view(1, &stored).await.unwrap();

    let (health, queue) = Health::new(Arc::default());
    let acting = Arc::clone(&cluster);
    let handle = index.clone();
    let acts = tokio::spawn(async move { acting.act_on_evidence(&handle, queue).await });
    health.unreachable(DiskId(200), "its node does not answer");
    health.disk_failed(DiskId(201), DiskState::Down, "no answer for 10000 ms");
    health.disk_failed(DiskId(100), DiskState::ReadOnly, "fsync failed");
    drop(health);
    acts.await.unwrap();
    let view = index.cluster_view().await.unwrap().unwrap();
    assert_eq!(*cluster.view(), view);
    assert_eq!(view.map.epoch, 3);
    let expected = stored.map.with_disk_state(DiskId(100), DiskState::ReadOnly);
    assert_eq!(view.map, expected);
}
