//! Prints what MD5 costs when so many bodies are received at a time: by the pool, and by a thread for
//! each body with OpenSSL beside it. `cargo run --release -p gateway --example hashing`
//!
//! Between the pieces a sender does other work, as a PUT does, and other bodies have their turn. The
//! processor time of that work, measured without hashing, is left out.

use bytes::Bytes;
use gateway::digest::{BodyHasher, Md5Pool};
use openssl::hash::{Hasher, MessageDigest};
use std::hint::black_box;
use tokio::sync::mpsc;
use types::clock::{Clock, SystemClock};

const PIECE_BYTES: usize = 32 * 1024;
const TOTAL_BYTES: usize = 1024 * 1024 * 1024;
/// Steps of other work for each piece: about 0.6 ms for each MiB.
const STEPS: u64 = 15_000;

#[derive(Clone)]
enum How {
    None,
    Threads,
    Pool(Md5Pool),
}

#[tokio::main]
async fn main() {
    println!(
        "  MiB  bodies  ms of processor time per MiB: threads, pool    GB/s: none, threads, pool"
    );
    for (mib, bodies) in [(1, 1), (1, 16), (1, 64), (64, 1), (64, 16)] {
        let (other, none) = measure(&How::None, mib, bodies).await;
        let (threads, slow) = measure(&How::Threads, mib, bodies).await;
        let (pool, fast) = measure(&How::Pool(Md5Pool::new()), mib, bodies).await;
        let (threads, pool) = (threads - other, pool - other);
        println!(
            "{mib:5}  {bodies:6}  {threads:37.3}  {pool:5.3}    {none:10.2}  {slow:7.2}  {fast:4.2}"
        );
    }
}

/// Processor time in ms for each MiB, and GB/s.
async fn measure(how: &How, mib: usize, bodies: usize) -> (f64, f64) {
    let clock = SystemClock::new();
    let started = (clock.monotonic(), processor_ms());
    let times = (TOTAL_BYTES / (mib << 20)).div_ceil(bodies);
    let tasks = (0..bodies).map(|_| tokio::spawn(send(how.clone(), mib << 20, times)));
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("no sender fails");
    }
    let wall = clock.monotonic() - started.0;
    let total_mib = (times * bodies * mib) as f64;
    (
        (processor_ms() - started.1) / total_mib,
        total_mib * 1048.576e-6 / wall.as_secs_f64(),
    )
}

async fn send(how: How, length: usize, times: usize) {
    let piece = Bytes::from(vec![7; PIECE_BYTES]);
    let pieces = || std::iter::repeat_n(piece.clone(), length / PIECE_BYTES);
    for _ in 0..times {
        match &how {
            How::None => {
                for piece in pieces() {
                    other_work().await;
                    black_box(piece);
                }
            }
            How::Threads => by_thread(pieces()).await,
            How::Pool(pool) => {
                let hasher = BodyHasher::new(pool, length as u64, None);
                let mut hasher = hasher.expect("MD5 cannot fail");
                for piece in pieces() {
                    other_work().await;
                    hasher.update(&piece).await.expect("MD5 cannot fail");
                }
                black_box(hasher.finish().await.expect("MD5 cannot fail"));
            }
        }
    }
}

async fn by_thread(pieces: impl Iterator<Item = Bytes>) {
    let (batches, mut waiting) = mpsc::channel::<Vec<Bytes>>(4);
    let thread = tokio::task::spawn_blocking(move || {
        let mut md5 = Hasher::new(MessageDigest::md5()).expect("OpenSSL has MD5");
        while let Some(batch) = waiting.blocking_recv() {
            for piece in batch {
                md5.update(&piece).expect("OpenSSL has MD5");
            }
        }
        black_box(md5.finish().expect("OpenSSL has MD5"));
    });
    let mut batch = Vec::new();
    for piece in pieces {
        other_work().await;
        batch.push(piece);
        if batch.len() * PIECE_BYTES >= 256 * 1024 {
            let _ = batches.send(std::mem::take(&mut batch)).await;
        }
    }
    let _ = batches.send(batch).await;
    drop(batches);
    thread.await.expect("the thread does not fail");
}

async fn other_work() {
    let mut value = 1_u64;
    for _ in 0..STEPS {
        value = black_box(value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    black_box(value);
    tokio::task::yield_now().await;
}

/// Processor time of this process, in steps of 10 ms.
fn processor_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after_name.split(' ').skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 * 10.0
}
