//! The cluster map together with its placement groups: what a writer or a reader goes by.

use crate::cluster_map::ClusterMap;
use crate::ids::{DiskId, PgId};
use crate::pg::{PgClass, PlacementGroup};
use std::collections::BTreeMap;

/// A map and its groups, as of one epoch. An immutable value, replaced as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterView {
    /// The map.
    pub map: ClusterMap,
    /// Every placement group by id.
    pub groups: BTreeMap<PgId, PlacementGroup>,
}

impl ClusterView {
    /// The groups of `class` that the map says can take writes now.
    pub fn writable(&self, class: PgClass) -> impl Iterator<Item = &PlacementGroup> {
        self.groups.values().filter(move |group| {
            let domain = self
                .map
                .cluster(group.cluster)
                .map(|cluster| cluster.domain);
            group.class == class && group.can_take_writes(&self.map, domain.unwrap_or_default())
        })
    }

    /// The groups that have a shard position on `disk`, with that position.
    pub fn on_disk(&self, disk: DiskId) -> impl Iterator<Item = (&PlacementGroup, usize)> {
        self.groups.values().filter_map(move |group| {
            group
                .disks
                .iter()
                .position(|member| *member == disk)
                .map(|at| (group, at))
        })
    }
}
