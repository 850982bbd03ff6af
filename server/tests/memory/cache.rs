//! A full cache, and readers of what is in it: all within the limit.

use crate::common::server::Installation;
use crate::process::{memory, mib, reset_peak};
use crate::wire::Wire;
use crate::{BUCKET, MIB, clients, soak};
use http::Method;
use std::time::Duration;

const LIMIT: u64 = 512 * MIB;
const CACHE: u64 = 96 * MIB;
/// Objects of a MiB, more than the cache holds.
const OBJECTS: u64 = 160;
const SLOW: u64 = 80;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_cache_and_its_readers_stay_within_the_limit() {
    crate::process::raise_open_files();
    let dir = crate::common::server::directory();
    let mut installation = Installation::new(dir.path(), 6);
    installation.set("memory-limit", &format!("{LIMIT}B"));
    installation.set("cache-memory", &format!("{CACHE}B"));
    installation.set("cache-path", dir.path().join("cache").to_str().unwrap());
    installation.set("cache-disk", "64MiB");
    let server = installation.start();
    let (s3, pid) = (&server.s3, server.pid());
    s3.create_bucket(BUCKET).await.unwrap().ok();
    let path = |number: u64| format!("/{BUCKET}/{number}");
    // Lengths that leave no two blocks of one size.
    let length = |number: u64| MIB - number * 1000;
    for number in 0..OBJECTS {
        clients::put(s3, &path(number), number, length(number)).await;
    }
    reset_peak(pid);
    let rounds = if soak() { 40 } else { 4 };
    // Each reader has a part of the objects, small enough to be kept between two rounds.
    let read = clients::each(8, |reader| {
        let s3 = s3.clone();
        async move {
            let mut refused = 0;
            for first in (reader * 20..reader * 20 + 20).step_by(4) {
                for _ in 0..rounds {
                    for number in first..first + 4 {
                        refused += clients::get(&s3, &path(number), number, length(number)).await;
                    }
                }
            }
            refused
        }
    });
    assert_eq!(read.await.iter().sum::<u64>(), 0, "readers are refused");
    let held = server.metric("cairn_cache_held_bytes{tier=\"memory\"}") as u64;
    assert!(held > CACHE * 6 / 10 && held <= CACHE, "{} held", mib(held));

    // Clients that ask for what is in it and do not read it, while it is driven out.
    let idle = clients::each(SLOW, |client| {
        let s3 = s3.clone();
        async move {
            let mut wire = Wire::with_window(&s3, Some(64 * 1024)).await.unwrap();
            let target = path(client % OBJECTS);
            let head = s3.head(Method::GET, &target, &[]);
            wire.send(head.as_bytes()).await.unwrap();
            wire
        }
    });
    let idle = idle.await;
    for number in 0..OBJECTS {
        for _ in 0..3 {
            clients::get(s3, &path(number), number, length(number)).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let peak = memory(pid).peak;
    println!(
        "a cache of {} with {} in it, {} clients that do not read: peak {}",
        mib(CACHE),
        mib(held),
        idle.len(),
        mib(peak)
    );
    assert!(peak <= LIMIT, "{} is over the limit", mib(peak));
}
