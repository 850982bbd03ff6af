//! The cluster view of this process: who may change it, and who is told.
//!
//! The view is kept in the index's control partition. A change is made by compare-and-set on the map's
//! epoch and only then published to writers and readers, so that what they go by is always durable.

use crate::disks;
use anyhow::Result;
use chunkstore::{DiskUsage, Finding, HealthSink, ShardStore};
use index::{Index, ReplaceError};
use scheduler::DirtyGroups;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use tokio::sync::{mpsc, watch};
use tracing::{debug, error, info, warn};
use types::pg::{self, PgClass, PlacementGroup};
use types::{ChunkCluster, ClusterView, DiskId, DiskState, Domain, ErasureProfile};

/// Evidence that waits to be acted on; more is dropped, since it is repeated as long as it holds.
const EVIDENCE_MAX: usize = 256;

/// How often a change of the map is tried again because another came first.
const MARK_ATTEMPTS: usize = 10;

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
        // It counts for disks of this process only: of other nodes, who hears whom decides.
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

    /// The view in force.
    #[must_use]
    pub fn view(&self) -> Arc<ClusterView> {
        Arc::clone(&self.view.borrow())
    }

    /// Publishes a view that the index holds, unless a newer one is published already; whether it was.
    pub fn publish(&self, view: ClusterView) -> bool {
        let view = Arc::new(view);
        self.view.send_if_modified(|current| {
            let is_newer = view.map.epoch > current.map.epoch;
            if is_newer {
                *current = view;
            }
            is_newer
        })
    }

    /// Acts on evidence until the data path is gone: marks disks of this process in the map, never improving a
    /// state. Evidence about disks of other nodes changes no map: their own nodes see what fails there, and whether
    /// a node can be reached is not for one other node to say.
    pub async fn act_on_evidence(&self, index: &Index, mut queue: EvidenceQueue) {
        while let Some(evidence) = queue.0.recv().await {
            let is_local = |local: &BTreeMap<_, _>| local.contains_key(&evidence.disk);
            if !self.local.get().is_some_and(is_local) {
                let Evidence { disk, reason, .. } = evidence;
                debug!(%disk, reason, "a disk of another node does not serve this one");
                continue;
            }
            if let Err(error) = self.mark(index, &evidence).await {
                error!(%error, "the cluster map could not be changed; it is tried again with the next evidence");
            }
        }
    }

    /// Brings the state of a disk in the map down to what the evidence says.
    async fn mark(&self, index: &Index, evidence: &Evidence) -> Result<(), ReplaceError> {
        let Evidence {
            disk,
            state,
            reason,
        } = evidence;
        let mut is_told = false;
        for attempt in 1.. {
            let view = self.view();
            // Its own state, whatever is thought of its node.
            let current = view.map.disk(*disk).map(|info| info.state);
            if current.is_none_or(|current| severity(*state) <= severity(current)) {
                break;
            }
            if !std::mem::replace(&mut is_told, true) {
                error!(%disk, state = state_name(*state), reason, "disk marked in the cluster map");
                metrics::counter!("cairn_disk_failures_total").increment(1);
            }
            let mut next = ClusterView {
                map: view.map.with_disk_state(*disk, *state),
                groups: view.groups.clone(),
            };
            if let Err(error) = ensure_writable(&mut next) {
                warn!(%error, "writes stop until a disk is back or replaced");
            }
            match self.change(index, next).await {
                Ok(()) => break,
                Err(ReplaceError::Changed) if attempt < MARK_ATTEMPTS => {
                    self.reload(index).await;
                }
                Err(error) => {
                    self.reload(index).await;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Publishes the stored view if it is ahead of the published one: another process changed it, or a change of
    /// this one had no answer. Whether it was.
    pub async fn reload(&self, index: &Index) -> bool {
        match index.cluster_view().await {
            Ok(stored) => stored.is_some_and(|stored| self.publish(stored)),
            Err(error) => {
                error!(%error, "the cluster map could not be read");
                false
            }
        }
    }

    /// Stores `next`, one epoch after the view that it was made from, and publishes it.
    ///
    /// # Errors
    /// The index could not store it, or another change came first; nothing is published then.
    pub async fn change(&self, index: &Index, next: ClusterView) -> Result<(), ReplaceError> {
        index
            .replace_cluster_view(next.map.epoch - 1, &next)
            .await?;
        info!(epoch = next.map.epoch, "cluster map changed");
        self.publish(next);
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

/// Sees to it that large objects can be stored in every chunk cluster: where no striped group takes writes, adds
/// groups with the profile that suits the disks that are left, as long as that profile can bear the loss of any one
/// failure domain of the cluster. Disks that are in no cluster yet are left alone.
///
/// # Errors
/// In some cluster too few disks are left for that; the others were seen to.
pub fn ensure_writable(view: &mut ClusterView) -> Result<()> {
    let mut outcome = Ok(());
    for cluster in view.map.clusters.clone() {
        let writable = |group: &PlacementGroup| {
            group.cluster == cluster.id
                && matches!(group.class, PgClass::Striped | PgClass::Fallback)
                && group.can_take_writes(&view.map, cluster.domain)
        };
        if view.groups.values().any(writable) {
            continue;
        }
        let added = add_fallback(view, &cluster);
        outcome = outcome.and(added);
    }
    outcome
}

fn add_fallback(view: &mut ClusterView, cluster: &ChunkCluster) -> Result<()> {
    let mut left: BTreeMap<u128, usize> = BTreeMap::new();
    for disk in &view.map.disks {
        if disk.cluster == cluster.id && view.map.state_of(disk).takes_writes() {
            let label = view.map.domain_label(disk.id, cluster.domain);
            *left.entry(label).or_default() += 1;
        }
    }
    let fewest = left.values().min().copied().unwrap_or_default();
    let profile = match cluster.domain {
        Domain::Zone => ErasureProfile::for_zones(left.len(), fewest).map(|(striped, _)| striped),
        Domain::Disk | Domain::Node | Domain::Rack => ErasureProfile::for_disks(left.len()),
    };
    let profile = profile.filter(|profile| profile.parity() > 0);
    let profile = profile.ok_or_else(|| {
        let (domain, id) = (cluster.domain, cluster.id);
        anyhow::anyhow!(
            "{} {domain}s of cluster {id} take writes, too few to bear a loss",
            left.len()
        )
    })?;
    let disks: usize = left.values().sum();
    info!(%profile, "adding placement groups over the disks that are left");
    let count = pg::group_count(disks, profile);
    disks::add_groups(view, cluster, PgClass::Fallback, profile, count)
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
