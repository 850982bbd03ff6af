//! Clients that are busy all the time, each with something large: readers that are not fast, and copies.

use crate::clients::{self, Onlooker};
use crate::common::s3::S3;
use crate::process::{memory, mib, reset_peak};
use crate::slow::{LIMIT, patience};
use crate::wire::Wire;
use crate::{BUCKET, MIB, soak, start};
use bytes::Bytes;
use http::Method;
use std::time::{Duration, Instant};

const READERS: u64 = 200;
/// Bytes that a reader takes at once, and how often it does.
const SIP_BYTES: u64 = 128 * 1024;
const SIP_PAUSE: Duration = Duration::from_millis(500);
const COPIES: u64 = 64;

/// How small requests fared beside `what`, and the peak.
pub async fn look(what: &str, onlooker: Onlooker, pid: u32) {
    let (median, longest) = onlooker.stop().await;
    let peak = memory(pid).peak;
    println!(
        "{what}: peak {}; beside them small requests in {median:?}, at the most {longest:?}",
        mib(peak)
    );
    assert!(peak <= LIMIT, "{} is over the limit", mib(peak));
}

/// Reads an object of 64 MiB without haste until it is time, and compares what came.
async fn sip(s3: S3, until: Instant) -> u64 {
    let mut wire = Wire::with_window(&s3, Some(64 * 1024)).await.unwrap();
    let head = s3.head(Method::GET, &format!("/{BUCKET}/large"), &[]);
    wire.send(head.as_bytes()).await.unwrap();
    if wire.head().await.unwrap().status == 503 {
        return 0;
    }
    let mut read = 0;
    while Instant::now() < until && read < 64 * MIB {
        // Past the budget the server ends some, and no other byte than the right one ever comes.
        match wire.expect_part(3, read, SIP_BYTES).await {
            Ok(()) => read += SIP_BYTES,
            Err(_) => break,
        }
        tokio::time::sleep(SIP_PAUSE).await;
    }
    read
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn steady_readers_stay_within_the_limit() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    clients::put(s3, &format!("/{BUCKET}/large"), 3, 64 * MIB).await;
    reset_peak(pid);
    let onlooker = Onlooker::start(s3, BUCKET).await;
    let until = Instant::now() + patience();
    let read = clients::each(READERS, |_| sip(s3.clone(), until)).await;
    let served = read.iter().filter(|read| **read > 0).count();
    let all = mib(read.iter().sum());
    let what = format!("{READERS} readers of 256 KiB a second, {served} served at once, {all}");
    look(&what, onlooker, pid).await;
    assert!(served > 50, "only {served} are served");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn part_copies_stay_within_the_limit() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    let length = if soak() { 256 * MIB } else { 16 * MIB };
    let source = format!("/{BUCKET}/source");
    clients::put(s3, &source, 3, length).await;
    reset_peak(pid);
    let onlooker = Onlooker::start(s3, BUCKET).await;
    let copied = clients::each(COPIES, |copy| {
        let (s3, source) = (s3.clone(), source.clone());
        async move { copy_in_parts(&s3, &source, &format!("/{BUCKET}/copy-{copy}"), length).await }
    });
    let refused: u64 = copied.await.iter().sum();
    let what = format!(
        "{COPIES} copies of {} in two parts each, {refused} times told to come back",
        mib(length)
    );
    look(&what, onlooker, pid).await;
    for copy in [0, COPIES - 1] {
        clients::get(s3, &format!("/{BUCKET}/copy-{copy}"), 3, length).await;
    }
}

/// Copies an object of `length` by UploadPartCopy, both halves at once; gives how often it was refused.
async fn copy_in_parts(s3: &S3, source: &str, target: &str, length: u64) -> u64 {
    let begun = s3.send(Method::POST, target, &[("uploads", "")], &[], Bytes::new());
    let upload = begun.await.unwrap().ok().one("UploadId").unwrap();
    let half = length / 2;
    let parts = clients::each(2, |half_at| {
        let (s3, source, target, upload) = (
            s3.clone(),
            source.to_owned(),
            target.to_owned(),
            upload.clone(),
        );
        async move {
            let range = format!("bytes={}-{}", half_at * half, (half_at + 1) * half - 1);
            let headers = [
                ("x-amz-copy-source", source.as_str()),
                ("x-amz-copy-source-range", range.as_str()),
            ];
            let number = (half_at + 1).to_string();
            let query = [("partNumber", number.as_str()), ("uploadId", &upload)];
            let mut refused = 0;
            loop {
                let copied = s3.send(Method::PUT, &target, &query, &headers, Bytes::new());
                let copied = copied.await.unwrap();
                let (code, etag) = (copied.one("Code"), copied.one("ETag"));
                if let Some(etag) = etag {
                    return (refused, number, etag);
                }
                assert_eq!(code.as_deref(), Some("SlowDown"));
                refused += 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    });
    let mut list = String::new();
    let mut refused = 0;
    for (times, number, etag) in parts.await {
        refused += times;
        list += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let list = format!("<CompleteMultipartUpload>{list}</CompleteMultipartUpload>");
    let query = [("uploadId", upload.as_str())];
    let done = s3.send(Method::POST, target, &query, &[], list.into());
    done.await.unwrap().ok();
    refused
}
