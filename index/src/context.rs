//! What every operation works with: the owners of the partitions, time, randomness, identifiers.

use crate::owner::PartitionOwner;
use crate::partition;
use crate::store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use types::ids::IdSource;
use types::{Clock, Entropy, Order, PartitionId, RegionId, VersionId};

/// Times that an operation is decided anew when what it read has changed before its commit.
pub(crate) const ATTEMPTS: usize = 16;

#[derive(Debug)]
pub(crate) struct Context {
    /// By number of partition; the first is the control partition.
    pub owners: Vec<Arc<PartitionOwner>>,
    pub region: RegionId,
    pub home_epoch: u32,
    pub write_deadline: Duration,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub ids: IdSource,
}

impl Context {
    /// The owner of `partition`.
    pub fn owner(&self, partition: PartitionId) -> Result<&PartitionOwner, StoreError> {
        let owner = self.owners.get(partition.0 as usize);
        owner.map(AsRef::as_ref).ok_or(StoreError::Moved(partition))
    }

    /// The owner of the control partition, which holds the root.
    pub fn control(&self) -> &PartitionOwner {
        &self.owners[partition::CONTROL.0 as usize]
    }

    /// Partitions that hold buckets.
    pub fn data_partitions(&self) -> u32 {
        u32::try_from(self.owners.len() - 1).expect("the configuration counts partitions in a u32")
    }

    /// Order and id for a new version of a key whose greatest time is `last`.
    pub fn next_version(&self, owner: &PartitionOwner, last: u64) -> (Order, VersionId) {
        let time = owner.next_order(last);
        let order = Order {
            time,
            region: self.region,
            epoch: self.home_epoch,
        };
        (
            order,
            VersionId::new(time, self.region, self.entropy.as_ref()),
        )
    }
}

/// What an operation fails with when others changed what it read, [`ATTEMPTS`] times in a row.
pub(crate) fn contended() -> StoreError {
    StoreError::Throttled(Duration::from_millis(50))
}
