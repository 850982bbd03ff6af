//! `cairn bench` on a server: what it reports, and that it leaves nothing behind.

use crate::common::server::{ACCESS_KEY, Installation, SECRET_KEY, Server};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn bench(server: &Server, secret_key: &str, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["bench", "run"])
        .args(["--endpoint", &server.endpoint, "--access-key", ACCESS_KEY])
        .args(["--secret-key", secret_key, "--connections", "4"])
        .args(["--duration", "1s"])
        .args(words)
        .output()
        .unwrap()
}

/// Runs with a report in JSON; fails the test if the run failed.
fn report(server: &Server, dir: &Path, words: &[&str]) -> Value {
    let file = dir.join("report.json");
    let pid = server.pid().to_string();
    let more = ["--json", file.to_str().unwrap(), "--server-pid", &pid];
    let output = bench(server, SECRET_KEY, &[words, more.as_slice()].concat());
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_reports_what_the_server_did() {
    let dir = crate::common::server::directory();
    let server = Installation::new(dir.path(), 6).start();

    let mix = "put=4,get=4,head=2,delete=2,list=1";
    let words = [
        "--mix",
        mix,
        "--size",
        "100,1MiB",
        "--objects",
        "60",
        "--warm-up=100ms",
    ];
    let report = report(&server, dir.path(), &words);
    let number = |pointer: &str| {
        let value = report.pointer(pointer).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("no number {pointer} in {report:#}"))
    };
    assert_eq!(number("/failed"), 0.0, "{report:#}");
    for operation in ["put", "get", "head", "delete", "list"] {
        let count = number(&format!("/by_operation/{operation}/operations"));
        assert!(count > 0.0, "no {operation}: {report:#}");
    }
    let sum: f64 = number("/ops_per_second") * number("/seconds");
    assert!((sum - number("/operations")).abs() < 0.5, "{report:#}");
    let (p50, p99) = (number("/latency_ms/p50"), number("/latency_ms/p99"));
    assert!(0.0 < p50 && p50 <= p99 && p99 <= number("/latency_ms/max"));
    assert!(number("/server/cpu_ms_per_op") > 0.0);
    assert!(number("/client_cpu_ms_per_op") > 0.0);
    let rss = number("/server/rss_bytes");
    assert!(rss > 1e6 && rss <= number("/server/peak_rss_bytes"));
    let buckets = server.s3.send(http::Method::GET, "/", &[], &[], "".into());
    assert_eq!(buckets.await.unwrap().ok().all("Name"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_counts_operations_and_keeps_what_it_is_told_to() {
    let dir = crate::common::server::directory();
    let server = Installation::new(dir.path(), 6).start();
    let words = [
        "--operations=50",
        "--warm-up=0s",
        "--payload=signed",
        "--keep",
    ];
    let report = report(&server, dir.path(), &words);
    assert_eq!(report["operations"], 50);
    let kept = server.s3.list("cairn-bench").await.unwrap();
    assert_eq!(kept.len(), 50);
    assert!(kept.iter().all(|(_, size)| *size == 4096), "{kept:?}");
    // Another run makes its own keys, and leaves those alone.
    let words = ["--operations=50", "--warm-up=0s"];
    bench(&server, SECRET_KEY, &words);
    assert_eq!(server.s3.list("cairn-bench").await.unwrap(), kept);
    // Told to use those, it would delete them at its end.
    let (key, _) = &kept[0];
    let (prefix, _) = key.rsplit_once('/').unwrap();
    let prefix = format!("--prefix={prefix}");
    let output = bench(&server, SECRET_KEY, &["--operations=50", &prefix]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains("--prefix") && message.contains("--keep"),
        "{message}"
    );
    assert_eq!(server.s3.list("cairn-bench").await.unwrap(), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn bench_with_a_wrong_secret_says_so() {
    let dir = crate::common::server::directory();
    let server = Installation::new(dir.path(), 6).start();
    let output = bench(&server, "not the secret", &[]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        message.contains("SignatureDoesNotMatch") && message.contains("--secret-key"),
        "{message}"
    );
    let output = bench(&server, "", &[]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("AWS_SECRET_ACCESS_KEY"), "{message}");
}
