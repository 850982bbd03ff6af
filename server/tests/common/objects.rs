//! Objects that are stored once and must stay as they are.

use super::s3::{S3, Unknown};
use super::workload::value;
use http::StatusCode;

/// An object with the bytes of [`value`].
#[derive(Debug, Clone)]
pub struct Object {
    pub key: String,
    pub seed: u64,
    pub length: usize,
}

/// Lengths from all classes: empty, inline, whole copies, one stripe, several.
const LENGTHS: [usize; 8] = [
    0,
    9_000,
    20_000,
    120_000,
    200_000,
    700_001,
    2 << 20,
    (5 << 20) + 3,
];

/// Stores an object for each seed; fails the test if one is refused.
pub async fn store(s3: &S3, bucket: &str, seeds: std::ops::Range<u64>) -> Vec<Object> {
    let mut stored = Vec::new();
    for seed in seeds {
        let length = LENGTHS[seed as usize % LENGTHS.len()];
        let key = format!("objects/{seed}");
        s3.put(bucket, &key, value(seed, length))
            .await
            .expect("an answer")
            .ok();
        stored.push(Object { key, seed, length });
    }
    stored
}

/// Reads every object; each must have its bytes.
pub async fn assert_right(s3: &S3, bucket: &str, objects: &[Object]) {
    for object in objects {
        let answer = s3.get(bucket, &object.key).await.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK, "{object:?}");
        assert!(
            answer.body == value(object.seed, object.length),
            "{object:?} has other bytes"
        );
    }
}

/// Reads every object; each must have its bytes or be refused as unavailable, never be absent or
/// other. Gives how many were refused.
pub async fn right_or_refused(s3: &S3, bucket: &str, objects: &[Object]) -> usize {
    let mut refused = 0;
    for object in objects {
        match s3.get(bucket, &object.key).await {
            Ok(answer) if answer.status == StatusCode::OK => {
                assert!(
                    answer.body == value(object.seed, object.length),
                    "{object:?} has other bytes"
                );
            }
            Ok(answer) => {
                assert!(
                    answer.status.is_server_error(),
                    "{object:?}: {}",
                    answer.status
                );
                refused += 1;
            }
            // The connection ended before the whole body came.
            Err(Unknown { .. }) => refused += 1,
        }
    }
    refused
}
