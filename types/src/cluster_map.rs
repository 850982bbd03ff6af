//! The cluster map: which disks there are, where they are, and how they are. An immutable value; a
//! change is a new map with a higher epoch, made by compare-and-set in the control partition.

use crate::ids::{ChunkClusterId, DiskId, InstallationId, NodeId, RegionId, ZoneId};
use crate::profile::{Domain, ErasureProfile};
use crate::record;
use crate::wire::{DecodeError, Field, Input};

use std::collections::BTreeSet;

mod check;
mod roles;

pub use check::{MapFault, check_map};
pub use roles::{Role, Roles};

/// What a disk may be used for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DiskState {
    /// Read and written.
    #[default]
    Up,
    /// Read, not written: an fsync failed on it, or an operator said so. Its data is repaired elsewhere.
    ReadOnly,
    /// Neither read nor written: absent, unreadable, or on a node that is gone.
    Down,
    /// Gone for good; another disk has its place in every placement group.
    Removed,
}

impl DiskState {
    /// True when new shards may be written to the disk.
    #[must_use]
    pub fn takes_writes(self) -> bool {
        self == Self::Up
    }

    /// True when shards may be read from the disk.
    #[must_use]
    pub fn gives_reads(self) -> bool {
        matches!(self, Self::Up | Self::ReadOnly)
    }
}

impl Field for DiskState {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Up => 0,
            Self::ReadOnly => 1,
            Self::Down => 2,
            Self::Removed => 3,
        });
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        match &*bytes {
            [0] => Ok(Self::Up),
            [1] => Ok(Self::ReadOnly),
            [2] => Ok(Self::Down),
            [3] => Ok(Self::Removed),
            _ => Err(DecodeError::BadValue { what: "disk state" }),
        }
    }
    fn is_default(&self) -> bool {
        *self == Self::Up
    }
}

record! {
    /// A disk of the region.
    pub struct DiskInfo {
        1 => id: DiskId,
        2 => node: NodeId,
        3 => zone: ZoneId,
        4 => cluster: ChunkClusterId,
        5 => state: DiskState,
        /// Bytes the device holds; 0 while unknown.
        6 => capacity: u64,
        /// Share of new data, relative to the other disks of its cluster.
        7 => weight: u32,
    }
}

record! {
    /// A node: a process with a certificate of its own, in one zone, which plays some of the roles.
    pub struct NodeInfo {
        1 => id: NodeId,
        2 => zone: ZoneId,
        /// Nodes of a zone with the same name here can fail together; empty where that is not known.
        3 => rack: String,
        /// What operators call it; unlike that of any other node.
        4 => name: String,
        /// Where others reach it, `host:port`, the preferred one first.
        5 => addresses: Vec<String>,
        6 => roles: Roles,
        /// Taken out by an operator: its certificate is no longer good, its id is never given again.
        7 => is_removed: bool,
        /// The others do not hear it: none of its disks is read or written until they do. What its disks' own
        /// states say holds again then.
        8 => is_down: bool,
    }
}

record! {
    /// A zone of the region.
    pub struct ZoneInfo {
        1 => id: ZoneId,
        /// What operators call it; unlike that of any other zone.
        2 => name: String,
    }
}

record! {
    /// A chunk cluster: disks with one striped and one small-object profile.
    pub struct ChunkCluster {
        1 => id: ChunkClusterId,
        2 => striped: ErasureProfile,
        3 => small: ErasureProfile,
        /// What both profiles promise to survive the loss of.
        4 => domain: Domain,
        /// Share of new data, relative to the other clusters of the region.
        5 => weight: u32,
    }
}

record! {
    /// The map. Placement groups are kept beside it, one record each.
    pub struct ClusterMap {
        1 => installation: InstallationId,
        2 => region: RegionId,
        /// Raised by every change.
        3 => epoch: u64,
        4 => clusters: Vec<ChunkCluster>,
        5 => disks: Vec<DiskInfo>,
        /// Empty on a single machine.
        6 => nodes: Vec<NodeInfo>,
        /// Empty on a single machine.
        7 => zones: Vec<ZoneInfo>,
    }
}

impl ClusterMap {
    /// The disk with this id, if the map has it.
    #[must_use]
    pub fn disk(&self, id: DiskId) -> Option<&DiskInfo> {
        self.disks.iter().find(|disk| disk.id == id)
    }

    /// The chunk cluster with this id, if the map has it.
    #[must_use]
    pub fn cluster(&self, id: ChunkClusterId) -> Option<&ChunkCluster> {
        self.clusters.iter().find(|cluster| cluster.id == id)
    }

    /// What the disk may be used for; a disk that the map does not have is down, and so is that of a node that is.
    #[must_use]
    pub fn state(&self, id: DiskId) -> DiskState {
        self.disk(id)
            .map_or(DiskState::Down, |disk| self.state_of(disk))
    }

    /// The same for a disk of this map.
    #[must_use]
    pub fn state_of(&self, disk: &DiskInfo) -> DiskState {
        let is_gone = |node: &NodeInfo| node.is_down || node.is_removed;
        if disk.state != DiskState::Removed && self.node(disk.node).is_some_and(is_gone) {
            return DiskState::Down;
        }
        disk.state
    }

    /// The label of the disk's failure domain: two disks with the same label can fail together.
    #[must_use]
    pub fn domain_label(&self, id: DiskId, domain: Domain) -> u128 {
        match (domain, self.disk(id)) {
            (Domain::Node, Some(disk)) => u128::from(disk.node.0),
            (Domain::Zone, Some(disk)) => u128::from(disk.zone.0),
            (Domain::Rack, Some(disk)) => u128::from(self.rack_label(disk.node).0),
            (Domain::Disk, _) | (_, None) => id.0,
        }
    }

    /// The node with this id, if the map has it.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<&NodeInfo> {
        self.nodes.iter().find(|node| node.id == id)
    }

    /// The zone with this name, if the map has it.
    #[must_use]
    pub fn zone_named(&self, name: &str) -> Option<&ZoneInfo> {
        self.zones.iter().find(|zone| zone.name == name)
    }

    /// The first node of the rack that `id` stands in: the node itself where its rack is not known.
    fn rack_label(&self, id: NodeId) -> NodeId {
        let Some(node) = self.node(id).filter(|node| !node.rack.is_empty()) else {
            return id;
        };
        let beside = |other: &&NodeInfo| other.zone == node.zone && other.rack == node.rack;
        self.nodes.iter().find(beside).map_or(id, |first| first.id)
    }

    /// The same map with the nodes in `down` marked down and all others not, one epoch later.
    #[must_use]
    pub fn with_nodes_down(&self, down: &BTreeSet<NodeId>) -> Self {
        let mut next = self.clone();
        next.epoch += 1;
        for node in &mut next.nodes {
            node.is_down = down.contains(&node.id);
        }
        next
    }

    /// The same map with `disk` in `state`, one epoch later.
    #[must_use]
    pub fn with_disk_state(&self, disk: DiskId, state: DiskState) -> Self {
        let mut next = self.clone();
        next.epoch += 1;
        for entry in next.disks.iter_mut().filter(|entry| entry.id == disk) {
            entry.state = state;
        }
        next
    }
}

#[cfg(test)]
mod tests;
