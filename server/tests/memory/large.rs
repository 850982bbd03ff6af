//! Memory does not grow with the size of objects.

use crate::common::s3::S3;
use crate::process::{memory, mib, reset_peak};
use crate::wire::multipart;
use crate::{BUCKET, MIB, clients, soak, start};

/// The limit; in the short form one that small objects can come up to.
fn limit() -> u64 {
    if soak() { 512 * MIB } else { 256 * MIB }
}
const CLIENTS: u64 = 64;
/// A peak of `large` is no more than this many percent of one with small objects.
const GROWTH_PERCENT_MAX: u64 = 110;

/// The clients each store and read an object of `length`; the peak of the server's memory, and how often
/// clients were told to come back.
async fn up_and_down(s3: &S3, pid: u32, length: u64) -> (u64, u64) {
    reset_peak(pid);
    let path = |client: u64| format!("/{BUCKET}/{client}-{length}");
    let up = clients::each(CLIENTS, |client| {
        let (s3, path) = (s3.clone(), path(client));
        async move { clients::put(&s3, &path, client, length).await }
    });
    let mut refused: u64 = up.await.iter().sum();
    let peak_up = memory(pid).peak;
    let down = clients::each(CLIENTS, |client| {
        let (s3, path) = (s3.clone(), path(client));
        async move { clients::get(&s3, &path, client, length).await }
    });
    refused += down.await.iter().sum::<u64>();
    for client in 0..CLIENTS {
        s3.delete(BUCKET, &format!("{client}-{length}"))
            .await
            .unwrap()
            .ok();
    }
    let peak = memory(pid).peak;
    println!(
        "{CLIENTS} clients, objects of {}: peak {} (up {}), {refused} times told to come back",
        mib(length),
        mib(peak),
        mib(peak_up)
    );
    (peak, refused)
}

/// Each stripe, whatever it is of, is an entry in the catalogues of the disks, whose memory has a bound of
/// its own: it may fill in between.
fn assert_flat(small: u64, large: u64) {
    let catalogs = limit() / 16;
    assert!(large <= limit(), "{} is over the limit", mib(large));
    assert!(
        large * 100 <= small * GROWTH_PERCENT_MAX + catalogs * 100,
        "memory grows with the size of objects: {} and then {}",
        mib(small),
        mib(large)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_with_large_objects() {
    let (_dir, _installation, server) = start(limit()).await;
    let (small, large) = if soak() { (16, 128) } else { (1, 4) };
    // What caches and pools take once, up to bounds of their own, is not growth.
    up_and_down(&server.s3, server.pid(), large * MIB).await;
    let (before, _) = up_and_down(&server.s3, server.pid(), small * MIB).await;
    let (after, _) = up_and_down(&server.s3, server.pid(), large * MIB).await;
    assert_flat(before, after);
}

/// One PUT of `single` bytes and an upload in parts of `parted`, each read back; the peak.
async fn one_client(s3: &S3, pid: u32, single: u64, parted: u64, part: u64) -> u64 {
    reset_peak(pid);
    let path = format!("/{BUCKET}/one");
    clients::put(s3, &path, 1, single).await;
    clients::get(s3, &path, 1, single).await;
    multipart(s3, &path, 2, parted, part).await;
    clients::get(s3, &path, 2, parted).await;
    s3.delete(BUCKET, "one").await.unwrap().ok();
    let peak = memory(pid).peak;
    println!(
        "one client, a PUT of {} and {} in parts of {}: peak {}",
        mib(single),
        mib(parted),
        mib(part),
        mib(peak)
    );
    peak
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_client_with_a_very_large_object() {
    let (_dir, _installation, server) = start(limit()).await;
    let (s3, pid) = (&server.s3, server.pid());
    let (single, parted, part) = if soak() {
        (5 << 30, 8 << 30, 64 * MIB)
    } else {
        (128 * MIB, 128 * MIB, 16 * MIB)
    };
    one_client(s3, pid, 16 * MIB, 16 * MIB, 16 * MIB).await;
    let before = one_client(s3, pid, 16 * MIB, 16 * MIB, 16 * MIB).await;
    let after = one_client(s3, pid, single, parted, part).await;
    assert_flat(before, after);
}
