//! Clients that take their time, by fault or on purpose: they keep memory neither from the process nor
//! from others.

use crate::clients::{self, Beside, Onlooker};
use crate::common::s3::S3;
use crate::common::workload::value;
use crate::process::{memory, mib, reset_peak};
use crate::wire::{Head, Wire};
use crate::{BUCKET, MIB, soak, start};
use http::Method;
use std::time::{Duration, Instant};

/// The limit of these tests.
pub const LIMIT: u64 = 512 * MIB;
const CLIENTS: u64 = 500;

/// How long slow clients are looked at.
pub fn patience() -> Duration {
    Duration::from_secs(if soak() { 120 } else { 4 })
}

/// Stores and reads objects of a few MiB while something else goes on; none is refused, and none waits
/// as long as clients have patience.
async fn quick_clients(s3: &S3, until: Instant) -> u64 {
    let done = clients::each(4, |client| {
        let s3 = s3.clone();
        async move {
            let path = format!("/{BUCKET}/quick-{client}");
            let mut done = 0;
            while done == 0 || Instant::now() < until {
                let started = Instant::now();
                let refused = clients::put(&s3, &path, client, 5 * MIB).await
                    + clients::get(&s3, &path, client, 5 * MIB).await;
                assert_eq!(refused, 0, "a quick client is refused");
                let took = started.elapsed();
                assert!(
                    took < Duration::from_secs(40),
                    "{took:?} for one PUT and GET"
                );
                done += 1;
            }
            done
        }
    });
    done.await.iter().sum()
}

/// Runs quick clients and the onlooker beside what `server` has on its hands, and reports.
async fn look(what: &str, s3: &S3, pid: u32) {
    let started = Instant::now();
    let until = started + patience();
    // It may be told to come back before the slow ones have given way.
    let onlooker = Onlooker::beside(s3, BUCKET, Beside::Crowd).await;
    let quick = quick_clients(s3, until).await;
    let (median, longest) = onlooker.stop().await;
    let memory = memory(pid);
    let took = started.elapsed();
    println!(
        "{what}: {} now, peak {}; beside them {quick} PUTs and GETs of 5 MiB in {took:?}, small \
         requests in {median:?}, at the most {longest:?}",
        mib(memory.now),
        mib(memory.peak)
    );
    assert!(
        memory.peak <= LIMIT,
        "{} is over the limit",
        mib(memory.peak)
    );
}

/// Connections on which an upload of 64 MiB has begun; `first` bytes of each are sent.
async fn begin_uploads(s3: &S3, count: u64, first: u64) -> Vec<Wire> {
    let length = (64 * MIB).to_string();
    clients::each(count, |client| {
        let s3 = s3.clone();
        let target = format!("/{BUCKET}/slow-{client}");
        let head = s3.head(Method::PUT, &target, &[("content-length", &length)]);
        async move {
            let mut wire = Wire::connect(&s3).await;
            wire.send(head.as_bytes()).await.unwrap();
            // Past what the server takes from a slow client this waits.
            let sending = wire.send_object(client, 0, first);
            let _ = tokio::time::timeout(Duration::from_secs(1), sending).await;
            wire
        }
    })
    .await
}

/// Lets `send` add to each connection once a second, for as long as the handle lives.
fn drip(mut wires: Vec<Wire>, bytes: &'static [u8]) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            for wire in &mut wires {
                // The server may have had enough of it.
                let _ = tokio::time::timeout(Duration::from_millis(1), wire.send(bytes)).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_uploads_keep_nothing_from_others() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    reset_peak(pid);
    let dripping = drip(begin_uploads(s3, CLIENTS, 0).await, b"x");
    look("500 uploads of 64 MiB, a byte a second", s3, pid).await;
    dripping.abort();
    let _ = dripping.await;
    reset_peak(pid);
    let dripping = drip(begin_uploads(s3, CLIENTS, 900 * 1024).await, b"x");
    look(
        "500 uploads of 64 MiB, 900 KiB at once and then a byte a second",
        s3,
        pid,
    )
    .await;
    dripping.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_headers_keep_nothing_from_others() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    reset_peak(pid);
    let wires = clients::each(CLIENTS, |_| {
        let s3 = s3.clone();
        async move {
            let mut wire = Wire::connect(&s3).await;
            wire.send(b"GET / HTTP/1.1\r\nx-slow: ").await.unwrap();
            wire
        }
    });
    let dripping = drip(wires.await, b"x");
    look("500 requests, a byte of their headers a second", s3, pid).await;
    dripping.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_downloads_keep_nothing_from_others() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    clients::put(s3, &format!("/{BUCKET}/large"), 3, 64 * MIB).await;
    reset_peak(pid);
    let readers = clients::each(CLIENTS, |_| {
        let s3 = s3.clone();
        async move {
            let mut wire = Wire::with_window(&s3, Some(8192)).await.unwrap();
            let head = s3.head(Method::GET, &format!("/{BUCKET}/large"), &[]);
            wire.send(head.as_bytes()).await.unwrap();
            wire
        }
    });
    let mut readers = readers.await;
    let reading = tokio::spawn(async move {
        loop {
            for wire in &mut readers {
                let mut byte = [0];
                let read = wire.read(&mut byte);
                let _ = tokio::time::timeout(Duration::from_millis(1), read).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    look("500 downloads of 64 MiB, a byte a second", s3, pid).await;
    reading.abort();
}

/// The head of an aws-chunked PUT of `decoded` bytes, signed, with unsigned chunks.
fn chunked_head(s3: &S3, target: &str, decoded: u64, encoded: u64) -> String {
    let (decoded, encoded) = (decoded.to_string(), encoded.to_string());
    let headers = [
        ("content-length", encoded.as_str()),
        ("content-encoding", "aws-chunked"),
        ("x-amz-decoded-content-length", decoded.as_str()),
        ("x-amz-trailer", "x-amz-checksum-crc32"),
    ];
    s3.head(Method::PUT, target, &headers)
}

/// One chunk of 4 GiB is announced, as the SDK for Go does with any body; memory is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn announced_chunks_take_no_memory() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    let announced: u64 = 4 << 30;
    reset_peak(pid);
    let wires = clients::each(64, |client| {
        let s3 = s3.clone();
        async move {
            let target = format!("/{BUCKET}/chunked-{client}");
            let head = chunked_head(&s3, &target, announced, announced + 100);
            let mut wire = Wire::connect(&s3).await;
            wire.send(head.as_bytes()).await.unwrap();
            wire.send(format!("{announced:x}\r\n").as_bytes())
                .await
                .unwrap();
            let sent = 4 * MIB;
            wire.send_object(client, 0, sent).await.unwrap();
            wire
        }
    });
    let wires = wires.await;
    look("64 uploads that announced a chunk of 4 GiB", s3, pid).await;
    drop(wires);
}

/// Sends the head of an upload of 64 MiB that waits for permission, and gives what the server says.
async fn ask_to_upload(s3: &S3, key: &str) -> (Wire, Head) {
    let length = (64 * MIB).to_string();
    let headers = [
        ("content-length", length.as_str()),
        ("expect", "100-continue"),
    ];
    let mut wire = Wire::connect(s3).await;
    let head = s3.head(Method::PUT, &format!("/{BUCKET}/{key}"), &headers);
    wire.send(head.as_bytes()).await.unwrap();
    let said = wire.head().await.unwrap();
    (wire, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn past_the_budget_clients_are_told_when_to_come_back() {
    let (_dir, _installation, server) = start(256 * MIB).await;
    let (s3, pid) = (&server.s3, server.pid());
    let small = value(1, 3000);
    s3.put(BUCKET, "small", small.clone()).await.unwrap().ok();
    let mut held = Vec::new();
    let refused = loop {
        let (wire, said) = ask_to_upload(s3, &format!("held-{}", held.len())).await;
        match said.status {
            100 => held.push(wire),
            503 => break said,
            status => panic!("{status}"),
        }
        assert!(held.len() < 5000, "there is no end to the budget");
    };
    println!("{} uploads are let in, the next is refused", held.len());
    assert!(held.len() > 100);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(
        refused.header("connection"),
        Some("close"),
        "its body never comes"
    );
    // A client that does not ask first gets the same answer, though it sends all before it reads.
    let mut wire = Wire::connect(s3).await;
    let path = format!("/{BUCKET}/unasked");
    let answer = wire.put(s3, &path, 1, 8 * MIB).await.unwrap();
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    assert!(wire.head().await.is_err(), "the connection is closed");
    // One without a body keeps its connection.
    let got = s3.get(BUCKET, "small").await.unwrap().ok();
    assert!(got.body == small);
    let path = format!("/{BUCKET}/small");
    let head = s3.send(Method::HEAD, &path, &[], &[], bytes::Bytes::new());
    head.await.unwrap().ok();
    assert_eq!(s3.list(BUCKET).await.unwrap().len(), 1);
    s3.delete(BUCKET, "small").await.unwrap().ok();
    drop(held);
    clients::put(s3, &format!("/{BUCKET}/after"), 1, 5 * MIB).await;
    clients::get(s3, &format!("/{BUCKET}/after"), 1, 5 * MIB).await;
    assert!(memory(pid).peak <= 256 * MIB);
}
