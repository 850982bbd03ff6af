//! Shared manifests: freed once, by whoever lets go last, wherever the copies are.

use crate::world::World;
use index::store::StoreError;
use index::{
    Bucket, CopyMeta, CopyObject, CopySource, DeleteCondition, DeleteObject, NewBody,
    PutObjectError, WriteCondition,
};
use std::collections::BTreeSet;
use std::time::Duration;
use types::OpId;

async fn copy(world: &World, (from, key): (&Bucket, &str), (to, to_key): (&Bucket, &str)) {
    let found = world
        .index
        .get_object(from, key, None)
        .await
        .unwrap()
        .unwrap();
    let copy = CopyObject {
        source: CopySource {
            bucket: from,
            key,
            record: &found.record,
        },
        bucket: to,
        key: to_key,
        meta: CopyMeta::Copy {
            account: "alice".to_owned(),
            storage_class: String::new(),
        },
        checksum: None,
        condition: WriteCondition::None,
        op_id: world.op(),
    };
    world.index.copy_object(copy).await.unwrap();
}

async fn delete(world: &World, bucket: &Bucket, key: &str) {
    let (version, condition, op_id) = (None, DeleteCondition::default(), world.op());
    let delete = DeleteObject {
        bucket,
        key,
        version,
        condition,
        op_id,
    };
    world.index.delete_object(delete).await.unwrap();
}

/// Chunks live as long as any copy does, in whatever order the copies go, for small and paged manifests;
/// even when the bucket they were written in is gone.
#[tokio::test(flavor = "multi_thread")]
async fn chunks_are_freed_with_the_last_copy() {
    for chunks in [1, 70] {
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let world = World::new();
            let mut buckets = Vec::new();
            for name in ["one", "two", "three"] {
                buckets.push(world.index.create_bucket(name, "alice").await.unwrap());
            }
            world.put_simply(&buckets[0], "key", chunks).await;
            copy(&world, (&buckets[0], "key"), (&buckets[1], "key")).await;
            copy(&world, (&buckets[1], "key"), (&buckets[2], "key")).await;
            let named = world.named_chunks().await;
            assert_eq!(named.len(), chunks);
            for (gone, place) in order.into_iter().enumerate() {
                assert_eq!(
                    world.reclaim_all().await,
                    BTreeSet::new(),
                    "{gone} copies are gone"
                );
                world.check().await;
                assert_eq!(world.named_chunks().await, named);
                delete(&world, &buckets[place], "key").await;
                world
                    .index
                    .delete_bucket(&buckets[place].name)
                    .await
                    .unwrap();
            }
            assert_eq!(world.reclaim_all().await, named);
            assert_eq!(world.named_chunks().await, BTreeSet::new());
            world.check().await;
        }
    }
}

/// Pages of a version that was refused are removed; those of one that was committed are not.
#[tokio::test(flavor = "multi_thread")]
async fn pages_of_refused_versions_are_removed() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    world.put_simply(&bucket, "key", 300).await;
    let (body, _) = world.body(&bucket, 300, "late");
    let condition = WriteCondition::IfNoneMatch;
    let late = world
        .put(&bucket, "key", (body, "late"), condition, world.op())
        .await;
    assert_eq!(late, Err(PutObjectError::PreconditionFailed));
    assert_eq!(
        world.named_chunks().await.len(),
        600,
        "until the pages are removed"
    );
    assert_eq!(
        world.reclaim_all().await,
        BTreeSet::new(),
        "the writer abandons its chunks"
    );
    assert_eq!(world.named_chunks().await.len(), 300);
    world.check().await;
}

/// Operation ids work for a while, and are then refused, never applied twice.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_id_expires() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let (body, _) = world.body(&bucket, 1, "e");
    let op_id = world.op();
    let put = |op_id: OpId, body: NewBody| {
        world.put(&bucket, "key", (body, "e"), WriteCondition::None, op_id)
    };
    let first = put(op_id, body.clone()).await.unwrap();
    world.put_simply(&bucket, "key", 0).await;
    assert_eq!(
        put(op_id, body.clone()).await,
        Ok(first),
        "also when it was overwritten since"
    );
    world.clock.advance(Duration::from_secs(15 * 60));
    assert!(put(op_id, body.clone()).await.is_ok());
    world.clock.advance(Duration::from_millis(1));
    let expired = |result| {
        let Err(PutObjectError::Store(StoreError::Expired { oldest_kept_ms })) = result else {
            panic!("{result:?}");
        };
        oldest_kept_ms
    };
    assert_eq!(
        expired(put(op_id, body.clone()).await),
        op_id.time_ms() + 1,
        "by the clock of the process"
    );
    let partition = bucket.partition;
    let last = world.index.last_seq(partition).await.unwrap();
    world
        .index
        .purge_outcomes(partition, last, None)
        .await
        .unwrap();
    world.clock.set_wall_ms(op_id.time_ms());
    let oldest_ms = expired(put(op_id, body.clone()).await);
    assert!(oldest_ms > op_id.time_ms(), "also when the clock goes back");
    let (body, _) = world.body(&bucket, 1, "e");
    assert!(put(op_id.not_before(oldest_ms), body).await.is_ok());
    world.clock.set_wall_ms(oldest_ms);
    world.put_simply(&bucket, "key", 0).await;
    let found = world
        .index
        .get_object(&bucket, "key", None)
        .await
        .unwrap()
        .unwrap();
    assert!(
        found.record.manifest.inline,
        "the overwriting version stays"
    );
}
