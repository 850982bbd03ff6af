//! Doubles for tests of this crate and of those above it: shards in memory with faults to order, a
//! cluster of them that keeps its own map, and whole disks in memory that lose power.

mod cluster;
mod machine;
mod shards;

pub use cluster::{BUCKET, ClusterShape, MANIFEST, MemoryCluster, first_view, with_disk_state};
pub use machine::MemoryMachine;
pub use shards::{MemoryShards, Puts, Reads};
