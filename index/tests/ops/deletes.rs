//! What a DELETE's condition is compared with.

use crate::world::{START_MS, World};
use index::{Bucket, DeleteCondition, DeleteObject, DeleteObjectError, Deleted, VersionRef};
use index::{Versioning, WriteCondition};
use std::time::Duration;

async fn delete(
    world: &World,
    bucket: &Bucket,
    (key, version): (&str, Option<VersionRef>),
    condition: &DeleteCondition,
) -> Result<Deleted, DeleteObjectError> {
    let delete = DeleteObject {
        bucket,
        key,
        version,
        condition: condition.clone(),
        op_id: world.op(),
    };
    world.index.delete_object(delete).await
}

/// Conditions that hold of an object with this ETag and size, written in this second; and such that do not.
fn conditions(etag: &str, size: u64, second: i64) -> (Vec<DeleteCondition>, Vec<DeleteCondition>) {
    let all = |etag: &str, last_modified_s, size| DeleteCondition {
        etag: Some(etag.to_owned()),
        last_modified_s: Some(last_modified_s),
        size: Some(size),
    };
    let none = DeleteCondition::default;
    let holds = vec![
        none(),
        DeleteCondition {
            etag: Some("*".to_owned()),
            ..none()
        },
        DeleteCondition {
            size: Some(size),
            ..none()
        },
        DeleteCondition {
            last_modified_s: Some(second),
            ..none()
        },
        all(etag, second, size),
    ];
    let fails = vec![
        all("other", second, size),
        all(etag, second + 1, size),
        all(etag, second - 1, size),
        all(etag, second, size + 1),
        all("*", -1, size),
        DeleteCondition {
            size: Some(0),
            ..none()
        },
    ];
    (holds, fails)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_happens_exactly_when_its_condition_holds() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    world.clock.advance(Duration::from_millis(999));
    let second = i64::try_from(START_MS / 1000).unwrap();
    let (holds, fails) = conditions("abc", 3, second);
    for condition in holds {
        let (body, _) = world.body(&bucket, 0, "abc");
        let put = world.put(
            &bucket,
            "key",
            (body, "abc"),
            WriteCondition::None,
            world.op(),
        );
        put.await.unwrap();
        // The order of each version is later than that of the one before, by less than a millisecond.
        for condition in &fails {
            let refused = delete(&world, &bucket, ("key", None), condition).await;
            assert_eq!(
                refused,
                Err(DeleteObjectError::PreconditionFailed),
                "{condition:?}"
            );
        }
        assert!(
            world
                .index
                .get_object(&bucket, "key", None)
                .await
                .unwrap()
                .is_some()
        );
        let deleted = delete(&world, &bucket, ("key", None), &condition).await;
        assert_eq!(deleted, Ok(Deleted::default()), "{condition:?}");
        assert_eq!(world.index.get_object(&bucket, "key", None).await, Ok(None));
    }
    // What is not there fits every condition but one on its ETag.
    for condition in fails {
        let deleted = delete(&world, &bucket, ("key", None), &condition).await;
        let expected = match condition.etag {
            None => Ok(Deleted::default()),
            Some(_) => Err(DeleteObjectError::NoSuchKey),
        };
        assert_eq!(deleted, expected);
    }
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_version_that_is_named_is_the_one_compared() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let enabled = world.index.set_versioning(&bucket, Versioning::Enabled);
    let bucket = enabled.await.unwrap();
    let mut versions = Vec::new();
    for etag in ["old", "newer"] {
        let (body, _) = world.body(&bucket, 0, etag);
        let put = world.put(
            &bucket,
            "key",
            (body, etag),
            WriteCondition::None,
            world.op(),
        );
        versions.push(put.await.unwrap().version);
        world.clock.advance(Duration::from_secs(10));
    }
    let of = |etag: &str, size| DeleteCondition {
        etag: Some(etag.to_owned()),
        size: Some(size),
        ..Default::default()
    };
    let failed = Err(DeleteObjectError::PreconditionFailed);
    let old = ("key", Some(versions[0]));
    assert_eq!(delete(&world, &bucket, old, &of("newer", 5)).await, failed);
    assert_eq!(
        delete(&world, &bucket, ("key", None), &of("old", 3)).await,
        failed
    );
    let gone = delete(&world, &bucket, old, &of("old", 3)).await.unwrap();
    assert_eq!(
        (gone.version, gone.delete_marker),
        (Some(versions[0]), false)
    );
    let marked = delete(&world, &bucket, ("key", None), &of("newer", 5))
        .await
        .unwrap();
    assert!(marked.delete_marker);
    // Under the marker there is no current version: the same DELETE does not succeed again.
    assert_eq!(
        delete(&world, &bucket, ("key", None), &of("newer", 5)).await,
        Err(DeleteObjectError::NoSuchKey)
    );
    assert_eq!(
        delete(&world, &bucket, old, &of("old", 3)).await,
        Err(DeleteObjectError::NoSuchVersion)
    );
    let listed = world
        .index
        .get_object(&bucket, "key", marked.version)
        .await
        .unwrap();
    assert!(listed.unwrap().record.delete_marker);
    world.check().await;
}
