use crate::harness::*;
use async_trait::async_trait;
use bytes::Bytes;
use index::IndexStore;
use index::engine::memory::MemoryEngine;
use index::store::{Batch, Change, Outcome, ScanPage, ScanRequest, Seq, StoreError, Versioned};
use std::sync::Arc;
use types::PartitionId;

const WRITERS: usize = 32;

/// Sends all requests at once; counts the answers by status.
async fn race(server: &Arc<Server>, requests: Vec<Request>) -> Vec<u16> {
    let tasks: Vec<_> = requests
        .into_iter()
        .map(|request| {
            let server = Arc::clone(server);
            tokio::spawn(async move { server.send(request).await.status })
        })
        .collect();
    let mut statuses = Vec::new();
    for task in tasks {
        statuses.push(task.await.unwrap());
    }
    statuses.sort_unstable();
    statuses
}

fn one_winner(loser: u16) -> Vec<u16> {
    let mut expected = vec![loser; WRITERS - 1];
    expected.push(200);
    expected.sort_unstable();
    expected
}

fn bodies(size: usize) -> Vec<Bytes> {
    (0..WRITERS)
        .map(|writer| pattern(size, writer as u64))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_creates() {
    for size in [100, 200_000] {
        let server = Arc::new(Server::with_bucket().await);
        let bodies = bodies(size);
        let create = |body: &Bytes| {
            put("/bucket/key")
                .body(body.clone())
                .header("if-none-match", "*")
        };
        let statuses = race(&server, bodies.iter().map(create).collect()).await;
        assert_eq!(statuses, one_winner(412), "{size}");
        let read = server.send(get("/bucket/key")).await;
        assert!(bodies.contains(read.bytes()));
        assert_eq!(read.header("etag"), etag(read.bytes()));
        let listed = server.send(get("/bucket")).await;
        assert_eq!(listed.elements("Key"), ["key"]);
    }
}

/// What the losers wrote is taken away again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn losers_leave_nothing() {
    let server = Arc::new(Server::with_bucket().await);
    let create = |body: Bytes| put("/bucket/key").body(body).header("if-none-match", "*");
    race(&server, bodies(200_000).into_iter().map(create).collect()).await;
    let kept = server.cluster.shard_count();
    let alone = Server::with_bucket().await;
    assert_eq!(
        alone
            .send(put("/bucket/key").body(pattern(200_000, 1)))
            .await
            .status,
        200
    );
    assert_eq!(kept, alone.cluster.shard_count());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_replaces() {
    let server = Arc::new(Server::with_bucket().await);
    let tag = server
        .send(put("/bucket/key").body("first"))
        .await
        .header("etag")
        .to_owned();
    let replace = |body: Bytes| put("/bucket/key").body(body).header("if-match", &tag);
    let statuses = race(&server, bodies(100).into_iter().map(replace).collect()).await;
    assert_eq!(statuses, one_winner(412));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_completions() {
    let server = Arc::new(Server::with_bucket().await);
    let mut requests = Vec::new();
    for writer in 0..WRITERS {
        let started = server.send(post("/bucket/key").query("uploads", "")).await;
        let upload = started.element("UploadId");
        let part = put("/bucket/key")
            .query("partNumber", 1)
            .query("uploadId", &upload);
        let stored = server.send(part.body(pattern(100, writer as u64))).await;
        let list = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
             </CompleteMultipartUpload>",
            stored.header("etag")
        );
        let complete = post("/bucket/key").query("uploadId", &upload).body(list);
        requests.push(complete.header("if-none-match", "*"));
    }
    assert_eq!(race(&server, requests).await, one_winner(412));
}

/// An engine during whose reads other requests get on.
#[derive(Debug, Default)]
struct Interleaving(MemoryEngine);

#[async_trait]
impl IndexStore for Interleaving {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.0.commit_many(partition, batches).await
    }

    async fn get(&self, p: PartitionId, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        tokio::task::yield_now().await;
        self.0.get(p, key).await
    }

    async fn scan(&self, p: PartitionId, request: ScanRequest) -> Result<ScanPage, StoreError> {
        tokio::task::yield_now().await;
        self.0.scan(p, request).await
    }

    async fn changes(&self, p: PartitionId, a: Seq, n: usize) -> Result<Vec<Change>, StoreError> {
        self.0.changes(p, a, n).await
    }

    async fn trim(&self, p: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.0.trim(p, up_to).await
    }

    async fn last_seq(&self, p: PartitionId) -> Result<Seq, StoreError> {
        self.0.last_seq(p).await
    }
}

/// Completions of one upload at the same time: each says what the first one did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_completion_asked_for_many_times() {
    let engine = Arc::new(Interleaving::default());
    let server = Arc::new(Server::with(small_config(), Some(engine)));
    server.make_bucket().await;
    for round in 0..20 {
        let path = format!("/bucket/key{round}");
        let started = server.send(post(&path).query("uploads", "")).await;
        let upload = started.element("UploadId");
        let part = put(&path).query("partNumber", 1).query("uploadId", &upload);
        let stored = server.send(part.body(pattern(100, round))).await;
        let list = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
             </CompleteMultipartUpload>",
            stored.header("etag")
        );
        let complete = |_| post(&path).query("uploadId", &upload).body(list.clone());
        let statuses = race(&server, (0..WRITERS).map(complete).collect()).await;
        assert_eq!(statuses, vec![200; WRITERS], "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_buckets() {
    let server = Arc::new(Server::new());
    let requests = (0..WRITERS).map(|_| put("/bucket")).collect();
    assert_eq!(race(&server, requests).await, one_winner(409));
    assert_eq!(server.send(get("/")).await.elements("Name"), ["bucket"]);
}

/// A reader sees one version or the other, never a mixture and never none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_see_whole_versions() {
    let server = Arc::new(Server::with_bucket().await);
    assert_eq!(server.send(put("/bucket/key").body("0")).await.status, 200);
    let writer = {
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            for round in 0..60_usize {
                // Inline, small and striped in turn.
                let size = [10, 60_000, 300_000][round % 3] + round;
                let stored = put("/bucket/key").body(pattern(size, round as u64));
                assert_eq!(server.send(stored).await.status, 200);
            }
        })
    };
    let mut reads = 0;
    while !writer.is_finished() {
        let read = server.send(get("/bucket/key")).await;
        assert_eq!(read.status, 200);
        assert_eq!(read.header("etag"), etag(read.bytes()));
        assert_eq!(
            read.header("content-length"),
            read.bytes().len().to_string()
        );
        reads += 1;
    }
    writer.await.unwrap();
    assert!(reads > 0);
}
