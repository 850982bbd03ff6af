//! Throughput and CPU time of large writes and reads of a chunk store over six directories, without HTTP
//! and MD5, so that a change can be measured within a minute:
//! `cargo run --release -p chunkstore --example speed -- DIRECTORY [BYTES [TASKS [OBJECTS]]]`.

use bytes::{Bytes, BytesMut};
use chunkstore::testing::{ClusterShape, MemoryCluster};
use chunkstore::{
    CatalogMemory, ChunkStore, ChunkStoreOptions, DiskConfig, DiskStore, NoHealthSink, ShardStore,
    WriteTarget, Written, identity,
};
use futures::{StreamExt, TryStreamExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use types::clock::{Clock, SystemClock};
use types::entropy::OsEntropy;
use types::ids::IdSource;
use types::{BucketId, DiskId, InstallationId, ManifestId, NodeId, RegionId};

/// What one read of a client's socket brings at the most.
const PIECE_BYTES: usize = 128 * 1024;

fn open(folder: &Path) -> ChunkStore {
    let view = MemoryCluster::new(ClusterShape::of_disks(6)).store.view();
    let memory = CatalogMemory::new(64 << 20);
    let disk = |number: u128| {
        let disk = DiskId(number);
        let directory = folder.join(number.to_string());
        std::fs::create_dir_all(&directory).expect("a directory can be made");
        let identity = identity::Identity {
            installation: InstallationId(1),
            region: RegionId(1),
            node: NodeId(1),
            disk,
            replaces: None,
        };
        identity::format(&directory, &identity).expect("the directory is empty");
        let config = DiskConfig {
            directory,
            installation: InstallationId(1),
            region: RegionId(1),
            volume_bytes: 1 << 30,
            reserve_bytes: Some(0),
            capacity_bytes: None,
            catalog_memory: memory.clone(),
        };
        let store = DiskStore::open(config, Arc::new(SystemClock::new())).expect("a disk");
        (disk, store as Arc<dyn ShardStore>)
    };
    let (_, view) = watch::channel(view);
    let ids = Arc::new(IdSource::new(&OsEntropy));
    let clock = Arc::new(SystemClock::new());
    let disks = (1..=6).map(disk).collect();
    let options = ChunkStoreOptions::default();
    ChunkStore::new(disks, view, options, clock, ids, Arc::new(NoHealthSink))
}

async fn write(store: ChunkStore, source: Arc<Vec<u8>>, length: usize) -> Written {
    let mut writer = store.writer(WriteTarget {
        bucket: BucketId(1),
        manifest: ManifestId(1),
        size: Some(length as u64),
    });
    let mut left = length;
    while left > 0 {
        // As from a socket: fresh memory that is written once.
        let take = left.min(PIECE_BYTES);
        let mut piece = BytesMut::with_capacity(take);
        piece.extend_from_slice(&source[..take]);
        left -= take;
        writer.write(piece.freeze()).await.expect("disks that work");
    }
    writer.finish().await.expect("disks that work")
}

async fn read(store: ChunkStore, written: Written) -> u64 {
    let mut bytes = 0;
    for chunk in written.chunks {
        let pieces = store.read(chunk.clone(), 0..chunk.length);
        let pieces = pieces.try_fold(0, |sum, piece: Bytes| async move { Ok(sum + piece.len()) });
        bytes += pieces.await.expect("disks that work") as u64;
    }
    bytes
}

/// User and system time of this process, in ms.
fn cpu_ms() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(12) * 10.0, ticks(13) * 10.0)
}

struct Meter(SystemClock, (f64, f64), f64);

impl Meter {
    fn start() -> Self {
        let clock = SystemClock::new();
        let now = clock.monotonic().as_secs_f64();
        Self(clock, cpu_ms(), now)
    }

    fn print(&self, what: &str, objects: usize, bytes: usize) {
        let (user, sys) = cpu_ms();
        let (user, sys) = (user - self.1.0, sys - self.1.1);
        let count = objects as f64;
        let seconds = self.0.monotonic().as_secs_f64() - self.2;
        println!(
            "{what}: cpu {:.3} ms/op (user {:.3}, sys {:.3}), {:.0} MB/s",
            (user + sys) / count,
            user / count,
            sys / count,
            count * bytes as f64 / seconds / 1e6
        );
    }
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("an empty directory"));
    let mut number = |default| {
        arguments
            .next()
            .map_or(default, |it| it.parse().expect("a number"))
    };
    let (bytes, tasks, objects) = (number(64 << 20), number(16), number(32));
    let store = &open(&folder);
    let source: Vec<u8> = (0..PIECE_BYTES).map(|at| ((at * 31) >> 3) as u8).collect();
    let source = Arc::new(source);
    let mut all: Vec<Written> = Vec::new();
    for _ in 0..2 {
        let meter = Meter::start();
        let written = futures::stream::iter(0..objects)
            .map(|_| tokio::spawn(write(store.clone(), Arc::clone(&source), bytes)))
            .buffer_unordered(tasks);
        all = written.map(|it| it.expect("no panic")).collect().await;
        meter.print("put", objects, bytes);
    }
    for _ in 0..2 {
        let meter = Meter::start();
        let reads = futures::stream::iter(&all)
            .map(|written| tokio::spawn(read(store.clone(), written.clone())))
            .buffer_unordered(tasks);
        let sum = reads
            .fold(0, |sum, it| async move { sum + it.expect("no panic") })
            .await;
        assert_eq!(sum, (objects * bytes) as u64, "all bytes come back");
        meter.print("get", objects, bytes);
    }
}
