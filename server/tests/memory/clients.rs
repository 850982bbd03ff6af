//! Many clients at once, and what they are told.

use crate::common::s3::S3;
use crate::wire::Wire;
use bytes::Bytes;
use http::{Method, StatusCode};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Waits as a refused client should, in seconds of the server's.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Runs `act` for each number below `clients` at once, and waits for all.
pub async fn each<F, T>(clients: u64, act: impl Fn(u64) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tasks: Vec<_> = (0..clients)
        .map(|client| tokio::spawn(act(client)))
        .collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// Stores an object, again after each 503; gives how often it was refused.
pub async fn put(s3: &S3, path: &str, seed: u64, length: u64) -> u64 {
    let mut refused = 0;
    loop {
        let mut wire = Wire::connect(s3).await;
        match wire
            .put(s3, path, seed, length)
            .await
            .map(|head| head.status)
        {
            Ok(200) => return refused,
            // The server may close while the body is still on its way.
            Ok(503) | Err(_) => refused += 1,
            Ok(status) => panic!("PUT {path}: {status}"),
        }
        assert!(refused < 600, "{path} is refused for ever");
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// Reads an object and compares every byte, again after each 503; gives how often it was refused.
pub async fn get(s3: &S3, path: &str, seed: u64, length: u64) -> u64 {
    let mut refused = 0;
    loop {
        let mut wire = Wire::connect(s3).await;
        match wire.get(s3, path, seed, length).await.unwrap().status {
            200 => return refused,
            503 => refused += 1,
            status => panic!("GET {path}: {status}"),
        }
        assert!(refused < 600, "{path} is refused for ever");
        tokio::time::sleep(RETRY_AFTER).await;
    }
}

/// A client that does a little of everything, small, all the while: how long its answers took.
pub struct Onlooker {
    stop: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<Vec<Duration>>,
}

/// What a small client meets beside the crowd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Room for everyone: each answer is a success.
    Room,
    /// A crowd past the budget: 503 with Retry-After, and then success.
    Crowd,
}

impl Onlooker {
    /// Starts it, where each answer must be a success.
    pub async fn start(s3: &S3, bucket: &'static str) -> Self {
        Self::beside(s3, bucket, Beside::Room).await
    }

    /// Starts it.
    pub async fn beside(s3: &S3, bucket: &'static str, beside: Beside) -> Self {
        let stop = Arc::new(AtomicU64::new(0));
        let (told, s3) = (Arc::clone(&stop), s3.clone());
        let small = crate::common::workload::value(7, 3000);
        s3.put(bucket, "small", small.clone()).await.unwrap().ok();
        let task = tokio::spawn(async move {
            let mut took = Vec::new();
            let (object, list) = (format!("/{bucket}/small"), format!("/{bucket}"));
            let page = [("list-type", "2"), ("max-keys", "10")];
            while told.load(Ordering::Relaxed) == 0 {
                let started = Instant::now();
                served(&s3, beside, Method::HEAD, &object, &[], &Bytes::new()).await;
                let got = served(&s3, beside, Method::GET, &object, &[], &Bytes::new()).await;
                assert!(got == small);
                served(&s3, beside, Method::GET, &list, &page, &Bytes::new()).await;
                served(&s3, beside, Method::PUT, &object, &[], &small).await;
                took.push(started.elapsed() / 4);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            took
        });
        Self { stop, task }
    }

    /// Ends it; the median and the longest time of its requests.
    pub async fn stop(self) -> (Duration, Duration) {
        self.stop.store(1, Ordering::Relaxed);
        let mut took = self.task.await.unwrap();
        took.sort();
        (took[took.len() / 2], *took.last().unwrap())
    }
}

/// The body of the answer, which is a success in the end.
async fn served(
    s3: &S3,
    beside: Beside,
    method: Method,
    path: &str,
    query: &[(&str, &str)],
    body: &Bytes,
) -> Bytes {
    for _ in 0..60 {
        let answer = s3.send(method.clone(), path, query, &[], body.clone());
        let answer = answer.await.unwrap();
        if beside == Beside::Room || answer.status != StatusCode::SERVICE_UNAVAILABLE {
            return answer.ok().body;
        }
        assert!(
            answer.header("retry-after").is_some(),
            "503 without Retry-After"
        );
        tokio::time::sleep(RETRY_AFTER).await;
    }
    panic!("{method} {path} is refused for ever");
}
