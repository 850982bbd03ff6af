//! Several processes on one engine, as the gateways of a region are: their latches keep nobody else away.

use crate::world::World;
use index::engine::memory::MemoryEngine;
use index::store::StoreError;
use index::{
    Bucket, DeleteBucketError, DeleteCondition, DeleteObject, DeleteObjectError, PutObjectError,
    VersionRef, Versioning, WriteCondition,
};
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

/// A null version takes the place of the one before, wherever that is: under `v/` while another process takes it away.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn null_versions_that_two_processes_replace_at_once_replace_each_other() {
    let (one, other, bucket) = two_processes().await;
    let suspended = one
        .index
        .set_versioning(&bucket, Versioning::Suspended)
        .await;
    suspended.unwrap();
    let mark = async |world: &World, key: &str, round: usize| {
        later(round).await;
        let delete = DeleteObject {
            bucket: &bucket,
            key,
            version: None,
            condition: DeleteCondition::default(),
            op_id: world.op(),
        };
        let marked = world.index.delete_object(delete).await.unwrap();
        assert!(marked.delete_marker);
    };
    for round in 0..ROUNDS {
        let key = format!("key-{}", round % 7);
        tokio::join!(
            mark(&one, &key, 0),
            mark(&other, &key, round),
            one.put_simply(&bucket, &key, 0),
            mark(&other, &key, round / 3),
        );
    }
    one.check().await;
}

/// One process deletes a bucket again and again while another fills and empties it: what one was told stays so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_bucket_that_one_process_deletes_and_another_uses_is_there_or_gone() {
    let (one, other, _) = two_processes().await;
    let mut bucket = one.index.create_bucket("tides", "alice").await.unwrap();
    let (mut kept, mut deleted) = (0, 0);
    for round in 0..ROUNDS {
        let (body, _) = other.body(&bucket, 0, "e");
        let put = other.put(
            &bucket,
            "key",
            (body, "e"),
            WriteCondition::None,
            other.op(),
        );
        let delete = async {
            later(round).await;
            one.index.delete_bucket("tides").await
        };
        let (put, delete) = tokio::join!(put, delete);
        let there = other.index.bucket("tides").await.unwrap();
        match (delete, put) {
            (Ok(()), put) => {
                assert_eq!(put, Err(PutObjectError::NoSuchBucket), "round {round}");
                assert!(there.is_none(), "round {round}: it is back");
                bucket = other.index.create_bucket("tides", "alice").await.unwrap();
                deleted += 1;
            }
            (Err(DeleteBucketError::NotEmpty), Ok(_)) => {
                assert!(there.is_some(), "round {round}: it was kept");
                let again = one.index.delete_bucket("tides");
                let (again, ()) = tokio::join!(again, empty(&other, &bucket, "key"));
                if again.is_ok() {
                    bucket = one.index.create_bucket("tides", "alice").await.unwrap();
                }
                kept += 1;
            }
            (Err(DeleteBucketError::Store(StoreError::Throttled(_))), _) => {}
            other => panic!("round {round}: {other:?}"),
        }
    }
    assert!(kept > 0 && deleted > 0, "{kept} {deleted}");
    one.check().await;
}

async fn empty(world: &World, bucket: &Bucket, key: &str) {
    let delete = DeleteObject {
        bucket,
        key,
        version: None,
        condition: DeleteCondition::default(),
        op_id: world.op(),
    };
    let emptied = world.index.delete_object(delete).await;
    assert!(
        matches!(emptied, Ok(_) | Err(DeleteObjectError::NoSuchBucket)),
        "{emptied:?}"
    );
}
