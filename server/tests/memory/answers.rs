//! XML, which is made and read as a whole: long lists that nobody reads, and bodies that are meant to be large when
//! they are read.

use crate::process::{memory, mib, reset_peak};
use crate::wire::Wire;
use crate::{BUCKET, MIB, clients, start};
use bytes::Bytes;
use http::Method;
use std::time::{Duration, Instant};

const LIMIT: u64 = 256 * MIB;
/// Keys whose every character is a reference in a list.
const KEYS: u64 = 1000;

/// A page of these comes to more than 5 MiB.
async fn fill(s3: &crate::common::s3::S3) {
    let put = |number: u64| {
        let path = format!("/{BUCKET}/{}{number:06}", "&".repeat(1018));
        async move {
            let put = s3.send(Method::PUT, &path, &[], &[], Bytes::new());
            put.await.unwrap().ok();
        }
    };
    for hundred in 0..KEYS / 100 {
        let puts = (hundred * 100..(hundred + 1) * 100).map(put);
        futures::future::join_all(puts).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_that_nobody_reads_are_within_the_limit() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    fill(s3).await;
    let target = format!("/{BUCKET}?list-type=2");
    let unread = clients::each(150, |_| {
        let (s3, target) = (s3.clone(), target.clone());
        async move {
            let mut wire = Wire::with_window(&s3, Some(4096)).await.unwrap();
            let head = s3.head(Method::GET, &target, &[]);
            wire.send(head.as_bytes()).await.unwrap();
            wire
        }
    });
    let unread = unread.await;
    let (started, bucket) = (Instant::now(), format!("/{BUCKET}"));
    // One who reads is let in when those who do not are ended.
    let listed = loop {
        let list = [("list-type", "2")];
        let page = s3.send(Method::GET, &bucket, &list, &[], Bytes::new());
        let page = page.await;
        match page.unwrap() {
            page if page.status == 503 => tokio::time::sleep(Duration::from_millis(200)).await,
            page => break page.ok(),
        }
        assert!(started.elapsed() < Duration::from_secs(60));
    };
    assert_eq!(listed.all("Key").len() as u64, KEYS);
    assert!(listed.body.len() as u64 > 5 * MIB);
    println!(
        "150 lists of {} that nobody reads: another one is answered after {:?}; peak {}",
        mib(listed.body.len() as u64),
        started.elapsed(),
        mib(memory(pid).peak)
    );
    assert!(memory(pid).peak <= LIMIT);
    drop(unread);
}

/// A part without anything takes eight bytes in the body, and twenty times as many when it has been read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_of_a_million_elements_are_refused_unread() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    let path = format!("/{BUCKET}/key");
    let started = s3.send(Method::POST, &path, &[("uploads", "")], &[], Bytes::new());
    let upload = started.await.unwrap().one("UploadId").unwrap();
    let parts = "<Part/>".repeat(8 * 1_000_000 / 7);
    let text = format!("<Key><![CDATA[{}]]></Key>", "&".repeat(1_500_000));
    for inner in [parts, text] {
        let body = format!("<CompleteMultipartUpload>{inner}</CompleteMultipartUpload>");
        let body = Bytes::from(body);
        reset_peak(pid);
        let before = memory(pid).peak;
        let refused = clients::each(6, |_| {
            let (s3, path, upload, body) = (s3.clone(), path.clone(), upload.clone(), body.clone());
            async move {
                let query = [("uploadId", upload.as_str())];
                let answer = s3.send(Method::POST, &path, &query, &[], body).await;
                answer.unwrap()
            }
        });
        for answer in refused.await {
            assert_eq!(answer.status, 400);
            assert_eq!(answer.one("Code").as_deref(), Some("MalformedXML"));
        }
        let grown = memory(pid).peak - before;
        println!(
            "6 bodies of {}: {} more",
            mib(body.len() as u64),
            mib(grown)
        );
        // Each is held twice for a moment: as it came, and as it is read.
        assert!(grown < 120 * MIB, "{}", mib(grown));
    }
}
