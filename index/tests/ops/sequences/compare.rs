//! Whether what the index shows of a bucket is what the model has.

use super::KEYS;
use crate::model::{Entry, ModelBucket, Version, list_naively};
use crate::world::World;
use index::{Bucket, ListObjects, ListVersions, ObjectVersion, VersionRef};

pub async fn compare(world: &World, bucket: &Bucket, model: &ModelBucket) {
    compare_objects(world, bucket, model).await;
    compare_versions(world, bucket, model).await;
    compare_lists(world, bucket, model).await;
}

async fn same(world: &World, bucket: &Bucket, found: &ObjectVersion, expected: &Version) {
    assert_eq!(found.version, expected.version);
    assert_eq!(found.record.delete_marker, expected.marker);
    assert_eq!(found.record.etag, expected.etag);
    assert_eq!(found.record.tags.get("t"), expected.tag.as_ref());
    if !expected.marker {
        assert_eq!(found.record.user_metadata["m"], expected.said);
        assert_eq!(
            world.read(bucket, &found.record).await.as_ref(),
            Some(&expected.body)
        );
    }
}

/// Reads of current versions, and of each version by its name.
async fn compare_objects(world: &World, bucket: &Bucket, model: &ModelBucket) {
    for key in KEYS {
        let found = world.index.get_object(bucket, key, None).await.unwrap();
        match (&found, model.current(key)) {
            (Some(found), Some(expected)) => same(world, bucket, found, expected).await,
            (None, None) => {}
            (found, expected) => panic!("{key:?} is {found:?}, not {expected:?}"),
        }
        let null = world
            .index
            .get_object(bucket, key, Some(VersionRef::Null))
            .await
            .unwrap();
        assert_eq!(null.is_some(), model.find(key, VersionRef::Null).is_some());
        for version in model.keys.get(key).into_iter().flatten() {
            let found = world
                .index
                .get_object(bucket, key, Some(version.version))
                .await
                .unwrap();
            same(world, bucket, &found.unwrap(), version).await;
        }
    }
}

/// All versions, page by page.
async fn compare_versions(world: &World, bucket: &Bucket, model: &ModelBucket) {
    let mut found = Vec::new();
    let (mut key_marker, mut version_marker) = (String::new(), None);
    loop {
        let list = ListVersions {
            bucket,
            prefix: "",
            delimiter: "",
            key_marker: &key_marker,
            version_marker,
            max_keys: 2,
        };
        let page = world.index.list_versions(list).await.unwrap();
        assert!(page.versions.len() <= 2);
        found.extend(
            page.versions
                .into_iter()
                .map(|v| (v.key, v.version, v.is_latest)),
        );
        let Some(next) = page.next else { break };
        (key_marker, version_marker) = next;
    }
    let expected: Vec<_> = model
        .keys
        .iter()
        .flat_map(|(key, versions)| {
            let newest_first = versions.iter().rev().enumerate();
            newest_first.map(move |(at, version)| (key.clone(), version.version, at == 0))
        })
        .collect();
    assert_eq!(found, expected);
}

/// Keys and prefixes, page by page.
async fn compare_lists(world: &World, bucket: &Bucket, model: &ModelBucket) {
    let keys: Vec<String> = model
        .keys
        .keys()
        .filter(|key| model.current(key).is_some())
        .cloned()
        .collect();
    for (prefix, delimiter) in [("", ""), ("", "/"), ("a/", "/")] {
        let mut found = Vec::new();
        let mut start_after = String::new();
        loop {
            let start_after_this = start_after.clone();
            let list = ListObjects {
                bucket,
                prefix,
                delimiter,
                start_after: &start_after_this,
                max_keys: 2,
            };
            let page = world.index.list_objects(list).await.unwrap();
            let mut entries: Vec<Entry> = page
                .objects
                .into_iter()
                .map(|object| Entry::Key(object.key))
                .collect();
            entries.extend(page.common_prefixes.into_iter().map(Entry::Prefix));
            entries.sort_by(|one, other| one.name().cmp(other.name()));
            found.extend(entries);
            let Some(next) = page.next else { break };
            start_after = next;
        }
        assert_eq!(found, list_naively(&keys, prefix, delimiter, ""));
    }
}
