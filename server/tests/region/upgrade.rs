//! Upgrades: what one binary can show of the finalised format, and with a second one (`make upgrade`) the whole way
//! forth, back and forth again.

use crate::common::check;
use crate::common::objects::{Object, assert_right, store};
use crate::common::region::{Node, Region};
use crate::common::s3::S3;
use crate::common::server::{Installation, directory};
use crate::gateways::{Told, client, gateways};
use crate::nodes::{done, joining, refused, region, status, token, until};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::block_in_place;

const BUCKET: &str = "bucket";
/// What each directory remembers.
const FILE: &str = "format.toml";
/// Time for which clients meet both versions, at the least.
const PAUSE: Duration = Duration::from_secs(2);

/// The bytes of every file below `directories`.
fn contents(directories: &[PathBuf]) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = directories.to_vec();
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else if path.is_file() {
                let bytes = std::fs::read(&path).expect("a file");
                found.insert(path, bytes);
            }
        }
    }
    found
}

/// Where a server keeps anything.
fn kept_in(installation: &Installation) -> Vec<PathBuf> {
    let node = installation.root.join("node");
    let index = installation.index_dir();
    let own = [index, node].into_iter().filter(|place| place.exists());
    own.chain(installation.disks.clone()).collect()
}

/// What a command of `installation` that must fail says, which must change nothing.
#[track_caller]
fn refused_and_untouched(installation: &Installation, words: &str) -> String {
    let before = contents(&kept_in(installation));
    let words: Vec<&str> = words.split_whitespace().collect();
    let command = installation.command(&words);
    // A server that starts all the same must not hold up the test.
    let mut bounded = Command::new("timeout");
    bounded.arg("60").arg(command.get_program());
    bounded.args(command.get_args());
    bounded.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let output = bounded.output().expect("the binary can be run");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
    assert!(before == contents(&kept_in(installation)), "{words:?}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_a_newer_version_has_written_is_not_touched() {
    let dir = directory();
    let installation = Installation::new(dir.path(), 4);
    let server = installation.start();
    server
        .s3
        .create_bucket(BUCKET)
        .await
        .expect("an answer")
        .ok();
    let objects = store(&server.s3, BUCKET, 0..4).await;
    let said = refused_finalising(&installation);
    assert!(said.contains("in use by another process"), "{said}");
    assert_eq!(server.stop(), Some(0));
    let said = installation.command(&["admin", "finalise"]).output();
    let said = String::from_utf8(said.expect("it runs").stdout).expect("text");
    assert!(said.contains("knows no newer one"), "{said}");

    for place in kept_in(&installation) {
        let file = place.join(FILE);
        let before = std::fs::read(&file).ok();
        std::fs::write(&file, "finalised = 99\n").expect("written");
        for words in ["server", "check", "disk list", "admin finalise"] {
            let said = refused_and_untouched(&installation, words);
            assert!(said.contains("format 99 has been finalised"), "{said}");
            assert!(said.contains("start the newer version"), "{said}");
            assert!(said.contains(&place.display().to_string()), "{said}");
        }
        match before {
            Some(bytes) => std::fs::write(&file, bytes).expect("written"),
            None => std::fs::remove_file(&file).expect("removed"),
        }
    }
    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
}

fn refused_finalising(installation: &Installation) -> String {
    let output = installation.command(&["admin", "finalise"]).output();
    let output = output.expect("the binary can be run");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_node_tells_its_formats_and_refuses_the_directory_of_a_newer_version() {
    let dir = directory();
    let mut nodes = region(dir.path(), 2, 1);
    let told = status(&nodes[1]);
    let newest = told["format"]["finalised"].as_u64().expect("a number");
    assert!(told["format"]["next"].is_null(), "{told}");
    for node in told["nodes"].as_array().expect("nodes") {
        let formats = node["formats"].as_str().expect("text");
        assert!(formats.ends_with(&newest.to_string()), "{formats}");
    }
    let said = done(&nodes[1], "admin finalise");
    assert!(said.contains("no node knows a newer one"), "{said}");
    let text = done(&nodes[0], "admin status");
    assert!(
        text.contains(&format!("format {newest} finalised\n")),
        "{text}"
    );

    let second = &mut nodes[1];
    assert_eq!(second.server.take().expect("it runs").stop(), Some(0));
    let home = second.installation.root.join("node");
    std::fs::write(home.join(FILE), "finalised = 99\n").expect("written");
    let said = refused_and_untouched(&second.installation, "server");
    assert!(said.contains("format 99 has been finalised"), "{said}");
}

/// The binary that is upgraded to.
fn next_binary() -> PathBuf {
    let path = std::env::var_os("CAIRN_NEXT");
    path.expect("CAIRN_NEXT names the newer binary: `make upgrade` builds it")
        .into()
}

/// Stops a node and starts it with `binary`.
fn switch(node: &mut Node, binary: &Path) {
    let server = node.server.take().expect("it runs");
    assert_eq!(server.stop(), Some(0), "it drains and ends");
    node.installation.binary = binary.to_owned();
    node.begin();
    node.wait_ready();
}

/// Waits until every node tells that all are up: only then may the next one be restarted.
fn until_all_up(region: &Region) {
    for node in &region.nodes {
        until(node, "all nodes are up", || {
            let told = status(node);
            let nodes = told["nodes"].as_array().expect("nodes");
            nodes.iter().all(|node| node["state"] == "up")
        });
    }
}

/// The same with each node while clients store and read; what they stored. No request may fail.
async fn roll(region: &mut Region, binary: &Path, seed: u64) -> Vec<Object> {
    let stop = Arc::new(AtomicBool::new(false));
    let gateways = gateways(region);
    let clients: Vec<_> = (0..3)
        .map(|n| seed + n * 1_000_000)
        .map(|seed| tokio::spawn(client(gateways.clone(), seed, Arc::clone(&stop))))
        .collect();
    block_in_place(|| {
        for number in 0..region.nodes.len() {
            until_all_up(region);
            switch(&mut region.nodes[number], binary);
            std::thread::sleep(PAUSE);
        }
        until_all_up(region);
    });
    stop.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for client in clients {
        let Told {
            longest,
            failed,
            stored,
        } = client.await.expect("the client ran");
        println!(
            "{} objects, longest without a success {longest:?}, failed {failed}",
            stored.len()
        );
        assert_eq!(failed, 0, "a request failed on every gateway");
        all.extend(stored);
    }
    all
}

/// Every gateway reads everything, and stores something more.
async fn all_right(region: &Region, objects: &mut Vec<Object>, seed: u64) {
    let gateways = gateways(region);
    for (number, gateway) in (0..).zip(&gateways) {
        let seed = seed + number * 10;
        objects.extend(store(gateway, BUCKET, seed..seed + 8).await);
    }
    for gateway in &gateways {
        assert_right(gateway, BUCKET, objects).await;
    }
}

/// The finalised format, and the one that could be; why it cannot.
fn formats(node: &Node) -> (u64, Option<u64>, Vec<String>) {
    let told = status(node);
    let format = &told["format"];
    let waits = format["waits_for"].as_array().expect("an array");
    (
        format["finalised"].as_u64().expect("a number"),
        format["next"].as_u64(),
        waits.iter().map(ToString::to_string).collect(),
    )
}

/// Nothing can be finalised, for this reason.
#[track_caller]
fn waits(node: &Node, reason: &str) {
    let (finalised, next, waits) = formats(node);
    assert_eq!((finalised, next), (1, Some(2)));
    assert!(waits.iter().any(|why| why.contains(reason)), "{waits:?}");
    let said = refused(node, "admin finalise");
    assert!(
        said.contains("cannot be finalised") && said.contains(reason),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes a second binary and minutes: `make upgrade`"]
async fn a_region_is_upgraded_rolled_back_and_finalised() {
    let (old, new) = (PathBuf::from(env!("CARGO_BIN_EXE_cairn")), next_binary());
    let dir = directory();
    let mut region = block_in_place(|| Region::start(dir.path(), 3, 3, "5+4"));
    let first = gateways(&region)[0].clone();
    first.create_bucket(BUCKET).await.expect("an answer").ok();
    let mut objects = Vec::new();
    all_right(&region, &mut objects, 0).await;
    block_in_place(|| assert_eq!(formats(&region.nodes[0]), (1, None, Vec::new())));

    objects.extend(roll(&mut region, &new, 10_000_000).await);
    all_right(&region, &mut objects, 100).await;
    block_in_place(|| {
        assert_eq!(formats(&region.nodes[0]), (1, Some(2), Vec::new()));
        switch(&mut region.nodes[1], &old);
        waits(&region.nodes[0], "node n2 runs Cairn");
        waits(&region.nodes[0], "upgrade it");
    });
    all_right(&region, &mut objects, 200).await;
    objects.extend(roll(&mut region, &old, 20_000_000).await);
    all_right(&region, &mut objects, 300).await;

    objects.extend(roll(&mut region, &new, 30_000_000).await);
    block_in_place(|| {
        let third = region.nodes[2].server.take().expect("it runs");
        assert_eq!(third.stop(), Some(0));
        waits(&region.nodes[0], "node n3 does not say");
        region.nodes[2].begin();
        region.nodes[2].wait_ready();
        until(&region.nodes[0], "n3 tells what it knows", || {
            formats(&region.nodes[0]) == (1, Some(2), Vec::new())
        });
        let said = done(&region.nodes[0], "admin finalise");
        assert!(said.contains("format 2 is finalised"), "{said}");
        assert!(!said.contains("still writes"), "{said}");
        assert_eq!(formats(&region.nodes[2]), (2, None, Vec::new()));
    });
    all_right(&region, &mut objects, 400).await;
    block_in_place(|| {
        the_old_version_stays_out(&mut region, &old, &new, dir.path());
    });
    all_right(&region, &mut objects, 500).await;
    println!("{} objects are right", objects.len());
}

/// After the new format was finalised: no node starts with the old version, and none joins.
fn the_old_version_stays_out(region: &mut Region, old: &Path, new: &Path, root: &Path) {
    let node = &mut region.nodes[0];
    assert_eq!(node.server.take().expect("it runs").stop(), Some(0));
    node.installation.binary = old.to_owned();
    let said = refused_and_untouched(&node.installation, "server");
    assert!(said.contains("format 2 has been finalised"), "{said}");
    node.installation.binary = new.to_owned();
    node.begin();
    node.wait_ready();

    let mut fourth = Node::new(root, 4, 0);
    fourth.installation.binary = old.to_owned();
    let words = joining(&fourth, &token(&region.nodes[0])) + " --roles gateway";
    let said = refused(&fourth, &words);
    assert!(
        said.contains("another version of Cairn is needed"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a second binary: `make upgrade`"]
async fn a_single_machine_is_upgraded_rolled_back_and_finalised() {
    let (old, new) = (PathBuf::from(env!("CARGO_BIN_EXE_cairn")), next_binary());
    let dir = directory();
    let mut installation = Installation::new(&dir.path().join("a"), 6);
    std::fs::create_dir(&installation.root).expect("a directory");
    let mut objects = Vec::new();
    for (seed, binary) in (0..).step_by(100).zip([&old, &new, &old, &new]) {
        installation.binary = binary.clone();
        let server = installation.start();
        if seed == 0 {
            server
                .s3
                .create_bucket(BUCKET)
                .await
                .expect("an answer")
                .ok();
        }
        everything(&server.s3, &mut objects, seed).await;
        assert_eq!(server.stop(), Some(0));
    }
    let said = installation.command(&["admin", "finalise"]).output();
    let said = String::from_utf8(said.expect("it runs").stdout).expect("text");
    assert!(said.contains("format 2 is finalised"), "{said}");
    let server = installation.start();
    everything(&server.s3, &mut objects, 400).await;
    assert_eq!(server.stop(), Some(0));
    let (is_sound, report) = check::run(&installation);
    assert!(is_sound, "{report:#}");

    installation.binary = old.clone();
    for words in ["server", "check", "disk list", "admin finalise"] {
        let said = refused_and_untouched(&installation, words);
        assert!(said.contains("format 2 has been finalised"), "{said}");
    }
    the_index_alone_is_enough_to_refuse(&installation, dir.path());
    installation.binary = new;
    let server = installation.start();
    everything(&server.s3, &mut objects, 500).await;
}

/// The old version refuses also where no directory remembers anything.
fn the_index_alone_is_enough_to_refuse(installation: &Installation, root: &Path) {
    let to = root.join("b");
    let mut copy = Command::new("cp");
    let copied = copy.arg("-r").arg(&installation.root).arg(&to).status();
    assert!(copied.expect("cp can be run").success());
    let mut copy = Installation::new(&to, installation.disks.len());
    copy.binary = installation.binary.clone();
    for place in kept_in(&copy) {
        std::fs::remove_file(place.join(FILE)).expect("it remembers");
    }
    let log = copy.try_start().err().expect("it cannot start");
    assert!(log.contains("format 2 has been finalised"), "{log}");
}

async fn everything(s3: &S3, objects: &mut Vec<Object>, seed: u64) {
    objects.extend(store(s3, BUCKET, seed..seed + 16).await);
    assert_right(s3, BUCKET, objects).await;
}
