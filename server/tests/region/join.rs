//! Joining a region that runs, leaving it, and what is refused on the way.

use crate::common::region::Node;
use crate::common::server::directory;
use crate::nodes::{done, joining, refused, region, start, status, token, until, until_state};

#[test]
fn nodes_join_serve_and_keep_the_index_together() {
    let dir = directory();
    let mut nodes = region(dir.path(), 1, 2);
    let one = nodes.remove(0);
    let (mut two, mut three) = (Node::new(dir.path(), 2, 2), Node::new(dir.path(), 3, 2));
    for node in [&mut two, &mut three] {
        done(node, &joining(node, &token(&one)));
        // The server that was asked takes the new map over within moments.
        until_state(&one, &node.name, "down");
        start(node);
        until_state(&one, &node.name, "up");
    }
    let said = done(&one, "cluster add");
    assert!(
        said.contains("6 disks") && said.contains("any zone"),
        "{said}"
    );
    for name in ["n2", "n3"] {
        let said = done(&one, &format!("index add {name}"));
        assert!(said.contains("votes"), "{said}");
        let again = done(&one, &format!("index add {name}"));
        assert!(again.contains("nothing was to be done"), "{again}");
    }
    // Any node tells the same.
    until(&three, "three members of every partition", || {
        let status = status(&three);
        let groups = status["index"].as_array().expect("groups").clone();
        assert_eq!(
            groups[0]["partition"], 0,
            "the control partition is one of them"
        );
        groups.iter().all(|group| {
            let members = group["members"].as_array().expect("members");
            members.len() == 3 && members.iter().all(|member| member["votes"] == true)
        })
    });
    let said = refused(&two, "node remove n3");
    assert!(said.contains("keeps the index"), "{said}");
    let table = done(&two, "index status");
    assert!(
        table.contains("PARTITION") && table.contains("n3"),
        "{table}"
    );
    for node in [&one, &two, &three] {
        node.wait_ready();
    }
    until(&one, "nothing needs attention", || {
        status(&one)["attention"] == serde_json::json!([])
    });
}

#[test]
fn a_token_is_good_for_one_node_and_names_are_taken_once() {
    let dir = directory();
    let one = region(dir.path(), 1, 2).remove(0);
    let used = token(&one);
    let two = Node::new(dir.path(), 2, 1);
    done(&two, &joining(&two, &used));
    let said = refused(&two, &joining(&two, &used));
    assert!(said.contains("is the directory of node n2"), "{said}");
    let mut three = Node::new(dir.path(), 3, 1);
    let said = refused(&three, &joining(&three, &used));
    assert!(said.contains("has been used"), "{said}");
    assert!(
        !three.installation.disks[0].exists(),
        "nothing was formatted"
    );

    let good = token(&one);
    three.name = "n2".to_owned();
    let said = refused(&three, &joining(&three, &good));
    assert!(said.contains("node name n2"), "{said}");
    // The key of the refused attempt and the token are still good.
    three.name = "n3".to_owned();
    done(&three, &joining(&three, &good));

    let said = refused(&one, "node token --ttl 1y");
    assert!(said.contains("at most"), "{said}");
    let said = refused(&one, "node remove n1");
    assert!(said.contains("another node"), "{said}");
    let said = done(&one, "node remove n2");
    assert!(said.contains("removed"), "{said}");
    let list = done(&one, "node list");
    assert!(list.contains("n3") && !list.contains("n2"), "{list}");
}

#[test]
fn an_answer_that_was_lost_is_given_again_to_the_same_node() {
    let dir = directory();
    let one = region(dir.path(), 1, 2).remove(0);
    let token = token(&one);
    let mut two = Node::new(dir.path(), 2, 2);
    done(&two, &joining(&two, &token));
    // As if it had been stopped when it had written its key and formatted a disk.
    for file in std::fs::read_dir(two.installation.root.join("node")).expect("a directory") {
        let path = file.expect("a file").path();
        if !path.ends_with("node.key") {
            std::fs::remove_file(path).expect("removed");
        }
    }
    std::fs::remove_dir_all(&two.installation.disks[1]).expect("removed");
    done(&two, &joining(&two, &token));
    start(&mut two);
    until_state(&one, "n2", "up");
    let status = status(&one);
    assert_eq!(status["nodes"].as_array().expect("nodes").len(), 2);
    let disks = status["disks"].as_array().expect("disks");
    let up = disks
        .iter()
        .filter(|disk| disk["node"] == "n2" && disk["state"] == "up");
    assert_eq!(up.count(), 2, "{status}");
}

#[test]
fn a_token_of_another_region_is_refused_before_anything_is_said() {
    let dir = directory();
    let one = region(&dir.path().join("a"), 1, 1).remove(0);
    let other = region(&dir.path().join("b"), 1, 1).remove(0);
    let (ours, theirs) = (token(&one), token(&other));
    let mut mixed: rpc::join::JoinToken = ours.parse().expect("a token");
    mixed.addresses = theirs
        .parse::<rpc::join::JoinToken>()
        .expect("a token")
        .addresses;
    let two = Node::new(dir.path(), 2, 1);
    let said = refused(&two, &joining(&two, &mixed.to_string()));
    assert!(said.contains("not of the cluster"), "{said}");
    // It was not used up.
    done(&two, &joining(&two, &ours));
}

#[test]
fn what_cannot_be_done_is_refused_and_changes_nothing() {
    let dir = directory();
    let one = region(dir.path(), 1, 1).remove(0);
    let epoch = || status(&one)["epoch"].as_u64().expect("an epoch");
    let before = epoch();
    assert!(refused(&one, "cluster add").contains("--domain"));
    assert!(refused(&one, "cluster add --profile 5+4").contains("5+4"));
    assert!(refused(&one, "cluster add --profile nine").contains("5+4"));
    assert!(refused(&one, "index remove n1").contains("only node"));
    assert!(refused(&one, "index add n9").contains("there are n1"));
    assert!(refused(&one, "index replace n1 n1").contains("own place"));
    assert!(refused(&one, "node remove n9").contains("there are n1"));
    assert!(refused(&one, "ca renew").contains("cairn ca new"));
    assert_eq!(epoch(), before);
    let attention = status(&one)["attention"].to_string();
    assert!(
        attention.contains("one node") && attention.contains("cairn cluster add"),
        "{attention}"
    );
}

#[test]
fn a_server_that_does_not_run_is_told() {
    let dir = directory();
    let node = Node::new(dir.path(), 1, 1);
    let said = refused(&node, "node list");
    assert!(said.contains("cairn cluster create"), "{said}");
    done(&node, "cluster create --name n1 --zone a");
    let said = refused(&node, "node list");
    assert!(said.contains("does not run"), "{said}");
}

#[test]
fn a_node_whose_deadlines_are_not_those_of_its_region_does_not_start() {
    let dir = directory();
    let mut node = region(dir.path(), 1, 2).remove(0);
    node.server.take().expect("it runs").stop();
    node.installation.set("write-deadline", "30s");
    let said = refused(&node, "server");
    assert!(said.contains("`write_deadline` is 30s"), "{said}");
    assert!(said.contains("Set it to 20s"), "{said}");
    node.installation.set("write-deadline", "20s");
    start(&mut node);
}
