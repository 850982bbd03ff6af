//! The Raft engine: several nodes in one process, on a network that misbehaves.

#[path = "raft/basics.rs"]
mod basics;
#[path = "raft/cluster.rs"]
mod cluster;
#[path = "raft/histories.rs"]
mod histories;
#[path = "raft/net.rs"]
mod net;
#[path = "raft/partitions.rs"]
mod partitions;
#[path = "raft/recovery.rs"]
mod recovery;
#[path = "raft/routed.rs"]
mod routed;
