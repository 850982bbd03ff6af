//! More requests than there is memory for: they take turns, and nothing of them is lost.

use crate::harness::*;
use crate::multipart::{complete, start};
use bytes::Bytes;
use futures::future::{join, join_all};
use gateway::admission::BUDGET_BYTES_MIN;
use gateway::config::GatewayConfig;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::sync::watch;

async fn with_little_memory() -> Server {
    let config = GatewayConfig {
        memory_limit_bytes: BUDGET_BYTES_MIN,
        ..small_config()
    };
    let server = Server::with(config, None);
    server.make_bucket().await;
    server
}

/// Stores `body`, of which all but the first `ahead` bytes come when `go` says so.
async fn put_with_pause(
    server: &Server,
    path: &str,
    body: Bytes,
    ahead: usize,
    mut go: watch::Receiver<bool>,
) -> Answer {
    let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(1);
    let frames = futures::stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        let frame = http_body::Frame::data(piece);
        Some((Ok::<_, std::io::Error>(frame), receiver))
    });
    let upload = put(path).length(body.len() as u64);
    let sent = server.send_stream(upload, http_body_util::StreamBody::new(Box::pin(frames)));
    let feed = async move {
        for (number, piece) in body.chunks(50_000).enumerate() {
            if number * 50_000 >= ahead {
                go.wait_for(|go| *go).await.unwrap();
            }
            sender.send(Bytes::copy_from_slice(piece)).await.unwrap();
        }
    };
    join(sent, feed).await.0
}

#[tokio::test]
async fn uploads_that_pause_make_room_for_others() {
    let server = with_little_memory().await;
    let free = server.budget.free_bytes();
    let (go, told) = watch::channel(false);
    let paused = (0..12).map(|number| {
        let (server, told) = (&server, told.clone());
        async move {
            // Some pause within their first stripe, some within their second.
            let ahead = 300_000 + 150_000 * number as usize;
            let body = pattern(3_000_000, number);
            put_with_pause(server, &format!("/bucket/{number}"), body, ahead, told).await
        }
    });
    let quick = async {
        for number in 100..104 {
            let upload = put(&format!("/bucket/{number}")).body(pattern(3_000_000, number));
            assert_eq!(server.send(upload).await.status, 200);
        }
        go.send(true).unwrap();
    };
    let (answers, ()) = join(join_all(paused), quick).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    for number in (0..12).chain(100..104) {
        let got = server.send(get(&format!("/bucket/{number}"))).await;
        assert!(*got.bytes() == pattern(3_000_000, number), "{number}");
    }
    assert_eq!(server.budget.free_bytes(), free);
}

#[tokio::test]
async fn downloads_that_pause_make_room_for_others() {
    let server = with_little_memory().await;
    let free = server.budget.free_bytes();
    let body = pattern(9_000_000, 1);
    let upload = put("/bucket/key").body(body.clone());
    assert_eq!(server.send(upload).await.status, 200);
    // Each has been given a piece, and read ahead; there is room for a few that do so.
    let mut opened = Vec::new();
    for _ in 0..12 {
        opened.push(server.open(get("/bucket/key")).await);
    }
    assert!(*server.send(get("/bucket/key")).await.bytes() == body);
    for download in opened {
        assert!(download.collect().await.unwrap().to_bytes() == body);
    }
    assert_eq!(server.budget.free_bytes(), free);
}

/// Each needs memory for what it reads and for what it writes.
#[tokio::test]
async fn copies_take_turns() {
    let server = with_little_memory().await;
    let free = server.budget.free_bytes();
    let body = pattern(9_000_000, 1);
    let upload = put("/bucket/key").body(body.clone());
    assert_eq!(server.send(upload).await.status, 200);
    let upload = start(&server, "to").await;
    let copies = (1..=8).map(|number| {
        let copy = put("/bucket/to")
            .query("partNumber", number)
            .query("uploadId", &upload)
            .header("x-amz-copy-source", "/bucket/key");
        server.send(copy)
    });
    let copied = tokio::time::timeout(Duration::from_secs(20), join_all(copies)).await;
    let copied = copied.expect("no copy waits for memory that another one holds");
    assert!(copied.iter().all(|answer| answer.status == 200));
    let parts: Vec<_> = (1..)
        .zip(copied.iter().map(|part| part.element("ETag")))
        .collect();
    let done = server.send(complete("to", &upload, &parts)).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let read = server.send(get("/bucket/to")).await;
    assert!(*read.bytes() == body.repeat(8));
    assert_eq!(server.budget.free_bytes(), free);
}
