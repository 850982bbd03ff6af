//! Connections on which nothing happens.

use crate::common::s3::S3;
use crate::process::{memory, mib, reset_peak};
use crate::wire::Wire;
use crate::{BUCKET, MIB, clients, soak, start};
use clients::Onlooker;
use http::Method;
use std::time::Duration;

const LIMIT: u64 = 512 * MIB;
const CONNECTIONS: u64 = 10_000;
/// The server reckons with 4 KiB; the rest is for what requests leave behind in its pools meanwhile.
const BYTES_EACH_MAX: u64 = 6 * 1024;
/// Those of them that have done a PUT; the rest have asked for something small.
const PUTS: u64 = 400;
/// Connections that a task of the test makes, one after the other.
const CONNECTIONS_A_TASK: u64 = 50;

/// What a connection has done before it is idle.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Past {
    Nothing,
    Head,
    Put(u64),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_connections_cost_little() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    let onlooker = Onlooker::start(s3, BUCKET).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (quiet, _) = onlooker.stop().await;
    // What pools keep of the work is not the connections'.
    let put = Past::Put(if soak() { 16 * MIB } else { MIB });
    drop(connect(s3, 64, put).await);
    for past in [Past::Nothing, put] {
        let before = memory(pid).now;
        reset_peak(pid);
        let first = if past == put { Past::Head } else { past };
        // The large ones first: the others would be idle for too long meanwhile.
        let mut connections = connect(s3, PUTS, past).await;
        connections.append(&mut connect(s3, CONNECTIONS - PUTS, first).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let after = memory(pid);
        let onlooker = Onlooker::start(s3, BUCKET).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (median, longest) = onlooker.stop().await;
        let each = after.now.saturating_sub(before) / CONNECTIONS;
        println!(
            "{CONNECTIONS} idle connections after {past:?}: {each} bytes each, {} in all, peak {}; others are \
             answered in {median:?} (without them {quiet:?}), at the most {longest:?}",
            mib(after.now),
            mib(after.peak),
        );
        assert!(after.peak <= LIMIT);
        assert!(each <= BYTES_EACH_MAX, "{each} bytes each");
        assert!(
            median < Duration::from_millis(200),
            "others wait for {median:?}"
        );
        // Idle ones are kept for half a minute, which asking all of them could take.
        for wire in connections.iter_mut().step_by(20) {
            ask(s3, wire).await;
        }
    }
}

async fn ask(s3: &S3, wire: &mut Wire) {
    let path = format!("/{BUCKET}/small");
    let head = s3.head(Method::HEAD, &path, &[]);
    wire.send(head.as_bytes()).await.unwrap();
    assert_eq!(wire.head().await.unwrap().status, 200);
}

async fn connect(s3: &S3, count: u64, past: Past) -> Vec<Wire> {
    let made = clients::each(count.div_ceil(CONNECTIONS_A_TASK), |task| {
        let s3 = s3.clone();
        async move {
            let mut wires = Vec::new();
            let first = task * CONNECTIONS_A_TASK;
            for _ in first..count.min(first + CONNECTIONS_A_TASK) {
                let mut wire = Wire::connect(&s3).await;
                match past {
                    Past::Nothing => {}
                    Past::Head => ask(&s3, &mut wire).await,
                    Past::Put(length) => {
                        let path = format!("/{BUCKET}/idle-{task}");
                        let put = wire.put(&s3, &path, task, length).await.unwrap();
                        assert_eq!(put.status, 200);
                    }
                }
                wires.push(wire);
            }
            wires
        }
    });
    made.await.into_iter().flatten().collect()
}
