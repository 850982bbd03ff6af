//! Tests of finding disks: first start, interrupted first start, lost, returned, replaced and foreign.

use super::*;
use types::entropy::SeededEntropy;

fn dirs(root: &Path, count: usize) -> Vec<PathBuf> {
    (1..=count).map(|n| root.join(format!("disk{n}"))).collect()
}

fn started(root: &Path, count: usize) -> (Vec<PathBuf>, ClusterView) {
    let data = dirs(root, count);
    let mut found = survey(&data).unwrap();
    assert!(is_first_start(&found));
    let view = first_start(&mut found, &SeededEntropy::new(count as u64)).unwrap();
    (data, view)
}

#[test]
fn six_directories_become_four_plus_two() {
    let dir = tempfile::tempdir().unwrap();
    let (data, view) = started(dir.path(), 6);
    assert_eq!(view.map.clusters[0].striped.to_string(), "4+2");
    assert_eq!(view.groups.len(), 100 + 200);
    assert!(
        reconcile(&view, &survey(&data).unwrap(), NODE)
            .unwrap()
            .is_none(),
        "nothing changes at a restart"
    );
}

#[test]
fn an_interrupted_first_start_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let data = dirs(dir.path(), 3);
    let mut half = survey(&data[..2]).unwrap();
    let begun = first_start(&mut half, &SeededEntropy::new(1)).unwrap();
    let mut found = survey(&data).unwrap();
    assert!(is_first_start(&found));
    let view = first_start(&mut found, &SeededEntropy::new(2)).unwrap();
    assert_eq!(view.map.installation, begun.map.installation);
    assert_eq!(view.map.disks.len(), 3);
}

#[test]
fn disks_with_volumes_are_no_first_start() {
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = started(dir.path(), 2);
    std::fs::write(
        data[0].join(chunkstore::volume::format::volume_name(1)),
        "x",
    )
    .unwrap();
    assert!(!is_first_start(&survey(&data).unwrap()));
}

#[test]
fn disks_that_were_opened_are_no_first_start() {
    let dir = tempfile::tempdir().unwrap();
    let (data, _) = started(dir.path(), 2);
    std::fs::create_dir(data[1].join(chunkstore::CATALOG_FOLDER)).unwrap();
    assert!(
        !is_first_start(&survey(&data).unwrap()),
        "all objects may be inline in the index"
    );
}

#[test]
fn a_lost_disk_is_down_and_comes_back_up() {
    let dir = tempfile::tempdir().unwrap();
    let (data, view) = started(dir.path(), 6);
    std::fs::rename(&data[2], dir.path().join("away")).unwrap();
    let without = reconcile(&view, &survey(&data).unwrap(), NODE)
        .unwrap()
        .unwrap();
    let lost = view.map.disks[2].id;
    assert_eq!(without.map.state(lost), DiskState::Down);
    assert_eq!(without.map.epoch, 2);
    std::fs::rename(dir.path().join("away"), &data[2]).unwrap();
    let with = reconcile(&without, &survey(&data).unwrap(), NODE)
        .unwrap()
        .unwrap();
    assert_eq!(with.map.state(lost), DiskState::Up);
}

#[test]
fn a_replacement_takes_every_position_of_the_lost_disk() {
    let dir = tempfile::tempdir().unwrap();
    let (data, view) = started(dir.path(), 6);
    let lost = view.map.disks[4].id;
    std::fs::remove_dir_all(&data[4]).unwrap();
    let made = replace(
        &data,
        &OwnDisks::of(&view.map, NODE),
        &data[4],
        None,
        &SeededEntropy::new(9),
    )
    .unwrap();
    assert_eq!(made.0, lost);
    let next = reconcile(&view, &survey(&data).unwrap(), NODE)
        .unwrap()
        .unwrap();
    assert_eq!(next.map.state(lost), DiskState::Removed);
    assert_eq!(next.map.state(made.1), DiskState::Up);
    assert_eq!(next.on_disk(lost).count(), 0);
    assert_eq!(next.on_disk(made.1).count(), view.on_disk(lost).count());
    assert!(
        reconcile(&next, &survey(&data).unwrap(), NODE)
            .unwrap()
            .is_none()
    );
}

#[test]
fn replacing_is_refused_when_it_is_not_clear_what_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (data, view) = started(dir.path(), 6);
    let own = OwnDisks::of(&view.map, NODE);
    let refusal = |directory: &Path| {
        replace(&data, &own, directory, None, &SeededEntropy::new(9))
            .unwrap_err()
            .to_string()
    };
    assert!(refusal(&data[0]).contains("no disk is missing"));
    assert!(refusal(Path::new("/elsewhere")).contains("--data"));
    std::fs::remove_dir_all(&data[0]).unwrap();
    std::fs::remove_dir_all(&data[1]).unwrap();
    assert!(refusal(&data[0]).contains("--disk"));
}

#[test]
fn a_disk_of_another_installation_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (data, view) = started(&dir.path().join("a"), 2);
    let (_, other) = started(&dir.path().join("b"), 3);
    assert_ne!(view.map.installation, other.map.installation);
    let error = reconcile(&other, &survey(&data).unwrap(), NODE)
        .unwrap_err()
        .to_string();
    assert!(error.contains("another installation"), "{error}");
}

#[test]
fn a_copied_disk_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (mut data, _) = started(dir.path(), 2);
    let copy = dir.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(data[0].join("identity"), copy.join("identity")).unwrap();
    data.push(copy);
    assert!(
        survey(&data)
            .unwrap_err()
            .to_string()
            .contains("copy of another disk")
    );
}

#[test]
fn a_place_is_given_once() {
    let dir = tempfile::tempdir().unwrap();
    let (data, view) = started(dir.path(), 6);
    let own = OwnDisks::of(&view.map, NODE);
    let entropy = SeededEntropy::new(9);
    let lost = [view.map.disks[0].id, view.map.disks[1].id];
    std::fs::remove_dir_all(&data[0]).unwrap();
    std::fs::remove_dir_all(&data[1]).unwrap();
    replace(&data, &own, &data[0], Some(lost[0]), &entropy).unwrap();
    let again = replace(&data, &own, &data[1], Some(lost[0]), &entropy).unwrap_err();
    assert!(again.to_string().contains("is not missing"), "{again}");
    let made = replace(&data, &own, &data[1], None, &entropy).unwrap();
    assert_eq!(made.0, lost[1], "the only place that is left");
    let next = reconcile(&view, &survey(&data).unwrap(), NODE)
        .unwrap()
        .unwrap();
    assert!(
        lost.iter()
            .all(|lost| next.map.state(*lost) == DiskState::Removed)
    );
}
