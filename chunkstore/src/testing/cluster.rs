//! A chunk store over disks in memory that keeps its own cluster map, as the server does: a disk that
//! is reported is marked, and when no striped group can be written, narrower ones are made.

use super::shards::MemoryShards;
use crate::chunk_store::{ChunkStore, ChunkStoreOptions, WriteTarget};
use crate::error::{ReadChunkError, WriteError};
use crate::health::{Finding, HealthSink};
use crate::shard::ShardStore;
use crate::stripe::writer::Written;
use bytes::Bytes;
use futures::TryStreamExt;
use parking_lot::Mutex;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::clock::ManualClock;
use types::entropy::SeededEntropy;
use types::ids::IdSource;
use types::pg::make_groups;
use types::{
    BucketId, ChunkCluster, ChunkRef, ClusterMap, ClusterView, DiskId, DiskInfo, DiskState, Domain,
    ErasureProfile, ManifestId, NodeId, PgClass, PgId,
};

/// How a [`MemoryCluster`] is made.
#[derive(Debug, Clone)]
pub struct ClusterShape {
    /// Disks, each a failure domain of its own.
    pub disks: usize,
    /// Profile of the striped groups.
    pub striped: ErasureProfile,
    /// Profile of the small-object groups.
    pub small: ErasureProfile,
    /// Groups of each class.
    pub groups: usize,
    /// Bytes of cells that each disk has room for.
    pub capacity: u64,
    /// What the store goes by.
    pub options: ChunkStoreOptions,
    /// Time from a report to the map that follows from it.
    pub map_delay: Duration,
}

impl ClusterShape {
    /// The profiles of one machine with `disks` disks, and waits short enough for tests.
    ///
    /// # Panics
    /// When `disks` is 0.
    #[must_use]
    pub fn of_disks(disks: usize) -> Self {
        Self {
            disks,
            striped: ErasureProfile::for_disks(disks).expect("at least one disk"),
            small: ErasureProfile::small_for_disks(disks).expect("at least one disk"),
            groups: 4,
            capacity: 1 << 40,
            map_delay: Duration::ZERO,
            options: ChunkStoreOptions {
                put_deadline: Duration::from_millis(200),
                straggler_wait: Duration::from_millis(20),
                hedge_after: Duration::from_millis(20),
                read_deadline: Duration::from_millis(200),
                map_wait: Duration::from_millis(200),
                ..Default::default()
            },
        }
    }
}

/// What was reported, and the map that followed from it.
#[derive(Debug)]
struct Map {
    delay: Duration,
    view: watch::Sender<Arc<ClusterView>>,
    failures: Mutex<Vec<(DiskId, DiskState, String)>>,
    findings: Mutex<Vec<Finding>>,
}

impl HealthSink for Map {
    fn disk_failed(&self, disk: DiskId, state: DiskState, reason: &str) {
        self.failures.lock().push((disk, state, reason.to_owned()));
        let view = self.view.clone();
        let mark = move || {
            view.send_modify(|view| {
                if view.map.state(disk) != state && view.map.state(disk) != DiskState::Down {
                    *view = Arc::new(with_disk_state(view, disk, state));
                }
            });
        };
        if self.delay.is_zero() {
            return mark();
        }
        let delay = self.delay;
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            mark();
        });
    }

    fn unreachable(&self, disk: DiskId, reason: &str) {
        self.disk_failed(disk, DiskState::Down, reason);
    }

    fn finding(&self, finding: Finding) {
        self.findings.lock().push(finding);
    }
}

/// A chunk store over disks in memory.
#[derive(Debug)]
pub struct MemoryCluster {
    /// The store.
    pub store: ChunkStore,
    /// Its disks; disk number i has id i + 1.
    pub disks: Vec<Arc<MemoryShards>>,
    /// The clock that its chunk ids are taken by.
    pub clock: Arc<ManualClock>,
    map: Arc<Map>,
}

/// The bucket that [`MemoryCluster::write`] writes for.
pub const BUCKET: BucketId = BucketId(7);
/// The manifest that [`MemoryCluster::write`] writes for.
pub const MANIFEST: ManifestId = ManifestId(9);

impl MemoryCluster {
    /// A cluster with every disk up and empty.
    ///
    /// # Panics
    /// When the disks are too few for the profiles.
    #[must_use]
    pub fn new(shape: ClusterShape) -> Self {
        let ids: Vec<DiskId> = (1..=shape.disks as u128).map(DiskId).collect();
        let disk = |id: &DiskId| Arc::new(MemoryShards::new(*id, shape.capacity));
        let disks: Vec<_> = ids.iter().map(disk).collect();
        let (view, receiver) = watch::channel(Arc::new(first_view(&shape, &ids)));
        let map = Arc::new(Map {
            delay: shape.map_delay,
            view,
            failures: Mutex::default(),
            findings: Mutex::default(),
        });
        let clock = Arc::new(ManualClock::at(1_800_000_000_000));
        let stores = disks
            .iter()
            .map(|disk| (disk.disk(), Arc::clone(disk) as Arc<dyn ShardStore>));
        let store = ChunkStore::new(
            stores.collect(),
            receiver,
            shape.options,
            Arc::clone(&clock) as _,
            Arc::new(IdSource::new(&SeededEntropy::new(1))),
            Arc::clone(&map) as _,
        );
        Self {
            store,
            disks,
            clock,
            map,
        }
    }

    /// The disk with this id.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn disk(&self, id: DiskId) -> &Arc<MemoryShards> {
        let disk = self.disks.iter().find(|disk| disk.disk() == id);
        disk.expect("a disk of this cluster")
    }

    /// Disks reported so far, with the state they should have and why.
    #[must_use]
    pub fn failures(&self) -> Vec<(DiskId, DiskState, String)> {
        self.map.failures.lock().clone()
    }

    /// Takes what was reported of shards.
    #[must_use]
    pub fn take_findings(&self) -> Vec<Finding> {
        std::mem::take(&mut *self.map.findings.lock())
    }

    /// Marks a disk, as an operator does.
    pub fn mark(&self, disk: DiskId, state: DiskState) {
        self.map.view.send_modify(|view| {
            *view = Arc::new(with_disk_state(view, disk, state));
        });
    }

    /// Replaces the view.
    pub fn set_view(&self, view: ClusterView) {
        self.map.view.send_replace(Arc::new(view));
    }

    /// Writes `bytes` in pieces of at most `piece` bytes.
    ///
    /// # Errors
    /// As the writer.
    pub async fn write(&self, bytes: &Bytes, piece: usize) -> Result<Written, WriteError> {
        let mut writer = self.store.writer(WriteTarget {
            bucket: BUCKET,
            manifest: MANIFEST,
            size: None,
        });
        let mut rest = bytes.clone();
        while !rest.is_empty() {
            let piece = rest.split_to(piece.clamp(1, rest.len()));
            if let Err(error) = writer.write(piece).await {
                writer.abandon().await;
                return Err(error);
            }
        }
        writer.finish().await
    }

    /// Reads a range of one chunk.
    ///
    /// # Errors
    /// As the store.
    pub async fn read_chunk(
        &self,
        chunk: &ChunkRef,
        range: Range<u64>,
    ) -> Result<Vec<u8>, ReadChunkError> {
        let stream = self.store.read(chunk.clone(), range);
        let pieces: Vec<Bytes> = stream.try_collect().await?;
        Ok(pieces.concat())
    }

    /// Reads a range of what was written, over as many chunks as that takes.
    ///
    /// # Errors
    /// As the store.
    pub async fn read(
        &self,
        written: &Written,
        range: Range<u64>,
    ) -> Result<Vec<u8>, ReadChunkError> {
        let mut bytes = Vec::new();
        let mut offset = 0;
        for chunk in &written.chunks {
            let start = range.start.clamp(offset, offset + chunk.length);
            let end = range.end.clamp(offset, offset + chunk.length);
            if start < end {
                let part = start - offset..end - offset;
                bytes.extend(self.read_chunk(chunk, part).await?);
            }
            offset += chunk.length;
        }
        Ok(bytes)
    }

    /// Shards on all disks.
    #[must_use]
    pub fn shard_count(&self) -> usize {
        self.disks.iter().map(|disk| disk.shards().len()).sum()
    }
}

/// The first view of a cluster of this shape.
///
/// # Panics
/// When the disks are too few for the profiles.
#[must_use]
pub fn first_view(shape: &ClusterShape, ids: &[DiskId]) -> ClusterView {
    let cluster = ChunkCluster {
        striped: shape.striped,
        small: shape.small,
        domain: Domain::Disk,
        weight: 1,
        ..Default::default()
    };
    let disk = |id: &DiskId| DiskInfo {
        id: *id,
        node: NodeId(1),
        capacity: shape.capacity,
        weight: 1,
        ..Default::default()
    };
    let map = ClusterMap {
        epoch: 1,
        clusters: vec![cluster],
        disks: ids.iter().map(disk).collect(),
        ..Default::default()
    };
    let mut view = ClusterView {
        map,
        ..Default::default()
    };
    add_groups(&mut view, PgClass::Striped, shape.striped, shape.groups);
    add_groups(&mut view, PgClass::Small, shape.small, shape.groups);
    view
}

fn add_groups(view: &mut ClusterView, class: PgClass, profile: ErasureProfile, count: usize) {
    let next = view.groups.keys().next_back().map_or(1, |last| last.0 + 1);
    let cluster = view.map.clusters[0].id;
    let kind = (class, profile);
    let groups = make_groups(&view.map, cluster, Domain::Disk, kind, PgId(next), count);
    let groups = groups.expect("a cluster of these tests has disks enough");
    view.groups
        .extend(groups.into_iter().map(|group| (group.id, group)));
}

/// The view with the disk marked, and with narrower groups if no striped one can be written then.
#[must_use]
pub fn with_disk_state(view: &ClusterView, disk: DiskId, state: DiskState) -> ClusterView {
    let mut next = view.clone();
    next.map = view.map.with_disk_state(disk, state);
    let takes_writes = |disk: &&DiskInfo| disk.state.takes_writes();
    let up = next.map.disks.iter().filter(takes_writes).count();
    let classes = [PgClass::Striped, PgClass::Fallback];
    let is_writable = classes
        .iter()
        .any(|class| next.writable(*class).next().is_some());
    if let Some(profile) = ErasureProfile::for_disks(up).filter(|_| !is_writable) {
        add_groups(&mut next, PgClass::Fallback, profile, 2);
    }
    next
}
