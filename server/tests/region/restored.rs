//! A node of the index whose index directory is lost, or put back to an older copy.

use crate::common::objects::{assert_right, store};
use crate::common::region::{Node, Region};
use crate::common::server::directory;
use crate::nodes::{done, refused, status, until, until_state};
use std::path::Path;

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}

fn stop(node: &mut Node) {
    assert_eq!(node.server.take().expect("it runs").stop(), Some(0));
}

/// Starts the node, which must refuse; what it says.
fn refuses(node: &Node) -> String {
    match node.installation.try_start() {
        Ok(_) => panic!("it started"),
        Err(log) => log.lines().last().unwrap_or_default().to_owned(),
    }
}

/// Whether every partition has three voters, as `node` tells.
fn has_three_voters(node: &Node) -> bool {
    let status = status(node);
    let groups = status["index"].as_array().expect("groups");
    let voters = |group: &serde_json::Value| {
        let members = group["members"].as_array().expect("members");
        members
            .iter()
            .filter(|member| member["votes"] == true)
            .count()
    };
    groups.iter().all(|group| voters(group) == 3)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_went_back_or_was_lost_is_refused_and_made_anew() {
    let dir = directory();
    let mut region = Region::start(dir.path(), 3, 3, "5+4");
    let first = region.nodes[0].server().s3.clone();
    first.create_bucket("bucket").await.expect("an answer").ok();
    let mut objects = store(&first, "bucket", 0..8).await;

    let [one, _, three] = &mut region.nodes[..] else {
        panic!("three nodes");
    };
    let index = three.installation.index_dir();
    let old = dir.path().join("old");
    stop(three);
    copy(&index, &old);
    three.begin();
    three.wait_ready();
    objects.extend(store(&first, "bucket", 8..16).await);
    let said = refused(three, "index discard");
    assert!(said.contains("runs: stop it first"), "{said}");
    stop(three);

    // An older copy of it, and then none at all: refused, and told what to do; nothing was changed.
    std::fs::remove_dir_all(&index).expect("lost");
    copy(&old, &index);
    let said = refuses(three);
    assert!(
        said.contains("gone back in time") && said.contains("cairn index discard"),
        "{said}"
    );
    std::fs::remove_dir_all(&index).expect("lost");
    let said = refuses(three);
    assert!(said.contains("gone back in time"), "{said}");

    let said = done(three, "index discard");
    assert!(said.contains("cairn index remove n3"), "{said}");
    three.begin();
    three.wait_ready();
    assert_right(&three.server().s3, "bucket", &objects).await;
    // The others count on what it had promised until they have taken it out.
    stop(three);
    let said = refuses(three);
    assert!(said.contains("gone back in time"), "{said}");
    done(three, "index discard");
    three.begin();
    until_state(one, "n3", "up");

    done(one, "index remove n3");
    let said = refused(one, "index add n3");
    assert!(said.contains("restart its server"), "{said}");
    until(three, "it has read its new role", || {
        let peers = std::fs::read_to_string(three.installation.root.join("node/peers.toml"));
        let peers = peers.expect("a file");
        peers.matches("is_index = true").count() == 3
    });
    stop(three);
    three.begin();
    until_state(one, "n3", "up");
    done(one, "index add n3");
    until(one, "three voters of every partition", || {
        has_three_voters(one)
    });

    // It counts: with it and without the second node there is a majority.
    let [_, two, three] = &mut region.nodes[..] else {
        panic!("three nodes");
    };
    stop(two);
    let third = three.server().s3.clone();
    objects.extend(store(&third, "bucket", 16..24).await);
    assert_right(&third, "bucket", &objects).await;
}
