//! Members that have fallen behind, that are replaced, and disks that come back other than they were.

use crate::cluster::{Cluster, PARTITION, copy_folder, node, put, runtime};
use index::engine::raft::{GroupReport, StartError};
use index::store::IndexStore;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use types::NodeId;

const DEADLINE: Duration = Duration::from_secs(20);

/// A cluster that flushes and cuts its logs after every 30 entries.
async fn cutting() -> Cluster {
    Cluster::with(3, |options| {
        options.flush_entries = 30;
        options.snapshot_hold = Duration::from_secs(10);
    })
    .await
}

async fn fill(cluster: &Cluster, name: &str, count: usize) {
    let value = "v".repeat(20_000);
    for n in 0..count {
        cluster.put(&format!("{name}{n}"), &value).await;
    }
}

/// Writes until the node's log is cut up to there: on a busy machine a flush covers more entries than on a quiet one.
async fn write_until_cut(cluster: &Cluster, id: NodeId, at_least: u64) {
    for n in 0..2000 {
        let report = cluster.engine(id).report(PARTITION).expect("it runs");
        if report.purged.is_some_and(|purged| purged >= at_least) {
            return;
        }
        cluster.put(&format!("more {n}"), "value").await;
    }
    panic!("the log of {id} is not cut");
}

fn last_log(cluster: &Cluster, id: NodeId) -> u64 {
    let report = cluster.engine(id).report(PARTITION).expect("it runs");
    report.last_log.expect("there is a log")
}

#[test]
fn a_member_behind_the_log_gets_a_snapshot_that_goes_on_where_it_was_interrupted() {
    runtime().block_on(async {
        let mut cluster = cutting().await;
        cluster.put("a", "1").await;
        let leader = cluster.leader().await;
        let late = cluster.ids().into_iter().find(|id| *id != leader);
        let late = late.expect("there are two");
        cluster.crash(late, |_| {}).await;
        fill(&cluster, "x", 150).await;
        write_until_cut(&cluster, leader, 60).await;
        let large_before = cluster.net.large_bytes.load(Ordering::Relaxed);
        cluster.net.let_large_through(Some(1));
        cluster.start_all().await;
        // One part arrives, then the network loses them for a while.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let arrived = incoming_bytes(cluster.nodes[&late].dir.path());
        cluster.net.let_large_through(None);
        let last = last_log(&cluster, leader);
        let is_there = |report: &GroupReport| report.last_applied >= Some(last);
        cluster.wait(late, "it has caught up", is_there).await;
        let large = cluster.net.large_bytes.load(Ordering::Relaxed) - large_before;
        println!("{arrived} bytes before the interruption, {large} in all");
        assert!(arrived > 0, "the first part stays");
        // It has 3 MB; begun anew it would be 4.
        assert!(
            large < 3_950_000,
            "{large} bytes: it did not go on where it was"
        );
        // What it has is what the others have.
        cluster.crash(leader, |_| {}).await;
        for n in [0, 77, 149] {
            let found = cluster.get(&format!("x{n}")).await;
            assert_eq!(found.map(|value| value.len()), Some(20_000), "{n}");
        }
        cluster.start_all().await;
        cluster.end().await;
    });
}

fn incoming_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir.join("index/snapshots")).expect("the folder is there");
    let files = files.map(|file| file.expect("a file"));
    let incoming = files.filter(|file| file.file_name().to_string_lossy().ends_with("incoming"));
    incoming
        .map(|file| file.metadata().expect("it is there").len())
        .sum()
}

#[test]
fn logs_stay_short_and_nothing_is_lost_when_all_crash_after_a_cut() {
    runtime().block_on(async {
        let mut cluster = cutting().await;
        fill(&cluster, "x", 130).await;
        for id in cluster.ids() {
            write_until_cut(&cluster, id, 40).await;
        }
        let leader = cluster.leader().await;
        let written = cluster.engine(leader).last_seq(PARTITION).await;
        let written = written.expect("it leads") as usize;
        for id in cluster.ids() {
            cluster.crash(id, |_| {}).await;
        }
        cluster.start_all().await;
        for n in 0..130 {
            assert!(cluster.get(&format!("x{n}")).await.is_some(), "{n}");
        }
        let leader = cluster.leader().await;
        let changes = cluster.engine(leader).changes(PARTITION, 0, 5000).await;
        assert_eq!(changes.expect("the feed is dense").len(), written);
        cluster.end().await;
    });
}

#[test]
fn a_node_is_replaced_while_writes_go_on() {
    runtime().block_on(async {
        let mut cluster = Cluster::new(3).await;
        cluster.put("a", "1").await;
        let new = node(4);
        cluster.add(new);
        cluster.start_all().await;
        let leader = cluster.leader().await;
        let engine = Arc::clone(cluster.engine(leader));
        let writer = tokio::spawn({
            let engine = Arc::clone(&engine);
            async move {
                let mut written = Vec::new();
                for n in 0..200 {
                    let name = format!("w{n}");
                    if put(engine.as_ref(), &name, "value").await.is_ok() {
                        written.push(name);
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                written
            }
        });
        let old = cluster
            .ids()
            .into_iter()
            .find(|id| *id != leader && *id != new);
        let old = old.expect("there are two");
        let added = engine.add_learner(PARTITION, new, "here", DEADLINE).await;
        assert_eq!(added, Ok(()));
        assert_eq!(engine.promote(PARTITION, new, DEADLINE).await, Ok(()));
        assert_eq!(engine.remove(PARTITION, old, DEADLINE).await, Ok(()));
        let report = engine.report(PARTITION).expect("it runs");
        let voters: Vec<NodeId> = report.members.iter().map(|member| member.node).collect();
        assert!(
            voters.contains(&new) && !voters.contains(&old),
            "{report:?}"
        );
        assert!(
            report
                .members
                .iter()
                .all(|member| member.is_voter && member.lag.is_some())
        );
        let written = writer.await.expect("no panic");
        assert!(written.len() > 100, "{} of 200 writes", written.len());
        drop(engine);
        // The new one counts: with it and one of the old members there is a quorum.
        cluster.stop(old).await;
        cluster.nodes.remove(&old);
        cluster.crash(leader, |_| {}).await;
        for name in &written {
            assert_eq!(cluster.get(name).await.as_deref(), Some("value"), "{name}");
        }
        cluster.put("b", "2").await;
        cluster.end().await;
    });
}

/// The log of a node's folder that RocksDB writes to.
fn wal(index: &Path) -> PathBuf {
    let files = std::fs::read_dir(index.join("log")).expect("the folder is there");
    let logs = files.map(|file| file.expect("a file").path());
    let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    logs.max_by_key(|path| path.metadata().expect("it is there").len())
        .expect("there is a log")
}

#[test]
fn a_power_loss_that_tears_the_unsynced_end_of_the_log_loses_nothing_acknowledged() {
    runtime().block_on(async {
        let mut cluster = Cluster::new(3).await;
        for round in 0..3 {
            for n in 0..10 {
                cluster.put(&format!("{round} {n}"), "value").await;
            }
            // What was synced by now must stay; what follows may be torn off anywhere.
            let synced: Vec<(NodeId, u64)> = cluster
                .ids()
                .into_iter()
                .map(|id| {
                    let index = cluster.nodes[&id].dir.path().join("index");
                    (id, wal(&index).metadata().expect("it is there").len())
                })
                .collect();
            let leader = cluster.leader().await;
            let engine = Arc::clone(cluster.engine(leader));
            let unknown = tokio::spawn(async move {
                let _ = put(engine.as_ref(), "unknown", &"x".repeat(3000)).await;
            });
            tokio::time::sleep(Duration::from_millis(2)).await;
            for (id, synced) in synced {
                let tear = |index: &Path| {
                    let log = wal(index);
                    let length = log.metadata().expect("it is there").len();
                    let kept = synced + (length.saturating_sub(synced)) / (round + 2);
                    let log = std::fs::OpenOptions::new().write(true).open(log);
                    log.expect("it opens").set_len(kept).expect("it is cut");
                };
                cluster.crash(id, tear).await;
            }
            let _ = unknown.await;
            cluster.start_all().await;
            for earlier in 0..=round {
                for n in 0..10 {
                    let found = cluster.get(&format!("{earlier} {n}")).await;
                    assert_eq!(found.as_deref(), Some("value"), "{earlier} {n}");
                }
            }
        }
        cluster.end().await;
    });
}

#[test]
fn a_node_whose_disk_went_back_in_time_takes_no_part() {
    runtime().block_on(async {
        let mut cluster = Cluster::new(3).await;
        cluster.put("a", "1").await;
        let leader = cluster.leader().await;
        let id = cluster.ids().into_iter().find(|id| *id != leader);
        let id = id.expect("there are two");
        let caught_up = last_log(&cluster, leader);
        let is_there = |report: &GroupReport| report.last_log >= Some(caught_up);
        cluster.wait(id, "it has the log", is_there).await;
        // A copy from this very start of the node: only its entries tell.
        cluster.crash(id, |_| {}).await;
        let old = tempfile::tempdir().expect("a folder for the copy");
        copy_folder(cluster.nodes[&id].dir.path(), old.path());
        cluster.start(id).await.expect("nothing is missing");
        let restored = |cluster: &Cluster| {
            let dir = cluster.nodes[&id].dir.path();
            std::fs::remove_dir_all(dir).expect("the disk is lost");
            copy_folder(old.path(), dir);
        };
        for n in 0..5 {
            cluster.put(&format!("later {n}"), "value").await;
        }
        let last = last_log(&cluster, leader);
        let is_there = |report: &GroupReport| report.last_log >= Some(last);
        cluster.wait(id, "it has the log", is_there).await;
        cluster.crash(id, |_| {}).await;
        restored(&cluster);
        let refused = cluster.start(id).await.expect_err("its disk is older");
        assert!(matches!(refused, StartError::RolledBack(_)), "{refused}");
        // Nor with an empty disk, as long as the others count on it.
        cluster.crash(id, |_| {}).await;
        let empty = |cluster: &Cluster| {
            let dir = cluster.nodes[&id].dir.path();
            std::fs::remove_dir_all(dir).expect("the disk is lost");
            std::fs::create_dir(dir).expect("an empty one");
        };
        empty(&cluster);
        let refused = cluster.start(id).await.expect_err("its disk is empty");
        assert!(matches!(refused, StartError::RolledBack(_)), "{refused}");
        cluster.crash(id, |_| {}).await;
        cluster.put("b", "2").await;

        let leader = cluster.leader().await;
        let removed = cluster.engine(leader).remove(PARTITION, id, DEADLINE).await;
        assert_eq!(removed, Ok(()));
        for other in cluster.ids().into_iter().filter(|other| *other != id) {
            let is_gone =
                |report: &GroupReport| report.members.iter().all(|member| member.node != id);
            cluster.wait(other, "it is removed", is_gone).await;
        }
        empty(&cluster);
        cluster
            .start(id)
            .await
            .expect("nothing counts on what it was");
        let engine = cluster.engine(leader);
        let added = engine.add_learner(PARTITION, id, "here", DEADLINE).await;
        assert_eq!(added, Ok(()));
        assert_eq!(engine.promote(PARTITION, id, DEADLINE).await, Ok(()));
        // Without the third: what is acknowledged is on the one that came back.
        let third = cluster
            .ids()
            .into_iter()
            .find(|other| *other != id && *other != leader);
        cluster.crash(third.expect("there are three"), |_| {}).await;
        cluster.put("c", "3").await;
        assert_eq!(cluster.get("a").await.as_deref(), Some("1"));
        assert_eq!(cluster.get("c").await.as_deref(), Some("3"));
        cluster.end().await;
    });
}

#[test]
fn a_node_that_reaches_nobody_waits_for_one() {
    runtime().block_on(async {
        let mut cluster = Cluster::new(3).await;
        cluster.put("a", "1").await;
        for id in cluster.ids() {
            cluster.crash(id, |_| {}).await;
        }
        let alone = cluster.open(node(1)).await;
        let started = tokio::time::timeout(Duration::from_millis(800), alone.start()).await;
        assert!(started.is_err(), "it would have no quorum");
        drop(alone);
        cluster.crash(node(1), |_| {}).await;
        cluster.start_all().await;
        assert_eq!(cluster.get("a").await.as_deref(), Some("1"));
        cluster.end().await;
    });
}
