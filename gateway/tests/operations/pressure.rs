//! More requests than there is memory for: they take turns, and nothing of them is lost.

use crate::harness::*;
use crate::multipart::{complete, start};
use bytes::Bytes;
use futures::future::{join, join_all};
use gateway::admission::BUDGET_BYTES_MIN;
use gateway::config::GatewayConfig;
use http_body_util::BodyExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// Reads `body` to its end, a piece each while, and says when the first has come.
async fn read_steadily(server: &Server, begun: &AtomicUsize, body: &Bytes) {
    let mut download = server.open(get("/bucket/key")).await;
    let mut read = 0;
    while let Some(frame) = download.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        assert!(piece == body[read..read + piece.len()]);
        if read == 0 {
            begun.fetch_add(1, Ordering::Relaxed);
        }
        read += piece.len();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(read, body.len());
}

#[tokio::test]
async fn downloads_that_read_steadily_take_turns() {
    let server = with_little_memory().await;
    let free = server.budget.free_bytes();
    // Some stripes are of a chunk that ends within them.
    let body = pattern(9_300_000, 1);
    let upload = put("/bucket/key").body(body.clone());
    assert_eq!(server.send(upload).await.status, 200);
    let begun = AtomicUsize::new(0);
    let first = async {
        read_steadily(&server, &begun, &body).await;
        begun.load(Ordering::Relaxed)
    };
    let others = (0..12).map(|_| read_steadily(&server, &begun, &body));
    let (begun, _) = join(first, join_all(others)).await;
    assert_eq!(begun, 13, "all have begun when the first has ended");
    assert_eq!(server.budget.free_bytes(), free);
}

/// A stream that is not read keeps what it was given, so it is given little at once.
#[tokio::test]
async fn a_stream_of_http_2_is_given_little_at_once() {
    let server = Server::with_bucket().await;
    let body = pattern(3_000_000, 1);
    let upload = put("/bucket/key").body(body.clone());
    assert_eq!(server.send(upload).await.status, 200);
    let mut download = server.open_multiplexed(get("/bucket/key")).await;
    let mut read = Vec::new();
    while let Some(frame) = download.frame().await {
        let piece = frame.unwrap().into_data().unwrap();
        assert!(piece.len() <= 16 * 1024, "{}", piece.len());
        read.extend_from_slice(&piece);
    }
    assert!(body == read);
}

/// A body that comes byte by byte while others wait to be let in.
async fn put_dribbling(server: &Server, length: u64, bytes: usize) -> Answer {
    let body = pattern(bytes, 1);
    let clock = Arc::clone(&server.cluster.clock);
    let frames = futures::stream::unfold(0, move |sent| {
        let (body, clock) = (body.clone(), Arc::clone(&clock));
        async move {
            let piece = body.get(sent..=sent).map(Bytes::copy_from_slice)?;
            tokio::time::sleep(Duration::from_millis(5)).await;
            clock.advance(Duration::from_secs(1));
            Some((
                Ok::<_, std::io::Error>(http_body::Frame::data(piece)),
                sent + 1,
            ))
        }
    });
    let upload = put("/bucket/slow").length(length);
    let body = http_body_util::StreamBody::new(Box::pin(frames));
    server.send_stream(upload, body).await
}

#[tokio::test]
async fn bodies_that_hardly_come_are_ended_when_others_wait_unless_they_are_whole() {
    let config = GatewayConfig {
        memory_limit_bytes: BUDGET_BYTES_MIN,
        admission_wait: Duration::from_secs(1),
        ..small_config()
    };
    let server = Server::with(config, None);
    server.make_bucket().await;
    // Nobody waits: they may take as long as they like.
    assert_eq!(put_dribbling(&server, 20, 20).await.status, 200);
    for (length, bytes, status) in [
        (100, 100, 503),
        (100_000, 100, 503),
        // The last byte comes when it is just too slow.
        (10, 10, 200),
    ] {
        let slow = put_dribbling(&server, length, bytes);
        let other = async {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let held = server.budget.everything();
            let answer = server.send(put("/bucket/other").body("abc")).await;
            drop(held);
            answer.status
        };
        let (slow, other) = join(slow, other).await;
        assert_eq!(slow.status, status, "{bytes} of {length}");
        assert!(other == 200 || other == 503, "{other}");
    }
}

#[tokio::test]
async fn xml_that_hardly_comes_is_ended_when_others_wait() {
    let server = with_little_memory().await;
    let free = server.budget.free_bytes();
    let clock = Arc::clone(&server.cluster.clock);
    let began = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&began);
    let frames = futures::stream::unfold(0, move |sent| {
        let (clock, told) = (Arc::clone(&clock), Arc::clone(&told));
        async move {
            if sent > 0 {
                told.notify_one();
                tokio::time::sleep(Duration::from_millis(20)).await;
                clock.advance(Duration::from_secs(1));
            }
            let piece = Bytes::from(vec![b' '; if sent == 0 { 100_000 } else { 1 }]);
            Some((
                Ok::<_, std::io::Error>(http_body::Frame::data(piece)),
                sent + 1,
            ))
        }
    });
    let delete = post("/bucket").query("delete", "").length(8 << 20);
    let body = http_body_util::StreamBody::new(Box::pin(frames));
    let slow = server.send_stream(delete, body);
    let other = async {
        began.notified().await;
        let held = free - server.budget.free_bytes();
        assert!(held <= 64 * 1024 + 2 * 128 * 1024, "{held} for 100 KB");
        let _all = server.budget.everything();
        let other = put("/bucket/other").body(pattern(100_000, 1));
        loop {
            // It waits to be let in, again and again.
            let answer = server.send(other.clone()).await;
            if answer.status == 200 {
                break;
            }
        }
    };
    let slow = tokio::select! {
        slow = slow => slow,
        () = other => panic!("there is no room yet"),
    };
    assert_eq!(slow.refusal(), (503, "SlowDown".into()));
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
