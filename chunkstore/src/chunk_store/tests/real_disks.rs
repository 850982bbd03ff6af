//! The whole crate over directories: write, restart, lose disks, flip bits, repair.

use super::{MIB, bytes};
use crate::catalog::rocks::CatalogMemory;
use crate::testing::{ClusterShape, MemoryCluster};
use crate::{
    ChunkStore, ChunkStoreOptions, DiskConfig, DiskStore, NoHealthSink, RepairScope, ShardStore,
    WriteTarget, Written, identity,
};
use bytes::Bytes;
use futures::TryStreamExt;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::ids::IdSource;
use types::{BucketId, ClusterView, DiskId, InstallationId, ManifestId, NodeId, RegionId};

/// Six directories as disks, 4+2.
struct Machine {
    folder: tempfile::TempDir,
    view: Arc<ClusterView>,
}

impl Machine {
    fn new() -> Self {
        // A map of six disks with ids from 1 on, and its groups.
        let view = MemoryCluster::new(ClusterShape::of_disks(6)).store.view();
        let folder = tempfile::tempdir().unwrap();
        let machine = Self { folder, view };
        for disk in 1..=6 {
            machine.format(DiskId(disk));
        }
        machine
    }

    fn directory(&self, disk: DiskId) -> PathBuf {
        self.folder.path().join(disk.to_string())
    }

    fn format(&self, disk: DiskId) {
        let directory = self.directory(disk);
        fs::create_dir_all(&directory).unwrap();
        let identity = identity::Identity {
            installation: InstallationId(1),
            region: RegionId(1),
            node: NodeId(1),
            disk,
            replaces: None,
        };
        identity::format(&directory, &identity).unwrap();
    }

    /// A store over those of the disks whose directories are there.
    fn open(&self) -> ChunkStore {
        let memory = CatalogMemory::new(8 << 20);
        let open = |disk: DiskId| {
            let config = DiskConfig {
                directory: self.directory(disk),
                installation: InstallationId(1),
                region: RegionId(1),
                volume_bytes: 1 << 30,
                reserve_bytes: Some(0),
                capacity_bytes: None,
                catalog_memory: memory.clone(),
            };
            let store = DiskStore::open(config, Arc::new(SystemClock::new())).unwrap();
            (disk, store as Arc<dyn ShardStore>)
        };
        let disks = (1..=6).map(DiskId);
        let disks: BTreeMap<_, _> = disks
            .filter(|disk| self.directory(*disk).exists())
            .map(open)
            .collect();
        let (_, view) = watch::channel(Arc::clone(&self.view));
        let ids = Arc::new(IdSource::new(&OsEntropy));
        let clock = Arc::new(SystemClock::new());
        // Real disks may be busy with other things; that every shard is stored is not to depend on it.
        let patience = Duration::from_secs(60);
        let options = ChunkStoreOptions {
            straggler_wait: patience,
            put_deadline: patience,
            ..ClusterShape::of_disks(6).options
        };
        ChunkStore::new(disks, view, options, clock, ids, Arc::new(NoHealthSink))
    }
}

async fn write(store: &ChunkStore, object: &Bytes) -> Written {
    let mut writer = store.writer(WriteTarget {
        bucket: BucketId(1),
        manifest: ManifestId(1),
        size: None,
    });
    writer.write(object.clone()).await.unwrap();
    writer.finish().await.unwrap()
}

async fn assert_comes_back(store: &ChunkStore, objects: &[(Written, Bytes)]) {
    for (written, object) in objects {
        let chunk = &written.chunks[0];
        let stream = store.read(chunk.clone(), 0..chunk.length);
        let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
        assert!(pieces.concat() == *object, "other bytes came back");
    }
}

/// Flips a bit every 100 KB in the volumes of a disk; how many.
fn flip_bits(directory: &Path) -> usize {
    let mut flipped = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("volume-")
        {
            let mut bytes = fs::read(&path).unwrap();
            for byte in bytes.iter_mut().skip(50_000).step_by(100_000) {
                *byte ^= 4;
                flipped += 1;
            }
            fs::write(&path, bytes).unwrap();
        }
    }
    flipped
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_outlive_restarts_lost_disks_and_flipped_bits() {
    let machine = Machine::new();
    let store = machine.open();
    let mut objects = Vec::new();
    for (seed, length) in (0..).zip([1, 100_000, 131_073, 3 * MIB + 77]) {
        let object = bytes(length, seed);
        objects.push((write(&store, &object).await, object));
    }
    assert!(
        objects
            .iter()
            .all(|(written, _)| written.missing.is_empty())
    );
    assert_comes_back(&store, &objects).await;
    drop(store);
    fs::remove_dir_all(machine.directory(DiskId(2))).unwrap();
    fs::remove_dir_all(machine.directory(DiskId(5))).unwrap();
    assert_comes_back(&machine.open(), &objects).await;
    for disk in [2, 5] {
        machine.format(DiskId(disk));
        assert!(repair(&machine.open(), DiskId(disk)).await > 0);
    }
    assert!(flip_bits(&machine.directory(DiskId(1))) > 0);
    let store = machine.open();
    assert_comes_back(&store, &objects).await;
    assert!(repair(&store, DiskId(1)).await > 0);
    drop(store);
    fs::remove_dir_all(machine.directory(DiskId(3))).unwrap();
    fs::remove_dir_all(machine.directory(DiskId(4))).unwrap();
    assert_comes_back(&machine.open(), &objects).await;
}

/// Deep repair of every position of a disk; how many shards it rebuilt.
async fn repair(store: &ChunkStore, disk: DiskId) -> u64 {
    let scope = RepairScope {
        deep: true,
        ..Default::default()
    };
    let mut rebuilt = 0;
    for (group, position) in store.view().on_disk(disk) {
        let report = store.repair_group(group.id, position, scope).await.unwrap();
        assert_eq!(report.unrecoverable, [], "disk {disk}");
        assert_eq!(report.next, None);
        rebuilt += report.rebuilt;
    }
    rebuilt
}
