//! Nodes that are cut off from each other, wholly or one way.

use crate::cluster::{Cluster, PATIENCE, get, is_passing, node, put, runtime, timing};
use index::store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use types::NodeId;

fn others(cluster: &Cluster, id: NodeId) -> Vec<NodeId> {
    let ids = cluster.ids().into_iter();
    ids.filter(|other| *other != id).collect()
}

#[test]
fn a_leader_that_is_cut_off_serves_nobody_and_the_others_go_on() {
    runtime().block_on(async {
        let cluster = Cluster::new(3).await;
        cluster.put("a", "before").await;
        let old = cluster.leader().await;
        let rest = others(&cluster, old);
        let engine = Arc::clone(cluster.engine(old));
        let readers = (0..4).map(|_| {
            let engine = Arc::clone(&engine);
            tokio::spawn(async move {
                let mut seen = Vec::new();
                for _ in 0..400 {
                    seen.push(get(engine.as_ref(), "a").await);
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                seen
            })
        });
        let readers: Vec<_> = readers.collect();
        cluster.net.isolate(old, cluster.ids());
        let cut = cluster.clock.monotonic();
        // A write that is under way when the cut comes may be refused or unknown, never acknowledged.
        let under_way = put(engine.as_ref(), "b", "lost").await.expect_err("no quorum");
        let is_honest = matches!(
            under_way,
            StoreError::Indeterminate(_) | StoreError::Unavailable(_) | StoreError::NotLeader { .. }
        );
        assert!(is_honest, "{under_way}");
        let refused_after = cluster.clock.monotonic() - cut;
        let margin = Duration::from_millis(600);
        assert!(refused_after < timing().election_max + margin, "{refused_after:?}");
        let asked = cluster.clock.monotonic();
        let refused = put(engine.as_ref(), "b", "refused").await.expect_err("no quorum");
        let is_refusal = matches!(
            refused,
            StoreError::Unavailable(_) | StoreError::NotLeader { .. }
        );
        assert!(is_refusal, "{refused}");
        let at_once = Duration::from_millis(100);
        assert!(cluster.clock.monotonic() - asked < at_once, "it is refused at once");

        let new = cluster.leader_of(&rest).await;
        let written = put(cluster.engine(new).as_ref(), "a", "after").await;
        let at = cluster.clock.monotonic();
        written.expect("the others are a quorum");
        let late = get(engine.as_ref(), "a").await;
        assert!(late.is_err(), "a stale read at {at:?}: {late:?}");
        for reader in readers {
            let seen = reader.await.expect("no panic");
            let stale = |read: &Result<Option<String>, StoreError>| {
                matches!(read, Ok(found) if found.as_deref() != Some("before"))
            };
            assert!(!seen.iter().any(stale), "{seen:?}");
            assert!(seen.last().is_some_and(Result::is_err), "reads end in refusals");
        }
        cluster.net.heal();
        let follows = |report: &index::engine::raft::GroupReport| report.leader == Some(new);
        cluster.wait(old, "it follows", follows).await;
        assert_eq!(cluster.get("a").await.as_deref(), Some("after"));
        cluster.end().await;
    });
}

#[test]
fn a_leader_that_is_heard_but_hears_nobody_gives_way() {
    runtime().block_on(async {
        let cluster = Cluster::new(3).await;
        cluster.put("a", "1").await;
        let old = cluster.leader().await;
        let rest = others(&cluster, old);
        for other in &rest {
            cluster.net.cut(*other, old);
        }
        let began = cluster.clock.monotonic();
        let new = cluster.leader_of(&rest).await;
        println!(
            "another leader after {:?}",
            cluster.clock.monotonic() - began
        );
        put(cluster.engine(new).as_ref(), "a", "2")
            .await
            .expect("a quorum");
        let stale = get(cluster.engine(old).as_ref(), "a").await;
        assert!(stale.is_err(), "{stale:?}");
        cluster.net.heal();
        assert_eq!(cluster.get("a").await.as_deref(), Some("2"));
        cluster.end().await;
    });
}

#[test]
fn a_follower_that_hears_nobody_costs_at_most_an_election() {
    runtime().block_on(async {
        let cluster = Cluster::new(3).await;
        cluster.put("a", "1").await;
        let leader = cluster.leader().await;
        let deaf = others(&cluster, leader)[0];
        cluster.net.cut(leader, deaf);
        tokio::time::sleep(4 * timing().election_max).await;
        cluster.put("a", "2").await;
        cluster.net.heal();
        cluster.put("a", "3").await;
        assert_eq!(cluster.get("a").await.as_deref(), Some("3"));
        let caught_up = |report: &index::engine::raft::GroupReport| report.leader.is_some();
        cluster.wait(deaf, "it is back", caught_up).await;
        cluster.end().await;
    });
}

#[test]
fn without_a_quorum_nothing_is_answered_and_with_it_everything_goes_on() {
    runtime().block_on(async {
        let mut cluster = Cluster::new(3).await;
        cluster.put("a", "1").await;
        let leader = cluster.leader().await;
        for other in others(&cluster, leader) {
            cluster.crash(other, |_| {}).await;
        }
        let engine = cluster.engine(leader);
        let until = cluster.clock.monotonic() + PATIENCE;
        while get(engine.as_ref(), "a").await.is_ok() {
            assert!(cluster.clock.monotonic() < until, "it still leads");
        }
        let refused = put(engine.as_ref(), "a", "2").await.expect_err("no quorum");
        assert!(is_passing(&refused), "{refused}");
        cluster.start_all().await;
        cluster.put("b", "3").await;
        assert_eq!(cluster.get("b").await.as_deref(), Some("3"));
        let found = cluster.get("a").await;
        assert_eq!(found.as_deref(), Some("1"), "what was refused is nowhere");
        cluster.end().await;
    });
}

#[test]
fn a_disk_that_stalls_is_no_reason_for_an_election() {
    use std::sync::atomic::{AtomicBool, Ordering};
    static STALLS: AtomicBool = AtomicBool::new(false);
    runtime().block_on(async {
        let cluster = Cluster::with(3, |options| {
            if options.node == node(1) {
                options.before_sync = Some(Arc::new(|| {
                    if STALLS.swap(false, Ordering::SeqCst) {
                        std::thread::sleep(Duration::from_millis(2000));
                    }
                }));
            }
        })
        .await;
        // Node 1 formed the group, and mostly leads it; otherwise it is a follower that stalls.
        let leader = cluster.leader().await;
        let term = cluster.engine(leader).report(crate::cluster::PARTITION);
        let term = term.expect("it runs").term;
        STALLS.store(true, Ordering::SeqCst);
        cluster.put("a", "1").await;
        tokio::time::sleep(Duration::from_millis(2500)).await;
        let report = cluster.engine(leader).report(crate::cluster::PARTITION);
        let report = report.expect("it runs");
        assert_eq!((report.term, report.leads), (term, true));
        assert_eq!(cluster.get("a").await.as_deref(), Some("1"));
        cluster.end().await;
    });
}
