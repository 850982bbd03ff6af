//! The calls that the suite makes, drawn at random.

use bytes::Bytes;
use index::Key;
use proptest::prelude::*;
use types::{BucketId, UploadId, VersionId};

/// Operation ids are taken from the hour after this moment, and the clock moves in it.
pub const BASE_MS: u64 = 1_800_000_000_000;
const HOUR_MS: u64 = 3600 * 1000;

/// One call.
#[derive(Debug, Clone)]
pub enum Step {
    Commit(Vec<BatchPlan>),
    Scan(ScanPlan),
    Changes {
        after: u64,
        limit: usize,
    },
    Trim {
        up_to: u64,
    },
    /// Deletes the outcomes of the ids that are too old at this time.
    Purge,
    /// Sets the clock, forwards or back.
    Clock {
        now_ms: u64,
    },
    /// Closes the engine and opens it again.
    Reopen,
    /// Goes on with a copy of the files, taken while the engine runs.
    CrashImage,
    /// Compares all keys.
    Compare,
}

/// A batch before it is known which sequences there are.
#[derive(Debug, Clone)]
pub struct BatchPlan {
    pub conditions: Vec<(ConditionPlan, Bytes)>,
    pub operations: Vec<OperationPlan>,
    pub feed: Bytes,
    /// When the operation id was made, and which of those made then.
    pub op: Option<(u64, u8)>,
    /// Added to the epoch that the partition has seen; -1 is a fenced owner.
    pub epoch_step: i64,
}

#[derive(Debug, Clone)]
pub enum ConditionPlan {
    Absent,
    Exists,
    /// The sequence that the model has.
    SeqIsRight,
    SeqIs(u64),
}

#[derive(Debug, Clone)]
pub enum OperationPlan {
    Put(Bytes, Bytes),
    Delete(Bytes),
    Reclaim(Bytes),
}

#[derive(Debug, Clone)]
pub struct ScanPlan {
    pub start: Bytes,
    pub end: Bytes,
    pub limit: usize,
    /// Prefix that is skipped, and delimiter.
    pub grouping: Option<(&'static str, &'static str)>,
}

/// Keys of all families; S3 keys with escapes, nested delimiters and the bytes of an end inside.
pub fn pool() -> Vec<Bytes> {
    let bucket = BucketId(1);
    let texts = [
        "a", "a/", "a/1", "a/2/x", "a/2/y", "a\0", "a\0/", "a\u{1}", "a\u{1}b", "b/x/1", "b/x/2",
        "c", "ä/ö",
    ];
    let mut keys = vec![
        Key::BucketState { bucket }.encode(),
        Key::SchedulerState {
            name: "gc".to_owned(),
        }
        .encode(),
    ];
    for (number, text) in texts.into_iter().enumerate() {
        let key = text.to_owned();
        keys.push(
            Key::Current {
                bucket,
                key: key.clone(),
            }
            .encode(),
        );
        // The upload's id has the bytes of delimiters in it.
        let upload = UploadId(u128::from_be_bytes(*b"////\x01\x01\x01\x01////\0\x01//"));
        keys.push(
            Key::Upload {
                bucket,
                key,
                upload,
            }
            .encode(),
        );
        keys.push(
            Key::Inline {
                bucket,
                version: VersionId(number as u128),
            }
            .encode(),
        );
    }
    keys
}

fn pool_key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(pool())
}

fn value() -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from)
}

fn condition() -> impl Strategy<Value = (ConditionPlan, Bytes)> {
    let plan = prop_oneof![
        2 => Just(ConditionPlan::Absent),
        2 => Just(ConditionPlan::Exists),
        3 => Just(ConditionPlan::SeqIsRight),
        1 => (0_u64..40).prop_map(ConditionPlan::SeqIs),
    ];
    (plan, pool_key())
}

fn operation() -> impl Strategy<Value = OperationPlan> {
    prop_oneof![
        5 => (pool_key(), value()).prop_map(|(key, value)| OperationPlan::Put(key, value)),
        2 => pool_key().prop_map(OperationPlan::Delete),
        1 => value().prop_map(OperationPlan::Reclaim),
    ]
}

fn batch() -> impl Strategy<Value = BatchPlan> {
    let conditions = prop_oneof![
        2 => Just(Vec::new()),
        1 => proptest::collection::vec(condition(), 1..3),
    ];
    let op = prop_oneof![
        1 => Just(None),
        1 => (0..6_u64, 0..2_u8).prop_map(|(tenth, n)| Some((BASE_MS + tenth * HOUR_MS / 6, n))),
    ];
    let epoch_step = prop_oneof![40 => Just(0), 1 => Just(1), 1 => Just(-1)];
    (
        conditions,
        proptest::collection::vec(operation(), 0..5),
        value(),
        op,
        epoch_step,
    )
        .prop_map(|(conditions, operations, feed, op, epoch_step)| BatchPlan {
            conditions,
            operations,
            feed,
            op,
            epoch_step,
        })
}

fn scan() -> impl Strategy<Value = ScanPlan> {
    let bucket = BucketId(1);
    let whole = [
        Key::objects_range(bucket, ""),
        Key::objects_range(bucket, "a"),
        Key::uploads_range(bucket, ""),
        Key::kind_range(bucket, index::key::kind::INLINE),
        Key::reclaims_range(u64::MAX),
        Key::outcomes_range(BASE_MS + HOUR_MS),
    ]
    .map(|range| (range.start, range.end))
    .to_vec();
    let range = prop_oneof![
        2 => prop::sample::select(whole),
        1 => (pool_key(), pool_key()),
    ];
    let grouping = prop::sample::select(vec![
        None,
        Some(("", "/")),
        Some(("a", "/")),
        Some(("a/", "/")),
        Some(("", "\u{1}")),
        Some(("", "x/")),
    ]);
    (range, 1..8_usize, grouping).prop_map(|((start, end), limit, grouping)| ScanPlan {
        start,
        end,
        limit,
        grouping,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => proptest::collection::vec(batch(), 1..5).prop_map(Step::Commit),
        6 => scan().prop_map(Step::Scan),
        2 => (0..60_u64, 1..20_usize).prop_map(|(after, limit)| Step::Changes { after, limit }),
        1 => (0..60_u64).prop_map(|up_to| Step::Trim { up_to }),
        1 => Just(Step::Purge),
        2 => (0..HOUR_MS).prop_map(|ms| Step::Clock { now_ms: BASE_MS + ms }),
        1 => Just(Step::Reopen),
        1 => Just(Step::CrashImage),
        1 => Just(Step::Compare),
    ]
}

pub fn steps(max: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(step(), 1..max)
}
