//! What tests of operators do with a node: make it, let it join, ask it.

use crate::common::region::Node;
use std::time::{Duration, Instant};

/// A command that must be refused; what it said.
#[track_caller]
pub fn refused(node: &Node, words: &str) -> String {
    let output = node.run(&words.split_whitespace().collect::<Vec<_>>());
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success(),
        "cairn {words} was not refused: {said}"
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A command that must succeed; what it said.
#[track_caller]
pub fn done(node: &Node, words: &str) -> String {
    node.ok(&words.split_whitespace().collect::<Vec<_>>())
}

/// What makes `node` one of the region.
pub fn joining(node: &Node, token: &str) -> String {
    format!(
        "node join {token} --name {} --zone {}",
        node.name, node.zone
    )
}

/// A token that `node` gives.
pub fn token(node: &Node) -> String {
    done(node, "node token").trim().to_owned()
}

/// Starts the server and waits until it goes by the cluster map.
#[track_caller]
pub fn start(node: &mut Node) {
    node.begin();
    until(node, "it takes part", || {
        let output = node.run(&["admin", "status", "--json"]);
        let read = serde_json::from_slice::<serde_json::Value>(&output.stdout);
        output.status.success() && read.is_ok_and(|status| status["epoch"] != 0)
    });
}

/// `cairn admin status --json`
#[track_caller]
pub fn status(node: &Node) -> serde_json::Value {
    serde_json::from_str(&done(node, "admin status --json")).expect("JSON")
}

/// The state of another node as `node` tells it; empty if it does not know it.
#[track_caller]
pub fn state_of(node: &Node, name: &str) -> String {
    let status = status(node);
    let nodes = status["nodes"].as_array().expect("nodes");
    let found = nodes.iter().find(|node| node["name"] == name);
    found.map_or(String::new(), |node| {
        node["state"].as_str().unwrap_or_default().to_owned()
    })
}

/// Waits until `node` tells that another is in this state.
#[track_caller]
pub fn until_state(node: &Node, name: &str, state: &str) {
    until(node, &format!("{name} is {state}"), || {
        state_of(node, name) == state
    });
}

/// Waits until `is_so`, for a minute.
#[track_caller]
pub fn until(node: &Node, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(
            Instant::now() < deadline,
            "not so within a minute: {what}\n{}",
            node.installation.log_tail()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Nodes 1 to `count` with `disks` disks each, running; the first holds the authority and the index.
pub fn region(root: &std::path::Path, count: usize, disks: usize) -> Vec<Node> {
    let mut nodes: Vec<Node> = (1..=count)
        .map(|number| Node::new(root, number, disks))
        .collect();
    let (first, others) = nodes.split_first_mut().expect("a region has a node");
    done(
        first,
        &format!("cluster create --name {} --zone {}", first.name, first.zone),
    );
    start(first);
    for node in others {
        done(node, &joining(node, &token(first)));
        start(node);
        until_state(first, &node.name, "up");
    }
    nodes
}
