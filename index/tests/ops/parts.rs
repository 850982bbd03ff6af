//! Parts of objects that multipart uploads made: all of them page by page, and each by its number.

use crate::world::World;
use index::{Bucket, CopyMeta, CopyObject, CopySource, PlacedPart, VersionRecord, WriteCondition};
use types::limits::{MANIFEST_PAGE_CHUNKS, MANIFEST_PAGE_PARTS};

/// Makes an object of parts with these numbers and counts of chunks.
async fn object(world: &World, bucket: &Bucket, parts: &[(u16, usize)]) -> VersionRecord {
    let upload = world.create_upload(bucket, "key").await;
    let place = (bucket, "key", upload);
    let mut named = Vec::new();
    for (number, chunks) in parts {
        let etag = format!("e{number}");
        let part = (world.chunks(bucket, *chunks), etag.as_str());
        world
            .put_part(place, *number, part, world.op())
            .await
            .unwrap();
        named.push((*number, etag));
    }
    world
        .complete(place, &named, WriteCondition::None, world.op())
        .await
        .unwrap();
    let found = world.index.get_object(bucket, "key", None).await.unwrap();
    found.unwrap().record
}

/// The offset, number and length of each part, by the chunks that it was made of.
fn expected(parts: &[(u16, usize)]) -> Vec<(u64, u16, u64)> {
    let mut offset = 0;
    let mut expected = Vec::new();
    for (number, chunks) in parts {
        let length = 100 * *chunks as u64;
        expected.push((offset, *number, length));
        offset += length;
    }
    expected
}

fn facts(part: &PlacedPart) -> (u64, u16, u64) {
    (part.offset, part.entry.number, part.entry.length)
}

async fn listed(world: &World, record: &VersionRecord, max: usize) -> Vec<(u64, u16, u64)> {
    let mut found = Vec::new();
    let mut after = 0;
    loop {
        let page = world.index.object_parts(record, after, max).await.unwrap();
        assert!(page.parts.len() <= max);
        found.extend(page.parts.iter().map(facts));
        let Some(next) = page.next else { return found };
        assert_eq!(page.parts.len(), max, "a page that is not the last is full");
        assert_eq!(Some(next), page.parts.last().map(|part| part.entry.number));
        after = next;
    }
}

/// Compares what the index says of the parts with what was uploaded.
async fn compare(world: &World, record: &VersionRecord, parts: &[(u16, usize)], pages: &[usize]) {
    let expected = expected(parts);
    for max in pages {
        assert_eq!(listed(world, record, *max).await, expected, "{max} a page");
    }
    let last = parts.last().map_or(0, |(number, _)| *number);
    for number in 0..=last + 1 {
        let found = world.index.object_part(record, number).await.unwrap();
        let wanted = expected.iter().find(|(_, of, _)| *of == number);
        assert_eq!(found.as_ref().map(facts).as_ref(), wanted, "part {number}");
        let after = world.index.object_parts(record, number, 1).await.unwrap();
        let wanted = expected.iter().find(|(_, of, _)| *of > number);
        assert_eq!(
            after.parts.first().map(facts).as_ref(),
            wanted,
            "after {number}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_small_object_are_found() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    for parts in [&[(1, 1)][..], &[(1, 2), (2, 1), (5, 3), (9, 0)]] {
        let record = object(&world, &bucket, parts).await;
        assert!(record.manifest.page_offsets.is_empty());
        compare(&world, &record, parts, &[1, 2, 10]).await;
    }
}

/// More parts than a page holds, with numbers left out; parts of several chunks, that begin in the middle of a
/// page and end in the next; and parts larger than a page, so that there are pages in which none begins.
#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_paged_object_are_found() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let many: Vec<(u16, usize)> = (1..700).map(|number| (number * 2, 1)).collect();
    let several: Vec<(u16, usize)> = (1..200).map(|number| (number, 7)).collect();
    let large = [(1, 3 * MANIFEST_PAGE_CHUNKS + 5), (4, 1), (6, 900), (7, 2)];
    let exact = [(1, MANIFEST_PAGE_CHUNKS), (2, MANIFEST_PAGE_CHUNKS), (3, 1)];
    for parts in [&many[..], &several, &large, &exact] {
        let record = object(&world, &bucket, parts).await;
        assert!(record.manifest.page_offsets.len() > 2);
        compare(&world, &record, parts, &[7, 255, 256, 1000]).await;
    }
    assert!(many.len() > 2 * MANIFEST_PAGE_PARTS);
    world.check().await;
}

/// A copy has the parts of its source, also from another partition and when the source is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_has_the_parts_of_its_source() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let other = world.index.create_bucket("other", "alice").await.unwrap();
    assert_ne!(bucket.partition, other.partition);
    let parts: Vec<(u16, usize)> = (1..300).map(|number| (number, 1)).collect();
    let record = object(&world, &bucket, &parts).await;
    let copy = CopyObject {
        source: CopySource {
            bucket: &bucket,
            key: "key",
            record: &record,
        },
        bucket: &other,
        key: "copy",
        meta: CopyMeta::Copy {
            account: "alice".to_owned(),
            storage_class: String::new(),
        },
        checksum: None,
        condition: WriteCondition::None,
        op_id: world.op(),
    };
    world.index.copy_object(copy).await.unwrap();
    world.put_simply(&bucket, "key", 0).await;
    world.reclaim_all().await;
    let copied = world.index.get_object(&other, "copy", None).await.unwrap();
    compare(&world, &copied.unwrap().record, &parts, &[100]).await;
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_was_put_whole_has_no_parts() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    for chunks in [0, 3, 70] {
        world.put_simply(&bucket, "key", chunks).await;
        let found = world.index.get_object(&bucket, "key", None).await.unwrap();
        let record = found.unwrap().record;
        assert_eq!(world.index.object_part(&record, 1).await, Ok(None));
        let page = world.index.object_parts(&record, 0, 10).await.unwrap();
        assert_eq!((page.parts.len(), page.next), (0, None));
    }
}
