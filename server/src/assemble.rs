//! Puts the roles together: configuration in, a storage that can be served and worked on out. The server
//! and `cairn check` share it.

use crate::cluster::{Cluster, EvidenceQueue, Health, LocalDisk, ensure_writable, store_in_steps};
use crate::config::Config;
use crate::disks::{self, FoundDisk, REGION};
use crate::format::{self, Formats};
use anyhow::{Context, Result, ensure};
use chunkstore::{
    CatalogMemory, ChunkStore, ChunkStoreOptions, DiskConfig, DiskStore, HealthSink, OpenDiskError,
    ShardStore,
};
use index::{Index, IndexConfig};
use scheduler::{DirtyGroups, returned};
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::{error, info, warn};
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::ids::IdSource;
use types::{Clock, ClusterView, DiskId, DiskState, Entropy, Finalised};

/// The open storage of an installation.
pub struct Storage {
    /// Names, versions, manifests and control state.
    pub index: Index,
    /// Object bytes.
    pub chunks: ChunkStore,
    /// The published view.
    pub cluster: Arc<Cluster>,
    /// The open disks.
    pub disks: Vec<Arc<DiskStore>>,
    /// What waits for repair.
    pub dirty: Arc<DirtyGroups>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// What a [`Storage`] is made of beside its disks.
pub struct Parts {
    /// Names, versions, manifests and control state.
    pub index: Index,
    /// The published view.
    pub cluster: Arc<Cluster>,
    /// What waits for repair.
    pub dirty: Arc<DirtyGroups>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// A disk of this process, as readers and writers see it and as background tasks do.
pub type OpenDisk = (LocalDisk, Arc<DiskStore>);

impl Storage {
    /// Opens everything: finds the disks, opens the index, brings the map in line with what was found, and
    /// opens each disk. At the first start it gives the directories their identity. The queue holds what the
    /// data path reports of disks.
    ///
    /// # Errors
    /// The index cannot be opened, a disk belongs elsewhere, or the index of disks that hold data is gone.
    pub async fn open(config: &Config) -> Result<(Self, EvidenceQueue)> {
        chunkstore::erasure::require_cpu()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let mut found = disks::survey(&config.data)?;
        let index_is_new = !config.index_dir.join("CURRENT").exists();
        let first = index_is_new && disks::is_first_start(&found);
        ensure!(
            first || !index_is_new,
            "the index directory {} is empty, but the disks hold data: name the right --index-dir, mount it, or \
             restore it from a backup. Starting without it would make everything stored garbage",
            config.index_dir.display()
        );
        let first_view = if first {
            Some(disks::first_start(&mut found, &OsEntropy)?)
        } else {
            None
        };
        let formats = Formats::of(config);
        let index = open_index(config, formats.finalised(), &clock, &entropy)?;
        let is_new = index.cluster_epoch().await? == 0;
        let kept = format::load(&index).await?;
        formats.settle(&index, kept, is_new).await?;
        let view = settle_view(&index, first_view, &mut found, &entropy).await?;
        let (view, disks) = open_disks(config, &index, view, &found, &clock).await?;
        let cluster = Arc::new(Cluster::new(view));
        let dirty = Arc::new(DirtyGroups::default());
        let (health, evidence) = Health::new(Arc::clone(&dirty));
        let parts = Parts {
            index,
            cluster,
            dirty,
            clock,
            entropy,
        };
        let options = ChunkStoreOptions {
            small_bytes: config.small_limit,
            ..Default::default()
        };
        Ok((
            Self::connect(parts, disks, Vec::new(), options, Arc::new(health)),
            evidence,
        ))
    }

    /// Puts the open disks of this process, and those of others, behind one chunk store.
    pub fn connect(
        parts: Parts,
        opened: Vec<OpenDisk>,
        remote: Vec<Arc<dyn ShardStore>>,
        options: ChunkStoreOptions,
        health: Arc<dyn HealthSink>,
    ) -> Self {
        let Parts {
            index,
            cluster,
            dirty,
            clock,
            entropy,
        } = parts;
        let local = opened.iter().map(|(local, _)| Arc::clone(&local.store));
        let stores: BTreeMap<DiskId, Arc<dyn ShardStore>> = local
            .chain(remote)
            .map(|store| (store.disk(), store))
            .collect();
        let ids = Arc::new(IdSource::new(entropy.as_ref()));
        let chunks = ChunkStore::new(
            stores,
            cluster.subscribe(),
            options,
            Arc::clone(&clock),
            ids,
            health,
        );
        let (mut local, mut disks) = (BTreeMap::new(), Vec::new());
        for (disk, store) in opened {
            local.insert(disk.store.disk(), disk);
            disks.push(store);
        }
        cluster.set_local(local);
        Self {
            index,
            chunks,
            cluster,
            disks,
            dirty,
            clock,
            entropy,
        }
    }

    /// Writes out what is under way and closes everything; nothing may be using it any more.
    pub async fn close(&self) {
        if let Err(error) = self.index.close().await {
            warn!(%error, "the index did not close cleanly; it recovers at the next start");
        }
        for disk in &self.disks {
            if let Err(error) = disk.close().await {
                warn!(%error, "a disk did not close cleanly; it recovers at the next start");
            }
        }
    }
}

fn open_index(
    config: &Config,
    finalised: &Finalised,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Index> {
    let index_config = IndexConfig {
        region: REGION,
        cache_bytes: config.memory.index_cache as usize,
        write_buffer_bytes: config.memory.index_writes as usize,
        write_deadline: config.write_deadline,
        finalised: finalised.clone(),
        ..IndexConfig::in_dir(config.index_dir.clone())
    };
    Ok(Index::open(
        &index_config,
        Arc::clone(clock),
        Arc::clone(entropy),
    )?)
}

/// The view in force: the stored one brought in line with the disks found, or the first one.
async fn settle_view(
    index: &Index,
    first: Option<ClusterView>,
    found: &mut [FoundDisk],
    entropy: &Arc<dyn Entropy>,
) -> Result<ClusterView> {
    disks::warn_of_missing(found);
    let Some(stored) = index.cluster_view().await? else {
        // An earlier first start may have made the index and stopped before it stored the map.
        let view = match first {
            Some(view) => view,
            None => {
                ensure!(
                    disks::is_first_start(found),
                    "the index has no cluster map, but the disks hold data"
                );
                disks::first_start(found, entropy.as_ref())?
            }
        };
        index
            .replace_cluster_view(0, &view)
            .await
            .context("cannot store the first cluster map")?;
        let (disks, profile) = (view.map.disks.len(), view.map.clusters[0].striped);
        info!(disks, %profile, "new installation");
        return Ok(view);
    };
    let Some(mut changed) = disks::reconcile(&stored, found, disks::NODE)? else {
        return Ok(stored);
    };
    if let Err(error) = ensure_writable(&mut changed) {
        warn!(%error, "writes are refused until a disk is back or replaced");
    }
    store_found(index, &stored, &changed).await
}

/// Stores what was found of the disks: `changed`, made of `stored`.
///
/// # Errors
/// The index could not store it.
pub async fn store_found(
    index: &Index,
    stored: &ClusterView,
    changed: &ClusterView,
) -> Result<ClusterView> {
    // Remembered before the map says that they are back: a stop in between must not lose their repair.
    let returned = changed
        .map
        .disks
        .iter()
        .filter(|disk| disk.state.takes_writes() && !stored.map.state(disk.id).takes_writes());
    returned::remember(index, returned.map(|disk| disk.id)).await?;
    let changed = store_in_steps(index, stored, changed)
        .await
        .context("cannot store the cluster map")?;
    info!(
        epoch = changed.map.epoch,
        "cluster map changed by the disks found"
    );
    Ok(changed)
}

/// Opens every disk that was found; one that cannot be opened is marked down, so that the rest can serve.
async fn open_disks(
    config: &Config,
    index: &Index,
    mut view: ClusterView,
    found: &[FoundDisk],
    clock: &Arc<dyn Clock>,
) -> Result<(ClusterView, Vec<OpenDisk>)> {
    let (opened, failed) = open_found(config, index, &view, found, clock).await?;
    for disk in failed {
        let epoch = view.map.epoch;
        view.map = view.map.with_disk_state(disk, DiskState::Down);
        if let Err(error) = ensure_writable(&mut view) {
            warn!(%error, "writes are refused until a disk is back or replaced");
        }
        index
            .replace_cluster_view(epoch, &view)
            .await
            .context("cannot store the cluster map")?;
    }
    Ok((view, opened))
}

/// Opens every disk that was found; gives those that cannot be opened, too, which are to be marked down.
///
/// # Errors
/// A disk belongs to another installation.
pub async fn open_found(
    config: &Config,
    index: &Index,
    view: &ClusterView,
    found: &[FoundDisk],
    clock: &Arc<dyn Clock>,
) -> Result<(Vec<OpenDisk>, Vec<DiskId>)> {
    let memory = CatalogMemory::new(config.memory.catalogs as usize);
    let (mut opened, mut failed) = (Vec::new(), Vec::new());
    for disk in found {
        let Some(identity) = &disk.identity else {
            continue;
        };
        let disk_config = DiskConfig {
            directory: disk.directory.clone(),
            installation: view.map.installation,
            region: view.map.region,
            volume_bytes: config.volume_size,
            reserve_bytes: config.disk_reserve,
            capacity_bytes: None,
            catalog_memory: memory.clone(),
        };
        let clock = Arc::clone(clock);
        let result =
            tokio::task::spawn_blocking(move || DiskStore::open(disk_config, clock)).await?;
        match result {
            Ok(store) => {
                info!(disk = %identity.disk, recovery = ?store.recovery(), "disk open");
                let recovery = store.recovery();
                if recovery.is_rebuilt || !recovery.gaps.is_empty() {
                    // What could not be read is missing now.
                    returned::remember(index, [identity.disk]).await?;
                }
                let local = LocalDisk {
                    directory: disk.directory.clone(),
                    store: store.clone(),
                };
                opened.push((local, store));
            }
            Err(error @ OpenDiskError::OtherInstallation { .. }) => return Err(error.into()),
            Err(error) => {
                error!(disk = %identity.disk, %error, "the disk cannot be opened; it is marked down");
                failed.push(identity.disk);
            }
        }
    }
    Ok((opened, failed))
}
