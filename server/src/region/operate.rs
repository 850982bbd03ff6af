//! What operators do to the nodes and disks of a region: pure changes of the view, each with its reasons to refuse.

use super::change::node_named;
use crate::disks::add_groups;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use types::cluster_map::check_map;
use types::pg::{self, PgClass};
use types::{
    ChunkCluster, ChunkClusterId, ClusterView, DiskInfo, DiskState, Domain, ErasureProfile, NodeId,
};

/// Copies of small objects where nothing else is asked for.
const SMALL: (u8, u8) = (1, 2);

/// What a chunk cluster is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterPlan {
    /// Profile of large objects, `k+m`.
    pub profile: Option<String>,
    /// Profile of small objects.
    pub small: Option<String>,
    /// What both survive the loss of: zone, rack, node or disk.
    pub domain: Option<String>,
}

/// Reads `5+4`.
///
/// # Errors
/// It is no profile.
pub fn parse_profile(text: &str) -> Result<ErasureProfile> {
    let parts = text.split_once('+');
    let parts = parts.and_then(|(k, m)| Some((k.parse().ok()?, m.parse().ok()?)));
    let profile = parts.and_then(|(k, m)| ErasureProfile::new(k, m));
    profile.with_context(|| {
        format!("`{text}` is no profile: write data and parity shards, for example `5+4`")
    })
}

/// Reads the name of a failure domain.
///
/// # Errors
/// It is none.
pub fn parse_domain(text: &str) -> Result<Domain> {
    let all = [Domain::Zone, Domain::Rack, Domain::Node, Domain::Disk];
    let found = all.into_iter().find(|domain| domain.to_string() == text);
    found.with_context(|| {
        format!("`{text}` is no failure domain: they are zone, rack, node and disk")
    })
}

/// The view with a chunk cluster of all disks that are in none, and its placement groups.
///
/// # Errors
/// There are no such disks, one of them is down, or they cannot keep the promise.
pub fn with_cluster(view: &ClusterView, plan: &ClusterPlan) -> Result<(ClusterView, ChunkCluster)> {
    let domain = plan
        .domain
        .as_deref()
        .map_or(Ok(Domain::Zone), parse_domain)?;
    let free: Vec<&DiskInfo> = free_disks(view).collect();
    ensure!(
        !free.is_empty(),
        "every disk is in a chunk cluster already: nodes that join bring new ones"
    );
    let absent: BTreeSet<NodeId> = free
        .iter()
        .filter(|disk| !view.map.state_of(disk).takes_writes())
        .map(|disk| disk.node)
        .collect();
    if !absent.is_empty() {
        let name = |id: &NodeId| {
            view.map
                .node(*id)
                .map_or(id.to_string(), |node| node.name.clone())
        };
        let names: Vec<String> = absent.iter().map(name).collect();
        bail!(
            "disks of {} are not up, so nothing can be placed on them: start the nodes first, or remove them (`cairn \
             node remove`)",
            names.join(", ")
        );
    }
    let (striped, small) = profiles(plan, domain, view, &free)?;
    let last = view.map.clusters.iter().map(|cluster| cluster.id.0).max();
    let cluster = ChunkCluster {
        id: ChunkClusterId(last.unwrap_or(0) + 1),
        striped,
        small,
        domain,
        weight: 1,
        ..Default::default()
    };
    let mut next = view.clone();
    let count = free.len();
    for disk in &mut next.map.disks {
        if disk.cluster == ChunkClusterId::NONE && disk.state != DiskState::Removed {
            disk.cluster = cluster.id;
        }
    }
    next.map.clusters.push(cluster.clone());
    for (class, profile) in [(PgClass::Striped, striped), (PgClass::Small, small)] {
        let groups = pg::group_count(count, profile);
        add_groups(&mut next, &cluster, class, profile, groups)?;
    }
    check_map(&next)?;
    Ok((next, cluster))
}

/// The disks of nodes that take part and that are in no chunk cluster.
fn free_disks(view: &ClusterView) -> impl Iterator<Item = &DiskInfo> {
    let is_free =
        |disk: &&DiskInfo| disk.cluster == ChunkClusterId::NONE && disk.state != DiskState::Removed;
    view.map.disks.iter().filter(is_free)
}

/// The profiles that were asked for, or those that suit the disks.
fn profiles(
    plan: &ClusterPlan,
    domain: Domain,
    view: &ClusterView,
    free: &[&DiskInfo],
) -> Result<(ErasureProfile, ErasureProfile)> {
    let mut in_domain: BTreeMap<u128, usize> = BTreeMap::new();
    for disk in free {
        *in_domain
            .entry(view.map.domain_label(disk.id, domain))
            .or_default() += 1;
    }
    let (domains, fewest) = (
        in_domain.len(),
        in_domain.values().min().copied().unwrap_or(0),
    );
    let suits = if domain == Domain::Zone {
        ErasureProfile::for_zones(domains, fewest)
    } else {
        ErasureProfile::for_disks(domains).zip(ErasureProfile::small_for_disks(domains))
    };
    let striped = match &plan.profile {
        Some(text) => parse_profile(text)?,
        None => {
            let suits = suits.map(|(striped, _)| striped);
            suits.with_context(|| no_profile(domain, domains))?
        }
    };
    let small = match (&plan.small, suits) {
        (Some(text), _) => parse_profile(text)?,
        (None, Some((_, small))) => small,
        (None, None) => ErasureProfile::new(SMALL.0, SMALL.1).context("a profile of copies")?,
    };
    for profile in [striped, small] {
        ensure!(
            profile.parity() > 0,
            "profile {profile} has no parity: the loss of one disk would lose objects. Give it parity shards, and \
             disks for them"
        );
    }
    ensure!(
        small.data() == 1,
        "small objects are kept as whole copies: their profile is 1+m, not {small}"
    );
    Ok((striped, small))
}

fn no_profile(domain: Domain, domains: usize) -> String {
    format!(
        "the disks lie in {domains} {domain}(s), and no profile over them survives the loss of one: let nodes of further \
         {domain}s join, or say with --domain (rack, node or disk) what is to be survived"
    )
}

/// The view in which others reach a node at `address` first.
///
/// # Errors
/// The node is not in it any more.
pub fn with_address(view: &ClusterView, id: NodeId, address: &str) -> Result<(ClusterView, ())> {
    let mut next = view.clone();
    let node = next
        .map
        .nodes
        .iter_mut()
        .find(|node| node.id == id && !node.is_removed);
    let node = node.context("this node was removed from the region")?;
    if !node.addresses.iter().any(|known| known == address) {
        node.addresses = vec![address.to_owned()];
    }
    Ok((next, ()))
}

/// The view without a node; `is_member` says whether it keeps the index still.
///
/// # Errors
/// There is no such node, or something is still on it.
pub fn without_node(
    view: &ClusterView,
    name: &str,
    is_member: bool,
) -> Result<(ClusterView, NodeId)> {
    let id = node_named(&view.map, name)?.id;
    ensure!(
        !is_member,
        "node {name} keeps the index: put another in its place first (`cairn index replace`), or take it out (`cairn \
         index remove`)"
    );
    let holds = |disk: &&DiskInfo| disk.node == id && view.on_disk(disk.id).next().is_some();
    let held = view.map.disks.iter().filter(holds).count();
    ensure!(
        held == 0,
        "{held} disks of node {name} have places in placement groups: what is on them would lose its redundancy. Nodes \
         whose disks are in a chunk cluster cannot be removed yet; one that is dead may stay in the map as it is"
    );
    let mut next = view.clone();
    for node in next.map.nodes.iter_mut().filter(|node| node.id == id) {
        node.is_removed = true;
    }
    for disk in next.map.disks.iter_mut().filter(|disk| disk.node == id) {
        disk.state = DiskState::Removed;
    }
    check_map(&next)?;
    Ok((next, id))
}

#[cfg(test)]
mod tests;
