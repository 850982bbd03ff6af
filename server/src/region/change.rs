//! Changes of the cluster map that operators ask for: pure functions from one view to the next, and the loop that
//! stores them.

use super::describe::NodeDescription;
use super::home::PeerEntry;
use anyhow::{Context, Result, bail};
use index::Index;
use index::error::ReplaceError;
use types::cluster_map::check_map;
use types::{
    ChunkClusterId, ClusterMap, ClusterView, DiskId, DiskInfo, InstallationId, NodeId, NodeInfo,
    RegionId, Role, ZoneId, ZoneInfo,
};

/// How often a change is tried that others come before.
const ATTEMPTS: usize = 20;

/// The first view of a region: one zone, one node, and its disks, which are in no chunk cluster yet.
#[must_use]
pub fn first_view(
    installation: InstallationId,
    region: RegionId,
    node: &NodeDescription,
    disks: &[DiskId],
) -> ClusterView {
    let empty = ClusterView {
        map: ClusterMap {
            installation,
            region,
            epoch: 1,
            ..Default::default()
        },
        ..Default::default()
    };
    let mut view = with_node(&empty, NodeId(1), node, disks);
    view.map.nodes[0].is_down = false;
    view
}

/// The view with one node more, which is down until it is heard, in its zone, which is made if need be. Its disks are
/// in no chunk cluster.
#[must_use]
pub fn with_node(
    view: &ClusterView,
    id: NodeId,
    node: &NodeDescription,
    disks: &[DiskId],
) -> ClusterView {
    let mut next = view.clone();
    let map = &mut next.map;
    let zone = match map.zone_named(&node.zone) {
        Some(zone) => zone.id,
        None => {
            let last = map.zones.iter().map(|zone| zone.id.0).max();
            let id = ZoneId(last.unwrap_or(0) + 1);
            map.zones.push(ZoneInfo {
                id,
                name: node.zone.clone(),
                ..Default::default()
            });
            id
        }
    };
    map.nodes.push(NodeInfo {
        id,
        zone,
        rack: node.rack.clone(),
        name: node.name.clone(),
        addresses: node.addresses.clone(),
        roles: node.roles,
        is_down: true,
        ..Default::default()
    });
    map.disks.extend(disks.iter().map(|disk| DiskInfo {
        id: *disk,
        node: id,
        zone,
        cluster: ChunkClusterId::NONE,
        weight: 1,
        ..Default::default()
    }));
    next
}

/// The node of this name that takes part.
///
/// # Errors
/// There is none; the text names those that there are.
pub fn node_named<'a>(map: &'a ClusterMap, name: &str) -> Result<&'a NodeInfo> {
    let in_use = || map.nodes.iter().filter(|node| !node.is_removed);
    if let Some(node) = in_use().find(|node| node.name == name) {
        return Ok(node);
    }
    let names: Vec<&str> = in_use().map(|node| node.name.as_str()).collect();
    bail!("there is no node {name:?}; there are {}", names.join(", "))
}

/// The nodes of a map that take part, as a node keeps them for its next start.
#[must_use]
pub fn peers_of(map: &ClusterMap) -> Vec<PeerEntry> {
    let in_use = map.nodes.iter().filter(|node| !node.is_removed);
    let entry = |node: &NodeInfo| PeerEntry {
        node: node.id,
        addresses: node.addresses.clone(),
        is_index: node.roles.has(Role::Index),
    };
    in_use.map(entry).collect()
}

/// Makes a change of the stored view: reads it, changes it, checks the outcome and stores it, again when another
/// change came first. Returns the view that is stored now and what `change` gave with it.
///
/// # Errors
/// What `change` says; the outcome breaks a promise; the index does not answer.
pub async fn store<T>(
    index: &Index,
    change: impl Fn(&ClusterView) -> Result<(ClusterView, T)>,
) -> Result<(ClusterView, T)> {
    for _ in 0..ATTEMPTS {
        let stored = index
            .cluster_view()
            .await
            .context("the cluster map cannot be read")?;
        let stored = stored.context("the region has no cluster map yet: start its first node")?;
        let (mut next, given) = change(&stored)?;
        if next == stored {
            return Ok((next, given));
        }
        next.map.epoch = stored.map.epoch + 1;
        check_map(&next)?;
        match index.replace_cluster_view(stored.map.epoch, &next).await {
            Ok(()) => return Ok((next, given)),
            Err(ReplaceError::Changed) => {}
            Err(error) => {
                // The answer may have been lost, and the change been made.
                if index
                    .cluster_view()
                    .await
                    .is_ok_and(|now| now.as_ref() == Some(&next))
                {
                    return Ok((next, given));
                }
                return Err(error).context("the cluster map cannot be stored");
            }
        }
    }
    bail!("the cluster map was changed {ATTEMPTS} times meanwhile: try again")
}

#[cfg(test)]
mod tests;
