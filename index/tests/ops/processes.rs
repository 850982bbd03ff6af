//! Several processes on one engine, as the gateways of a region are: their latches keep nobody else away.

use crate::world::World;
use index::engine::memory::MemoryEngine;
use index::{Bucket, DeleteCondition, DeleteObject, VersionRef, Versioning};
use std::sync::Arc;

const ROUNDS: usize = 300;

async fn two_processes() -> (World, World, Bucket) {
    let engine = Arc::new(MemoryEngine::new());
    let one = World::on_shared(Arc::clone(&engine) as _);
    let mut other = World::on_shared(engine);
    other.restart(2).await;
    let bucket = one.index.create_bucket("photos", "alice").await.unwrap();
    let enabled = one.index.set_versioning(&bucket, Versioning::Enabled).await;
    enabled.unwrap();
    (one, other, bucket)
}

async fn remove(world: &World, bucket: &Bucket, key: &str, version: VersionRef) {
    let delete = DeleteObject {
        bucket,
        key,
        version: Some(version),
        condition: DeleteCondition::default(),
        op_id: world.op(),
    };
    world.index.delete_object(delete).await.unwrap();
}

/// A different moment in each round.
async fn later(round: usize) {
    for _ in 0..round % 30 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn versions_that_two_processes_delete_at_once_stay_deleted() {
    let (one, other, bucket) = two_processes().await;
    for round in 0..ROUNDS {
        let key = format!("key-{round}");
        let first = one.put_simply(&bucket, &key, 0).await.version;
        let second = other.put_simply(&bucket, &key, 0).await.version;
        // To remove the newer one makes the older one current: it moves while the other process looks for it.
        let newer = remove(&one, &bucket, &key, second);
        let older = async {
            later(round).await;
            remove(&other, &bucket, &key, first).await;
        };
        tokio::join!(newer, older);
        for version in [None, Some(first), Some(second)] {
            let found = one.index.get_object(&bucket, &key, version).await.unwrap();
            assert!(found.is_none(), "round {round}: {version:?} is back");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_version_that_moves_is_found_by_every_process() {
    let (one, other, bucket) = two_processes().await;
    for round in 0..ROUNDS {
        let key = format!("key-{round}");
        let first = one.put_simply(&bucket, &key, 0).await.version;
        let second = one.put_simply(&bucket, &key, 0).await.version;
        let moves = remove(&one, &bucket, &key, second);
        let looks = async {
            later(round).await;
            other.index.get_object(&bucket, &key, Some(first)).await
        };
        let ((), found) = tokio::join!(moves, looks);
        assert!(
            found.unwrap().is_some(),
            "round {round}: it was there all the time"
        );
    }
}
