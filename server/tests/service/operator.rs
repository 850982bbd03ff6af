//! Start, stop, configuration, users.

use crate::common::objects::{assert_right, store};
use crate::common::s3::S3;
use crate::common::server::Installation;
use crate::common::workload::value;
use http::{Method, StatusCode};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

const BUCKET: &str = "service";

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_uploads_and_a_start_finds_everything() {
    let dir = crate::common::server::directory();
    let mut installation = Installation::new(dir.path(), 6);
    installation.set("drain-timeout", "20s");
    let server = installation.start();
    server.s3.create_bucket(BUCKET).await.unwrap().ok();
    let objects = store(&server.s3, BUCKET, 0..8).await;

    let body = value(1, 2 << 20);
    let mut slow = TcpStream::connect(server.endpoint.trim_start_matches("http://")).unwrap();
    slow.write_all(
        server
            .s3
            .head_of_put("/service/slow", body.len())
            .as_bytes(),
    )
    .unwrap();
    slow.write_all(&body[..1 << 20]).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let (s3, admin) = (server.s3.clone(), server.admin.clone());
    let stopping = std::thread::spawn(move || server.stop());
    std::thread::sleep(Duration::from_millis(700));
    assert!(
        s3.get(BUCKET, "objects/1").await.is_err(),
        "no new connection is taken"
    );
    let mut health = TcpStream::connect(&admin).unwrap();
    let request = b"GET /health/serving HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    health.write_all(request).unwrap();
    let mut answer = String::new();
    health.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    slow.write_all(&body[1 << 20..]).unwrap();
    let mut answer = String::new();
    let _ = slow.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(stopping.join().unwrap(), Some(0));
    assert!(
        TcpStream::connect(admin).is_err(),
        "nothing listens any more"
    );

    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
    assert_eq!(server.s3.get(BUCKET, "slow").await.unwrap().ok().body, body);
}

/// `cairn config check` of a file with this text.
fn check_config(dir: &Path, text: &str) -> Output {
    let file = dir.join("cairn.toml");
    fs::write(&file, text).unwrap();
    Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["config", "check", "--config", file.to_str().unwrap()])
        .output()
        .unwrap()
}

#[test]
fn config_check_names_the_bad_line_and_binds_nothing() {
    let dir = crate::common::server::directory();
    // Taken: a check that binds would fail.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = \"{}\"\n", taken.local_addr().unwrap());
    let data = format!("data = [\"{}\"]\n", dir.path().join("disk").display());
    let good = check_config(dir.path(), &format!("{data}{listen}"));
    assert!(
        good.status.success(),
        "{}",
        String::from_utf8_lossy(&good.stderr)
    );
    assert!(!dir.path().join("disk").exists(), "nothing is made");

    let file = dir.path().join("cairn.toml");
    for (line, place) in [
        ("memory_limit = \"1 parsec\"", "line 3"),
        ("memori_limit = \"1GiB\"", "line 3"),
        ("reclaim_grace = \"1s\"", ":3"),
        ("region = [", "line 3"),
    ] {
        let bad = check_config(dir.path(), &format!("{data}{listen}{line}\n"));
        let said = String::from_utf8_lossy(&bad.stderr);
        assert!(!bad.status.success(), "{line} was taken");
        assert!(
            said.contains(place) && said.contains(file.to_str().unwrap()),
            "{line}: {said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_have_no_rights_on_the_buckets_of_others() {
    let dir = crate::common::server::directory();
    let mut installation = Installation::new(dir.path(), 6);
    installation
        .flags
        .push("--user=ann:canonical-ann:AKANN:secret-of-ann".to_owned());
    let server = installation.start();
    server.s3.create_bucket(BUCKET).await.unwrap().ok();
    server
        .s3
        .put(BUCKET, "key", value(1, 10))
        .await
        .unwrap()
        .ok();

    let ann = S3::new(&server.endpoint, "AKANN", "secret-of-ann");
    ann.create_bucket("of-ann").await.unwrap().ok();
    ann.put("of-ann", "key", value(2, 10)).await.unwrap().ok();
    let (bucket, object) = (format!("/{BUCKET}"), format!("/{BUCKET}/key"));
    let copy = [("x-amz-copy-source", object.as_str())];
    let forbidden = [
        (Method::GET, object.as_str(), &[][..]),
        (Method::HEAD, object.as_str(), &[]),
        (Method::PUT, object.as_str(), &[]),
        (Method::DELETE, object.as_str(), &[]),
        (Method::GET, bucket.as_str(), &[]),
        (Method::HEAD, bucket.as_str(), &[]),
        (Method::DELETE, bucket.as_str(), &[]),
        (Method::PUT, "/of-ann/copy", &copy),
    ];
    for (method, path, headers) in forbidden {
        let answer = ann
            .send(method.clone(), path, &[], headers, "".into())
            .await
            .unwrap();
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
    let buckets = ann
        .send(Method::GET, "/", &[], &[], "".into())
        .await
        .unwrap()
        .ok();
    assert_eq!(buckets.all("Name"), ["of-ann"]);
    let stranger = S3::new(&server.endpoint, "AKANN", "secret-of-bob");
    assert_eq!(
        stranger.get("of-ann", "key").await.unwrap().status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        server.s3.get(BUCKET, "key").await.unwrap().ok().body,
        value(1, 10)
    );
}
