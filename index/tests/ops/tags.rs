//! Tags of objects, changed in their place.

use crate::faulty::FAULTS;
use crate::world::{START_MS, World};
use index::key::feed::{EventKind, FeedEvent};
use index::store::StoreError;
use index::{Bucket, DeleteCondition, DeleteObject, ListVersions, ListedVersion};
use index::{SetObjectTags, SetObjectTagsError, VersionRef, Versioning, WriteCondition};
use std::collections::BTreeMap;
use std::time::Duration;
use types::OpId;
use types::limits::OUTCOME_TTL;

pub fn tags(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("tag".to_owned(), text.to_owned())])
}

async fn set(
    world: &World,
    bucket: &Bucket,
    (key, version): (&str, Option<VersionRef>),
    (text, op_id): (&str, OpId),
) -> Result<VersionRef, SetObjectTagsError> {
    let set = SetObjectTags {
        bucket,
        key,
        version,
        tags: tags(text),
        op_id,
    };
    world.index.set_object_tags(set).await
}

async fn versions(world: &World, bucket: &Bucket) -> Vec<ListedVersion> {
    let list = ListVersions {
        bucket,
        prefix: "",
        delimiter: "",
        key_marker: "",
        version_marker: None,
        max_keys: 100,
    };
    world.index.list_versions(list).await.unwrap().versions
}

/// A bucket with a key that has, oldest first: a null version, two versions, a delete marker, a version.
async fn history(world: &World) -> (Bucket, Vec<VersionRef>) {
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let mut made = vec![world.put_simply(&bucket, "key", 1).await.version];
    let enabled = world.index.set_versioning(&bucket, Versioning::Enabled);
    let bucket = enabled.await.unwrap();
    for chunks in [0, 70] {
        world.clock.advance(Duration::from_secs(1));
        made.push(world.put_simply(&bucket, "key", chunks).await.version);
    }
    let delete = DeleteObject {
        bucket: &bucket,
        key: "key",
        version: None,
        condition: DeleteCondition::default(),
        op_id: world.op(),
    };
    made.push(
        world
            .index
            .delete_object(delete)
            .await
            .unwrap()
            .version
            .unwrap(),
    );
    world.clock.advance(Duration::from_secs(1));
    made.push(world.put_simply(&bucket, "key", 2).await.version);
    (bucket, made)
}

/// The tags of the version that is named change, and nothing else of any version.
#[tokio::test(flavor = "multi_thread")]
async fn tags_change_and_nothing_else_does() {
    let world = World::new();
    let (bucket, made) = history(&world).await;
    let cases = [
        (None, made[4]),
        (Some(made[4]), made[4]),
        (Some(made[2]), made[2]),
        (Some(made[1]), made[1]),
        (Some(VersionRef::Null), made[0]),
    ];
    for (number, (named, changed)) in cases.into_iter().enumerate() {
        world.clock.advance(Duration::from_secs(60));
        let mut expected = versions(&world, &bucket).await;
        let text = format!("case {number}");
        let done = set(&world, &bucket, ("key", named), (&text, world.op())).await;
        assert_eq!(done, Ok(changed));
        for version in &mut expected {
            if version.version == changed {
                version.record.tags = tags(&text);
            }
        }
        assert_eq!(versions(&world, &bucket).await, expected);
        let read = world
            .index
            .get_object(&bucket, "key", named)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read.record.tags, tags(&text));
        assert!(world.read(&bucket, &read.record).await.is_some());
        world.check().await;
    }
    assert_eq!(
        world.reclaim_all().await.len(),
        0,
        "no bytes were let go of"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_tags_is_told_apart() {
    let world = World::new();
    let (bucket, made) = history(&world).await;
    let before = versions(&world, &bucket).await;
    let marker = set(&world, &bucket, ("key", Some(made[3])), ("x", world.op())).await;
    assert_eq!(
        marker,
        Err(SetObjectTagsError::IsDeleteMarker { version: made[3] })
    );
    let absent = Err(SetObjectTagsError::NoSuchVersion);
    for (key, version) in [
        ("other", None),
        ("other", Some(made[1])),
        ("other", Some(VersionRef::Null)),
    ] {
        assert_eq!(
            set(&world, &bucket, (key, version), ("x", world.op())).await,
            absent
        );
    }
    let delete = |version| DeleteObject {
        bucket: &bucket,
        key: "key",
        version,
        condition: DeleteCondition::default(),
        op_id: world.op(),
    };
    assert_eq!(versions(&world, &bucket).await, before);
    world
        .index
        .delete_object(delete(Some(VersionRef::Null)))
        .await
        .unwrap();
    let null = set(
        &world,
        &bucket,
        ("key", Some(VersionRef::Null)),
        ("x", world.op()),
    )
    .await;
    assert_eq!(null, absent);
    world.index.delete_object(delete(None)).await.unwrap();
    let under_marker = set(&world, &bucket, ("key", None), ("x", world.op())).await;
    assert_eq!(under_marker, absent);
    let op_id = world.op();
    world.clock.advance(OUTCOME_TTL + Duration::from_secs(1));
    let late = set(&world, &bucket, ("key", Some(made[1])), ("x", op_id)).await;
    assert!(matches!(
        late,
        Err(SetObjectTagsError::Store(StoreError::Expired { .. }))
    ));
    world.check().await;
    let empty = world.index.create_bucket("empty", "alice").await.unwrap();
    world.index.delete_bucket("empty").await.unwrap();
    let gone = set(&world, &empty, ("key", None), ("x", world.op())).await;
    assert_eq!(gone, Err(SetObjectTagsError::NoSuchBucket));
}

/// A repetition with the same id gives the first outcome and changes nothing more, also when the tags were
/// changed or the version was deleted in between.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_tags_happens_once() {
    for fault in FAULTS {
        let world = World::new();
        let (bucket, made) = history(&world).await;
        let op_id = world.op();
        world.store.arm(0, fault);
        let first = set(&world, &bucket, ("key", None), ("first", op_id)).await;
        assert!(first.is_err(), "{fault:?}");
        world.store.disarm();
        for _ in 0..2 {
            let again = set(&world, &bucket, ("key", None), ("first", op_id)).await;
            assert_eq!(again, Ok(made[4]));
        }
        let second = set(&world, &bucket, ("key", None), ("second", world.op())).await;
        assert_eq!(second, Ok(made[4]));
        let again = set(&world, &bucket, ("key", None), ("first", op_id)).await;
        assert_eq!(again, Ok(made[4]));
        let found = world
            .index
            .get_object(&bucket, "key", None)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.record.tags, tags("second"));
        world.check().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_feed_tells_of_changed_tags() {
    let world = World::new();
    let (bucket, made) = history(&world).await;
    let before = world.index.last_seq(bucket.partition).await.unwrap();
    set(&world, &bucket, ("key", Some(made[2])), ("x", world.op()))
        .await
        .unwrap();
    let found = world
        .index
        .get_object(&bucket, "key", Some(made[2]))
        .await
        .unwrap();
    let record = found.unwrap().record;
    let changes = world
        .index
        .changes(bucket.partition, before, 10)
        .await
        .unwrap();
    let [change] = &changes[..] else {
        panic!("one commit, not {changes:?}")
    };
    let event = FeedEvent::decode(change.feed.clone()).unwrap();
    assert_eq!(event.kind, EventKind::TagsChanged);
    assert_eq!((event.bucket, event.key.as_str()), (bucket.id, "key"));
    assert_eq!((event.version, event.order), (record.id, record.order));
    assert!(event.removed.is_empty());
}

/// Writers of one key's tags, versions and deletes side by side: no change is lost, and every version that was
/// tagged by its name still has its tags.
#[tokio::test(flavor = "multi_thread")]
async fn tags_race_with_versions() {
    let world = World::new();
    let (bucket, made) = history(&world).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..4_usize {
        let (world, bucket, made) = (world.clone(), bucket.clone(), made.clone());
        tasks.spawn(async move {
            for round in 0..20_usize {
                let text = format!("{round}");
                match task {
                    0 | 1 => {
                        let version = made[task + 1];
                        let done =
                            set(&world, &bucket, ("key", Some(version)), (&text, world.op()));
                        assert_eq!(done.await, Ok(version));
                    }
                    2 => {
                        world.put_simply(&bucket, "key", round % 2).await;
                    }
                    _ => match set(&world, &bucket, ("key", None), (&text, world.op())).await {
                        Ok(_) | Err(SetObjectTagsError::NoSuchVersion) => {}
                        Err(error) => panic!("{error}"),
                    },
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for version in [made[1], made[2]] {
        let found = world
            .index
            .get_object(&bucket, "key", Some(version))
            .await
            .unwrap();
        assert_eq!(found.unwrap().record.tags, tags("19"));
    }
    assert_eq!(versions(&world, &bucket).await.len(), 25);
    world.check().await;
}

/// A version that another one was copied from keeps sharing its bytes when its tags change.
#[tokio::test(flavor = "multi_thread")]
async fn tags_of_a_shared_version_leave_it_shared() {
    let world = World::new();
    let (bucket, made) = history(&world).await;
    let found = world
        .index
        .get_object(&bucket, "key", Some(made[0]))
        .await
        .unwrap()
        .unwrap();
    let copy = index::CopyObject {
        source: index::CopySource {
            bucket: &bucket,
            key: "key",
            record: &found.record,
        },
        bucket: &bucket,
        key: "copy",
        meta: index::CopyMeta::Copy {
            account: "alice".to_owned(),
            storage_class: String::new(),
        },
        checksum: None,
        condition: WriteCondition::None,
        op_id: world.op(),
    };
    world.index.copy_object(copy).await.unwrap();
    let done = set(
        &world,
        &bucket,
        ("key", Some(VersionRef::Null)),
        ("x", world.op()),
    )
    .await;
    assert_eq!(done, Ok(VersionRef::Null));
    world.check().await;
    let copied = world
        .index
        .get_object(&bucket, "copy", None)
        .await
        .unwrap()
        .unwrap();
    assert!(copied.record.tags.is_empty());
    assert!(copied.record.last_modified_ms() >= START_MS);
}
