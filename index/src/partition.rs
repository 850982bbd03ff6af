//! Which partition keeps what.
//!
//! Partition 0 is the control partition: bucket names, the cluster map, placement groups. Buckets lie
//! in the data partitions, 1 and up. A bucket's partition is decided once, when it is created, and
//! recorded with its name, so the number of data partitions may change later.

use types::{BucketId, PartitionId};

/// The partition of bucket names, the cluster map and placement groups.
pub const CONTROL: PartitionId = PartitionId(0);

/// The data partition for a new bucket, when there are `data_partitions` of them. Buckets spread
/// evenly, as their ids are given out one after another.
///
/// # Panics
/// When `data_partitions` is 0.
#[must_use]
pub fn place_bucket(bucket: BucketId, data_partitions: u32) -> PartitionId {
    assert!(data_partitions > 0, "an index has a data partition");
    let number = bucket.0 % u64::from(data_partitions);
    PartitionId(1 + u32::try_from(number).expect("a remainder of a u32 fits a u32"))
}

/// Every partition of an index with `data_partitions` data partitions, the control partition first.
pub fn all(data_partitions: u32) -> impl Iterator<Item = PartitionId> {
    (CONTROL.0..=data_partitions).map(PartitionId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_spread_over_data_partitions_only() {
        let placed: Vec<u32> = (1..=6).map(|id| place_bucket(BucketId(id), 3).0).collect();
        assert_eq!(placed, [2, 3, 1, 2, 3, 1]);
        assert!(placed.iter().all(|number| all(3).any(|p| p.0 == *number)));
        assert_eq!(all(3).next(), Some(CONTROL));
    }
}
