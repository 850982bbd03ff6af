use crate::harness::*;
use crate::multipart::{complete, send_part, start};
use async_trait::async_trait;
use bytes::Bytes;
use chunkstore::testing::{Puts, Reads};
use gateway::config::GatewayConfig;
use http_body_util::BodyExt;
use index::IndexStore;
use index::Key;
use index::engine::memory::MemoryEngine;
use index::store::{
    Batch, Change, Idempotency, Operation, Outcome, ScanEntry, ScanPage, ScanRequest, Seq,
    StoreError, Versioned,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use types::{Clock, OpId, PartitionId};

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let server = Server::with_bucket().await;
    let free = server.budget.free_bytes();
    for size in [1000_usize, 100_000, 3_000_000] {
        let whole = pattern(size, 1);
        let upload = put("/bucket/key").length(size as u64);
        let broken = server.send_broken(upload, whole.slice(..size / 2)).await;
        assert_eq!(broken.status, 400, "{size}");
        assert_eq!(server.send(head("/bucket/key")).await.status, 404);
        assert!(shards_gone(&server).await, "{size}");
    }
    let started = server.send(post("/bucket/key").query("uploads", "")).await;
    let upload = started.element("UploadId");
    let part = put("/bucket/key")
        .query("partNumber", 1)
        .query("uploadId", &upload);
    let broken = server
        .send_broken(part.length(2_000_000), pattern(1_500_000, 2))
        .await;
    assert_eq!(broken.status, 400);
    let parts = server
        .send(get("/bucket/key").query("uploadId", &upload))
        .await;
    assert!(parts.elements("Part").is_empty());
    // An answer is counted until the last of it is gone.
    drop(parts);
    assert!(shards_gone(&server).await);
    assert_eq!(server.budget.free_bytes(), free);
}

/// The whole request is dropped, as hyper does when the connection closes.
#[tokio::test]
async fn a_request_that_is_dropped_leaves_nothing() {
    let server = Server::with_bucket().await;
    let body = pattern(2_000_000, 1);
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((
            Ok::<_, std::io::Error>(http_body::Frame::data(piece)),
            receiver,
        ))
    });
    let upload = put("/bucket/key").length(body.len() as u64);
    let sent = server.send_stream(upload, http_body_util::StreamBody::new(Box::pin(frames)));
    let mut sent = Box::pin(sent);
    let feed = async {
        for piece in body.slice(..1_800_000).chunks(100_000) {
            sender.send(Bytes::copy_from_slice(piece)).await.unwrap();
        }
    };
    tokio::select! {
        _ = &mut sent => panic!("the body is not whole"),
        () = feed => {}
    }
    drop(sent);
    drop(sender);
    assert!(shards_gone(&server).await);
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
}

#[tokio::test]
async fn a_body_that_ends_early_is_incomplete() {
    let server = Server::with_bucket().await;
    let short = put("/bucket/key").body(pattern(100_000, 1)).length(200_000);
    assert_eq!(
        server.send(short).await.refusal(),
        (400, "IncompleteBody".into())
    );
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
    assert!(shards_gone(&server).await);
}

#[tokio::test]
async fn two_lost_disks_are_survived() {
    let server = Server::with_bucket().await;
    let body = pattern(3_000_000, 1);
    assert_eq!(
        server
            .send(put("/bucket/key").body(body.clone()))
            .await
            .status,
        200
    );
    server.cluster.disks[0].wipe();
    server.cluster.disks[3].set_reads(Reads::Fail);
    assert!(*server.send(get("/bucket/key")).await.bytes() == body);
}

/// More than the profile survives: an error before the headers, or a body that breaks off.
#[tokio::test]
async fn lost_bytes_are_an_error_and_never_short() {
    let server = Server::with_bucket().await;
    let body = pattern(3_500_000, 1);
    assert_eq!(
        server
            .send(put("/bucket/key").body(body.clone()))
            .await
            .status,
        200
    );
    // All but the first stripe are lost.
    for disk in &server.cluster.disks {
        for shard in disk.shards().iter().filter(|shard| shard.key.stripe > 0) {
            disk.lose(shard.key);
        }
    }
    let read = server.send(get("/bucket/key")).await;
    assert_eq!(read.status, 200);
    assert_eq!(read.header("content-length"), body.len().to_string());
    assert!(read.body.is_err(), "the body must break off");
    let first = server
        .send(get("/bucket/key").header("range", "bytes=0-999"))
        .await;
    assert!(first.bytes()[..] == body[..1000]);
    let lost = server
        .send(get("/bucket/key").header("range", "bytes=3400000-"))
        .await;
    assert_eq!(lost.refusal(), (500, "InternalError".into()));
    assert_eq!(server.send(head("/bucket/key")).await.status, 200);
}

#[tokio::test]
async fn full_disks_refuse_writes_only() {
    let server = Server::with_bucket().await;
    assert_eq!(
        server
            .send(put("/bucket/old").body(pattern(200_000, 1)))
            .await
            .status,
        200
    );
    let shards = server.cluster.shard_count();
    for disk in &server.cluster.disks {
        disk.set_puts(Puts::Full);
    }
    let refused = server
        .send(put("/bucket/new").body(pattern(200_000, 2)))
        .await;
    assert_eq!(refused.refusal(), (507, "InsufficientStorage".into()));
    assert_eq!(server.send(head("/bucket/new")).await.status, 404);
    assert_eq!(server.cluster.shard_count(), shards);
    assert!(*server.send(get("/bucket/old")).await.bytes() == pattern(200_000, 1));
    assert_eq!(server.send(delete("/bucket/old")).await.status, 204);
}

#[tokio::test]
async fn too_few_disks_are_unavailable() {
    let server = Server::with_bucket().await;
    for disk in &server.cluster.disks {
        disk.set_puts(Puts::Fail);
    }
    let refused = server
        .send(put("/bucket/key").body(pattern(200_000, 1)))
        .await;
    assert_eq!(refused.refusal(), (503, "ServiceUnavailable".into()));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
    assert!(shards_gone(&server).await);
}

#[tokio::test]
async fn without_memory_clients_are_slowed_down() {
    let server = Server::with_bucket().await;
    let body = pattern(200_000, 1);
    assert_eq!(
        server
            .send(put("/bucket/key").body(body.clone()))
            .await
            .status,
        200
    );
    let lease = server.budget.everything();
    for asked in [put("/bucket/key").body(body.clone()), get("/bucket/key")] {
        let refused = server.send(asked).await;
        assert_eq!(refused.refusal(), (503, "SlowDown".into()));
        assert_eq!(refused.header("retry-after"), "1");
    }
    assert_eq!(server.send(head("/bucket/key")).await.status, 200);
    drop(lease);
    assert!(*server.send(get("/bucket/key")).await.bytes() == body);
}

#[tokio::test]
async fn a_download_has_a_deadline() {
    let server = Server::with_bucket().await;
    let upload = put("/bucket/key").body(pattern(4_000_000, 1));
    assert_eq!(server.send(upload).await.status, 200);
    let mut body = server.open(get("/bucket/key")).await;
    assert!(body.frame().await.unwrap().is_ok());
    server.cluster.clock.advance(Duration::from_secs(25 * 3600));
    let mut rest = Vec::new();
    while let Some(frame) = body.frame().await {
        rest.push(frame.is_ok());
    }
    assert_eq!(rest.last(), Some(&false), "{rest:?}");
}

/// An engine that loses the answer of commits: of `after`, which happened, and of `before`, which
/// did not.
#[derive(Debug, Default)]
struct Forgetful {
    engine: MemoryEngine,
    after: AtomicUsize,
    before: AtomicUsize,
    /// Whether the outcome of a commit whose answer is lost is forgotten, too.
    purges: AtomicBool,
}

impl Forgetful {
    /// Forgets the outcomes of a partition: as if they were old by the clock of the process that does so.
    async fn purge(&self, partition: PartitionId) {
        let range = Key::outcomes_range((1 << 48) - 1).page(1000, None);
        let page = self.engine.scan(partition, range).await.unwrap();
        let operations = page.entries.into_iter().map(|entry| match entry {
            ScanEntry::Value(key, _) | ScanEntry::Group(key) => Operation::Delete(key),
        });
        let batch = Batch {
            operations: operations.collect(),
            epoch: 1,
            ..Batch::default()
        };
        let purged = self.engine.commit_many(partition, vec![batch]).await;
        assert!(matches!(purged.unwrap()[..], [Outcome::Committed(_)]));
    }

    /// Has an operation of a process whose clock is ahead, whose outcome is forgotten.
    async fn hear_of(&self, partition: PartitionId, time_ms: u64) {
        let idempotency = Some(Idempotency {
            op_id: OpId::default().not_before(time_ms),
            outcome: Bytes::new(),
        });
        let batch = Batch {
            idempotency,
            epoch: 1,
            ..Batch::default()
        };
        let done = self.engine.commit_many(partition, vec![batch]).await;
        assert!(matches!(done.unwrap()[..], [Outcome::Committed(_)]));
        self.purge(partition).await;
    }
}

fn take(count: &AtomicUsize) -> bool {
    let less = |left: usize| left.checked_sub(1);
    count
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .is_ok()
}

#[async_trait]
impl IndexStore for Forgetful {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let lost = || Err(StoreError::Indeterminate("the answer was lost".to_owned()));
        if take(&self.before) {
            return lost();
        }
        let outcomes = self.engine.commit_many(partition, batches).await;
        if !take(&self.after) {
            return outcomes;
        }
        if self.purges.load(Ordering::SeqCst) {
            self.purge(partition).await;
        }
        lost()
    }

    async fn get(&self, p: PartitionId, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        self.engine.get(p, key).await
    }

    async fn scan(&self, p: PartitionId, request: ScanRequest) -> Result<ScanPage, StoreError> {
        self.engine.scan(p, request).await
    }

    async fn changes(&self, p: PartitionId, a: Seq, n: usize) -> Result<Vec<Change>, StoreError> {
        self.engine.changes(p, a, n).await
    }

    async fn trim(&self, p: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.engine.trim(p, up_to).await
    }

    async fn last_seq(&self, p: PartitionId) -> Result<Seq, StoreError> {
        self.engine.last_seq(p).await
    }
}

async fn forgetful() -> (Server, Arc<Forgetful>) {
    let engine = Arc::new(Forgetful::default());
    let server = Server::with(small_config(), Some(Arc::clone(&engine) as _));
    server.make_bucket().await;
    (server, engine)
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    let (server, engine) = forgetful().await;
    for (round, count) in [&engine.after, &engine.before].into_iter().enumerate() {
        for size in [10, 200_000] {
            let path = format!("/bucket/{round}-{size}");
            let body = pattern(size, round as u64);
            count.store(2, Ordering::SeqCst);
            let create = put(&path).body(body.clone()).header("if-none-match", "*");
            let stored = server.send(create).await;
            assert_eq!(stored.status, 200, "{path}: {}", stored.text());
            assert!(*server.send(get(&path)).await.bytes() == body);
        }
        count.store(1, Ordering::SeqCst);
        let gone = delete(&format!("/bucket/{round}-10"));
        assert_eq!(server.send(gone).await.status, 204);
    }
    assert_eq!(
        server.send(get("/bucket")).await.elements("Key"),
        ["0-200000", "1-200000"]
    );
}

/// While it is not known whether a commit happened, its chunks must stay.
#[tokio::test]
async fn an_unknown_outcome_keeps_the_chunks() {
    let (server, engine) = forgetful().await;
    let server = Arc::new(server);
    engine.after.store(usize::MAX, Ordering::SeqCst);
    let body = pattern(200_000, 1);
    let upload = put("/bucket/key").body(body.clone());
    let sent = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.send(upload).await }
    });
    for _ in 0..100 {
        server.cluster.clock.advance(Duration::from_millis(200));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let refused = sent.await.unwrap();
    assert_eq!(refused.refusal(), (503, "ServiceUnavailable".into()));
    assert!(server.cluster.shard_count() > 0);
    engine.after.store(0, Ordering::SeqCst);
    assert!(*server.send(get("/bucket/key")).await.bytes() == body);
}

/// Nor may they go when a later attempt is refused: what became of the first is not known for that.
#[tokio::test]
async fn a_refusal_after_an_unknown_outcome_keeps_the_chunks() {
    let (server, engine) = forgetful().await;
    engine.after.store(1, Ordering::SeqCst);
    engine.purges.store(true, Ordering::SeqCst);
    let body = pattern(200_000, 1);
    let refused = server.send(put("/bucket/key").body(body.clone())).await;
    assert_eq!(refused.refusal(), (400, "RequestTimeout".into()));
    assert!(*server.send(get("/bucket/key")).await.bytes() == body);
}

/// Operation ids have the time of the clock of their process, and other processes' may be ahead.
#[tokio::test]
async fn a_clock_behind_others_refuses_nothing() {
    let (server, engine) = forgetful().await;
    let upload = start(&server, "parts").await;
    for partition in server.index.partitions() {
        let ahead_ms = server.cluster.clock.now_ms() + 3_600_000;
        engine.hear_of(partition, ahead_ms).await;
    }
    for (key, size) in [("small", 10), ("large", 200_000)] {
        let path = format!("/bucket/{key}");
        let body = pattern(size, 1);
        assert_eq!(server.send(put(&path).body(body.clone())).await.status, 200);
        let copy = put(&format!("{path}-copy")).header("x-amz-copy-source", &path);
        assert_eq!(server.send(copy).await.status, 200);
        assert!(*server.send(get(&format!("{path}-copy"))).await.bytes() == body);
        assert_eq!(server.send(delete(&path)).await.status, 204);
        assert_eq!(server.send(head(&path)).await.status, 404);
    }
    let etag = send_part(&server, "parts", &upload, 1, pattern(300_000, 1)).await;
    let done = server.send(complete("parts", &upload, &[(1, etag)])).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(start(&server, "more").await.len(), upload.len());
}

/// An answer that is slow is sent ahead of its outcome, which may then be an error.
#[tokio::test]
async fn slow_completions_keep_the_connection_alive() {
    let engine = Arc::new(Forgetful::default());
    let config = GatewayConfig {
        keep_alive_after: Duration::ZERO,
        ..small_config()
    };
    let server = Arc::new(Server::with(config, Some(Arc::clone(&engine) as _)));
    server.make_bucket().await;
    let body = pattern(300_000, 1);
    let upload = start(&server, "key").await;
    let etag = send_part(&server, "key", &upload, 1, body.clone()).await;
    engine.before.store(4, Ordering::SeqCst);
    let done = server.send(complete("key", &upload, &[(1, etag)])).await;
    assert_eq!((done.status, done.element("Key")), (200, "key".into()));
    assert!(done.element("ETag").contains("-1"), "{}", done.text());
    assert!(*server.send(get("/bucket/key")).await.bytes() == body);

    let upload = start(&server, "lost").await;
    let etag = send_part(&server, "lost", &upload, 1, body).await;
    engine.before.store(usize::MAX, Ordering::SeqCst);
    let sent = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.send(complete("lost", &upload, &[(1, etag)])).await }
    });
    for _ in 0..100 {
        server.cluster.clock.advance(Duration::from_millis(200));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let lost = sent.await.unwrap();
    assert_eq!(lost.refusal(), (200, "ServiceUnavailable".into()));
    assert_eq!(lost.text().matches("<?xml").count(), 1, "{}", lost.text());
    assert!(!lost.element("RequestId").is_empty(), "{}", lost.text());
    engine.before.store(0, Ordering::SeqCst);
    assert_eq!(server.send(head("/bucket/lost")).await.status, 404);
}
