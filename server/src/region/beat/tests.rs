//! Nodes on loopback that hear each other, or not.

use super::*;
use crate::region::testing::{Region, disk, until};
use tokio::net::TcpListener;

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);
const THREE: NodeId = NodeId(3);

#[tokio::test(flavor = "multi_thread")]
async fn all_hear_each_other_and_know_how_the_others_are() {
    let (_region, nodes) = Region::start(3).await;
    for node in nodes.values() {
        let is_heard =
            |heard: &Heard, one, other| heard.get(&(one, other)).is_some_and(|age| *age < FRESH);
        let ids = [ONE, TWO, THREE];
        let all = || {
            let heard = node.beats.heard();
            let pairs = ids
                .iter()
                .flat_map(|one| ids.iter().map(move |other| (*one, *other)));
            pairs
                .filter(|(one, other)| one != other)
                .all(|(one, other)| is_heard(&heard, one, other))
        };
        until("all hear each other", all).await;
        until("all know the keeper", || node.beats.keeper() == Some(ONE)).await;
        let has_room = |status: &NodeStatus| !status.disks.is_empty();
        until("room is known", || node.beats.nodes().iter().all(has_room)).await;
        let known = node.beats.nodes();
        assert_eq!(
            known.iter().map(|status| status.id).collect::<Vec<_>>(),
            ids
        );
        for status in known {
            assert_eq!((status.epoch, status.product.as_str()), (1, "1.0-test"));
            assert_eq!(status.keeps_map, status.id == ONE);
            assert!(status.certificate_end_ms > 1_700_000_000_000);
            assert_eq!(status.disks[0].0, disk(status.id.0, 0));
            assert_eq!(status.disks[0].1.capacity, 1000);
            assert!(status.heard < FRESH);
        }
    }
}

/// Two takes connections and says nothing, as a process does that was stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_holds_up_no_beats_to_others() {
    let (region, mut listeners) = Region::new(3).await;
    let mut nodes = Vec::new();
    let _hangs = listeners.remove(&TWO).unwrap();
    for (id, listener) in listeners {
        nodes.push(region.run(id, listener).await);
    }
    let age = || nodes[0].beats.heard().get(&(ONE, THREE)).copied();
    until("one hears three", || age().is_some()).await;
    let mut oldest = Duration::ZERO;
    for _ in 0..800 {
        oldest = oldest.max(age().unwrap());
        sleep(Duration::from_millis(5)).await;
    }
    assert!(
        oldest < Duration::from_millis(700),
        "{oldest:?} without a word"
    );
    let heard = nodes[0].beats.heard();
    assert!(!heard.contains_key(&(ONE, TWO)) && !heard.contains_key(&(THREE, TWO)));
}

/// One knows a wrong address of two, so that only two can call one. Each hears the other all the same.
#[tokio::test(flavor = "multi_thread")]
async fn calls_in_one_direction_suffice_to_hear_each_other() {
    let (region, mut nodes) = Region::start(2).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let wrong = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    let one = nodes.remove(&ONE).unwrap();
    one.network.update(BTreeMap::from([(TWO, vec![wrong])]));
    let is_fresh = |pair| move |heard: Heard| heard.get(&pair).is_some_and(|age| *age < FRESH);
    sleep(Duration::from_secs(2)).await;
    for pair in [(ONE, TWO), (TWO, ONE)] {
        assert!(is_fresh(pair)(one.beats.heard()), "{pair:?} at one");
        assert!(is_fresh(pair)(nodes[&TWO].beats.heard()), "{pair:?} at two");
    }
    drop(region);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_beat_is_not_heard() {
    let (_region, mut nodes) = Region::start(2).await;
    let two = nodes.get_mut(&TWO).unwrap();
    until("two hears one", || {
        two.beats.heard().contains_key(&(TWO, ONE))
    })
    .await;
    // Its server still runs.
    two.tasks.shutdown().await;
    assert_eq!(two.beats.began(), None);
    let one = &nodes[&ONE];
    let age = || one.beats.heard()[&(ONE, TWO)];
    until("one does not hear two", || age() > FRESH).await;
}

#[test]
fn bytes_of_a_pulse_are_pinned() {
    let heard = HeardRecord {
        node: NodeId(2),
        age_ms: 250,
        ..Default::default()
    };
    let usage = DiskUsage {
        capacity: 5,
        available: 4,
        volumes: 3,
        live: 2,
        shards: 1,
    };
    let pulse = Pulse {
        epoch: 7,
        product: "1.2".to_owned(),
        keeps_since: Some(3),
        heard: vec![heard],
        certificate_end_ms: 9,
        room: vec![(DiskId(6), usage).into()],
        ..Default::default()
    };
    assert_eq!(Pulse::decode(pulse.encode().into()).unwrap(), pulse);
    assert_eq!(
        hex::encode(pulse.encode()),
        "0101070203312e320301030408070101020202fa01050109062221011000000000000000000000000000000006020105030104040103050102060101"
    );
}
