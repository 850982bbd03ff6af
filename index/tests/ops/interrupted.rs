//! Operations of several batches, stopped at each of their commits in each way, and then met again: by
//! the same caller, by another one, or by nobody.

use crate::faulty::{FAULTS, Fault};
use crate::world::World;
use index::{
    Bucket, CommittedVersion, CompleteUploadError, CopyMeta, CopyObject, CopyObjectError,
    CopySource, CreateBucketError, DeleteBucketError, WriteCondition,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use types::{ChunkId, OpId};

/// Commits that any of these operations makes, and some more.
const COMMITS: u64 = 12;

/// Runs `scenario` once for each commit and fault, until the fault no longer happens.
async fn at_each_commit<F>(scenario: impl Fn(World, u64, Fault) -> F)
where
    F: Future<Output = bool>,
{
    for fault in FAULTS {
        let mut interrupted = 0;
        for passing in 0..COMMITS {
            if !scenario(World::new(), passing, fault).await {
                break;
            }
            interrupted += 1;
        }
        assert!(
            (1..COMMITS).contains(&interrupted),
            "stopped at {interrupted} commits"
        );
    }
}

/// Opens the index anew, as after a crash, and makes faults stop; true if the fault happened.
async fn crash(world: &mut World) -> bool {
    let happened = !world.store.disarm();
    world.restart(99).await;
    happened
}

/// After all grace has passed the index is sound and holds `live`, and nothing else waits.
async fn settles_to(world: &World, live: &[ChunkId]) {
    world.clock.advance(Duration::from_secs(30 * 3600));
    world.audit().await;
    let freed = world.reclaim_all().await;
    world.check().await;
    assert_eq!(
        world.named_chunks().await,
        live.iter().copied().collect::<BTreeSet<_>>()
    );
    assert!(
        live.iter().all(|chunk| !freed.contains(chunk)),
        "nothing live is freed"
    );
    assert_eq!(world.audit().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_a_bucket_is_resumed_by_anyone() {
    for next in ["alice", "bob"] {
        at_each_commit(|mut world, passing, fault| async move {
            world.store.arm(passing, fault);
            let of_first = BTreeMap::from([("first".to_owned(), "1".to_owned())]);
            let create = world
                .index
                .create_bucket_with_tags("photos", "alice", &of_first);
            let first = create.await;
            let happened = crash(&mut world).await;
            assert_eq!(first.is_err(), happened);
            let exists = world.index.bucket("photos").await.unwrap().is_some();
            let of_second = BTreeMap::from([("second".to_owned(), "2".to_owned())]);
            let create = world
                .index
                .create_bucket_with_tags("photos", next, &of_second);
            let second = create.await;
            // Who finishes another's creation knows nothing of its tags; the other was never answered.
            let tags = if second.is_ok() { of_second } else { of_first };
            let may_lack = happened && next == "bob";
            match (second, next) {
                (Ok(bucket), _) => assert_eq!(bucket.owner, next),
                (Err(CreateBucketError::AlreadyOwnedByYou), "alice") => assert!(exists),
                (Err(CreateBucketError::AlreadyExists), "bob") => {}
                (Err(error), _) => panic!("{error}"),
            }
            let bucket = world.index.bucket("photos").await.unwrap().unwrap();
            let found = world.index.bucket_tags(&bucket).await.unwrap();
            assert!(found == tags || may_lack && found.is_empty(), "{found:?}");
            let listed = world.index.list_buckets(&bucket.owner).await.unwrap();
            assert_eq!(listed, std::slice::from_ref(&bucket));
            world.put_simply(&bucket, "key", 0).await;
            world.check().await;
            happened
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_bucket_is_resumed_by_a_delete_a_create_or_a_put() {
    for resume in 0..3 {
        at_each_commit(|mut world, passing, fault| async move {
            let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
            let upload = world.create_upload(&bucket, "big").await;
            let part = (world.chunks(&bucket, 1), "part");
            world
                .put_part((&bucket, "big", upload), 1, part, world.op())
                .await
                .unwrap();
            world.store.arm(passing, fault);
            let first = world.index.delete_bucket("photos").await;
            let happened = crash(&mut world).await;
            assert_eq!(first.is_err(), happened);
            let mut live = Vec::new();
            match resume {
                0 => match world.index.delete_bucket("photos").await {
                    Ok(()) | Err(DeleteBucketError::NoSuchBucket) => {}
                    Err(error) => panic!("{error}"),
                },
                1 => {
                    let again = world.index.create_bucket("photos", "bob").await;
                    let is_new = again.as_ref().is_ok_and(|again| again.id > bucket.id);
                    assert!(is_new || again == Err(CreateBucketError::AlreadyExists));
                    live = world.named_chunks().await.into_iter().collect();
                }
                _ => {
                    let (body, _) = world.body(&bucket, 0, "x");
                    let condition = WriteCondition::None;
                    let put = world
                        .put(&bucket, "key", (body, "x"), condition, world.op())
                        .await;
                    let found = world.index.bucket("photos").await.unwrap();
                    assert_eq!(put.is_ok(), found.is_some(), "written or gone");
                    live = world.named_chunks().await.into_iter().collect();
                }
            }
            world.check().await;
            if live.is_empty() {
                settles_to(&world, &[]).await;
            }
            happened
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_not_empty_opens_again() {
    at_each_commit(|mut world, passing, fault| async move {
        let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
        world.put_simply(&bucket, "key", 0).await;
        world.store.arm(passing, fault);
        let first = world.index.delete_bucket("photos").await;
        let happened = crash(&mut world).await;
        assert_eq!(first == Err(DeleteBucketError::NotEmpty), !happened);
        world.put_simply(&bucket, "other", 0).await;
        assert_eq!(
            world.index.delete_bucket("photos").await,
            Err(DeleteBucketError::NotEmpty)
        );
        assert!(world.index.bucket("photos").await.unwrap().is_some());
        happened
    })
    .await;
}

/// Copies `from/key` to `to/copy`.
async fn copy(
    world: &World,
    (from, to): (&Bucket, &Bucket),
    condition: WriteCondition,
    op_id: OpId,
) -> Result<CommittedVersion, CopyObjectError> {
    let found = world
        .index
        .get_object(from, "key", None)
        .await
        .unwrap()
        .unwrap();
    let meta = CopyMeta::Copy {
        account: "alice".to_owned(),
        storage_class: String::new(),
    };
    let source = CopySource {
        bucket: from,
        key: "key",
        record: &found.record,
    };
    let copy = CopyObject {
        source,
        bucket: to,
        key: "copy",
        meta,
        checksum: None,
        condition,
        op_id,
    };
    world.index.copy_object(copy).await
}

/// `shared` makes the source a copy itself, of a manifest in a third partition.
async fn interrupted_copy(
    mut world: World,
    (passing, fault): (u64, Fault),
    (is_shared, is_repeated): (bool, bool),
) -> bool {
    let mut buckets = Vec::new();
    for name in ["one", "two", "three"] {
        buckets.push(world.index.create_bucket(name, "alice").await.unwrap());
    }
    let (origin, from, to) = (&buckets[0], &buckets[1], &buckets[2]);
    if is_shared {
        world.put_simply(origin, "key", 2).await;
        let op_id = world.op();
        copy(&world, (origin, from), WriteCondition::None, op_id)
            .await
            .unwrap();
        let found = world
            .index
            .get_object(from, "copy", None)
            .await
            .unwrap()
            .unwrap();
        let meta = CopyMeta::Copy {
            account: "alice".to_owned(),
            storage_class: String::new(),
        };
        let source = CopySource {
            bucket: from,
            key: "copy",
            record: &found.record,
        };
        let (key, condition, op_id) = ("key", WriteCondition::None, world.op());
        let again = CopyObject {
            source,
            bucket: from,
            key,
            meta,
            checksum: None,
            condition,
            op_id,
        };
        world.index.copy_object(again).await.unwrap();
    } else {
        world.put_simply(from, "key", 2).await;
    }
    let live: Vec<ChunkId> = world.named_chunks().await.into_iter().collect();
    assert_eq!(live.len(), 2);
    let op_id = world.op();
    world.store.arm(passing, fault);
    let first = copy(&world, (from, to), WriteCondition::IfNoneMatch, op_id).await;
    let happened = crash(&mut world).await;
    assert_eq!(first.is_err(), happened);
    world.check().await;
    if is_repeated {
        let second = copy(&world, (from, to), WriteCondition::IfNoneMatch, op_id)
            .await
            .unwrap();
        let found = world
            .index
            .get_object(to, "copy", None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.version, second.version);
        assert!(first.is_err() || first == Ok(second));
    }
    settles_to(&world, &live).await;
    happened
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_whole_or_leaves_nothing() {
    for is_shared in [false, true] {
        for is_repeated in [false, true] {
            let how = (is_shared, is_repeated);
            at_each_commit(|world, passing, fault| interrupted_copy(world, (passing, fault), how))
                .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_is_whole_or_leaves_nothing() {
    for is_repeated in [false, true] {
        at_each_commit(|mut world, passing, fault| async move {
            let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
            let upload = world.create_upload(&bucket, "big").await;
            let place = (&bucket, "big", upload);
            // 20 pages: more than one batch of pages.
            let (mut parts, mut live) = (Vec::new(), Vec::new());
            for number in 1..=20_u16 {
                let etag = format!("e{number}");
                let manifest = world.chunks(&bucket, 256);
                live.extend(manifest.chunks.iter().map(|chunk| chunk.id));
                world
                    .put_part(place, number, (manifest, &etag), world.op())
                    .await
                    .unwrap();
                parts.push((number, etag));
            }
            let op_id = world.op();
            world.store.arm(passing, fault);
            let condition = || WriteCondition::IfNoneMatch;
            let first = world.complete(place, &parts, condition(), op_id).await;
            let happened = crash(&mut world).await;
            assert_eq!(first.is_err(), happened);
            world.check().await;
            if is_repeated {
                let second = world
                    .complete(place, &parts, condition(), op_id)
                    .await
                    .unwrap();
                let other = world.complete(place, &parts, condition(), world.op()).await;
                assert_eq!(other, Ok(second.clone()), "completed already");
                assert!(first.is_err() || first == Ok(second));
            } else if world
                .index
                .get_object(&bucket, "big", None)
                .await
                .unwrap()
                .is_none()
            {
                world
                    .index
                    .abort_upload(&bucket, "big", upload)
                    .await
                    .unwrap();
                let third = world.complete(place, &parts, condition(), world.op()).await;
                assert_eq!(third, Err(CompleteUploadError::NoSuchUpload));
                live.clear();
            }
            settles_to(&world, &live).await;
            happened
        })
        .await;
    }
}
