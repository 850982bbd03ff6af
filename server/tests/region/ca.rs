//! The authority is replaced while the region serves, and nodes of the index are.

use crate::common::region::Node;
use crate::common::server::directory;
use crate::nodes::{
    done, joining, refused, region, start, state_of, status, token, until, until_state,
};

#[test]
fn the_authority_is_replaced_while_nodes_serve() {
    let dir = directory();
    let mut nodes = region(dir.path(), 3, 1);
    let said = refused(&nodes[1], "ca new");
    assert!(said.contains("does not hold"), "{said}");
    let old_token = token(&nodes[0]);
    let said = done(&nodes[0], "ca new");
    assert!(said.contains("trusted by every node"), "{said}");
    let told = done(&nodes[2], "ca status");
    let authorities = told.lines().filter(|line| line.starts_with("authority "));
    assert_eq!(authorities.count(), 2, "{told}");
    assert!(refused(&nodes[0], "ca retire").contains("cairn ca renew"));

    // A node that is down when the certificates change hands is waited for.
    nodes[2].server.take().expect("it runs").kill();
    let said = refused(&nodes[0], "ca renew");
    assert!(said.contains("n3"), "{said}");
    start(&mut nodes[2]);
    until_state(&nodes[0], "n3", "up");
    let said = done(&nodes[0], "ca renew");
    assert!(said.contains("cairn ca retire"), "{said}");
    let said = done(&nodes[0], "ca retire");
    assert!(said.contains("alone is trusted"), "{said}");
    for node in &nodes {
        for other in &nodes {
            assert_eq!(
                state_of(node, &other.name),
                "up",
                "{} of {}",
                other.name,
                node.name
            );
        }
    }

    // Who joins now must know the new authority.
    let mut four = Node::new(dir.path(), 4, 1);
    let said = refused(&four, &joining(&four, &old_token));
    assert!(said.contains("authority was replaced"), "{said}");
    done(&four, &joining(&four, &token(&nodes[0])));
    start(&mut four);
    until_state(&nodes[0], "n4", "up");
    // A node that starts again uses what it has kept.
    nodes[1].server.take().expect("it runs").kill();
    start(&mut nodes[1]);
    until_state(&nodes[0], "n2", "up");
}

#[test]
fn a_node_of_the_index_is_put_in_the_place_of_a_dead_one() {
    let dir = directory();
    let mut nodes = region(dir.path(), 4, 1);
    for name in ["n2", "n3"] {
        done(&nodes[0], &format!("index add {name}"));
    }
    nodes[2].server.take().expect("it runs").kill();
    until_state(&nodes[0], "n3", "down");
    let said = refused(&nodes[0], "index remove n2");
    assert!(said.contains("too few"), "{said}");
    let said = done(&nodes[0], "index replace n3 n4");
    assert!(
        said.contains("n4 votes") && said.contains("n3 is no member"),
        "{said}"
    );
    // The node that leads may go, too.
    let leader = status(&nodes[0])["index"][0]["leader"]
        .as_str()
        .expect("a leader")
        .to_owned();
    let mut others = nodes
        .iter()
        .filter(|node| node.name != leader && node.name != "n3");
    let asked = others.next().expect("another node");
    let said = done(asked, &format!("index remove {leader}"));
    assert!(said.contains("no member any more"), "{said}");
    until(asked, "two members and a leader", || {
        let groups = status(asked)["index"].as_array().expect("groups").clone();
        groups.iter().all(|group| {
            let members = group["members"].as_array().map_or(0, Vec::len);
            group["leader"].is_string() && members == 2
        })
    });
    let said = done(asked, "node remove n3");
    assert!(said.contains("removed"), "{said}");
}
