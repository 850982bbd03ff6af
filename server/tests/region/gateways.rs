//! Several gateways on one region: what one acknowledged every other one knows, and one winner is one winner.

use crate::common::objects::{Object, assert_right, store};
use crate::common::region::Region;
use crate::common::s3::S3;
use crate::common::server::directory;
use crate::common::workload::value;
use bytes::Bytes;
use http::{Method, StatusCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PART: usize = 5 << 20;
const ROUNDS: usize = 20;
const WRITERS: usize = 4;

pub fn gateways(region: &Region) -> Vec<S3> {
    let nodes = region.nodes.iter();
    nodes.map(|node| node.server().s3.clone()).collect()
}

async fn send(s3: &S3, method: Method, path: &str, query: &[(&str, &str)], body: Bytes) -> String {
    let answer = s3.send(method, path, query, &[], body).await;
    let answer = answer.expect("an answer").ok();
    String::from_utf8_lossy(&answer.body).into_owned()
}

fn between(text: &str, tag: &str) -> String {
    let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
    let rest = text.split(&open).nth(1).expect("the tag is there");
    rest.split(&close).next().unwrap_or_default().to_owned()
}

/// An upload begun on the first gateway, with parts sent to all, is seen as a whole by each at every moment, and
/// completed on the last.
async fn an_upload_goes_through_all(gateways: &[S3]) {
    let [first, second, third] = gateways else {
        panic!("three gateways");
    };
    let none = Bytes::new;
    let begun = send(
        first,
        Method::POST,
        "/bucket/large",
        &[("uploads", "")],
        none(),
    )
    .await;
    let upload = between(&begun, "UploadId");
    for gateway in gateways {
        let list = send(gateway, Method::GET, "/bucket", &[("uploads", "")], none()).await;
        assert!(list.contains(&upload), "just begun, and listed everywhere");
    }
    let mut complete = String::from("<CompleteMultipartUpload>");
    for (number, gateway) in (1..).zip(gateways) {
        let text = number.to_string();
        let query = [("partNumber", text.as_str()), ("uploadId", upload.as_str())];
        let answer = gateway.send(
            Method::PUT,
            "/bucket/large",
            &query,
            &[],
            value(number, PART),
        );
        let answer = answer.await.expect("an answer").ok();
        let etag = answer.header("etag").expect("a part has one").to_owned();
        complete += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        for other in gateways {
            let query = [("uploadId", upload.as_str())];
            let parts = send(other, Method::GET, "/bucket/large", &query, none()).await;
            assert_eq!(parts.matches("<Part>").count() as u64, number, "{parts}");
        }
    }
    complete += "</CompleteMultipartUpload>";
    let query = [("uploadId", upload.as_str())];
    send(
        third,
        Method::POST,
        "/bucket/large",
        &query,
        complete.into(),
    )
    .await;
    for gateway in [first, second] {
        let got = gateway
            .get("bucket", "large")
            .await
            .expect("an answer")
            .ok();
        let whole: Vec<u8> = (1..=3).flat_map(|seed| value(seed, PART)).collect();
        assert!(got.body == whole, "the three parts in order");
        let list = send(gateway, Method::GET, "/bucket", &[("uploads", "")], none()).await;
        assert!(
            !list.contains(&upload),
            "completed, and not listed any more"
        );
    }
}

/// An upload that is aborted on one gateway is gone on all.
async fn an_abort_is_known_to_all(gateways: &[S3]) {
    let none = Bytes::new;
    let (first, second) = (&gateways[0], &gateways[1]);
    let aborted = send(
        second,
        Method::POST,
        "/bucket/none",
        &[("uploads", "")],
        none(),
    )
    .await;
    let aborted = between(&aborted, "UploadId");
    let query = [("uploadId", aborted.as_str())];
    send(first, Method::DELETE, "/bucket/none", &query, none()).await;
    for gateway in gateways {
        let list = send(gateway, Method::GET, "/bucket", &[("uploads", "")], none()).await;
        assert!(!list.contains(&aborted), "aborted, and not listed any more");
    }
}

/// Of all who create a key through all gateways at once exactly one does, and the object is his.
async fn one_winner_creates(gateways: &[S3]) {
    for round in 0..ROUNDS {
        let mut tried = Vec::new();
        for writer in 0..gateways.len() * WRITERS {
            let s3 = gateways[writer % gateways.len()].clone();
            tried.push(tokio::spawn(async move {
                let body = Bytes::from(format!("{round} {writer}"));
                let path = format!("/bucket/created-{round}");
                let only = [("if-none-match", "*")];
                let answer = s3.send(Method::PUT, &path, &[], &only, body.clone()).await;
                (answer.expect("an answer").status, body)
            }));
        }
        let mut won = Vec::new();
        for tried in tried {
            match tried.await.expect("the task ran") {
                (StatusCode::OK, body) => won.push(body),
                (StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT, _) => {}
                (status, _) => panic!("{status}"),
            }
        }
        assert_eq!(won.len(), 1, "one winner of round {round}");
        for gateway in gateways {
            let got = gateway.get("bucket", &format!("created-{round}")).await;
            assert_eq!(got.expect("an answer").ok().body, won[0]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_gateway_acknowledged_all_know() {
    let dir = directory();
    let region = tokio::task::spawn_blocking({
        let root = dir.path().to_owned();
        move || Region::start(&root, 3, 3, "5+4")
    });
    let region = region.await.expect("a region");
    let gateways = gateways(&region);
    send(&gateways[0], Method::PUT, "/bucket", &[], Bytes::new()).await;
    for gateway in &gateways {
        send(gateway, Method::HEAD, "/bucket", &[], Bytes::new()).await;
    }
    for (number, gateway) in (0..).zip(&gateways) {
        let objects = store(gateway, "bucket", number * 8..number * 8 + 8).await;
        for other in &gateways {
            assert_right(other, "bucket", &objects).await;
        }
    }
    an_upload_goes_through_all(&gateways).await;
    an_abort_is_known_to_all(&gateways).await;
    one_winner_creates(&gateways).await;
}

/// What a client has to tell.
#[derive(Default)]
pub struct Told {
    /// Longest time without a success.
    pub longest: Duration,
    /// Requests that failed on every gateway.
    pub failed: u64,
    /// What was acknowledged and read back.
    pub stored: Vec<Object>,
}

/// A client that stores and reads until it is told to stop, and tries again elsewhere as an SDK behind a balancer does.
pub async fn client(gateways: Vec<S3>, seed: u64, stop: Arc<AtomicBool>) -> Told {
    let (mut told, mut last) = (Told::default(), Instant::now());
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let key = format!("client-{seed}-{number}");
        let length = [3_000, 40_000, 300_000][number % 3];
        let object_seed = seed + number as u64;
        let body = value(object_seed, length);
        let mut is_done = false;
        for attempt in 0..3 {
            let s3 = &gateways[(number + attempt) % gateways.len()];
            let put = s3.put("bucket", &key, body.clone()).await;
            let got = match put {
                Ok(put) if put.status == StatusCode::OK => s3.get("bucket", &key).await,
                other => other,
            };
            if let Ok(got) = got
                && got.status == StatusCode::OK
            {
                assert!(got.body == body, "{key} has other bytes");
                is_done = true;
                break;
            }
            tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
        }
        told.failed += u64::from(!is_done);
        if is_done {
            told.longest = told.longest.max(last.elapsed());
            last = Instant::now();
            let seed = object_seed;
            told.stored.push(Object { key, seed, length });
        }
    }
    told.longest = told.longest.max(last.elapsed());
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_are_restarted_one_after_the_other_and_no_client_notices() {
    let dir = directory();
    let root = dir.path().to_owned();
    let region = tokio::task::spawn_blocking(move || Region::start(&root, 3, 3, "5+4")).await;
    let mut region = region.expect("a region");
    let gateways = gateways(&region);
    send(&gateways[0], Method::PUT, "/bucket", &[], Bytes::new()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..3)
        .map(|n| tokio::spawn(client(gateways.clone(), n * 1_000_000, Arc::clone(&stop))))
        .collect();
    region = tokio::task::spawn_blocking(move || {
        for node in &mut region.nodes {
            let server = node.server.take().expect("it runs");
            assert_eq!(server.stop(), Some(0), "it drains and ends");
            node.begin();
            node.wait_ready();
            std::thread::sleep(Duration::from_secs(6));
        }
        region
    })
    .await
    .expect("a rolling restart");
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        let Told {
            longest, failed, ..
        } = client.await.expect("the client ran");
        println!("longest without a success {longest:?}, failed {failed}");
        assert_eq!(failed, 0, "a request failed on every gateway");
        assert!(longest < Duration::from_secs(10), "{longest:?}");
    }
    drop(region);
}
