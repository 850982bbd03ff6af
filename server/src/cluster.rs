//! The cluster view of this process: who may change it, and who is told.
//!
//! The view is kept in the index's control partition. A change is made by compare-and-set on the map's
//! epoch and only then published to writers and readers, so that what they go by is always durable.

use crate::disks;
use anyhow::Result;
use chunkstore::{DiskUsage, Finding, HealthSink, ShardStore};
use index::Index;
use scheduler::DirtyGroups;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};
use types::pg::{self, PgClass, PlacementGroup};
use types::{ClusterView, DiskId, DiskState, ErasureProfile};

/// Evidence that waits to be acted on; more is dropped, since it is repeated as long as it holds.
const EVIDENCE_MAX: usize = 256;

/// A disk as `/admin/v1/disks` shows it.
pub struct DiskReport {
    /// The disk.
    pub id: DiskId,
    /// Its state in the map, in words.
    pub state: &'static str,
    /// Where it is, if it is here.
    pub directory: Option<PathBuf>,
    /// Room on it.
    pub usage: DiskUsage,
}

/// A disk of this process.
pub struct LocalDisk {
    /// Where it is.
    pub directory: PathBuf,
    /// The open disk.
    pub store: Arc<dyn ShardStore>,
}

/// The view, published.
pub struct Cluster {
    view: watch::Sender<Arc<ClusterView>>,
    local: OnceLock<BTreeMap<DiskId, LocalDisk>>,
}

/// A change that evidence asks for.
struct Evidence {
    disk: DiskId,
    state: DiskState,
    reason: String,
}

/// Takes evidence from the data path and hands it to [`Cluster::act_on_evidence`].
#[derive(Debug)]
pub struct Health {
    evidence: mpsc::Sender<Evidence>,
    dirty: Arc<DirtyGroups>,
}

/// The receiving end of [`Health`].
pub struct EvidenceQueue(mpsc::Receiver<Evidence>);

impl Health {
    /// A sink and its queue; shards that were found wanting go to `dirty`.
    pub fn new(dirty: Arc<DirtyGroups>) -> (Self, EvidenceQueue) {
        let (evidence, queue) = mpsc::channel(EVIDENCE_MAX);
        (Self { evidence, dirty }, EvidenceQueue(queue))
    }
}

impl HealthSink for Health {
    fn disk_failed(&self, disk: DiskId, state: DiskState, reason: &str) {
        let evidence = Evidence {
            disk,
            state,
            reason: reason.to_owned(),
        };
        // A full queue holds evidence enough; what is dropped here is reported again.
        let _ = self.evidence.try_send(evidence);
    }

    fn unreachable(&self, disk: DiskId, reason: &str) {
        // All disks of a single machine are in this process.
        self.disk_failed(disk, DiskState::Down, reason);
    }

    fn finding(&self, finding: Finding) {
        warn!(disk = %finding.disk, shard = ?finding.shard, fault = ?finding.fault, "a shard needs repair");
        metrics::counter!("cairn_shard_findings_total").increment(1);
        self.dirty.add_shard(finding.shard);
    }
}

impl Cluster {
    /// Publishes `view`, which the index holds.
    pub fn new(view: ClusterView) -> Self {
        Self {
            view: watch::Sender::new(Arc::new(view)),
            local: OnceLock::new(),
        }
    }

    /// Says which disks are here; once.
    pub fn set_local(&self, disks: BTreeMap<DiskId, LocalDisk>) {
        assert!(
            self.local.set(disks).is_ok(),
            "local disks are set once, at the start"
        );
    }

    /// The view and its changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<ClusterView>> {
        self.view.subscribe()
    }

    /// True when small and large objects can both be stored with their promise kept.
    pub fn can_write(&self) -> bool {
        let view = self.view.borrow();
        let any = |class| view.writable(class).next().is_some();
        any(PgClass::Small) && (any(PgClass::Striped) || any(PgClass::Fallback))
    }

    /// Every disk of the map that was not replaced.
    pub fn disks(&self) -> Vec<DiskReport> {
        let view = self.view.borrow().clone();
        let in_use = view
            .map
            .disks
            .iter()
            .filter(|disk| disk.state != DiskState::Removed);
        let report = |info: &types::DiskInfo| {
            let local = self.local.get().and_then(|local| local.get(&info.id));
            DiskReport {
                id: info.id,
                state: state_name(view.map.state_of(info)),
                directory: local.map(|disk| disk.directory.clone()),
                usage: local.map(|disk| disk.store.usage()).unwrap_or_default(),
            }
        };
        in_use.map(report).collect()
    }

    /// Brings the gauges of the disks up to date.
    pub fn record_metrics(&self) {
        for disk in self.disks() {
            let id = disk.id.to_string();
            let gauge = |name: &'static str, value: u64| {
                metrics::gauge!(name, "disk" => id.clone()).set(value as f64);
            };
            gauge("cairn_disk_capacity_bytes", disk.usage.capacity);
            gauge("cairn_disk_available_bytes", disk.usage.available);
            gauge("cairn_disk_volume_bytes", disk.usage.volumes);
            gauge("cairn_disk_live_bytes", disk.usage.live);
            gauge("cairn_disk_shards", disk.usage.shards);
            gauge("cairn_disk_up", u64::from(disk.state == "up"));
        }
    }

    /// Acts on evidence until the data path is gone: marks disks in the map, never improving a state.
    pub async fn act_on_evidence(&self, index: &Index, mut queue: EvidenceQueue) {
        while let Some(evidence) = queue.0.recv().await {
            let Evidence {
                disk,
                state,
                reason,
            } = evidence;
            let current = self.view.borrow().map.state(disk);
            if severity(state) <= severity(current) {
                continue;
            }
            error!(%disk, state = state_name(state), reason, "disk marked in the cluster map");
            metrics::counter!("cairn_disk_failures_total").increment(1);
            let view = self.view.borrow().clone();
            let mut next = ClusterView {
                map: view.map.with_disk_state(disk, state),
                ..(*view).clone()
            };
            if let Err(error) = ensure_writable(&mut next) {
                warn!(%error, "writes stop until a disk is back or replaced");
            }
            if let Err(error) = self.change(index, next).await {
                error!(%error, "the cluster map could not be changed; it is tried again with the next evidence");
                self.reload(index).await;
            }
        }
    }

    /// Publishes the stored view if it is ahead of the published one: a change whose answer was lost.
    async fn reload(&self, index: &Index) {
        match index.cluster_view().await {
            Ok(Some(stored)) if stored.map.epoch > self.view.borrow().map.epoch => {
                self.view.send_replace(Arc::new(stored));
            }
            Ok(_) => {}
            Err(error) => error!(%error, "the cluster map could not be read"),
        }
    }

    /// Stores `next`, one epoch after the published view, and publishes it.
    ///
    /// # Errors
    /// The index could not store it; nothing is published then.
    pub async fn change(&self, index: &Index, next: ClusterView) -> Result<()> {
        index
            .replace_cluster_view(next.map.epoch - 1, &next)
            .await?;
        info!(epoch = next.map.epoch, "cluster map changed");
        self.view.send_replace(Arc::new(next));
        Ok(())
    }
}

/// The most groups that one change of the stored view may alter; new groups are not limited.
const ALTERED_GROUPS_MAX: usize = 100;

/// Stores the change from `stored` to `target` in as many steps as it takes, each a view of its own with the
/// next epoch, and returns the last, which differs from `target` in its epoch alone. Stopped in between, the
/// disks and groups that are left to change are found changed again at the next start.
///
/// # Errors
/// The index could not store a step; those before it are stored.
pub async fn store_in_steps(
    index: &Index,
    stored: &ClusterView,
    target: &ClusterView,
) -> Result<ClusterView> {
    let mut current = stored.clone();
    loop {
        let mut next = ClusterView {
            map: target.map.clone(),
            groups: current.groups.clone(),
        };
        next.map.epoch = current.map.epoch + 1;
        let mut altered = 0;
        for (id, group) in &target.groups {
            let is_new = !current.groups.contains_key(id);
            if current.groups.get(id) != Some(group) && (is_new || altered < ALTERED_GROUPS_MAX) {
                altered += usize::from(!is_new);
                next.groups.insert(*id, group.clone());
            }
        }
        index.replace_cluster_view(current.map.epoch, &next).await?;
        if next.groups == target.groups {
            return Ok(next);
        }
        current = next;
    }
}

/// Sees to it that large objects can be stored: when no striped group takes writes, adds groups with the
/// profile that suits the disks that are left, as long as that profile can bear a further loss.
///
/// # Errors
/// Too few disks are left for that.
pub fn ensure_writable(view: &mut ClusterView) -> Result<()> {
    for cluster in view.map.clusters.clone() {
        let writable = |group: &PlacementGroup| {
            group.cluster == cluster.id
                && matches!(group.class, PgClass::Striped | PgClass::Fallback)
                && group.can_take_writes(&view.map, cluster.domain)
        };
        if view.groups.values().any(writable) {
            continue;
        }
        let left =
            view.map.disks.iter().filter(|disk| {
                disk.cluster == cluster.id && view.map.state_of(disk).takes_writes()
            });
        let domains: BTreeSet<u128> = left
            .map(|disk| view.map.domain_label(disk.id, cluster.domain))
            .collect();
        let profile =
            ErasureProfile::for_disks(domains.len()).filter(|profile| profile.parity() > 0);
        let profile = profile.ok_or_else(|| {
            anyhow::anyhow!(
                "{} disks of cluster {} take writes, too few to bear a loss",
                domains.len(),
                cluster.id
            )
        })?;
        let count = pg::group_count(domains.len(), profile);
        info!(%profile, "adding placement groups over the disks that are left");
        disks::add_groups(view, &cluster, PgClass::Fallback, profile, count)?;
    }
    Ok(())
}

/// Words for a state.
#[must_use]
pub fn state_name(state: DiskState) -> &'static str {
    match state {
        DiskState::Up => "up",
        DiskState::ReadOnly => "read-only",
        DiskState::Down => "down",
        DiskState::Removed => "removed",
    }
}

fn severity(state: DiskState) -> u8 {
    match state {
        DiskState::Up => 0,
        DiskState::ReadOnly => 1,
        DiskState::Down => 2,
        DiskState::Removed => 3,
    }
}

#[cfg(test)]
mod tests;
