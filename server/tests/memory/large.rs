//! Memory does not grow with the size of objects.
//!
//! It does grow, up to bounds of its own, with what a process has done so far: each stripe, whatever it is of, is
//! an entry in the catalogues of its disks, whose memtables and caches fill, and pools keep what they once needed.
//! So each size has a process of its own, and both move as many bytes.

use crate::process::{memory, mib};
use crate::wire::multipart;
use crate::{BUCKET, MIB, clients, soak, start};

/// The limit; in the short form one that small objects can come up to.
fn limit() -> u64 {
    if soak() { 512 * MIB } else { 256 * MIB }
}
const CLIENTS: u64 = 64;
/// A peak of large objects is no more than this many percent of one with small objects.
const GROWTH_PERCENT_MAX: u64 = 110;

/// The clients each store and read an object of `length`, so many `times`, on a server of their own; the peak of
/// its memory.
async fn up_and_down(length: u64, times: u64) -> u64 {
    let (_dir, _installation, server) = start(limit()).await;
    let (s3, pid) = (&server.s3, server.pid());
    let path = |client: u64| format!("/{BUCKET}/{client}");
    let mut refused: u64 = 0;
    for _ in 0..times {
        let up = clients::each(CLIENTS, |client| {
            let (s3, path) = (s3.clone(), path(client));
            async move { clients::put(&s3, &path, client, length).await }
        });
        refused += up.await.iter().sum::<u64>();
        let down = clients::each(CLIENTS, |client| {
            let (s3, path) = (s3.clone(), path(client));
            async move { clients::get(&s3, &path, client, length).await }
        });
        refused += down.await.iter().sum::<u64>();
        for client in 0..CLIENTS {
            s3.delete(BUCKET, &client.to_string()).await.unwrap().ok();
        }
    }
    let peak = memory(pid).peak;
    println!(
        "{CLIENTS} clients, {times} objects of {} each up and down: peak {}, {refused} times told to come back",
        mib(length),
        mib(peak),
    );
    peak
}

/// What the scaled-down form, whose peaks are a tenth of the real ones, may be off beside: some buffers and arenas.
fn noise() -> u64 {
    if soak() { 0 } else { 8 * MIB }
}

fn assert_flat(small: u64, large: u64) {
    assert!(large <= limit(), "{} is over the limit", mib(large));
    assert!(
        large * 100 <= (small + noise()) * GROWTH_PERCENT_MAX,
        "memory grows with the size of objects: {} and then {}",
        mib(small),
        mib(large)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_with_large_objects() {
    let (small, large) = if soak() { (16, 128) } else { (1, 8) };
    let before = up_and_down(small * MIB, large / small).await;
    let after = up_and_down(large * MIB, 1).await;
    assert_flat(before, after);
}

/// One client on a server of its own, which stores and reads an object of `single` bytes by one PUT and one of
/// `parted` bytes in parts, so many `times`; the peak.
async fn one_client(single: u64, parted: u64, part: u64, times: u64) -> u64 {
    let (_dir, _installation, server) = start(limit()).await;
    let s3 = &server.s3;
    let path = format!("/{BUCKET}/one");
    for _ in 0..times {
        clients::put(s3, &path, 1, single).await;
        clients::get(s3, &path, 1, single).await;
        multipart(s3, &path, 2, parted, part).await;
        clients::get(s3, &path, 2, parted).await;
    }
    let peak = memory(server.pid()).peak;
    println!(
        "one client, {times} times a PUT of {} and {} in parts of {}: peak {}",
        mib(single),
        mib(parted),
        mib(part),
        mib(peak)
    );
    peak
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_with_a_very_large_object() {
    let (single, parted, part) = if soak() {
        (5 << 30, 8 << 30, 64 * MIB)
    } else {
        (128 * MIB, 128 * MIB, 16 * MIB)
    };
    let small = 16 * MIB;
    let times = (single + parted) / (2 * small);
    let before = one_client(small, small, small, times).await;
    let after = one_client(single, parted, part, 1).await;
    assert_flat(before, after);
}
