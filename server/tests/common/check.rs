//! `cairn check` on a stopped installation, as tests use it.

use super::server::{Installation, Server};
use serde_json::Value;
use std::time::Duration;

/// Runs `cairn check --json`; its report, and whether it found the installation sound.
pub fn run(installation: &Installation) -> (bool, Value) {
    let output = installation
        .command(&["check", "--json"])
        .output()
        .expect("the binary can be run");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!(
            "check gave no report: {error}\n{text}\n{}",
            String::from_utf8_lossy(&output.stderr)
        )
    });
    (output.status.success(), report)
}

/// Stops the server and checks; fails the test when anything is damaged.
pub fn assert_sound(installation: &Installation, server: Server) -> Value {
    assert_eq!(server.stop(), Some(0), "SIGTERM ends the server cleanly");
    let (sound, report) = run(installation);
    assert!(sound, "check finds the installation damaged: {report:#}");
    report
}

/// Lets background work go on, with deadlines so short that hardly a request could be served, until
/// `cairn check` finds no chunk that the index does not know, no missing shard and nothing damaged.
/// Fails when four looks in a row find no progress.
pub async fn wait_until_clean(installation: &Installation, mut server: Server) {
    let mut quick = installation.clone();
    quick.set("write-deadline", "500ms");
    quick.set("read-deadline", "100ms");
    quick.set("reclaim-grace", "200ms");
    let mut best = u64::MAX;
    let mut idle = 0;
    loop {
        let report = assert_sound(&quick, server);
        let count = |field: &str| report[field].as_u64().expect("a number");
        let left = count("unknown_chunks") + count("missing_shards");
        println!("{left} unknown chunks and missing shards are left");
        if left == 0 {
            return;
        }
        idle = if left < best { 0 } else { idle + 1 };
        assert!(idle < 4, "garbage or missing shards stay: {report:#}");
        best = best.min(left);
        server = quick.start();
        // A collector that was stopped begins anew, so it is given longer when there was no progress.
        tokio::time::sleep(Duration::from_secs(3 << idle)).await;
    }
}
