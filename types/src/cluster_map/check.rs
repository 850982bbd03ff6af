//! Whether a map is one that a region may go by.

use super::ClusterMap;
use crate::cluster_view::ClusterView;
use crate::ids::{ChunkClusterId, DiskId, NodeId, ZoneId};
use crate::pg::{GroupFault, check_group};
use std::collections::BTreeSet;

/// What is wrong with a map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapFault {
    /// An id or a name that must be unlike all others stands twice.
    #[error("{what} {value} is in the map twice: give each its own")]
    Twice {
        /// "node", "node name", "disk" and so on.
        what: &'static str,
        /// What stands twice.
        value: String,
    },
    /// A node in a zone that the map does not have.
    #[error("node {node} is in zone {zone}, which the map does not have: add the zone first")]
    NoSuchZone {
        /// The node.
        node: NodeId,
        /// The zone.
        zone: ZoneId,
    },
    /// A disk of a node that the map does not have.
    #[error("disk {disk} is of node {node}, which the map does not have: add the node first")]
    NoSuchNode {
        /// The disk.
        disk: DiskId,
        /// The node.
        node: NodeId,
    },
    /// A disk that is said to be in another zone than its node.
    #[error("disk {disk} is said to be in zone {zone}, and its node {node} is in another one")]
    WrongZone {
        /// The disk.
        disk: DiskId,
        /// Its zone in the map.
        zone: ZoneId,
        /// Its node.
        node: NodeId,
    },
    /// A disk of a chunk cluster that the map does not have.
    #[error("disk {disk} is of chunk cluster {cluster}, which the map does not have")]
    NoSuchCluster {
        /// The disk.
        disk: DiskId,
        /// The chunk cluster.
        cluster: ChunkClusterId,
    },
    /// A placement group that breaks its promise.
    #[error(transparent)]
    Group(#[from] GroupFault),
}

/// Refuses a view whose parts do not fit together, or with a placement group that the loss of one failure domain
/// would leave without its bytes. To be asked before a change by hand is stored; states of disks do not matter.
///
/// # Errors
/// [`MapFault`], the first that is found.
pub fn check_map(view: &ClusterView) -> Result<(), MapFault> {
    let map = &view.map;
    unlike("zone", map.zones.iter().map(|zone| zone.id))?;
    unlike("zone name", map.zones.iter().map(|zone| &zone.name))?;
    unlike("node", map.nodes.iter().map(|node| node.id))?;
    let in_use = || map.nodes.iter().filter(|node| !node.is_removed);
    unlike("node name", in_use().map(|node| &node.name))?;
    unlike("node address", in_use().flat_map(|node| &node.addresses))?;
    unlike("disk", map.disks.iter().map(|disk| disk.id))?;
    unlike(
        "chunk cluster",
        map.clusters.iter().map(|cluster| cluster.id),
    )?;
    check_places(map)?;
    for group in view.groups.values() {
        let cluster = map.cluster(group.cluster);
        // A group keeps the disks that were removed until others have taken their positions.
        let domain = cluster.map(|cluster| cluster.domain).unwrap_or_default();
        check_group(map, group, domain)?;
    }
    Ok(())
}

fn check_places(map: &ClusterMap) -> Result<(), MapFault> {
    for node in &map.nodes {
        if map.zones.iter().all(|zone| zone.id != node.zone) {
            return Err(MapFault::NoSuchZone {
                node: node.id,
                zone: node.zone,
            });
        }
    }
    for disk in &map.disks {
        let (id, node) = (disk.id, disk.node);
        if disk.cluster != ChunkClusterId::NONE && map.cluster(disk.cluster).is_none() {
            return Err(MapFault::NoSuchCluster {
                disk: id,
                cluster: disk.cluster,
            });
        }
        // A single machine has no list of nodes.
        match map.node(node) {
            None if map.nodes.is_empty() => {}
            None => return Err(MapFault::NoSuchNode { disk: id, node }),
            Some(info) if info.zone != disk.zone => {
                let zone = disk.zone;
                return Err(MapFault::WrongZone {
                    disk: id,
                    zone,
                    node,
                });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Refuses a list in which a value stands twice.
fn unlike<T: Ord + ToString>(
    what: &'static str,
    values: impl Iterator<Item = T>,
) -> Result<(), MapFault> {
    let mut seen = BTreeSet::new();
    for value in values {
        let text = value.to_string();
        if !seen.insert(value) {
            return Err(MapFault::Twice { what, value: text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
