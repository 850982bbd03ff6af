//! Tasks that race for the same key: exactly one winner, and every version whole.

use crate::world::World;
use index::{
    DeleteCondition, DeleteObject, PutObjectError, VersionRef, Versioning, WriteCondition,
};
use tokio::task::JoinSet;

const WRITERS: usize = 32;

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_creations_wins() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let (world, bucket) = (world.clone(), bucket.clone());
        tasks.spawn(async move {
            let etag = format!("e{writer}");
            let (body, _) = world.body(&bucket, writer % 3, &etag);
            let condition = WriteCondition::IfNoneMatch;
            world
                .put(&bucket, "key", (body, &etag), condition, world.op())
                .await
        });
    }
    let results = tasks.join_all().await;
    let winners: Vec<_> = results.iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let losers = results
        .iter()
        .filter(|r| **r == Err(PutObjectError::PreconditionFailed));
    assert_eq!(losers.count(), WRITERS - 1);
    let found = world
        .index
        .get_object(&bucket, "key", None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.record.etag, winners[0].etag);
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_replacements_wins_in_each_round() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let mut etag = world.put_simply(&bucket, "key", 1).await.etag;
    for round in 0..5 {
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            let (world, bucket, seen) = (world.clone(), bucket.clone(), etag.clone());
            tasks.spawn(async move {
                let etag = format!("e{round}-{writer}");
                let (body, _) = world.body(&bucket, 1, &etag);
                let condition = WriteCondition::IfMatch(seen);
                world
                    .put(&bucket, "key", (body, &etag), condition, world.op())
                    .await
            });
        }
        let winners: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1);
        etag = winners[0].etag.clone();
    }
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_completions_wins() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let mut tasks = JoinSet::new();
    for writer in 0..8 {
        let (world, bucket) = (world.clone(), bucket.clone());
        tasks.spawn(async move {
            let upload = world.create_upload(&bucket, "key").await;
            let etag = format!("e{writer}");
            let place = (&bucket, "key", upload);
            let part = (world.chunks(&bucket, 1), etag.as_str());
            world.put_part(place, 1, part, world.op()).await.unwrap();
            let parts = [(1, etag)];
            world
                .complete(place, &parts, WriteCondition::IfNoneMatch, world.op())
                .await
        });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    world.check().await;
}

/// Puts, deletes, removals by id, changes of versioning, and deletions of the bucket, all at once.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_breaks_when_everything_happens_at_once() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    // The bucket is never empty, so no deletion of it succeeds.
    world.put_simply(&bucket, "keep", 0).await;
    let mut tasks = JoinSet::new();
    for task in 0..16_usize {
        let (world, bucket) = (world.clone(), bucket.clone());
        tasks.spawn(async move {
            let mut made: Vec<VersionRef> = Vec::new();
            for round in 0..25_usize {
                let key = ["a", "b"][(task + round) % 2];
                match (task + round) % 5 {
                    0 | 1 => made.push(world.put_simply(&bucket, key, round % 3).await.version),
                    2 | 3 => {
                        let version = if round % 2 == 0 { made.pop() } else { None };
                        let (condition, op_id) = (DeleteCondition::default(), world.op());
                        let bucket = &bucket;
                        let delete = DeleteObject {
                            bucket,
                            key,
                            version,
                            condition,
                            op_id,
                        };
                        world.index.delete_object(delete).await.unwrap();
                    }
                    _ if task == 0 => {
                        let versioning =
                            [Versioning::Enabled, Versioning::Suspended][round / 5 % 2];
                        world
                            .index
                            .set_versioning(&bucket, versioning)
                            .await
                            .unwrap();
                    }
                    _ if task == 1 => {
                        assert!(world.index.delete_bucket("photos").await.is_err());
                    }
                    _ => {
                        world
                            .index
                            .get_object(&bucket, key, made.last().copied())
                            .await
                            .unwrap();
                    }
                }
            }
        });
    }
    tasks.join_all().await;
    world.check().await;
    world.reclaim_all().await;
    world.check().await;
}
