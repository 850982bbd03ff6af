//! Tests of the finalised format: what is kept, what directories remember, and what is refused.

use super::*;
use std::sync::Arc;
use types::clock::SystemClock;
use types::entropy::OsEntropy;

const UNKNOWN: FormatVersion = FormatVersion(FormatVersion::NEWEST.0 + 1);

fn index() -> Index {
    Index::in_memory(Arc::new(SystemClock::new()), Arc::new(OsEntropy))
}

/// A process whose own directory and disk lie under `root`.
fn process(root: &Path) -> Formats {
    let (own, disk) = (root.join("own"), root.join("disk"));
    std::fs::create_dir_all(&own).unwrap();
    let made = identity::Identity {
        installation: types::InstallationId(1),
        region: types::RegionId(1),
        node: types::NodeId(1),
        disk: types::DiskId(1),
        replaces: None,
    };
    identity::format(&disk, &made).unwrap();
    Formats {
        places: Places {
            own: vec![own, root.join("not made")],
            disks: vec![disk, root.join("not mounted")],
        },
        finalised: Finalised::default(),
    }
}

fn all_remember(root: &Path) -> Vec<Option<u32>> {
    let places = ["own", "disk"].map(|name| root.join(name));
    let found = places.map(|place| remembered(&place).unwrap());
    found.map(|found| found.map(|format| format.0)).to_vec()
}

#[tokio::test]
async fn a_new_installation_begins_with_the_newest_format_and_an_old_one_stays_as_it_is() {
    let (new, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (new, old) = (process(new.path()), process(old.path()));
    let index = index();
    let none = load(&index).await.unwrap();
    assert_eq!(none.finalised, FormatVersion::FIRST);
    old.settle(&index, none, false).await.unwrap();
    assert_eq!(load(&index).await.unwrap(), none, "nothing is kept");
    assert_eq!(old.finalised().get(), FormatVersion::FIRST);

    new.settle(&index, none, true).await.unwrap();
    let kept = load(&index).await.unwrap();
    assert_eq!(kept.finalised, FormatVersion::NEWEST);
    assert_eq!(new.finalised().get(), FormatVersion::NEWEST);
    let again = store(&index, none, FormatVersion::FIRST).await;
    assert!(matches!(again, Err(ReplaceError::Changed)), "{again:?}");
}

#[tokio::test]
async fn what_is_not_known_is_refused_and_nothing_is_remembered() {
    let root = tempfile::tempdir().unwrap();
    let process = process(root.path());
    let index = index();
    let none = load(&index).await.unwrap();
    store(&index, none, UNKNOWN).await.unwrap();
    let kept = load(&index).await.unwrap();
    let refused = process.settle(&index, kept, true).await.unwrap_err();
    assert!(refused.to_string().contains("newer version"), "{refused}");
    assert_eq!(all_remember(root.path()), [None, None]);
    assert_eq!(process.finalised().get(), FormatVersion::OLDEST);
    assert_eq!(load(&index).await.unwrap(), kept);
}

#[test]
fn every_directory_that_is_there_remembers_and_never_less() {
    let root = tempfile::tempdir().unwrap();
    let process = process(root.path());
    let own = root.path().join("own");
    remember(&own, UNKNOWN).unwrap();
    remember(&own, FormatVersion::FIRST).unwrap();
    assert_eq!(all_remember(root.path()), [Some(UNKNOWN.0), None]);
    let text = std::fs::read_to_string(own.join(FILE)).unwrap();
    assert_eq!(text, format!("finalised = {UNKNOWN}\n"));
    process.take_over(FormatVersion::NEWEST).unwrap();
    assert!(!root.path().join("not made").exists());
    assert!(!root.path().join("not mounted").exists());
    let disk = remembered(&root.path().join("disk")).unwrap();
    assert_eq!(disk.unwrap_or_default(), FormatVersion::NEWEST);
}

#[test]
fn the_record_is_pinned() {
    let record = FormatRecord {
        finalised: FormatVersion(2),
        ..Default::default()
    };
    assert_eq!(record.encode(), [1, 1, 2]);
    assert_eq!(FormatRecord::default().encode(), Vec::<u8>::new());
}
