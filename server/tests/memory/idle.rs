//! Connections on which nothing happens.

use crate::common::s3::S3;
use crate::process::{memory, mib, reset_peak};
use crate::wire::Wire;
use crate::{BUCKET, MIB, clients, start};
use clients::Onlooker;
use http::Method;
use std::time::Duration;

/// What the default limit allows, but for a few that others need.
const LIMIT: u64 = 1024 * MIB;
const CONNECTIONS: u64 = 9_900;
/// The server reckons with this.
const BYTES_EACH_MAX: u64 = 22 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_cost_little() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    let onlooker = Onlooker::start(s3, BUCKET).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (quiet, _) = onlooker.stop().await;
    for asks in [false, true] {
        let before = memory(pid).now;
        reset_peak(pid);
        let connections = connect(s3, asks).await;
        let after = memory(pid);
        let onlooker = Onlooker::start(s3, BUCKET).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (median, longest) = onlooker.stop().await;
        let each = after.now.saturating_sub(before) / connections.len() as u64;
        println!(
            "{} idle connections {}: {each} bytes each, {} in all, peak {}; others are answered \
             in {median:?} (without them {quiet:?}), at the most {longest:?}",
            connections.len(),
            if asks { "after a request" } else { "just made" },
            mib(after.now),
            mib(after.peak),
        );
        assert!(after.peak <= LIMIT);
        assert!(each <= BYTES_EACH_MAX, "{each} bytes each");
        assert!(
            median < Duration::from_millis(200),
            "others wait for {median:?}"
        );
    }
}

async fn connect(s3: &S3, asks: bool) -> Vec<Wire> {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut wire = Wire::connect(s3).await;
        if asks {
            let path = format!("/{BUCKET}/small");
            wire.send(s3.head(Method::HEAD, &path, &[]).as_bytes())
                .await
                .unwrap();
            assert_eq!(wire.head().await.unwrap().status, 200);
        }
        connections.push(wire);
    }
    connections
}
