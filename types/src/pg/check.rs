//! Whether a placement group keeps the promise of its profile on a given map.

use super::{PlacementGroup, ShardSet, survives_any_domain};
use crate::cluster_map::ClusterMap;
use crate::ids::{DiskId, PgId};
use crate::profile::{Domain, ErasureProfile};

/// What is wrong with a placement group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupFault {
    /// It has more or fewer disks than its profile has shards.
    #[error("placement group {group} has {disks} disks, and its profile {profile} has {} shards", profile.shards())]
    WrongLength {
        /// The group.
        group: PgId,
        /// Its profile.
        profile: ErasureProfile,
        /// Its disks.
        disks: usize,
    },
    /// A disk that the map does not have, or that belongs to another chunk cluster.
    #[error("placement group {group} has disk {disk}, which is not of its chunk cluster")]
    ForeignDisk {
        /// The group.
        group: PgId,
        /// The disk.
        disk: DiskId,
    },
    /// Two shards on disks that fail together.
    #[error(
        "placement group {group} has two shards in one {domain} (disks {first} and {second}): give one of them a \
         disk in another {domain}"
    )]
    SharedDomain {
        /// The group.
        group: PgId,
        /// What they share.
        domain: Domain,
        /// One disk.
        first: DiskId,
        /// The other disk.
        second: DiskId,
    },
    /// The loss of one zone would leave too few shards.
    #[error(
        "placement group {group} has too many of its {} shards in one {domain}: its loss would leave fewer than {}. \
         Spread them over more {domain}s",
        profile.shards(), profile.data()
    )]
    TooManyInDomain {
        /// The group.
        group: PgId,
        /// Its profile.
        profile: ErasureProfile,
        /// Where they are too many.
        domain: Domain,
    },
}

/// Refuses a group that the loss of one failure domain of its cluster would leave without its bytes.
///
/// # Errors
/// [`GroupFault`], the first that is found.
pub fn check_group(
    map: &ClusterMap,
    group: &PlacementGroup,
    domain: Domain,
) -> Result<(), GroupFault> {
    let (id, profile) = (group.id, group.profile);
    if group.disks.len() != profile.shards() {
        let disks = group.disks.len();
        return Err(GroupFault::WrongLength {
            group: id,
            profile,
            disks,
        });
    }
    let is_foreign = |disk: &&DiskId| {
        map.disk(**disk)
            .is_none_or(|info| info.cluster != group.cluster)
    };
    if let Some(disk) = group.disks.iter().find(is_foreign) {
        return Err(GroupFault::ForeignDisk {
            group: id,
            disk: *disk,
        });
    }
    // Shards that share a zone must at least lie on different disks.
    let apart = if domain == Domain::Zone {
        Domain::Disk
    } else {
        domain
    };
    let labels = group.domains(map, apart);
    for (position, label) in labels.iter().enumerate() {
        if let Some(earlier) = labels[..position].iter().position(|other| other == label) {
            return Err(GroupFault::SharedDomain {
                group: id,
                domain: apart,
                first: group.disks[earlier],
                second: group.disks[position],
            });
        }
    }
    let all = ShardSet::first(profile.shards());
    if profile.parity() > 0 && !survives_any_domain(profile, &group.domains(map, domain), all) {
        return Err(GroupFault::TooManyInDomain {
            group: id,
            profile,
            domain,
        });
    }
    Ok(())
}
