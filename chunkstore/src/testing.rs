//! Doubles for tests of this crate and of those above it: shards in memory with faults to order, and a
//! cluster of them that keeps its own map.

mod cluster;
mod shards;

pub use cluster::{BUCKET, ClusterShape, MANIFEST, MemoryCluster};
pub use shards::{MemoryShards, Puts, Reads};
