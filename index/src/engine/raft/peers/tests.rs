//! When a node is told that its disk is too old.

use super::*;
use crate::engine::raft::tests::records;
use openraft::CommittedLeaderId;

const GROUP: PartitionId = PartitionId(2);

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, 1), index)
}

fn known(starts: u64, nonce: u64, vote: Vote, last: Option<LogId>) -> NodeRecord {
    let groups = BTreeMap::from([(GROUP, Seen { vote, last })]);
    Peer {
        starts,
        nonce,
        groups,
    }
    .record(7)
}

#[test]
fn a_disk_is_too_old_when_a_vote_an_entry_or_a_start_is_missing() {
    let vote = |term| Vote::new_committed(term, 1);
    let seen = known(5, 50, vote(3), Some(log_id(3, 20)));
    let judged = |mine: &NodeRecord| compare(mine, &seen, NodeId(1)).is_ok();
    assert!(judged(&known(6, 60, vote(3), Some(log_id(3, 20)))));
    assert!(judged(&known(6, 60, vote(3), Some(log_id(3, 21)))));
    assert!(
        judged(&known(5, 50, vote(3), Some(log_id(3, 20)))),
        "asked twice"
    );
    assert!(!judged(&known(6, 60, vote(3), Some(log_id(3, 19)))));
    assert!(!judged(&known(6, 60, vote(3), None)));
    assert!(!judged(&known(6, 60, Vote::new(3, 1), Some(log_id(3, 20)))));
    assert!(!judged(&known(6, 60, vote(2), Some(log_id(2, 90)))));
    // Under a later vote entries may have given way to those of another leader.
    assert!(judged(&known(6, 60, vote(4), Some(log_id(3, 10)))));
    assert!(
        !judged(&known(4, 40, vote(9), Some(log_id(9, 99)))),
        "an older start"
    );
    assert!(
        !judged(&known(5, 51, vote(9), Some(log_id(9, 99)))),
        "started from the same copy"
    );
    let empty = NodeRecord {
        node: 7,
        starts: 1,
        ..NodeRecord::default()
    };
    let told = compare(&empty, &seen, NodeId(1)).expect_err("the disk was lost");
    assert!(told.to_string().contains("node 7"), "{told}");
}

#[test]
fn what_was_seen_only_grows_and_outlives_a_restart() {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().expect("a runtime");
    let dir = tempfile::tempdir().expect("a folder for the test");
    runtime.block_on(async {
        let peers = Peers::open(records(dir.path())).expect("it opens");
        peers.saw(7, GROUP, Vote::new_committed(3, 1), Some(log_id(3, 20)));
        peers.saw(7, GROUP, Vote::new_committed(3, 1), Some(log_id(3, 10)));
        peers.saw(7, GROUP, Vote::new_committed(3, 1), None);
        peers.saw(7, GROUP, Vote::new(2, 2), Some(log_id(2, 90)));
        let hello = known(4, 40, Vote::default(), None);
        let before = peers.hello(&hello, true).await.expect("it is stored");
        let before = before.expect("it was seen");
        assert_eq!(
            before.groups[0].last,
            Some(LogIdRecord::from(&log_id(3, 20)))
        );
        assert_eq!(before.starts, 0);
    });
    runtime.block_on(async {
        let peers = Peers::open(records(dir.path())).expect("it opens");
        let hello = known(5, 50, Vote::default(), None);
        let before = peers.hello(&hello, true).await.expect("it is stored");
        let before = before.expect("it was stored");
        assert_eq!((before.starts, before.nonce), (4, 40));
        assert_eq!(
            before.groups[0].last,
            Some(LogIdRecord::from(&log_id(3, 20)))
        );
        assert_eq!(before.groups[0].vote.vote(), Vote::new_committed(3, 1));
    });
}
