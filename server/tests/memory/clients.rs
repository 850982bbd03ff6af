//! Many clients at once, and what they are told.

use crate::common::s3::S3;
use crate::wire::Wire;
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

impl Onlooker {
    /// Starts it. Every answer must be a success.
    pub async fn start(s3: &S3, bucket: &'static str) -> Self {
        let stop = Arc::new(AtomicU64::new(0));
        let (told, s3) = (Arc::clone(&stop), s3.clone());
        let small = crate::common::workload::value(7, 3000);
        s3.put(bucket, "small", small.clone()).await.unwrap().ok();
        let task = tokio::spawn(async move {
            let mut took = Vec::new();
            while told.load(Ordering::Relaxed) == 0 {
                let started = Instant::now();
                let path = format!("/{bucket}/small");
                let none = bytes::Bytes::new;
                s3.send(http::Method::HEAD, &path, &[], &[], none())
                    .await
                    .unwrap()
                    .ok();
                let got = s3.get(bucket, "small").await.unwrap().ok();
                assert!(got.body == small);
                let query = [("list-type", "2"), ("max-keys", "10")];
                let list = format!("/{bucket}");
                s3.send(http::Method::GET, &list, &query, &[], none())
                    .await
                    .unwrap()
                    .ok();
                s3.put(bucket, "small", small.clone()).await.unwrap().ok();
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
