//! Multipart uploads at their bounds.

use crate::world::World;
use index::{CompleteUploadError, PutPartError, WriteCondition};
use std::collections::BTreeSet;
use std::time::Duration;
use types::limits::{COMPLETED_UPLOAD_TTL, WRITE_DEADLINE};

/// 10,000 parts: completed within the bounds of a batch, read by range, and deleted without a leak.
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_parts_make_an_object() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let upload = world.create_upload(&bucket, "big").await;
    let place = (&bucket, "big", upload);
    let mut parts = Vec::new();
    for number in 1..=10_000_u16 {
        let etag = format!("e{number}");
        let part = (world.chunks(&bucket, 1), etag.as_str());
        world
            .put_part(place, number, part, world.op())
            .await
            .unwrap();
        parts.push((number, etag));
    }
    let left_out = parts.remove(4999);
    let none = WriteCondition::None;
    let done = world
        .complete(place, &parts, none.clone(), world.op())
        .await
        .unwrap();
    let again = world
        .complete(place, &parts, none.clone(), world.op())
        .await
        .unwrap();
    assert_eq!(done, again);
    let other = world.complete(place, &[left_out], none, world.op()).await;
    assert_eq!(other, Err(CompleteUploadError::NoSuchUpload));

    let found = world
        .index
        .get_object(&bucket, "big", None)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.record.plain_length, found.record.parts),
        (999_900, 9_999)
    );
    assert_eq!(found.record.manifest.page_offsets.len(), 40);
    for range in [
        0..1,
        99..101,
        25_599..25_601,
        500_000..777_777,
        999_899..999_900,
    ] {
        let placed = world
            .index
            .resolve_chunks(&found.record, range.clone())
            .await
            .unwrap();
        let first = range.start / 100 * 100;
        assert_eq!(placed.first().map(|placed| placed.offset), Some(first));
        assert_eq!(
            placed.len() as u64,
            range.end.div_ceil(100) - range.start / 100
        );
    }
    world.check().await;
    assert_eq!(
        world.reclaim_all().await.len(),
        1,
        "the part that was left out"
    );
    assert_eq!(world.named_chunks().await.len(), 9_999);
    world.check().await;
    world.put_simply(&bucket, "big", 0).await;
    assert_eq!(world.reclaim_all().await.len(), 9_999);
    assert_eq!(world.named_chunks().await, BTreeSet::new());
    world.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completion_is_refused_for_parts_that_are_wrong() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let upload = world.create_upload(&bucket, "key").await;
    let place = (&bucket, "key", upload);
    for number in [1, 2] {
        let part = (world.chunks(&bucket, 1), "good");
        world
            .put_part(place, number, part, world.op())
            .await
            .unwrap();
    }
    let none = WriteCondition::None;
    let good = || "good".to_owned();
    let cases = [
        (vec![], CompleteUploadError::InvalidPartOrder),
        (
            vec![(2, good()), (1, good())],
            CompleteUploadError::InvalidPartOrder,
        ),
        (
            vec![(1, good()), (1, good())],
            CompleteUploadError::InvalidPartOrder,
        ),
        (
            vec![(1, good()), (3, good())],
            CompleteUploadError::InvalidPart { number: 3 },
        ),
        (
            vec![(1, "bad".to_owned())],
            CompleteUploadError::InvalidPart { number: 1 },
        ),
    ];
    for (parts, error) in cases {
        let result = world
            .complete(place, &parts, none.clone(), world.op())
            .await;
        assert_eq!(result, Err(error));
    }
    let strict = index::CompleteUpload {
        bucket: &bucket,
        key: "key",
        upload,
        parts: vec![(1, good()), (2, good())],
        etag: "etag".to_owned(),
        checksum: None,
        part_bytes_min: 101,
        condition: none.clone(),
        op_id: world.op(),
    };
    let small = CompleteUploadError::PartTooSmall {
        number: 1,
        length: 100,
        minimum: 101,
    };
    assert_eq!(world.index.complete_upload(strict).await, Err(small));
    let parts = [(1, good()), (2, good())];
    world
        .complete(place, &parts, none, world.op())
        .await
        .unwrap();
}

/// The record of a completed upload answers for a week; an open one lives until it is abandoned.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_expire() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let open = world.create_upload(&bucket, "open").await;
    let part = (world.chunks(&bucket, 1), "part");
    world
        .put_part((&bucket, "open", open), 1, part, world.op())
        .await
        .unwrap();
    let upload = world.create_upload(&bucket, "key").await;
    let place = (&bucket, "key", upload);
    world
        .put_part(place, 1, (world.chunks(&bucket, 1), "part"), world.op())
        .await
        .unwrap();
    let parts = [(1, "part".to_owned())];
    let none = || WriteCondition::None;
    let done = world
        .complete(place, &parts, none(), world.op())
        .await
        .unwrap();

    world.clock.advance(COMPLETED_UPLOAD_TTL);
    let (aborted, forgotten) = expire(&world, 0).await;
    assert_eq!((aborted, forgotten), (0, 0));
    assert_eq!(
        world.complete(place, &parts, none(), world.op()).await,
        Ok(done)
    );
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(expire(&world, 0).await, (0, 1));
    let gone = world.complete(place, &parts, none(), world.op()).await;
    assert_eq!(gone, Err(CompleteUploadError::NoSuchUpload));
    assert_eq!(expire(&world, u64::MAX).await, (1, 0));
    let part = (world.chunks(&bucket, 1), "part");
    let late = world
        .put_part((&bucket, "open", open), 2, part, world.op())
        .await;
    assert_eq!(late, Err(PutPartError::NoSuchUpload));
    assert_eq!(world.reclaim_all().await.len(), 1);
    world.check().await;
}

async fn expire(world: &World, abandoned_before_ms: u64) -> (usize, usize) {
    let (mut aborted, mut forgotten) = (0, 0);
    for partition in world.index.partitions() {
        let mut cursor = None;
        loop {
            let expired = world
                .index
                .expire_uploads(partition, abandoned_before_ms, cursor, 1);
            let expired = expired.await.unwrap();
            aborted += expired.aborted;
            forgotten += expired.forgotten;
            cursor = expired.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    (aborted, forgotten)
}

/// Chunks that may be taken for orphans are not committed, as a version or as a part.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_too_long_ago_is_refused() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let upload = world.create_upload(&bucket, "key").await;
    let (body, _) = world.body(&bucket, 2, "old");
    let (paged, _) = world.body(&bucket, 70, "old");
    let part = world.chunks(&bucket, 1);
    let none = || WriteCondition::None;
    world.clock.advance(WRITE_DEADLINE);
    let (young, _) = world.body(&bucket, 2, "young");
    assert!(
        world
            .put(&bucket, "a", (body.clone(), "old"), none(), world.op())
            .await
            .is_ok()
    );
    world.clock.advance(Duration::from_millis(1));
    for body in [body, paged] {
        let late = world
            .put(&bucket, "b", (body, "old"), none(), world.op())
            .await;
        assert_eq!(late, Err(index::PutObjectError::TooOld));
    }
    let late = world
        .put_part((&bucket, "key", upload), 1, (part, "old"), world.op())
        .await;
    assert_eq!(late, Err(PutPartError::TooOld));
    world
        .put(&bucket, "b", (young, "young"), none(), world.op())
        .await
        .unwrap();
    assert_eq!(
        world.reclaim_all().await.len(),
        0,
        "what was never committed is not reclaimed"
    );
    world.check().await;
}
