//! Buckets: their lists, and the tags of a bucket.

use crate::faulty::FAULTS;
use crate::world::World;
use index::{ListBuckets, UpdateBucketError, WriteCondition};
use std::collections::BTreeMap;

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// The names on each page of a list.
async fn pages(world: &World, owner: &str, (prefix, max): (&str, usize)) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut after = String::new();
    loop {
        let list = ListBuckets {
            owner,
            prefix,
            after: &after,
            max,
        };
        let page = world.index.list_buckets_page(list).await.unwrap();
        let names: Vec<String> = page.buckets.into_iter().map(|bucket| bucket.name).collect();
        if let Some(next) = &page.next {
            assert_eq!(Some(next), names.last());
        }
        pages.push(names);
        let Some(next) = page.next else { return pages };
        after = next;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn buckets_are_listed_by_owner_prefix_and_page() {
    let world = World::new();
    for (name, owner) in [
        ("b-2", "alice"),
        ("a-1", "alice"),
        ("b-1", "alice"),
        ("b", "bob"),
        ("b-3", "alice"),
        ("b.4", "alice"),
        ("c", "alice"),
    ] {
        world.index.create_bucket(name, owner).await.unwrap();
    }
    let one_page = |names: &[&str]| vec![names.iter().map(ToString::to_string).collect::<Vec<_>>()];
    assert_eq!(
        pages(&world, "alice", ("", 10)).await,
        one_page(&["a-1", "b-1", "b-2", "b-3", "b.4", "c"])
    );
    assert_eq!(
        pages(&world, "alice", ("b-", 3)).await,
        one_page(&["b-1", "b-2", "b-3"]),
        "a full page that is the last says so"
    );
    assert_eq!(
        pages(&world, "alice", ("b", 3)).await,
        [vec!["b-1", "b-2", "b-3"], vec!["b.4"]]
    );
    assert_eq!(pages(&world, "alice", ("x", 3)).await, one_page(&[]));
    assert_eq!(pages(&world, "bob", ("", 1)).await, one_page(&["b"]));
    assert_eq!(pages(&world, "bo", ("", 1)).await, one_page(&[]));

    world.index.delete_bucket("b-2").await.unwrap();
    assert_eq!(
        pages(&world, "alice", ("b-", 1)).await,
        [["b-1"], ["b-3"]],
        "a deleted bucket leaves no hole"
    );
    let after_it = ListBuckets {
        owner: "alice",
        prefix: "b-",
        after: "b-2",
        max: 5,
    };
    let page = world.index.list_buckets_page(after_it).await.unwrap();
    assert_eq!((page.buckets.len(), page.next), (1, None));
    let outside = ListBuckets {
        after: "c",
        ..after_it
    };
    let page = world.index.list_buckets_page(outside).await.unwrap();
    assert_eq!((page.buckets.len(), page.next), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_of_a_bucket_are_replaced_removed_and_end_with_it() {
    let mut world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let other = world.index.create_bucket("other", "alice").await.unwrap();
    assert_eq!(world.index.bucket_tags(&bucket).await, Ok(BTreeMap::new()));
    for wanted in [
        tags(&[("team", "a"), ("cost", "")]),
        tags(&[("team", "b")]),
        tags(&[]),
        tags(&[("team", "c")]),
    ] {
        let set = world.index.set_bucket_tags(&bucket, wanted.clone()).await;
        assert_eq!(set, Ok(()));
        assert_eq!(world.index.bucket_tags(&bucket).await, Ok(wanted));
        assert_eq!(world.index.bucket_tags(&other).await, Ok(BTreeMap::new()));
        world.check().await;
    }
    world.restart(3).await;
    assert_eq!(
        world.index.bucket_tags(&bucket).await,
        Ok(tags(&[("team", "c")]))
    );
    world.index.delete_bucket("photos").await.unwrap();
    world.check().await;
    let late = world.index.set_bucket_tags(&bucket, tags(&[("a", "b")]));
    assert_eq!(late.await, Err(UpdateBucketError::NoSuchBucket));
    let again = world.index.create_bucket("photos", "alice").await.unwrap();
    assert_eq!(world.index.bucket_tags(&again).await, Ok(BTreeMap::new()));
    world.check().await;
}

/// The most that S3 allows fits a record.
#[tokio::test(flavor = "multi_thread")]
async fn fifty_tags_of_the_longest_names_and_values_fit() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let wide = |count: usize| "\u{20ac}".repeat(count);
    let all: BTreeMap<String, String> = (10..60)
        .map(|number| (format!("{number}{}", wide(126)), wide(256)))
        .collect();
    let set = world.index.set_bucket_tags(&bucket, all.clone()).await;
    assert_eq!(set, Ok(()));
    assert_eq!(world.index.bucket_tags(&bucket).await, Ok(all));
}

/// A bucket's state is what object batches depend on: tags are not part of it.
#[tokio::test(flavor = "multi_thread")]
async fn tags_of_a_bucket_do_not_change_its_state() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    world
        .index
        .set_bucket_tags(&bucket, tags(&[("a", "b")]))
        .await
        .unwrap();
    let after = world.index.bucket("photos").await.unwrap().unwrap();
    assert_eq!(after, bucket);
}

/// Whatever becomes of the commit, a repetition leaves the tags as they were asked for; and a bucket that is
/// deleted meanwhile is deleted with them.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_commit_of_tags_is_repeated() {
    for fault in FAULTS {
        let mut world = World::new();
        let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
        world.store.arm(0, fault);
        let wanted = tags(&[("a", "b")]);
        let first = world.index.set_bucket_tags(&bucket, wanted.clone()).await;
        assert!(first.is_err(), "{fault:?}");
        world.store.disarm();
        world.restart(5).await;
        let found = world.index.bucket_tags(&bucket).await.unwrap();
        assert!(found.is_empty() || found == wanted);
        let again = world.index.set_bucket_tags(&bucket, wanted.clone()).await;
        assert_eq!(again, Ok(()));
        assert_eq!(world.index.bucket_tags(&bucket).await, Ok(wanted));
        world.index.delete_bucket("photos").await.unwrap();
        world.check().await;
    }
}

/// Tags and objects of one bucket are written side by side, and the bucket is closed in between: every call
/// succeeds or finds the bucket gone.
#[tokio::test(flavor = "multi_thread")]
async fn tags_objects_and_deletions_race() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    world.put_simply(&bucket, "kept", 0).await;
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..3_usize {
        let (world, bucket) = (world.clone(), bucket.clone());
        tasks.spawn(async move {
            for round in 0..20_usize {
                match task {
                    0 => {
                        let tags = tags(&[("round", &round.to_string())]);
                        let set = world.index.set_bucket_tags(&bucket, tags).await;
                        assert_eq!(set, Ok(()));
                    }
                    1 => {
                        let (body, _) = world.body(&bucket, 0, "e");
                        let put = world.put(
                            &bucket,
                            "key",
                            (body, "e"),
                            WriteCondition::None,
                            world.op(),
                        );
                        assert!(put.await.is_ok());
                    }
                    _ => assert!(world.index.delete_bucket("photos").await.is_err()),
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(
        world.index.bucket_tags(&bucket).await,
        Ok(tags(&[("round", "19")]))
    );
    world.check().await;
}
