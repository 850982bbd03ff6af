//! Writes on condition that there is nothing yet: exactly one wins, also when the server dies meanwhile.

use crate::common::s3::{Answer, S3, Unknown};
use crate::common::server::Installation;
use crate::common::workload::{Dice, value};
use bytes::Bytes;
use http::StatusCode;
use std::time::Duration;

const BUCKET: &str = "races";
const RACERS: u64 = 32;

/// What a racer sends to be the one that makes `key`.
#[derive(Clone)]
enum Entry {
    Put(Bytes),
    Complete((String, Bytes)),
}

async fn run(s3: &S3, key: &str, entry: &Entry) -> Result<Answer, Unknown> {
    match entry {
        Entry::Put(body) => s3.put_new(BUCKET, key, body.clone()).await,
        Entry::Complete(upload) => {
            s3.complete(BUCKET, key, upload, &[("if-none-match", "*")])
                .await
        }
    }
}

/// Entries of [`RACERS`] racers for one key; racer n brings `value(n, length)`.
async fn entries(s3: &S3, key: &str, is_multipart: bool, length: usize) -> Vec<Entry> {
    let mut entries = Vec::new();
    for racer in 0..RACERS {
        let body = value(racer, length);
        entries.push(if is_multipart {
            let upload = s3.upload(BUCKET, key, body).await.expect("an answer");
            Entry::Complete(upload.expect("the part is stored"))
        } else {
            Entry::Put(body)
        });
    }
    entries
}

/// Sends all entries at once; the outcome of each.
async fn race(s3: &S3, key: &str, entries: &[(u64, Entry)]) -> Vec<(u64, Result<Answer, Unknown>)> {
    let racers = entries.iter().cloned().map(|(racer, entry)| {
        let (s3, key) = (s3.clone(), key.to_owned());
        tokio::spawn(async move { (racer, run(&s3, &key, &entry).await) })
    });
    let mut outcomes = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        outcomes.push(racer.await.unwrap());
    }
    outcomes
}

/// Sorts outcomes into those who won and those who do not know.
fn sort(outcomes: Vec<(u64, Result<Answer, Unknown>)>) -> (Vec<u64>, Vec<u64>) {
    let (mut won, mut unknown) = (Vec::new(), Vec::new());
    for (racer, outcome) in outcomes {
        match outcome.map(|answer| answer.status) {
            Ok(StatusCode::OK) => won.push(racer),
            // Somebody else was first, or is about to be.
            Ok(StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT) => {}
            Ok(status) if !status.is_server_error() => panic!("racer {racer}: {status}"),
            Ok(_) | Err(_) => unknown.push(racer),
        }
    }
    (won, unknown)
}

/// The racer whose bytes the key has.
async fn winner(s3: &S3, key: &str, length: usize) -> Option<u64> {
    let answer = s3.get(BUCKET, key).await.expect("an answer");
    if answer.status == StatusCode::NOT_FOUND {
        return None;
    }
    let body = answer.ok().body;
    let winner = (0..RACERS).find(|racer| body == value(*racer, length));
    Some(winner.expect("the object is one of those that were sent"))
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_one_of_many_wins() {
    let dir = crate::common::server::directory();
    let server = Installation::new(dir.path(), 6).start();
    server.s3.create_bucket(BUCKET).await.unwrap().ok();
    for (round, length) in [100, 40_000, 300_000].into_iter().enumerate() {
        for is_multipart in [false, true] {
            let key = format!("{round}-{is_multipart}");
            let entries = entries(&server.s3, &key, is_multipart, length).await;
            let entries: Vec<_> = (0..).zip(entries).collect();
            let (won, unknown) = sort(race(&server.s3, &key, &entries).await);
            assert!(unknown.is_empty(), "nothing fails here");
            assert_eq!(won.len(), 1, "winners of {key}: {won:?}");
            assert_eq!(winner(&server.s3, &key, length).await, Some(won[0]));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_one_wins_when_the_server_dies_meanwhile() {
    let dir = crate::common::server::directory();
    let installation = Installation::new(dir.path(), 6);
    let mut server = installation.start();
    server.s3.create_bucket(BUCKET).await.unwrap().ok();
    let mut dice = Dice::new(5);
    for round in 0..12 {
        let (key, length) = (format!("key{round}"), [100, 200_000][round % 2]);
        let entries = entries(&server.s3, &key, round % 4 >= 2, length).await;
        let entries: Vec<_> = (0..).zip(entries).collect();
        let s3 = server.s3.clone();
        let (racing, name) = (entries.clone(), key.clone());
        let run = tokio::spawn(async move { race(&s3, &name, &racing).await });
        tokio::time::sleep(Duration::from_millis(dice.roll(80))).await;
        server.kill();
        let (won, unknown) = sort(run.await.unwrap());
        assert!(won.len() <= 1, "winners of {key}: {won:?}");

        // Those who do not know try again, as clients do.
        server = installation.start();
        let before = winner(&server.s3, &key, length).await;
        assert!(
            won.is_empty() || before == Some(won[0]),
            "{won:?} won, but {before:?} is there"
        );
        let again: Vec<_> = entries
            .into_iter()
            .filter(|(racer, _)| unknown.contains(racer))
            .collect();
        let outcomes = race(&server.s3, &key, &again).await;
        let after = winner(&server.s3, &key, length).await;
        assert!(
            before.is_none() || after == before,
            "{before:?} won, but {after:?} is there now"
        );
        let (won_later, _) = sort(
            // A repeated complete of the upload that has won is told so again.
            outcomes
                .into_iter()
                .filter(|(racer, _)| Some(*racer) != before)
                .collect(),
        );
        let winners = won_later.len() + usize::from(before.is_some());
        assert!(
            winners == 1 || unknown.is_empty(),
            "{before:?} and {won_later:?} won {key}"
        );
        println!("{key}: {} did not know, {after:?} won", unknown.len());
    }
}
