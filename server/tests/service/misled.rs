//! `cairn bench` against services that answer wrongly: no figure of theirs may pass for one.

use crate::common::server::directory;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use http::{Method, Response, StatusCode, Uri};
use openssl::hash::{MessageDigest, hash};
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// What a service does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    Nothing,
    /// Every third GET has a flipped bit.
    OtherBytes,
    OtherEtag,
    /// Every third PUT is acknowledged and not stored.
    Forgets,
    /// Every third PUT is refused.
    Refuses,
    RefusesAll,
}

/// Objects in memory, and what is done to them.
#[derive(Debug)]
struct Liar {
    lie: Lie,
    objects: Mutex<HashMap<String, Bytes>>,
    requests: AtomicU64,
}

impl Liar {
    fn new(lie: Lie) -> Arc<Self> {
        Arc::new(Self {
            lie,
            objects: Mutex::default(),
            requests: AtomicU64::new(0),
        })
    }

    async fn listen(self: Arc<Self>, address: SocketAddr) -> String {
        let listener = TcpListener::bind(address).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(self);
        tokio::spawn(async move { axum::serve(listener, router).await });
        endpoint
    }

    fn put(&self, key: &str, body: Bytes, is_third: bool) -> Response<Body> {
        let md5 = hash(MessageDigest::md5(), &body).unwrap();
        let mut etag = hex::encode(md5);
        if self.lie == Lie::OtherEtag {
            let first = if etag.starts_with('0') { "1" } else { "0" };
            etag.replace_range(..1, first);
        }
        if self.lie == Lie::Refuses && is_third {
            return refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError");
        }
        if self.lie != Lie::Forgets || !is_third {
            self.objects.lock().unwrap().insert(key.to_owned(), body);
        }
        let answer = Response::builder().header("etag", format!("\"{etag}\""));
        answer.body(Body::empty()).unwrap()
    }

    fn get(&self, key: &str, is_third: bool) -> Response<Body> {
        let Some(body) = self.objects.lock().unwrap().get(key).cloned() else {
            return refusal(StatusCode::NOT_FOUND, "NoSuchKey");
        };
        if self.lie != Lie::OtherBytes || !is_third {
            return Response::new(Body::from(body));
        }
        let mut other = body.to_vec();
        *other.last_mut().unwrap() ^= 1;
        Response::new(Body::from(other))
    }
}

/// Any bucket is there; every list is empty.
async fn answer(
    State(liar): State<Arc<Liar>>,
    method: Method,
    uri: Uri,
    body: Bytes,
) -> Response<Body> {
    let key = uri.path();
    let is_third = liar.requests.fetch_add(1, Ordering::Relaxed) % 3 == 2;
    let is_object = key.matches('/').count() > 1 && key != "/health/ready";
    match method {
        Method::PUT | Method::GET if is_object && liar.lie == Lie::RefusesAll => {
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "InternalError")
        }
        Method::PUT if is_object => liar.put(key, body, is_third),
        Method::GET if is_object => liar.get(key, is_third),
        _ => Response::new(Body::empty()),
    }
}

fn refusal(status: StatusCode, code: &str) -> Response<Body> {
    let xml = format!("<Error><Code>{code}</Code><Message>planted</Message></Error>");
    let answer = Response::builder().status(status);
    answer.body(Body::from(xml)).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// `cairn bench run` against a service with this lie; what it printed, and the report.
async fn run(lie: Lie, words: &[&str]) -> (Output, Value) {
    let dir = directory();
    let file = dir.path().join("report.json");
    let endpoint = Liar::new(lie).listen(([127, 0, 0, 1], 0).into()).await;
    let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["bench", "run", "--endpoint", &endpoint])
        .args(["--access-key=KEY", "--secret-key=SECRET", "--connections=2"])
        .args(["--duration=10s", "--operations=60", "--warm-up=0s"])
        .args(["--json", file.to_str().unwrap()])
        .args(words)
        .output()
        .unwrap();
    (output, json(&file))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_says_what_was_wrong_and_ends_with_an_error() {
    let other_bytes = "WRONG: the object has other bytes than were stored";
    let other_etag = "WRONG: the ETag of a PUT is not the MD5 of what was sent";
    let large = "--size=1MiB";
    for (lie, words, label) in [
        (Lie::OtherBytes, &["--mix=get"][..], other_bytes.to_owned()),
        (Lie::OtherBytes, &[], format!("read back: {other_bytes}")),
        (Lie::OtherEtag, &[], other_etag.to_owned()),
        (Lie::OtherEtag, &[large], format!("read back: {other_etag}")),
        (Lie::Forgets, &[], "read back: 404 NoSuchKey".to_owned()),
        (Lie::Refuses, &[], "500 InternalError".to_owned()),
        (Lie::RefusesAll, &[], "500 InternalError".to_owned()),
        (
            Lie::Nothing,
            &["--mix=list"],
            "WRONG: a list lacks objects that were stored".to_owned(),
        ),
    ] {
        let (output, report) = run(lie, words).await;
        let said = text(&output.stdout) + &text(&output.stderr);
        let about = format!("{lie:?} {words:?}: {said}\n{report:#}");
        assert_eq!(output.status.code(), Some(1), "{about}");
        assert!(report["failed"].as_u64().unwrap() > 0, "{about}");
        assert!(report["errors"][&label].as_u64().unwrap() > 0, "{about}");
        assert!(said.contains(&format!("x {label}")), "{about}");
        assert!(said.contains("operations failed"), "{about}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_cannot_begin_leaves_the_reason_in_the_report() {
    let (output, report) = run(Lie::RefusesAll, &["--mix=get"]).await;
    assert_eq!(output.status.code(), Some(1));
    let error = report["error"].as_str().unwrap();
    assert!(error.contains("500 InternalError"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_with_right_answers_reads_back_what_was_put() {
    for words in [&[][..], &["--size=1MiB"], &["--mix=get"]] {
        let (output, report) = run(Lie::Nothing, words).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
        let expected = if words.contains(&"--mix=get") { 0 } else { 60 };
        assert_eq!(report["read_back"], expected, "{report:#}");
        assert_eq!(report["failed"], 0, "{report:#}");
    }
}

/// A file that the suite takes for the binary: it says where it is to listen, and lives as long as it may. The test
/// listens in its place.
fn stand_in(dir: &Path) -> PathBuf {
    let file = dir.join("stand-in");
    let told = dir.display();
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >'{told}/'$$.new && mv '{told}/'$$.new '{told}/'$$.args\nexec sleep 300\n"
    );
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    file
}

/// Listens wherever a stand-in of `dir` was told to.
async fn listen_for_stand_ins(dir: PathBuf, lie: Lie) {
    loop {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let file = entry.unwrap().path();
            if file.extension().is_none_or(|extension| extension != "args") {
                continue;
            }
            let words = std::fs::read_to_string(&file).unwrap();
            std::fs::remove_file(&file).unwrap();
            let liar = Liar::new(lie);
            for word in words.lines() {
                let address = word
                    .strip_prefix("--listen=")
                    .or_else(|| word.strip_prefix("--admin-listen="));
                if let Some(address) = address {
                    liar.clone().listen(address.parse().unwrap()).await;
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// `cairn bench suite` on servers with this lie; what it printed, and its JSON.
async fn suite(lie: Lie) -> (Output, Value) {
    let dir = directory();
    let root = dir.path();
    let binary = stand_in(root);
    let listening = tokio::spawn(listen_for_stand_ins(root.to_owned(), lie));
    let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["bench", "suite", "--rows=put-4k,get-4k", "--rounds=1"])
        .args(["--duration=200ms", "--label=test"])
        .arg("--data")
        .arg(root.join("data"))
        .arg("--results")
        .arg(root.join("results"))
        .arg("--binary")
        .arg(binary)
        .output()
        .unwrap();
    listening.abort();
    (output, json(&root.join("results/test.json")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suite_of_wrong_answers_has_failed() {
    for (lie, failed, label) in [
        (Lie::Nothing, &[][..], ""),
        (Lie::OtherBytes, &["put-4k", "get-4k"], "WRONG: the object"),
        (Lie::Refuses, &["put-4k", "get-4k"], "500 InternalError"),
    ] {
        let (output, outcome) = suite(lie).await;
        let (table, said) = (text(&output.stdout), text(&output.stderr));
        let about = format!("{lie:?}: {table}\n{said}");
        for row in outcome["rows"].as_array().unwrap() {
            let name = row["name"].as_str().unwrap();
            let begin = format!("| {name} ");
            let line = table.lines().find(|line| line.starts_with(&begin));
            let line = line.unwrap_or_else(|| panic!("no {name}: {about}"));
            let has_failed = failed.contains(&name);
            // The stand-in uses no CPU, so every limit is kept.
            assert_eq!(line.contains("FAILED"), has_failed, "{about}");
            assert_eq!(line.contains("met"), !has_failed, "{about}");
            assert_eq!(row["result"] == "FAILED", has_failed, "{about}");
        }
        assert_eq!(output.status.success(), failed.is_empty(), "{about}");
        let has_line = said.contains("FAILED: put-4k, get-4k: operations failed");
        assert_eq!(has_line, !failed.is_empty(), "{about}");
        assert!(table.contains(label), "{about}");
    }
}

#[test]
fn options_that_say_nothing_are_refused() {
    for (words, named) in [
        (&["--fast"][..], "--fast"),
        (&["run", "--threads=3", "--connections=2"], "--threads"),
        (&["run", "--objects=5"], "--objects"),
        (&["suite", "--data=.", "--rows=put-5k"], "put-5k"),
        (&["suite", "--data=.", "--duration=0s"], "--duration"),
        (&["--mix=get", "suite", "--data=."], "suite"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .arg("bench")
            .args(words)
            .args(if words[0] == "run" {
                &["--access-key=KEY", "--secret-key=SECRET"][..]
            } else {
                &[]
            })
            .output()
            .unwrap();
        let said = text(&output.stderr);
        assert!(!output.status.success(), "{words:?}");
        assert!(said.contains(named), "{words:?}: {said}");
    }
}

#[test]
fn the_help_says_what_the_exit_code_means() {
    let help = |command: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .args(["bench", command, "--help"])
            .output()
            .unwrap();
        text(&output.stdout)
    };
    let suite = help("suite");
    assert!(
        suite.contains("FAILED") && suite.contains("MISSED"),
        "{suite}"
    );
    let run = help("run");
    assert!(run.contains("Ends with 1"), "{run}");
}
