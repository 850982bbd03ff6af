//! Which nodes are out: a pure function from who has heard whom to the nodes that the cluster map should mark.
//!
//! Writers may go on without a node only once the map says that it is down, and the map must not say so of nodes
//! that hear each other well. So whoever keeps the map gathers what every node says of every other one, and keeps
//! a set of nodes in which all hear each other, as large as it can find.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use types::{NodeId, ZoneId};

/// Times to decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutageLimits {
    /// A node not heard for this long is out.
    pub suspect_after: Duration,
    /// A node that was out must be heard without a break for this long before it is trusted again: one that
    /// comes and goes would cost more than one that is gone.
    pub trust_after: Duration,
}

impl Default for OutageLimits {
    fn default() -> Self {
        Self {
            suspect_after: Duration::from_secs(1),
            trust_after: Duration::from_secs(5),
        }
    }
}

/// A node as the decision sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The node.
    pub id: NodeId,
    /// Where it stands.
    pub zone: ZoneId,
    /// Disks that would be lost with it.
    pub disks: usize,
}

/// How long ago one node (the first) last heard another (the second). A pair that is not there was never heard.
pub type Heard = BTreeMap<(NodeId, NodeId), Duration>;

/// Who hears whom within a limit, as the node `me` knows it.
struct Links<'a> {
    heard: &'a Heard,
    me: NodeId,
    limit: Duration,
}

impl Links<'_> {
    fn age(&self, one: NodeId, other: NodeId) -> Duration {
        let age = self.heard.get(&(one, other)).copied();
        age.unwrap_or(Duration::MAX)
    }

    fn hears(&self, one: NodeId, other: NodeId) -> bool {
        one == other || self.age(one, other) < self.limit
    }

    fn linked(&self, one: NodeId, other: NodeId) -> bool {
        self.hears(one, other) && self.hears(other, one)
    }

    /// Beats between `me` and the node have been missing for half the limit, in either direction: it is likely to
    /// be on its way out, and who has noticed before `me` is not.
    fn is_fading(&self, node: NodeId) -> bool {
        self.age(self.me, node).max(self.age(node, self.me)) >= self.limit / 2
    }
}

/// The nodes of `all` in which every two have heard each other within `limit`, `me` among them.
///
/// Nodes that `me` and they have not heard are left out first. Of the rest, as long as some two do not hear each
/// other, one leaves: rather one that is marked `down` already, then one that is fading from `me`, then the one that
/// has lost the most links, then the one that the most others do not hear; between equals the one with fewer disks,
/// then the one in another zone than `me`. Who turns out to hear all who are left comes back, so nobody is out without
/// need; but more might stay with another choice.
#[must_use]
pub fn connected(
    all: &[Witness],
    me: NodeId,
    heard: &Heard,
    (down, limit): (&BTreeSet<NodeId>, Duration),
) -> BTreeSet<NodeId> {
    let links = Links { heard, me, limit };
    let linked = |one, other| links.linked(one, other);
    let my_zone = all.iter().find(|node| node.id == me).map(|node| node.zone);
    let mut kept: Vec<&Witness> = all.iter().filter(|node| linked(me, node.id)).collect();
    loop {
        let count = |is: &dyn Fn(&Witness) -> bool| kept.iter().filter(|node| is(node)).count();
        let unlinked = |node: &Witness| count(&|other| !linked(node.id, other.id));
        let unheard = |node: &Witness| count(&|other| !links.hears(other.id, node.id));
        let worst = kept
            .iter()
            .filter(|node| node.id != me && unlinked(node) > 0)
            .max_by_key(|node| {
                let is_elsewhere = Some(node.zone) != my_zone;
                (
                    // A choice that was made stays: another one would cost a second node.
                    down.contains(&node.id),
                    links.is_fading(node.id),
                    unlinked(node),
                    unheard(node),
                    std::cmp::Reverse(node.disks),
                    is_elsewhere,
                    node.id,
                )
            });
        let Some(worst) = worst.map(|node| node.id) else {
            break;
        };
        kept.retain(|node| node.id != worst);
    }
    let mut rest: Vec<&Witness> = all.iter().collect();
    rest.sort_by_key(|node| (std::cmp::Reverse(node.disks), node.id));
    for node in rest {
        if kept
            .iter()
            .all(|other| other.id != node.id && linked(node.id, other.id))
        {
            kept.push(node);
        }
    }
    kept.into_iter().map(|node| node.id).collect()
}

/// True when the nodes that are `well` are the better part of a region: they have half of its disks, or more than half
/// of its zones stand, each with half of its disks.
///
/// A keeper that hears fewer is rather out itself. It could not store a change without a quorum of the index, but
/// that may be a few nodes of many, and the map would give the others up. Disks alone do not tell: one zone may have
/// more of them than all others, and writes go on without it.
fn are_most(all: &[Witness], well: &BTreeSet<NodeId>) -> bool {
    let mut zones: BTreeMap<ZoneId, (usize, usize)> = BTreeMap::new();
    for node in all {
        let (disks, disks_well) = zones.entry(node.zone).or_default();
        *disks += node.disks;
        if well.contains(&node.id) {
            *disks_well += node.disks;
        }
    }
    // A zone without disks is none for writes.
    zones.retain(|_, (disks, _)| *disks > 0);
    let is_half = |disks: usize, disks_well: usize| 2 * disks_well >= disks;
    let (disks, disks_well) = zones
        .values()
        .fold((0, 0), |sum, zone| (sum.0 + zone.0, sum.1 + zone.1));
    let standing = zones.values().filter(|zone| is_half(zone.0, zone.1));
    is_half(disks, disks_well) || 2 * standing.count() > zones.len()
}

/// What whoever keeps the map remembers while it does so.
#[derive(Debug)]
pub struct OutageWatch {
    /// When it began to keep the map.
    began: Duration,
    /// Since when nodes that are marked down have been heard again.
    well_since: BTreeMap<NodeId, Duration>,
    /// Who was not well at the last decision.
    doubted: BTreeSet<NodeId>,
}

impl OutageWatch {
    /// For a node that begins to keep the map at monotonic time `now`.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self {
            began: now,
            well_since: BTreeMap::new(),
            doubted: BTreeSet::new(),
        }
    }

    /// The nodes that the map should have marked down, given that it has `down` marked at monotonic time `now`.
    ///
    /// A node is out once two decisions in a row find it so: while one dies, the others notice at different times, and
    /// what is known at one moment may speak against the wrong one. One that is heard again stays out for
    /// [`OutageLimits::trust_after`]. Nothing changes while the keeper is so new that it cannot have heard
    /// everybody, nor when it hears the lesser part of the region: then it is rather the keeper that is out.
    pub fn decide(
        &mut self,
        all: &[Witness],
        me: NodeId,
        heard: &Heard,
        (down, now): (&BTreeSet<NodeId>, Duration),
        limits: OutageLimits,
    ) -> BTreeSet<NodeId> {
        if now < self.began + limits.suspect_after {
            return down.clone();
        }
        let well = connected(all, me, heard, (down, limits.suspect_after));
        let ids = all.iter().map(|node| node.id);
        let doubted: BTreeSet<NodeId> = ids.filter(|node| !well.contains(node)).collect();
        let before = std::mem::replace(&mut self.doubted, doubted);
        if !are_most(all, &well) {
            return down.clone();
        }
        self.well_since
            .retain(|node, _| well.contains(node) && down.contains(node));
        for node in well.iter().filter(|node| down.contains(node)) {
            self.well_since.entry(*node).or_insert(now);
        }
        let is_out = |node: NodeId| {
            let since = self.well_since.get(&node);
            let trusted = since.is_some_and(|since| *since + limits.trust_after <= now);
            match down.contains(&node) {
                true => node != me && !trusted,
                false => !well.contains(&node) && before.contains(&node),
            }
        };
        all.iter()
            .map(|node| node.id)
            .filter(|node| is_out(*node))
            .collect()
    }
}

#[cfg(test)]
mod tests;
