//! Tests of the node directory: what is written is read back, and what is no node's directory is refused.

use super::*;
use rpc::identity::{NODE_VALIDITY, NodeRequest};
use std::os::unix::fs::PermissionsExt;
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::{NodeInfo, ZoneInfo};

/// The directory of node 1 of a new installation, with its authority.
fn first_node(dir: &Path) -> NodeHome {
    let installation = InstallationId(42);
    let clock = SystemClock::new();
    let key = NodeHome::prepare(dir, &[]).unwrap();
    let authority = ClusterCa::create(installation, RegionId(1), &clock, &OsEntropy).unwrap();
    let request = key.certificate_request().unwrap();
    let wanted = NodeRequest {
        request: &request,
        node: NodeId(1),
        names: &[],
        validity: NODE_VALIDITY,
    };
    let certificate = authority.issue(&wanted, &clock, &OsEntropy).unwrap();
    let map = ClusterMap {
        installation,
        region: RegionId(1),
        epoch: 1,
        nodes: vec![NodeInfo {
            id: NodeId(1),
            name: "n1".to_owned(),
            ..Default::default()
        }],
        zones: vec![ZoneInfo::default()],
        ..Default::default()
    };
    let view = ClusterView {
        map,
        ..Default::default()
    };
    let new = NewHome {
        name: "n1",
        certificate: &certificate,
        bundle: &TrustBundle::new(vec![authority.certificate().clone()]).unwrap(),
        root: &root_key::generate(&OsEntropy),
        peers: &[peer(1)],
        first: Some((&authority, &view)),
    };
    NodeHome::create(dir, &new).unwrap()
}

fn peer(node: u32) -> PeerEntry {
    PeerEntry {
        node: NodeId(node),
        addresses: vec![format!("10.0.0.{node}:9002"), "n.example:9002".to_owned()],
        is_index: node == 1,
    }
}

#[test]
fn what_is_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("node");
    let made = first_node(&dir);
    let home = NodeHome::open(&dir).unwrap();
    assert_eq!((home.node(), home.name()), (NodeId(1), "n1"));
    assert_eq!(home.identity(), made.identity());
    assert_eq!(home.credentials().unwrap().node(), home.identity());
    assert!(home.has_authority());
    assert_eq!(home.authorities().unwrap().len(), 1);
    assert_eq!(home.root_key().unwrap(), made.root_key().unwrap());
    assert_eq!(home.peers().unwrap(), [peer(1)]);
    home.save_peers(&[peer(1), peer(2)]).unwrap();
    assert_eq!(home.peers().unwrap(), [peer(1), peer(2)]);
    let view = home.first_view().unwrap().expect("it is not stored yet");
    assert_eq!(view.map.nodes[0].name, "n1");
    home.forget_first_view().unwrap();
    home.forget_first_view().unwrap();
    assert_eq!(home.first_view().unwrap(), None);
}

#[test]
fn secrets_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("node");
    first_node(&dir);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    for name in [KEY_FILE, AUTHORITY_KEY_FILE, "root-key.json"] {
        assert_eq!(mode(&dir.join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_directory_that_is_none_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let error = NodeHome::open(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("cairn cluster create") && error.contains("cairn node join"),
        "{error}"
    );
}

#[test]
fn a_used_directory_is_not_made_another_nodes() {
    let dir = tempfile::tempdir().unwrap();
    let used = dir.path().join("node");
    first_node(&used);
    let error = NodeHome::prepare(&used, &[]).unwrap_err().to_string();
    assert!(error.contains("node n1"), "{error}");
    let other = dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("letter.txt"), "x").unwrap();
    let error = NodeHome::prepare(&other, &[]).unwrap_err().to_string();
    assert!(error.contains("letter.txt"), "{error}");
    std::fs::remove_file(other.join("letter.txt")).unwrap();
    std::fs::create_dir(other.join("disks")).unwrap();
    NodeHome::prepare(&other, &[other.join("disks/1")]).unwrap();
    std::fs::write(other.join(AUTHORITY_KEY_FILE), "precious").unwrap();
    let error = NodeHome::prepare(&other, &[other.join("disks/1")])
        .unwrap_err()
        .to_string();
    assert!(error.contains("ca.key"), "{error}");
}

#[test]
fn the_key_of_an_attempt_whose_answer_was_lost_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("node");
    let first = NodeHome::prepare(&dir, &[]).unwrap().fingerprint();
    assert_eq!(NodeHome::prepare(&dir, &[]).unwrap().fingerprint(), first);
    assert!(NodeHome::open(&dir).is_err(), "it is no node's yet");
}

#[test]
fn the_certificate_of_another_node_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let home = first_node(&dir.path().join("a"));
    let other = first_node(&dir.path().join("b"));
    for name in [KEY_FILE, CERTIFICATE_FILE, TRUST_FILE] {
        std::fs::copy(other.dir().join(name), home.dir().join(name)).unwrap();
    }
    // Both are node 1 of installation 42, as far as the certificate goes.
    home.credentials().unwrap();
    let text = std::fs::read_to_string(home.dir().join(NODE_FILE)).unwrap();
    let text = text.replace("node = 1", "node = 2");
    std::fs::write(home.dir().join(NODE_FILE), text).unwrap();
    let home = NodeHome::open(home.dir()).unwrap();
    let error = home.credentials().unwrap_err().to_string();
    assert!(
        error.contains("node/1") && error.contains("node/2"),
        "{error}"
    );
}

#[test]
fn authorities_are_kept_beside_each_other_and_removed_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    let home = first_node(&dir.path().join("node"));
    let first = home
        .authorities()
        .unwrap()
        .remove(0)
        .certificate()
        .fingerprint();
    let next = ClusterCa::create(
        InstallationId(42),
        RegionId(1),
        &SystemClock::new(),
        &OsEntropy,
    );
    let next = next.unwrap();
    home.add_authority(&next).unwrap();
    assert_eq!(home.authorities().unwrap().len(), 2);
    home.remove_authority(first).unwrap();
    let left = home.authorities().unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].certificate(), next.certificate());
    home.remove_authority(next.certificate().fingerprint())
        .unwrap();
    assert!(!home.has_authority());
}

#[test]
fn a_damaged_first_map_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let home = first_node(&dir.path().join("node"));
    let path = home.dir().join(FIRST_MAP_FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[12] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert!(
        home.first_view()
            .unwrap_err()
            .to_string()
            .contains("damaged")
    );
}
