//! What is sent is what arrives, and what is no message is refused.

use super::*;
use crate::engine::raft::types::{Entry, LogId};
use openraft::{CommittedLeaderId, EntryPayload};

fn log_id(term: u64, node: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, node), index)
}

#[test]
fn requests_and_answers_arrive_as_they_were_sent() {
    let request = AppendRequest {
        vote: Vote::new_committed(3, 1),
        prev_log_id: Some(log_id(2, 2, 7)),
        entries: vec![Entry {
            log_id: log_id(3, 1, 8),
            payload: EntryPayload::Blank,
        }],
        leader_commit: Some(log_id(2, 2, 6)),
    };
    let sent = RequestRecord {
        append: Some((&request).into()),
        ..RequestRecord::default()
    };
    let arrived = RequestRecord::from_message(&sent.to_message()).expect("it was just sent");
    let arrived = arrived.append.expect("it was sent").request();
    assert_eq!(
        format!("{:?}", arrived.expect("it is known")),
        format!("{request:?}")
    );

    for answer in [
        AppendResponse::Success,
        AppendResponse::PartialSuccess(Some(log_id(3, 1, 8))),
        AppendResponse::PartialSuccess(None),
        AppendResponse::Conflict,
        AppendResponse::HigherVote(Vote::new(4, 3)),
    ] {
        let record = AppendedRecord::from(&answer);
        assert_eq!(record.response(), Ok(answer));
    }
    let ask = VoteRequest::new(Vote::new(3, 1), Some(log_id(2, 2, 7)));
    assert_eq!(VoteAskRecord::from(&ask).request(), ask);
    let voted = VoteResponse::new(Vote::new(3, 1), None, true);
    assert_eq!(VotedRecord::from(&voted).response(), voted);
}

#[test]
fn what_is_no_message_is_refused() {
    for bytes in [&b""[..], &[2, 0], &[1, 0xff], &[1, 1, 200, 1]] {
        let bytes = Bytes::copy_from_slice(bytes);
        assert!(RequestRecord::from_message(&bytes).is_err(), "{bytes:?}");
        assert!(ResponseRecord::from_message(&bytes).is_err(), "{bytes:?}");
    }
    let answer = AppendedRecord {
        kind: 9,
        ..AppendedRecord::default()
    };
    assert!(answer.response().is_err());
}
