//! The cache of what is read again and again: it spares the disks, and is never seen in an answer.

use crate::common::server::{Installation, Server};
use crate::common::workload::value;
use bytes::Bytes;
use http::{Method, StatusCode};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const BUCKET: &str = "cached";
const MIB: usize = 1 << 20;
const READERS: u64 = 100;
const READS: u64 = 10;

async fn start(installation: &Installation) -> Server {
    let server = installation.start();
    server.s3.create_bucket(BUCKET).await.unwrap();
    server
}

fn installation(root: &Path) -> Installation {
    let mut installation = Installation::new(root, 6);
    installation.set("cache-memory", "64MiB");
    installation
}

/// Object bytes that the disks gave.
fn read_from_disks(server: &Server) -> f64 {
    server.metric("cairn_chunks_read_bytes_total")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_readers_of_one_object_read_it_from_the_disks_twice() {
    let dir = crate::common::server::directory();
    let server = start(&installation(dir.path())).await;
    let body = value(1, MIB);
    server
        .s3
        .put(BUCKET, "hot", body.clone())
        .await
        .unwrap()
        .ok();
    let readers = (0..READERS).map(|reader| {
        let (s3, body) = (server.s3.clone(), body.clone());
        tokio::spawn(async move {
            for _ in 0..READS {
                if reader % 2 == 0 {
                    let got = s3.get(BUCKET, "hot").await.unwrap().ok();
                    assert!(got.body == body);
                    continue;
                }
                let range = [("range", "bytes=300000-900000")];
                let got = s3.send(Method::GET, "/cached/hot", &[], &range, Bytes::new());
                let got = got.await.unwrap().ok();
                assert_eq!(got.status, StatusCode::PARTIAL_CONTENT);
                assert!(got.body == body[300_000..=900_000]);
            }
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    let metric = |name| server.metric(name);
    let (hits, collapsed) = (
        metric("cairn_cache_hits_total"),
        metric("cairn_cache_collapsed_total"),
    );
    let read = read_from_disks(&server);
    println!("{read} bytes from the disks, {hits} hits, {collapsed} waited for another");
    assert!(read <= 2.0 * MIB as f64, "{read}");
    // The first one, which goes past, and the one that the others wait for.
    assert_eq!(hits + collapsed, (READERS * READS - 2) as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_replaced_or_deleted_is_never_served() {
    let dir = crate::common::server::directory();
    let server = start(&installation(dir.path())).await;
    let s3 = &server.s3;
    // The number of the value that is acknowledged, and whether readers may stop.
    let state = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let of = |number: u64| value(number, 40_000 + 300_000 * (number as usize % 4));
    s3.put(BUCKET, "key", of(0)).await.unwrap().ok();
    let readers = (0..4).map(|_| {
        let (s3, state) = (s3.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let mut reads = 0_u64;
            while state.1.load(Ordering::SeqCst) == 0 {
                let known = state.0.load(Ordering::SeqCst);
                let got = s3.get(BUCKET, "key").await.unwrap().ok();
                let latest = state.0.load(Ordering::SeqCst) + 1;
                let is_one = (known..=latest).any(|number| got.body == of(number));
                assert!(is_one, "an older value than {known}, or none");
                reads += 1;
            }
            reads
        })
    });
    let readers: Vec<_> = readers.collect();
    for number in 1..=40 {
        s3.put(BUCKET, "key", of(number)).await.unwrap().ok();
        state.0.store(number, Ordering::SeqCst);
        for _ in 0..3 {
            assert!(s3.get(BUCKET, "key").await.unwrap().ok().body == of(number));
        }
    }
    state.1.store(1, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() > 0);
    }
    assert!(server.metric("cairn_cache_hits_total") > 40.0);
    s3.delete(BUCKET, "key").await.unwrap().ok();
    assert_eq!(
        s3.get(BUCKET, "key").await.unwrap().status,
        StatusCode::NOT_FOUND
    );
    let etag = [("if-none-match", "*")];
    let read = s3
        .send(Method::GET, "/cached/key", &[], &etag, Bytes::new())
        .await;
    assert_eq!(read.unwrap().status, StatusCode::NOT_FOUND);
}

/// Waits until the log has so many lines that say this.
fn wait_for_log(installation: &Installation, text: &str, lines: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let log = fs::read_to_string(installation.root.join("server.log")).unwrap();
        if log.lines().filter(|line| line.contains(text)).count() >= lines {
            return;
        }
        assert!(Instant::now() < deadline, "the log does not say `{text}`");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_on_disk_outlives_the_server_and_is_not_believed() {
    const OBJECTS: u64 = 24;
    let dir = crate::common::server::directory();
    let cache = dir.path().join("cache");
    let mut installation = installation(dir.path());
    installation.set("cache-memory", "16MiB");
    installation.set("cache-path", cache.to_str().unwrap());
    installation.set("cache-disk", "64MiB");
    let server = start(&installation).await;
    let key = |number: u64| format!("key-{number}");
    let assert_all_right = async |server: &Server| {
        for number in 0..OBJECTS {
            let got = server.s3.get(BUCKET, &key(number)).await.unwrap().ok();
            assert!(got.body == value(number, MIB), "{number}");
        }
    };
    for number in 0..OBJECTS {
        let body = value(number, MIB);
        server
            .s3
            .put(BUCKET, &key(number), body)
            .await
            .unwrap()
            .ok();
    }
    let held = "cairn_cache_held_bytes{tier=\"disk\"}";
    let deadline = Instant::now() + Duration::from_secs(60);
    // A block that finds the writer busy is written another time.
    while server.metric(held) < (OBJECTS * MIB as u64) as f64 {
        assert_all_right(&server).await;
        assert!(Instant::now() < deadline, "{} on disk", server.metric(held));
    }
    assert_eq!(server.stop(), Some(0));

    let server = start(&installation).await;
    wait_for_log(&installation, "cache on disk found", 2);
    assert_all_right(&server).await;
    assert_eq!(read_from_disks(&server), 0.0, "all of it from the cache");
    assert_eq!(server.stop(), Some(0));

    let segments = fs::read_dir(&cache)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    for path in segments.filter(|path| path.extension().is_some_and(|end| end == "seg")) {
        let mut bytes = fs::read(&path).unwrap();
        for at in (5000..bytes.len()).step_by(900_000) {
            bytes[at] ^= 1;
        }
        fs::write(&path, bytes).unwrap();
    }
    let server = start(&installation).await;
    wait_for_log(&installation, "cache on disk found", 3);
    assert_all_right(&server).await;
    assert_all_right(&server).await;
    assert!(server.metric("cairn_cache_damaged_total") > 0.0);
    assert!(read_from_disks(&server) > 0.0);

    // Another server on the same directory is refused, and says why.
    let other = crate::common::server::directory();
    let mut second = Installation::new(other.path(), 1);
    second.set("cache-path", cache.to_str().unwrap());
    second.set("cache-disk", "64MiB");
    let said = second.try_start().err().unwrap();
    assert!(said.contains("used by another server"), "{said}");
}
