//! Requests and answers come as they were sent; their bytes are pinned.

use super::super::message::{
    AnswerRecord, ErrorRecord, decode_answer, decode_request, encode_answer, encode_request,
};
use super::super::request::{Answer, Request};
use super::{PARTITION, key, put};
use crate::store::{
    Batch, Change, Condition, Grouping, Idempotency, Operation, Outcome, ScanEntry, ScanPage,
    ScanRequest, StoreError, Versioned,
};
use bytes::Bytes;
use proptest::prelude::*;
use std::time::Duration;
use types::{NodeId, OpId};

fn bytes() -> impl Strategy<Value = Bytes> {
    prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
}

fn batches() -> impl Strategy<Value = Vec<Batch>> {
    let condition = prop_oneof![
        bytes().prop_map(Condition::Absent),
        bytes().prop_map(Condition::Exists),
        (bytes(), any::<u64>()).prop_map(|(key, seq)| Condition::SeqIs(key, seq)),
    ];
    let operation = prop_oneof![
        (bytes(), bytes()).prop_map(|(key, value)| Operation::Put(key, value)),
        bytes().prop_map(Operation::Delete),
        bytes().prop_map(Operation::Reclaim),
    ];
    let idempotency = prop::option::of((1_u128.., bytes())).prop_map(|id| {
        id.map(|(op_id, outcome)| Idempotency {
            op_id: OpId(op_id),
            outcome,
        })
    });
    let conditions = prop::collection::vec(condition, 0..3);
    let operations = prop::collection::vec(operation, 0..3);
    let batch = (conditions, operations, bytes(), idempotency, any::<u64>());
    let batch = batch.prop_map(|(conditions, operations, feed, idempotency, epoch)| Batch {
        conditions,
        operations,
        feed,
        idempotency,
        epoch,
    });
    prop::collection::vec(batch, 0..3)
}

fn requests() -> impl Strategy<Value = Request> {
    let grouping = prop::option::of((0_usize..99, prop::collection::vec(any::<u8>(), 1..4)))
        .prop_map(|found| {
            found.map(|(skip, delimiter)| Grouping {
                skip,
                delimiter: delimiter.into(),
            })
        });
    prop_oneof![
        batches().prop_map(Request::Commit),
        bytes().prop_map(Request::Get),
        prop::collection::vec(bytes(), 0..4).prop_map(Request::GetMany),
        (bytes(), bytes(), 0_usize..9999, grouping).prop_map(|(start, end, limit, grouping)| {
            Request::Scan(ScanRequest {
                start,
                end,
                limit,
                grouping,
            })
        }),
        any::<(u64, u32)>().prop_map(|(after, limit)| Request::Changes {
            after,
            limit: limit as usize
        }),
        any::<u64>().prop_map(Request::Trim),
        Just(Request::LastSeq),
    ]
}

fn answers() -> impl Strategy<Value = Result<Answer, StoreError>> {
    let versioned = || (any::<u64>(), bytes()).prop_map(|(seq, value)| Versioned { seq, value });
    let outcome = prop_oneof![
        any::<u64>().prop_map(Outcome::Committed),
        any::<u32>().prop_map(|index| Outcome::ConditionFailed(index as usize)),
        bytes().prop_map(Outcome::Duplicate),
        any::<u64>().prop_map(|oldest_kept_ms| Outcome::Expired { oldest_kept_ms }),
    ];
    let entry = prop_oneof![
        (bytes(), versioned()).prop_map(|(key, found)| ScanEntry::Value(key, found)),
        bytes().prop_map(ScanEntry::Group),
    ];
    let change = (any::<u64>(), bytes()).prop_map(|(seq, feed)| Change { seq, feed });
    let text = || "\\PC{0,20}";
    let partition = PARTITION;
    let error = prop_oneof![
        any::<(u64, u64)>().prop_map(move |(epoch, current)| StoreError::Fenced {
            partition,
            epoch,
            current
        }),
        Just(StoreError::Moved(partition)),
        prop::option::of(1_u32..).prop_map(move |leader| StoreError::NotLeader {
            partition,
            leader: leader.map(NodeId),
        }),
        (0_u64..1 << 40).prop_map(|ms| StoreError::Throttled(Duration::from_millis(ms))),
        text().prop_map(StoreError::Unavailable),
        text().prop_map(StoreError::Indeterminate),
        (text(), text()).prop_map(|(key, reason)| StoreError::Corrupt { key, reason }),
        text().prop_map(StoreError::TooLarge),
        Just(StoreError::Full),
    ];
    prop_oneof![
        prop::collection::vec(outcome, 0..4).prop_map(|outcomes| Ok(Answer::Outcomes(outcomes))),
        prop::option::of(versioned()).prop_map(|found| Ok(Answer::Value(found))),
        prop::collection::vec(prop::option::of(versioned()), 0..4)
            .prop_map(|values| Ok(Answer::Values(values))),
        (prop::collection::vec(entry, 0..4), any::<bool>())
            .prop_map(|(entries, more)| Ok(Answer::Page(ScanPage { entries, more }))),
        prop::collection::vec(change, 0..4).prop_map(|changes| Ok(Answer::Changes(changes))),
        Just(Ok(Answer::Trimmed)),
        any::<u64>().prop_map(|seq| Ok(Answer::Seq(seq))),
        error.prop_map(Err),
    ]
}

proptest! {
    #[test]
    fn requests_come_as_they_were_sent(request in requests()) {
        let sent = encode_request(PARTITION, &request);
        prop_assert_eq!(decode_request(sent).unwrap(), (PARTITION, request));
    }

    #[test]
    fn answers_come_as_they_were_given(answer in answers()) {
        prop_assert_eq!(decode_answer(PARTITION, encode_answer(&answer)).unwrap(), answer);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in bytes()) {
        let _ = decode_request(bytes.clone());
        let _ = decode_answer(PARTITION, bytes);
    }
}

/// The bytes are a protocol between versions: they never change.
#[test]
fn the_bytes_of_requests_and_answers_are_pinned() {
    let hex = |bytes: Bytes| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let mut batch = put("k");
    batch.conditions.push(Condition::SeqIs(key("k"), 5));
    let answer = Ok(Answer::Outcomes(vec![
        Outcome::Committed(7),
        Outcome::Expired { oldest_kept_ms: 9 },
    ]));
    let pinned = [
        (
            encode_request(PARTITION, &Request::Commit(vec![batch])),
            "0101030201010335013332011514010103020c0000000000000001636b0001030105021918010101020c0000000000000001636b0001030576616c7565",
        ),
        (
            encode_request(PARTITION, &Request::Get(key("k"))),
            "010103020102040c0000000000000001636b0001",
        ),
        (
            encode_request(PARTITION, &Request::GetMany(vec![key("k"), key("l")])),
            "010103020107081a0c0000000000000001636b00010c0000000000000001636c0001",
        ),
        (
            encode_answer(&Ok(Answer::Values(vec![
                None,
                Some(Versioned {
                    seq: 5,
                    value: Bytes::from_static(b"v"),
                }),
            ]))),
            "010107090a00080106010105020176",
        ),
        (
            encode_answer(&answer),
            "010101020e0601010102010706010104020109",
        ),
        (
            encode_answer(&Err(StoreError::NotLeader {
                partition: PARTITION,
                leader: Some(NodeId(4)),
            })),
            "0806010103060104",
        ),
    ];
    let found: Vec<String> = pinned.iter().map(|(bytes, _)| hex(bytes.clone())).collect();
    let expected: Vec<&str> = pinned.iter().map(|(_, hex)| *hex).collect();
    assert_eq!(found, expected);
}

/// A number that only a newer node knows promises nothing.
#[test]
fn an_unknown_error_is_indeterminate() {
    let record = AnswerRecord {
        error: Some(ErrorRecord {
            kind: 99,
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer = decode_answer(PARTITION, record.encode().into()).unwrap();
    assert!(
        matches!(answer, Err(StoreError::Indeterminate(_))),
        "{answer:?}"
    );
}
