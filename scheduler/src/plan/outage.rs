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

/// The nodes of `all` in which every two have heard each other within `limit`, `me` among them.
///
/// Nodes that `me` and they have not heard are left out first. Of the rest, as long as some two do not hear each
/// other, the one leaves that most others do not hear; between equals the one with fewer disks, then the one in
/// another zone than `me`. Who turns out to hear all who are left comes back, so nobody is out without need; but
/// more might stay with another choice.
#[must_use]
pub fn connected(all: &[Witness], me: NodeId, heard: &Heard, limit: Duration) -> BTreeSet<NodeId> {
    let hears = |one: NodeId, other: NodeId| {
        one == other || heard.get(&(one, other)).is_some_and(|age| *age < limit)
    };
    let linked = |one: NodeId, other: NodeId| hears(one, other) && hears(other, one);
    let my_zone = all.iter().find(|node| node.id == me).map(|node| node.zone);
    let mut kept: Vec<&Witness> = all.iter().filter(|node| linked(me, node.id)).collect();
    loop {
        let deaf = |node: &Witness| {
            kept.iter()
                .filter(|other| !linked(node.id, other.id))
                .count()
        };
        let worst = kept
            .iter()
            .filter(|node| node.id != me && deaf(node) > 0)
            .max_by_key(|node| {
                let is_elsewhere = Some(node.zone) != my_zone;
                (
                    deaf(node),
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

/// What whoever keeps the map remembers while it does so.
#[derive(Debug)]
pub struct OutageWatch {
    /// When it began to keep the map.
    began: Duration,
    /// Since when nodes that are marked down have been heard again.
    well_since: BTreeMap<NodeId, Duration>,
}

impl OutageWatch {
    /// For a node that begins to keep the map at monotonic time `now`.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self {
            began: now,
            well_since: BTreeMap::new(),
        }
    }

    /// The nodes that the map should have marked down, given that it has `down` marked at monotonic time `now`.
    ///
    /// A node that is not heard is out at once. One that is heard again stays out for
    /// [`OutageLimits::trust_after`]. Nothing changes while the keeper is so new that it cannot have heard
    /// everybody, nor when those it hears have less than half of the disks: then it is rather the keeper that is
    /// out, and writes could not go on with what is left anyway.
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
        let well = connected(all, me, heard, limits.suspect_after);
        let disks =
            |nodes: &mut dyn Iterator<Item = &Witness>| nodes.map(|node| node.disks).sum::<usize>();
        let disks_well = disks(&mut all.iter().filter(|node| well.contains(&node.id)));
        if 2 * disks_well < disks(&mut all.iter()) {
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
            !well.contains(&node) || (down.contains(&node) && node != me && !trusted)
        };
        all.iter()
            .map(|node| node.id)
            .filter(|node| is_out(*node))
            .collect()
    }
}

#[cfg(test)]
mod tests;
