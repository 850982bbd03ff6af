//! A disk of a node that is lost: an empty one takes its place and is filled.

use crate::common::objects::{Object, assert_right, store};
use crate::common::region::{Node, Region};
use crate::common::server::directory;
use crate::nodes::{done, refused, status, until};
use std::path::Path;

fn empty(directory: &Path) {
    std::fs::remove_dir_all(directory).expect("removed");
    std::fs::create_dir(directory).expect("made");
}

fn stop(node: &mut Node) {
    assert_eq!(node.server.take().expect("it runs").stop(), Some(0));
}

fn is_repaired(node: &Node) -> bool {
    let tasks = status(node)["tasks"].clone();
    tasks["waiting_repairs"] == 0 && tasks["returned_disks"] == serde_json::json!([])
}

/// Reads all through one zone while another one, and a disk of this one, are gone: every stripe needs what the replaced
/// disk was given.
async fn all_is_there_without(region: &mut Region, objects: &[Object]) {
    let [one, two, _] = &mut region.nodes[..] else {
        panic!("three nodes");
    };
    stop(two);
    stop(one);
    empty(&one.installation.disks[1]);
    one.begin();
    one.wait_ready();
    assert_right(&one.server().s3, "bucket", objects).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_disk_takes_the_place_of_a_lost_one_and_is_filled() {
    let dir = directory();
    let mut region = Region::start(dir.path(), 3, 3, "5+4");
    let first = region.nodes[0].server().s3.clone();
    first.create_bucket("bucket").await.expect("an answer").ok();
    let mut objects = store(&first, "bucket", 0..24).await;

    let [one, _, three] = &mut region.nodes[..] else {
        panic!("three nodes");
    };
    let lost = three.installation.disks[0].clone();
    let shown = lost.display().to_string();
    let said = refused(three, &format!("disk replace {shown}"));
    assert!(said.contains("stop it first"), "{said}");
    stop(three);
    let said = refused(three, &format!("disk replace {shown}"));
    assert!(said.contains("no disk is missing"), "{said}");
    empty(&lost);
    // Without it the node serves, and what is stored meanwhile lacks a shard.
    three.begin();
    three.wait_ready();
    objects.extend(store(&first, "bucket", 24..32).await);
    stop(three);
    assert!(done(three, "disk list").contains("(missing)"));
    let said = done(three, &format!("disk replace {shown}"));
    assert!(said.contains("the next start fills it"), "{said}");
    let said = refused(three, &format!("disk replace {shown}"));
    assert!(
        said.contains("no disk is missing"),
        "the same place is not given twice: {said}"
    );
    three.begin();
    three.wait_ready();
    until(one, "the new disk is filled", || is_repaired(one));

    let disks = status(one)["disks"].clone();
    let there = disks.as_array().expect("disks").iter();
    let new = there.filter(|disk| disk["directory"] == shown.as_str());
    let shards: Vec<_> = new.map(|disk| disk["shards"].as_u64()).collect();
    assert!(
        matches!(shards[..], [Some(shards)] if shards > 0),
        "{disks}"
    );
    all_is_there_without(&mut region, &objects).await;
}
