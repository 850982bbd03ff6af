use super::*;
use futures::FutureExt;
use md5_lanes::{Kernel, digest};
use std::time::Duration;

fn body(length: usize, seed: usize) -> Bytes {
    let bytes = (0..length).map(|n| ((n / 7) ^ (n * 31) ^ (seed * 131)) as u8);
    bytes.collect::<Vec<_>>().into()
}

async fn hash(pool: Md5Pool, body: Bytes, piece_bytes: usize, pause: bool) -> Digest {
    let md5 = pool.body();
    for start in (0..body.len()).step_by(piece_bytes) {
        let end = body.len().min(start + piece_bytes);
        md5.update(body.slice(start..end)).await;
        if pause {
            tokio::time::sleep(Duration::from_millis(1)).await;
        } else {
            tokio::task::yield_now().await;
        }
    }
    md5.finish().await
}

/// Pools with every kernel of this processor, with one worker and with several.
fn pools() -> impl Iterator<Item = Md5Pool> {
    let all = Kernel::ALL.into_iter().filter_map(Lanes::with);
    all.flat_map(|lanes| [1, 3].map(|workers| Md5Pool::with(lanes, workers)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn bodies_that_come_together_have_their_own_digests() {
    for pool in pools() {
        let bodies = (0..40).map(|n| {
            let length = (n * n * 997) % 700_000 + n;
            let body = body(length, n);
            let task = tokio::spawn(hash(
                pool.clone(),
                body.clone(),
                1 + (n * 9_973) % 80_000,
                n % 5 == 0,
            ));
            (body, task)
        });
        for (body, task) in bodies.collect::<Vec<_>>() {
            assert_eq!(task.await.unwrap(), digest(&body), "{} bytes", body.len());
        }
    }
}

#[tokio::test]
async fn a_body_without_bytes_has_a_digest() {
    assert_eq!(Md5Pool::new().body().finish().await, digest(b""));
}

#[tokio::test]
async fn a_sender_waits_while_too_much_is_held() {
    let nobody_hashes = Md5Pool::with(Lanes::new(), 0);
    let md5 = nobody_hashes.body();
    let piece = body(64 * 1024, 1);
    let mut sent = 0;
    while md5.update(piece.clone()).now_or_never().is_some() {
        sent += piece.len();
        assert!(sent < HELD_BYTES_MAX, "the sender was not told to wait");
    }
    assert!(sent > HELD_BYTES_MAX / 2, "only {sent} bytes could be sent");
}

#[tokio::test]
async fn a_body_that_is_drained_lets_its_bytes_go() {
    let pool = Md5Pool::new();
    let whole = body(2_000_000, 1);
    let md5 = pool.body();
    md5.drain().await;
    // Others that are not ready: alone, the first would be hashed at once.
    let others: Vec<_> = (0..20).map(|_| pool.body()).collect();
    for (n, piece) in whole.chunks(30_000).enumerate() {
        let piece = Bytes::copy_from_slice(piece);
        md5.update(piece.clone()).await;
        if n % 7 == 0 {
            assert!(!piece.is_unique(), "it waits for others");
            md5.drain().await;
            while !piece.is_unique() {
                // The worker has said that it is done, and has yet to put its hands down.
                tokio::task::yield_now().await;
            }
        }
    }
    drop(others);
    assert_eq!(md5.finish().await, digest(&whole));
}

#[tokio::test]
async fn a_body_that_is_dropped_lets_its_bytes_go() {
    let nobody_hashes = Md5Pool::with(Lanes::new(), 0);
    let piece = body(400 * 1024, 1);
    let md5 = nobody_hashes.body();
    md5.update(piece.clone()).await;
    assert!(!piece.is_unique());
    drop(md5);
    assert!(piece.is_unique());

    let md5 = nobody_hashes.body();
    md5.update(piece.clone()).await;
    let finish = md5.finish().now_or_never();
    assert!(finish.is_none(), "nobody hashes");
    assert!(piece.is_unique());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_dropped_disturb_no_other() {
    let pool = Md5Pool::new();
    let bytes = body(2_000_000, 3);
    let stays = tokio::spawn(hash(pool.clone(), bytes.clone(), 10_000, true));
    for n in 0..200 {
        let goes = tokio::spawn(hash(pool.clone(), body(900_000, n), 50_000, false));
        tokio::task::yield_now().await;
        goes.abort();
    }
    assert_eq!(stays.await.unwrap(), digest(&bytes));
}
