//! What a beat carries, and what its answer does. Fields that the other side does not know are passed over, so that
//! nodes of two versions can talk.

use super::NodeStatus;
use chunkstore::DiskUsage;
use std::time::Duration;
use types::{DiskId, NodeId, record};

record! {
    /// How long ago the sender heard a node.
    pub struct HeardRecord {
        1 => node: NodeId,
        2 => age_ms: u64,
    }
}

record! {
    /// Room on a disk of the sender.
    pub struct RoomRecord {
        1 => disk: DiskId,
        2 => capacity: u64,
        3 => available: u64,
        4 => volumes: u64,
        5 => live: u64,
        6 => shards: u64,
    }
}

record! {
    /// How the sender is.
    pub struct Pulse {
        /// Of the map that it goes by.
        1 => epoch: u64,
        /// Its product version.
        2 => product: String,
        /// It leads the control partition, since this epoch of that leadership.
        3 => keeps_since: Option<u64>,
        4 => heard: Vec<HeardRecord>,
        /// In milliseconds since the Unix epoch.
        5 => certificate_end_ms: u64,
        6 => room: Vec<RoomRecord>,
    }
}

impl From<(DiskId, DiskUsage)> for RoomRecord {
    fn from((disk, usage): (DiskId, DiskUsage)) -> Self {
        let DiskUsage {
            capacity,
            available,
            volumes,
            live,
            shards,
        } = usage;
        Self {
            disk,
            capacity,
            available,
            volumes,
            live,
            shards,
            ..Default::default()
        }
    }
}

impl RoomRecord {
    fn usage(&self) -> (DiskId, DiskUsage) {
        let usage = DiskUsage {
            capacity: self.capacity,
            available: self.available,
            volumes: self.volumes,
            live: self.live,
            shards: self.shards,
        };
        (self.disk, usage)
    }
}

impl Pulse {
    /// What it says of `id`, which sent it so long ago.
    pub fn status(&self, id: NodeId, heard: Duration) -> NodeStatus {
        NodeStatus {
            id,
            heard,
            epoch: self.epoch,
            product: self.product.clone(),
            keeps_map: self.keeps_since.is_some(),
            certificate_end_ms: self.certificate_end_ms,
            disks: self.room.iter().map(RoomRecord::usage).collect(),
        }
    }
}
