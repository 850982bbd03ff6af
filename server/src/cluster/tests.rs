//! Tests of changes of the cluster view.

use super::*;
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
    let target = disks::reconcile(&first, &found).unwrap().unwrap();
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
    let again = disks::reconcile(&half, &found).unwrap().unwrap();
    assert_eq!(again.groups, target.groups);
    let stored = store_in_steps(&index, &half, &again).await.unwrap();
    assert_eq!(stored.groups, target.groups);
    assert_eq!(index.cluster_view().await.unwrap(), Some(stored.clone()));
    assert!(disks::reconcile(&stored, &found).unwrap().is_none());
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
