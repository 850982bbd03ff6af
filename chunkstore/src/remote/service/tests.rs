//! What a node learns of its own disks from what others ask of them.

use super::*;
use crate::health::Finding;
use crate::testing::{BUCKET, MANIFEST, MemoryShards, Puts, Reads};
use crate::{ShardKey, ShardRecord};
use parking_lot::Mutex;
use types::{ChunkId, ErasureProfile, PgId};

const SILENT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Told(Mutex<Vec<(DiskId, DiskState)>>);

impl HealthSink for Told {
    fn disk_failed(&self, disk: DiskId, state: DiskState, _reason: &str) {
        self.0.lock().push((disk, state));
    }
    fn unreachable(&self, _disk: DiskId, _reason: &str) {}
    fn finding(&self, _finding: Finding) {}
}

fn requests() -> [(ShardMethod, Message); 2] {
    let key = ShardKey {
        pg: PgId(4),
        chunk: ChunkId(5),
        stripe: 0,
        shard: 1,
    };
    let profile = ErasureProfile::new(1, 2).unwrap();
    let body = Bytes::from(vec![7; 100]);
    let record = ShardRecord {
        key,
        pg_version: 2,
        profile,
        bucket: BUCKET,
        manifest: MANIFEST,
        stripe_bytes: 100,
        block_checksums: block::checksums(&key, profile, &body),
        body,
    };
    let put = Message {
        header: PutRequest::of(DiskId(3), &record).encode().into(),
        body: record.body.clone(),
    };
    let read = ReadRequest {
        disk: DiskId(3),
        key: key.into(),
        first: 0,
        count: 1,
        ..Default::default()
    };
    let read = Message {
        header: read.encode().into(),
        body: Bytes::new(),
    };
    [(ShardMethod::Put, put), (ShardMethod::Read, read)]
}

#[tokio::test]
async fn a_node_learns_what_fails_on_its_disks_for_others() {
    let disk = Arc::new(MemoryShards::new(DiskId(3), 1 << 20));
    let told = Arc::new(Told::default());
    let (_view, view) = watch::channel(Arc::default());
    let service = ShardService::new([Arc::clone(&disk) as Arc<dyn ShardStore>], view);
    let service = service.with_health(Arc::clone(&told) as _, SILENT);
    let [put, read] = requests();
    service.handle(put.0, put.1.clone()).await.unwrap();
    service.handle(read.0, read.1.clone()).await.unwrap();
    for puts in [Puts::Full, Puts::OldGroup, Puts::Slow(SILENT / 2)] {
        disk.set_puts(puts);
        // Whatever it answers says nothing against the disk.
        let _ = service.handle(put.0, put.1.clone()).await;
    }
    assert_eq!(*told.0.lock(), []);
    for puts in [Puts::ReadOnly, Puts::Fail] {
        disk.set_puts(puts);
        service.handle(put.0, put.1.clone()).await.unwrap_err();
    }
    let failed = (DiskId(3), DiskState::ReadOnly);
    assert_eq!(std::mem::take(&mut *told.0.lock()), [failed, failed]);
    disk.set_puts(Puts::Hang);
    disk.set_reads(Reads::Hang);
    for (method, message) in [put, read] {
        let asked = service.handle(method, message);
        let asked = tokio::time::timeout(SILENT * 3, asked);
        asked.await.unwrap_err();
    }
    let silent = (DiskId(3), DiskState::Down);
    assert_eq!(*told.0.lock(), [silent, silent]);
}
