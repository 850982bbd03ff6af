//! Which directory is which disk: the first start gives directories an identity, later ones find their
//! disks by it. Nothing is ever formatted on a guess.

use anyhow::{Result, bail, ensure};
use chunkstore::CATALOG_FOLDER;
use chunkstore::identity::{self, Identity};
use chunkstore::volume::format::volume_number;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use types::pg::{self, PgClass};
use types::{
    ChunkCluster, ChunkClusterId, ClusterMap, ClusterView, DiskId, DiskInfo, DiskState, Domain,
    Entropy, ErasureProfile, InstallationId, NodeId, PgId, RegionId,
};

/// The region of a single machine.
pub const REGION: RegionId = RegionId(1);
/// The node that a single machine is.
pub const NODE: NodeId = NodeId(1);
const CLUSTER: ChunkClusterId = ChunkClusterId(1);

/// A configured directory and the disk that was found in it.
#[derive(Debug, Clone)]
pub struct FoundDisk {
    /// The directory.
    pub directory: PathBuf,
    /// Its identity; `None` when it has none, or one that cannot be read.
    pub identity: Option<Identity>,
    /// Why its identity cannot be read.
    pub fault: Option<String>,
}

/// Reads the identity of each configured directory; changes nothing. A disk whose identity cannot be read
/// is as good as absent, but is never taken for a new one.
///
/// # Errors
/// Two directories hold the same disk.
pub fn survey(data: &[PathBuf]) -> Result<Vec<FoundDisk>> {
    let find = |directory: &PathBuf| match identity::read(directory) {
        Ok(identity) => FoundDisk {
            directory: directory.clone(),
            identity,
            fault: None,
        },
        Err(error) => {
            let fault = Some(error.to_string());
            FoundDisk {
                directory: directory.clone(),
                identity: None,
                fault,
            }
        }
    };
    let found: Vec<FoundDisk> = data.iter().map(find).collect();
    let mut seen = BTreeSet::new();
    for disk in &found {
        let id = disk.identity.as_ref().map(|identity| identity.disk);
        ensure!(
            id.is_none_or(|id| seen.insert(id)),
            "{}: is a copy of another disk of this server; remove it from --data",
            disk.directory.display()
        );
    }
    Ok(found)
}

/// True when nothing was ever stored: no directory holds volumes, and all identities, if there are any
/// from a first start that was interrupted, are of one installation.
#[must_use]
pub fn is_first_start(found: &[FoundDisk]) -> bool {
    let installations: BTreeSet<InstallationId> = found
        .iter()
        .filter_map(|disk| disk.identity.as_ref())
        .map(|id| id.installation)
        .collect();
    let untouched = |disk: &FoundDisk| disk.fault.is_none() && !was_used(&disk.directory);
    installations.len() <= 1 && found.iter().all(untouched)
}

/// True once the disk was opened, which happens only after the map that names it was stored; it has a catalogue
/// then, even if everything stored so far is inline in the index.
fn was_used(directory: &Path) -> bool {
    let Ok(names) = std::fs::read_dir(directory) else {
        return false;
    };
    names.flatten().any(|entry| {
        let name = entry.file_name();
        name == CATALOG_FOLDER || volume_number(&name.to_string_lossy()).is_some()
    })
}

/// Gives every directory an identity and makes the first map and its placement groups. The identities
/// are durable on return; the caller stores the map.
///
/// # Errors
/// A directory cannot be written, or holds something else.
pub fn first_start(found: &mut [FoundDisk], entropy: &dyn Entropy) -> Result<ClusterView> {
    let random = || (u128::from(entropy.next_u64()) << 64) | u128::from(entropy.next_u64());
    let earlier = found
        .iter()
        .find_map(|disk| disk.identity.as_ref().map(|id| id.installation));
    let installation = earlier.unwrap_or_else(|| InstallationId(random()));
    for disk in found.iter_mut().filter(|disk| disk.identity.is_none()) {
        let id = DiskId(random());
        let made = Identity {
            installation,
            region: REGION,
            node: NODE,
            disk: id,
            replaces: None,
        };
        identity::format(&disk.directory, &made)?;
        disk.identity = Some(made);
    }
    let disks = found
        .iter()
        .filter_map(|disk| disk.identity.as_ref())
        .map(|identity| DiskInfo {
            id: identity.disk,
            node: NODE,
            cluster: CLUSTER,
            weight: 1,
            ..Default::default()
        });
    let disks: Vec<DiskInfo> = disks.collect();
    let cluster = ChunkCluster {
        id: CLUSTER,
        striped: ErasureProfile::for_disks(disks.len()).expect("the configuration has a disk"),
        small: ErasureProfile::small_for_disks(disks.len()).expect("the configuration has a disk"),
        domain: Domain::Disk,
        weight: 1,
        ..Default::default()
    };
    let map = ClusterMap {
        installation,
        region: REGION,
        epoch: 1,
        clusters: vec![cluster],
        disks,
        ..Default::default()
    };
    first_groups(map)
}

fn first_groups(map: ClusterMap) -> Result<ClusterView> {
    let mut view = ClusterView {
        map,
        ..Default::default()
    };
    let cluster = view.map.clusters[0].clone();
    for (class, profile) in [
        (PgClass::Striped, cluster.striped),
        (PgClass::Small, cluster.small),
    ] {
        let count = pg::group_count(view.map.disks.len(), profile);
        add_groups(&mut view, &cluster, class, profile, count)?;
    }
    Ok(view)
}

/// Adds `count` groups of `class` over the disks that take writes now.
///
/// # Errors
/// The disks that take writes cannot hold the profile.
pub fn add_groups(
    view: &mut ClusterView,
    cluster: &ChunkCluster,
    class: PgClass,
    profile: ErasureProfile,
    count: usize,
) -> Result<()> {
    let first = view
        .groups
        .last_key_value()
        .map_or(PgId(1), |(last, _)| PgId(last.0 + 1));
    let kind = (class, profile);
    let made = pg::make_groups(&view.map, cluster.id, cluster.domain, kind, first, count)?;
    view.groups
        .extend(made.into_iter().map(|group| (group.id, group)));
    Ok(())
}

/// Matches what was found on node `me` with the map: disks that took the place of a lost one get its positions,
/// those that are absent are marked down, those that came back up. Returns the new view if anything changed.
///
/// # Errors
/// A disk of another installation or node, or one that the map does not know.
pub fn reconcile(
    view: &ClusterView,
    found: &[FoundDisk],
    me: NodeId,
) -> Result<Option<ClusterView>> {
    let mut next = view.clone();
    for disk in found {
        let Some(identity) = &disk.identity else {
            continue;
        };
        let shown = disk.directory.display();
        ensure!(
            identity.installation == view.map.installation,
            "{shown}: is a disk of another installation ({}); this one is {}. Take it out of --data, \
             or empty it if its data is not needed",
            identity.installation,
            view.map.installation
        );
        ensure!(
            identity.node == me,
            "{shown}: is a disk of node {}, and this is node {me}: mount it there. A disk does not move from node \
             to node: what it holds is rebuilt on an empty one",
            identity.node
        );
        if let Some(lost) = identity.replaces {
            substitute(&mut next, lost, identity);
        }
        ensure!(
            next.map
                .disk(identity.disk)
                .is_some_and(|info| info.state != DiskState::Removed),
            "{shown}: disk {} is not in the cluster map, or another has taken its place; take it out \
             of --data",
            identity.disk
        );
    }
    let present: BTreeSet<DiskId> = found
        .iter()
        .filter_map(|disk| disk.identity.as_ref())
        .map(|id| id.disk)
        .collect();
    for info in next.map.disks.iter_mut().filter(|info| info.node == me) {
        info.state = match (info.state, present.contains(&info.id)) {
            (DiskState::Removed, _) => DiskState::Removed,
            (DiskState::ReadOnly, true) => DiskState::ReadOnly,
            (_, true) => DiskState::Up,
            (_, false) => DiskState::Down,
        };
    }
    if next == *view {
        return Ok(None);
    }
    next.map.epoch = view.map.epoch + 1;
    Ok(Some(next))
}

/// The disks that a server has, and whose they are.
#[derive(Debug)]
pub struct OwnDisks {
    /// The installation.
    pub installation: InstallationId,
    /// The region.
    pub region: RegionId,
    /// The node.
    pub node: NodeId,
    /// Those of the cluster map, in use and of this node.
    pub in_use: Vec<DiskId>,
}

impl OwnDisks {
    /// Those of `node` in a map.
    #[must_use]
    pub fn of(map: &ClusterMap, node: NodeId) -> Self {
        let is_own = |disk: &&DiskInfo| disk.node == node && disk.state != DiskState::Removed;
        Self {
            installation: map.installation,
            region: map.region,
            node,
            in_use: map
                .disks
                .iter()
                .filter(is_own)
                .map(|disk| disk.id)
                .collect(),
        }
    }
}

/// Gives the positions of `lost` to the disk that took its place; each group gets a new version. Done again,
/// it does what was left undone: the change of the groups is stored in steps.
fn substitute(view: &mut ClusterView, lost: DiskId, identity: &Identity) {
    let is_place = |info: &&mut DiskInfo| info.id == lost && info.node == identity.node;
    let Some(place) = view.map.disks.iter_mut().find(is_place) else {
        return;
    };
    place.state = DiskState::Removed;
    let taken = DiskInfo {
        id: identity.disk,
        node: identity.node,
        state: DiskState::Up,
        capacity: 0,
        ..place.clone()
    };
    if view.map.disk(identity.disk).is_none() {
        view.map.disks.push(taken);
    }
    for group in view.groups.values_mut() {
        if let Some(position) = group.disks.iter().position(|disk| *disk == lost) {
            group.disks[position] = identity.disk;
            group.version += 1;
        }
    }
}

/// Warns of directories that have no usable disk: a lost one, or one that is not mounted.
pub fn warn_of_missing(found: &[FoundDisk]) {
    for disk in found.iter().filter(|disk| disk.identity.is_none()) {
        let directory = disk.directory.display();
        match &disk.fault {
            Some(fault) => tracing::error!(%directory, fault, "the disk cannot be used"),
            None => tracing::warn!(
                %directory,
                "no disk here: mount it, or, if it is lost, run `cairn disk replace` on the empty directory"
            ),
        }
    }
}

/// Makes `directory` the disk that takes the place of `lost`, or of the only missing one.
///
/// # Errors
/// The directory is not one of the configuration, is not empty, or it is not clear which disk is lost.
pub fn replace(
    data: &[PathBuf],
    own: &OwnDisks,
    directory: &Path,
    lost: Option<DiskId>,
    entropy: &dyn Entropy,
) -> Result<(DiskId, DiskId)> {
    ensure!(
        data.iter().any(|dir| dir == directory),
        "{}: is not one of the directories of --data",
        directory.display()
    );
    let found = survey(data)?;
    let present: BTreeSet<DiskId> = found
        .iter()
        .filter_map(|disk| disk.identity.as_ref())
        // A place that was given before, and that the next start takes.
        .flat_map(|id| [Some(id.disk), id.replaces])
        .flatten()
        .collect();
    let is_missing = |disk: &&DiskId| !present.contains(disk);
    let missing: Vec<DiskId> = own.in_use.iter().filter(is_missing).copied().collect();
    let lost = match (lost, missing.as_slice()) {
        (Some(lost), missing) if missing.contains(&lost) => lost,
        (Some(lost), _) => bail!("disk {lost} is not missing; `cairn disk list` shows which are"),
        (None, [only]) => *only,
        (None, []) => bail!("no disk is missing"),
        (None, several) => bail!(
            "{} disks are missing; say with --disk which one this is to replace: {}",
            several.len(),
            several
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    let disk = DiskId((u128::from(entropy.next_u64()) << 64) | u128::from(entropy.next_u64()));
    let made = Identity {
        installation: own.installation,
        region: own.region,
        node: own.node,
        disk,
        replaces: Some(lost),
    };
    identity::format(directory, &made)?;
    Ok((lost, disk))
}

#[cfg(test)]
mod tests;
