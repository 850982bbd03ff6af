//! Prints how fast each kernel hashes so many bodies at a time, and OpenSSL beside them:
//! `cargo run --release -p md5-lanes --example speed`.

use md5_lanes::{Digest, Feed, Kernel, Lanes, Md5, digest};
use std::hint::black_box;
use std::time::Duration;
use types::clock::{Clock, SystemClock};

const BODY_BYTES: usize = 256 * 1024;
const SMALL_BYTES: usize = 4 * 1024;
/// Rounds are short and many, so that on a busy machine some are not interrupted.
const ROUNDS: usize = 200;
const ROUND_BYTES: usize = 1024 * 1024;

fn main() {
    let clock = SystemClock::new();
    let bodies: Vec<Vec<u8>> = (0..64_u8).map(|n| vec![n; BODY_BYTES + 64]).collect();
    let openssl = |body: &[u8]| {
        openssl::hash::hash(openssl::hash::MessageDigest::md5(), body).expect("OpenSSL has MD5")
    };
    for length in [SMALL_BYTES, BODY_BYTES] {
        let body = &bodies[0][..length];
        let ours = measure(&clock, length, || {
            black_box(digest(body));
        });
        let theirs = measure(&clock, length, || {
            black_box(openssl(body));
        });
        println!(
            "{:4} KiB alone: {ours:6.2} GB/s, OpenSSL {theirs:6.2} GB/s",
            length / 1024
        );
    }
    println!("bodies side by side, GB/s:");
    for count in [1, 2, 3, 4, 6, 8, 12, 16, 17, 24, 32, 64] {
        let mut line = format!("{count:4}");
        for kernel in Kernel::ALL {
            let Some(lanes) = Lanes::with(kernel) else {
                continue;
            };
            let speed = measure(&clock, count * BODY_BYTES, || {
                black_box(side_by_side(lanes, &bodies[..count]));
            });
            line += &format!("  {kernel:?} {speed:6.2}");
        }
        println!("{line}");
    }
}

fn side_by_side(lanes: Lanes, bodies: &[Vec<u8>]) -> Vec<Digest> {
    let mut md5s = vec![Md5::new(); bodies.len()];
    let mut feeds: Vec<_> = md5s
        .iter_mut()
        .zip(bodies)
        .map(|(md5, body)| Feed::new(md5, std::iter::once(&body[..BODY_BYTES])))
        .collect();
    lanes.update(&mut feeds);
    md5s.into_iter().map(Md5::finish).collect()
}

/// GB/s of the fastest round: what the rest of the machine takes away slows a round, and never speeds it.
fn measure(clock: &SystemClock, bytes: usize, mut work: impl FnMut()) -> f64 {
    let times = ROUND_BYTES.div_ceil(bytes);
    let rounds = (0..ROUNDS).map(|_| {
        let started = clock.monotonic();
        for _ in 0..times {
            work();
        }
        clock.monotonic() - started
    });
    let best: Duration = rounds.min().unwrap_or_default();
    (times * bytes) as f64 / best.as_secs_f64() / 1e9
}
