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

/// Lets background work go on until `cairn check` finds no shard that the index does not know, no
/// missing shard and nothing damaged; fails after a minute.
pub async fn wait_until_clean(installation: &Installation, mut server: Server) {
    let mut last = Value::Null;
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(server.stop(), Some(0), "SIGTERM ends the server cleanly");
        let (sound, report) = run(installation);
        assert!(sound, "check finds the installation damaged: {report:#}");
        if report["unknown_chunks"] == 0 && report["missing_shards"] == 0 {
            return;
        }
        last = report;
        server = installation.start();
    }
    panic!("garbage or missing shards are left after a minute: {last:#}");
}
