//! Writers with keys of their own, what was acknowledged to them, and the check of it.
//!
//! Each key has one writer, so its history is a sequence: the last acknowledged state, and at most one
//! operation whose fate is unknown because the server died. After a restart the key must be in the
//! acknowledged state or, where an operation was unknown, in the one that operation makes.
//! Races on one key are not covered here; other tests have them.

use super::s3::{Answer, S3, Unknown};
use super::server::Server;
use bytes::Bytes;
use http::{Method, StatusCode};
pub use s3_tests::dice::{Dice, value};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub const BUCKET: &str = "workload";

/// Writers at work at once.
pub const WRITERS: usize = 32;

/// What [`verify`] says in a panic of an object that is not as it was acknowledged to be.
pub const BROKEN_PROMISE: &str = "an acknowledged change is not there";

/// The content of a key: a value by its seed and length, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Absent,
    Value { seed: u64, length: usize },
}

/// What is known of one key.
#[derive(Debug, Clone)]
pub struct Known {
    pub acknowledged: State,
    pub unknown: Option<State>,
}

/// Everything that one writer knows.
pub type Ledger = BTreeMap<String, Known>;

/// A length from the classes that are stored differently: empty, inline, small, one stripe, several.
fn length(dice: &mut Dice) -> usize {
    let most = [
        1,
        4 << 10,
        16 << 10,
        64 << 10,
        128 << 10,
        300 << 10,
        1 << 20,
        3 << 20,
    ];
    let class = dice.roll(8) as usize;
    dice.roll(most[class]) as usize
}

/// Lets a writer for each ledger run for a random time, kills the server, and returns what each knows.
pub async fn run_and_kill(
    server: Server,
    ledgers: Vec<Ledger>,
    dice: &mut Dice,
    done: &Arc<AtomicU64>,
) -> Vec<Ledger> {
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = ledgers
        .into_iter()
        .zip(0..)
        .map(|(ledger, writer)| {
            let (s3, stop, done) = (server.s3.clone(), Arc::clone(&stop), Arc::clone(done));
            tokio::spawn(write(s3, writer, ledger, stop, done))
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200 + dice.roll(1800))).await;
    server.kill();
    stop.store(true, Ordering::Relaxed);
    let mut known = Vec::new();
    for writer in writers {
        known.push(
            writer
                .await
                .expect("a writer goes on until the server dies"),
        );
    }
    known
}

/// One writer: keeps changing its keys until told to stop or an answer is unknown.
pub async fn write(
    s3: S3,
    writer: u64,
    mut ledger: Ledger,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> Ledger {
    let mut dice =
        Dice::new(writer ^ done.load(Ordering::Relaxed).wrapping_mul(7919) ^ ledger.len() as u64);
    while !stop.load(Ordering::Relaxed) {
        let key = format!("w{writer:02}/{}", dice.roll(12));
        let state = match dice.roll(10) {
            0 | 1 => State::Absent,
            _ => State::Value {
                seed: dice.roll(u64::MAX >> 12),
                length: length(&mut dice),
            },
        };
        let known = ledger.entry(key.clone()).or_insert(Known {
            acknowledged: State::Absent,
            unknown: None,
        });
        known.unknown = Some(state);
        match change(&s3, &key, state, &mut dice).await {
            Ok(answer) if answer.status.is_success() => {
                *known = Known {
                    acknowledged: state,
                    unknown: None,
                };
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) if answer.status.is_client_error() => {
                panic!(
                    "{key}: {} {}",
                    answer.status,
                    String::from_utf8_lossy(&answer.body)
                )
            }
            // 5xx: the server says that it could not tell. Read it back later; stop touching keys when dead.
            Ok(_) => {}
            Err(_) => return ledger,
        }
        if known.unknown.is_some() {
            settle(&s3, &key, known).await;
        }
    }
    ledger
}

/// After a 5xx, reads the key so that the next change starts from a known state.
async fn settle(s3: &S3, key: &str, known: &mut Known) {
    if let Ok(found) = read(s3, key, known).await {
        *known = Known {
            acknowledged: found,
            unknown: None,
        };
    }
}

async fn change(s3: &S3, key: &str, state: State, dice: &mut Dice) -> Result<Answer, Unknown> {
    match state {
        State::Absent => s3.delete(BUCKET, key).await,
        State::Value { seed, length } if dice.roll(6) == 0 => {
            multipart(s3, key, value(seed, length)).await
        }
        State::Value { seed, length } if dice.roll(6) == 0 => {
            copied(s3, key, value(seed, length)).await
        }
        State::Value { seed, length } => s3.put(BUCKET, key, value(seed, length)).await,
    }
}

/// Uploads the value in one part (smaller first parts are not allowed).
async fn multipart(s3: &S3, key: &str, body: Bytes) -> Result<Answer, Unknown> {
    match s3.upload(BUCKET, key, body).await? {
        Ok(upload) => s3.complete(BUCKET, key, &upload, &[]).await,
        Err(answer) => Ok(answer),
    }
}

/// Stores the value under another name, copies it, and removes the first.
async fn copied(s3: &S3, key: &str, body: Bytes) -> Result<Answer, Unknown> {
    let from = format!("tmp-{}", key.replace('/', "-"));
    let stored = s3.put(BUCKET, &from, body).await?;
    if !stored.status.is_success() {
        return Ok(stored);
    }
    let source = format!("/{BUCKET}/{from}");
    let headers = [("x-amz-copy-source", source.as_str())];
    let answer = s3
        .send(
            Method::PUT,
            &format!("/{BUCKET}/{key}"),
            &[],
            &headers,
            Bytes::new(),
        )
        .await?;
    s3.delete(BUCKET, &from).await?;
    Ok(answer)
}

/// Reads a key and says in which of the states allowed by `known` it is; panics if in none.
async fn read(s3: &S3, key: &str, known: &Known) -> Result<State, Unknown> {
    let answer = s3.get(BUCKET, key).await?;
    let allowed = std::iter::once(known.acknowledged).chain(known.unknown);
    for state in allowed {
        let matches = match state {
            State::Absent => answer.status == StatusCode::NOT_FOUND,
            State::Value { seed, length } => {
                answer.status == StatusCode::OK
                    && answer.body.len() == length
                    && answer.body == value(seed, length)
            }
        };
        if matches {
            return Ok(state);
        }
    }
    if answer.status.is_server_error() {
        return Err(Unknown::sent(format!("{key}: {}", answer.status)));
    }
    panic!(
        "{BROKEN_PROMISE}: {key} should be {known:?}, but GET gives {} and {} bytes",
        answer.status,
        answer.body.len()
    );
}

/// Reads every key; each must be as acknowledged, or as an unknown operation would leave it. The list
/// must agree with the reads. Returns the ledgers with every key known.
pub async fn verify(s3: &S3, ledgers: Vec<Ledger>) -> Vec<Ledger> {
    let mut settled = Vec::new();
    let mut live = BTreeMap::new();
    for ledger in ledgers {
        let mut next = Ledger::new();
        for (key, known) in ledger {
            let found = read(s3, &key, &known)
                .await
                .unwrap_or_else(|error| panic!("{BROKEN_PROMISE}: {key}: {error:?}"));
            if let State::Value { length, .. } = found {
                live.insert(key.clone(), length as u64);
            }
            next.insert(
                key,
                Known {
                    acknowledged: found,
                    unknown: None,
                },
            );
        }
        settled.push(next);
    }
    let listed: BTreeMap<String, u64> = s3
        .list(BUCKET)
        .await
        .expect("the bucket can be listed")
        .into_iter()
        .collect();
    let listed: BTreeMap<String, u64> = listed
        .into_iter()
        .filter(|(key, _)| !key.starts_with("tmp-"))
        .collect();
    assert_eq!(listed, live, "the list agrees with what reads find");
    settled
}
