//! Lists of random keys against the naive list, page by page, from any marker.

use crate::model::{Entry, list_naively};
use crate::world::World;
use index::{Bucket, ListObjects, ListUploads, ListVersions, Versioning};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeSet;

fn run<S: Strategy>(cases: u32, strategy: S, test: impl Fn(S::Value)) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let result = runner.run(&strategy, |value| {
        test(value);
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

/// Short keys of few characters, so that prefixes and delimiters meet, with the bytes that escaping and
/// terminating are about.
fn text(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    // Bytes around `/` too: `-` and `.` before it, `0` after it.
    let letter = prop::sample::select(vec![
        'a',
        'a',
        'b',
        '/',
        '/',
        '-',
        '.',
        '0',
        '\0',
        '\u{1}',
        '\u{e9}',
        '\u{10ffff}',
    ]);
    prop::collection::vec(letter, length).prop_map(|letters| letters.into_iter().collect())
}

type Case = (Vec<String>, String, String, String, usize);

fn case() -> impl Strategy<Value = Case> {
    let keys = prop::collection::vec(text(1..5), 0..25);
    (keys, text(0..3), text(0..3), text(0..4), 1..5_usize)
}

async fn objects(
    world: &World,
    bucket: &Bucket,
    (prefix, delimiter, after, max_keys): (&str, &str, &str, usize),
) -> Vec<Entry> {
    let mut found = Vec::new();
    let (mut start_after, mut is_first) = (after.to_owned(), true);
    loop {
        let marker = start_after.clone();
        let list = ListObjects {
            bucket,
            prefix,
            delimiter,
            start_after: &marker,
            max_keys,
        };
        let page = world.index.list_objects(list).await.unwrap();
        let count = page.objects.len() + page.common_prefixes.len();
        let mut entries: Vec<Entry> = page
            .objects
            .into_iter()
            .map(|object| Entry::Key(object.key))
            .collect();
        entries.extend(page.common_prefixes.into_iter().map(Entry::Prefix));
        entries.sort_by(|one, other| one.name().cmp(other.name()));
        assert!(count <= max_keys);
        let last = entries.last().map(|entry| entry.name().to_owned());
        found.extend(entries);
        match page.next {
            Some(next) => {
                assert_eq!(
                    (count, Some(&next)),
                    (max_keys, last.as_ref()),
                    "a full page"
                );
                // (A page may end with a prefix that the first marker lies inside of.)
                let is_later = is_first || next > start_after;
                assert!(is_later, "the next page begins later");
                (start_after, is_first) = (next, false);
            }
            None => return found,
        }
    }
}

async fn versions(
    world: &World,
    bucket: &Bucket,
    (prefix, delimiter, after, max_keys): (&str, &str, &str, usize),
) -> Vec<Entry> {
    let mut found = BTreeSet::new();
    let (mut key_marker, mut version_marker) = (after.to_owned(), None);
    let mut is_first = true;
    loop {
        let marker = key_marker.clone();
        let list = ListVersions {
            bucket,
            prefix,
            delimiter,
            key_marker: &marker,
            version_marker,
            max_keys,
        };
        let page = world.index.list_versions(list).await.unwrap();
        for version in page.versions {
            found.insert(Entry::Key(version.key));
        }
        for prefix in page.common_prefixes {
            assert!(
                found.insert(Entry::Prefix(prefix)),
                "a prefix is listed once"
            );
        }
        let Some(next) = page.next else { break };
        let is_later = next.0 > key_marker || (next.0 == key_marker && next.1 != version_marker);
        assert!(is_first || is_later, "the next page begins later");
        (key_marker, version_marker) = next;
        is_first = false;
    }
    let mut found: Vec<Entry> = found.into_iter().collect();
    found.sort_by(|one, other| one.name().cmp(other.name()));
    found
}

async fn uploads(
    world: &World,
    bucket: &Bucket,
    (prefix, delimiter, after, max_uploads): (&str, &str, &str, usize),
) -> Vec<Entry> {
    let mut found = Vec::new();
    let (mut key_marker, mut upload_marker) = (after.to_owned(), None);
    let mut is_first = true;
    loop {
        let marker = key_marker.clone();
        let list = ListUploads {
            bucket,
            prefix,
            delimiter,
            key_marker: &marker,
            upload_marker,
            max_uploads,
        };
        let page = world.index.list_uploads(list).await.unwrap();
        found.extend(
            page.uploads
                .into_iter()
                .map(|upload| Entry::Key(upload.key)),
        );
        found.extend(page.common_prefixes.into_iter().map(Entry::Prefix));
        let Some(next) = page.next else { break };
        let is_later = is_first || next > (key_marker, upload_marker);
        assert!(is_later, "the next page begins later");
        (key_marker, upload_marker) = next;
        is_first = false;
    }
    found.sort_by(|one, other| one.name().cmp(other.name()));
    found.dedup();
    found
}

#[test]
fn lists_agree_with_the_naive_list() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    run(96, case(), |(keys, prefix, delimiter, after, max)| {
        runtime.block_on(async {
            let world = World::new();
            let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
            let bucket = world
                .index
                .set_versioning(&bucket, Versioning::Enabled)
                .await
                .unwrap();
            for key in &keys {
                world.put_simply(&bucket, key, 0).await;
                world.create_upload(&bucket, key).await;
            }
            let asked = (prefix.as_str(), delimiter.as_str(), after.as_str(), max);
            let expected = list_naively(&keys, &prefix, &delimiter, &after);
            assert_eq!(objects(&world, &bucket, asked).await, expected, "objects");
            assert_eq!(versions(&world, &bucket, asked).await, expected, "versions");
            assert_eq!(uploads(&world, &bucket, asked).await, expected, "uploads");
        });
    });
}

/// Names that repeat inside a key, and names that differ in a byte beside the delimiter.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_look_alike_are_told_apart() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let keys = [
        "folder1/folder1/a",
        "folder1/folder1/folder1/b",
        "folder1/folder10/c",
        "folder1-x",
        "folder1.txt",
        "folder10",
        "test-1",
        "test.txt",
        "test/",
        "test/a",
        "test0",
    ];
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    for key in &keys {
        world.put_simply(&bucket, key, 0).await;
        world.create_upload(&bucket, key).await;
    }
    let prefixes = [
        "",
        "f",
        "folder1",
        "folder1/",
        "folder1/folder1/",
        "test",
        "test/",
        "x",
    ];
    for prefix in prefixes {
        for delimiter in ["", "/", "1/", "older1/f", "t", ".txt"] {
            for after in [
                "",
                "folder1/",
                "folder1/folder1/",
                "folder1/folder1/a",
                "test",
                "test/",
            ] {
                let expected = list_naively(&keys, prefix, delimiter, after);
                for max in [1, 2, 100] {
                    let asked = (prefix, delimiter, after, max);
                    assert_eq!(objects(&world, &bucket, asked).await, expected, "{asked:?}");
                    assert_eq!(
                        versions(&world, &bucket, asked).await,
                        expected,
                        "{asked:?}"
                    );
                    assert_eq!(uploads(&world, &bucket, asked).await, expected, "{asked:?}");
                }
            }
        }
    }
}

/// A list never shows what is gone: neither keys under delete markers, nor prefixes that hold only such
/// keys, nor uploads that are completed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_is_not_listed() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    world
        .index
        .set_versioning(&bucket, Versioning::Enabled)
        .await
        .unwrap();
    for key in ["gone/a", "gone/b", "kept/a"] {
        world.put_simply(&bucket, key, 0).await;
        let upload = world.create_upload(&bucket, key).await;
        if key != "kept/a" {
            let (condition, op_id) = (index::WriteCondition::None, world.op());
            let place = (&bucket, key, upload);
            let part = (world.chunks(&bucket, 1), "part");
            world.put_part(place, 1, part, world.op()).await.unwrap();
            let parts = [(1, "part".to_owned())];
            world
                .complete(place, &parts, condition, op_id)
                .await
                .unwrap();
            let (bucket, version, op_id) = (&bucket, None, world.op());
            let condition = index::DeleteCondition::default();
            let delete = index::DeleteObject {
                bucket,
                key,
                version,
                condition,
                op_id,
            };
            assert!(
                world
                    .index
                    .delete_object(delete)
                    .await
                    .unwrap()
                    .delete_marker
            );
        }
    }
    let kept = [Entry::Prefix("kept/".to_owned())];
    assert_eq!(objects(&world, &bucket, ("", "/", "", 1)).await, kept);
    assert_eq!(uploads(&world, &bucket, ("", "/", "", 1)).await, kept);
    assert_eq!(versions(&world, &bucket, ("", "/", "", 1)).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_no_keys_is_empty_and_the_last() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    world.put_simply(&bucket, "key", 0).await;
    let list = ListObjects {
        bucket: &bucket,
        prefix: "",
        delimiter: "",
        start_after: "",
        max_keys: 0,
    };
    assert_eq!(
        world.index.list_objects(list).await.unwrap(),
        index::ObjectPage::default()
    );
}
