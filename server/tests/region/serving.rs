//! Operators change the region while clients write and read: no request may notice.

use crate::common::objects::{assert_right, store};
use crate::common::region::Node;
use crate::common::s3::S3;
use crate::common::server::{ACCESS_KEY, SECRET_KEY, directory};
use crate::nodes::{done, joining, refused, region, start, token, until, until_state};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::{JoinHandle, block_in_place};

const BUCKET: &str = "served";

/// A client of `node`'s server.
fn client(node: &Node) -> S3 {
    S3::new(&node.server().endpoint, ACCESS_KEY, SECRET_KEY)
}

/// Three nodes that keep the index and one chunk cluster together, ready.
fn three(root: &std::path::Path) -> Vec<Node> {
    let nodes = region(root, 3, 1);
    for name in ["n2", "n3"] {
        done(&nodes[0], &format!("index add {name}"));
    }
    let said = done(&nodes[0], "cluster add");
    assert!(said.contains("1+2"), "{said}");
    nodes.iter().for_each(Node::wait_ready);
    nodes
}

/// Stores objects and reads them through another node, until it is told to stop; how many.
fn traffic(nodes: &[Node], stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let clients: Vec<S3> = nodes.iter().map(client).collect();
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        let mut seed = 0;
        while !stop.load(Ordering::Relaxed) {
            let at = seed as usize % clients.len();
            let stored = store(&clients[at], BUCKET, seed..seed + 1).await;
            assert_right(&clients[(at + 1) % clients.len()], BUCKET, &stored).await;
            seed += 1;
        }
        seed
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_notices_that_the_authority_is_replaced() {
    let dir = directory();
    let nodes = block_in_place(|| three(dir.path()));
    client(&nodes[0])
        .create_bucket(BUCKET)
        .await
        .expect("an answer")
        .ok();
    let stop = Arc::new(AtomicBool::new(false));
    let traffic = traffic(&nodes, &stop);
    block_in_place(|| {
        for step in ["new", "renew", "retire"] {
            done(&nodes[0], &format!("ca {step}"));
        }
        // What was opened with certificates of the old authority has ended by now.
        std::thread::sleep(std::time::Duration::from_secs(6));
    });
    stop.store(true, Ordering::Relaxed);
    let stored = traffic.await.expect("every request was answered right");
    assert!(stored > 10, "{stored} objects only");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_notices_that_another_node_keeps_the_index() {
    let dir = directory();
    let nodes = block_in_place(|| three(dir.path()));
    client(&nodes[0])
        .create_bucket(BUCKET)
        .await
        .expect("an answer")
        .ok();
    // It serves S3 and nothing else, until it is told to keep the index.
    let mut four = Node::new(dir.path(), 4, 0);
    block_in_place(|| {
        let words = joining(&four, &token(&nodes[0])) + " --roles gateway";
        done(&four, &words);
        start(&mut four);
        until_state(&nodes[0], "n4", "up");
    });
    let stop = Arc::new(AtomicBool::new(false));
    let traffic = traffic(&nodes, &stop);
    block_in_place(|| {
        let said = refused(&nodes[0], "index add n4");
        assert!(said.contains("restart"), "{said}");
        // The node knows its new role when it starts again.
        let keeps = || {
            let peers = std::fs::read_to_string(four.installation.root.join("node/peers.toml"));
            peers.is_ok_and(|peers| !peers.contains("is_index = false"))
        };
        until(&four, "n4 knows its role", keeps);
        four.server.take().expect("it runs").stop();
        start(&mut four);
        until_state(&nodes[0], "n4", "up");
        let said = done(&nodes[0], "index replace n2 n4");
        assert!(
            said.contains("n4 votes") && said.contains("n2 is no member"),
            "{said}"
        );
    });
    stop.store(true, Ordering::Relaxed);
    let stored = traffic.await.expect("every request was answered right");
    assert!(stored > 10, "{stored} objects only");
    let (first, last) = (client(&nodes[0]), client(&four));
    let objects = store(&first, BUCKET, 1000..1008).await;
    assert_right(&last, BUCKET, &objects).await;
}

#[test]
fn a_node_that_was_removed_stops_and_is_let_in_no_more() {
    let dir = directory();
    let mut nodes = region(dir.path(), 3, 1);
    // One that runs, and one that does not when it is removed.
    let (mut three, mut two) = (nodes.remove(2), nodes.remove(1));
    three.server.take().expect("it was started").kill();
    done(&nodes[0], "node remove n2");
    done(&nodes[0], "node remove n3");
    let mut server = two.server.take().expect("it was started");
    until(&two, "its server ends", || !server.alive());
    two.begin();
    let mut server = two.server.take().expect("it was started");
    until(&two, "its server ends again", || !server.alive());
    let log = two.installation.log_tail();
    assert!(log.contains("was removed from the region"), "{log}");
    three.begin();
    let refused = || {
        three
            .installation
            .log_tail()
            .contains("was removed from the region")
    };
    until(&three, "it is told why nobody talks to it", refused);
}
