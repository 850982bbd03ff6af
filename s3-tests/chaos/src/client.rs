//! A client that carries out the calls of a history through any of several gateways and tells their
//! outcomes, directly or through an adapter that plants a fault.

mod lists;

use crate::record::{Place, Record, body, etag, is_multipart, parts};
use bytes::Bytes;
use http::{Method, StatusCode};
use parking_lot::Mutex;
use s3_tests::history::{Call, Condition, Event, Outcome, Value, Version, Versioning};
use s3_tests::s3::{Answer, S3, Unknown};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What stands between a client and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    /// Nothing.
    None,
    /// Reads, judges the condition itself, and then writes without one: the commonest race of stores that
    /// were not built for conditional writes.
    CheckThenPublish,
    /// Answers reads with what it has read up to 30 ms ago.
    CachedReads,
    /// Answers every hundredth PUT without storing it.
    LostWrites,
}

const CACHED_FOR_US: u64 = 30_000;

/// An upload with its parts in place, to be completed, perhaps more than once.
pub type Upload = (String, Bytes);

/// What the clients of a run share.
#[derive(Debug)]
pub struct Shared {
    /// What they saw.
    pub record: Record,
    /// What stands between them and the server.
    pub adapter: Adapter,
    /// Uploads by their value.
    pub uploads: Mutex<HashMap<Value, Upload>>,
    cache: Mutex<HashMap<usize, (u64, Outcome)>>,
    /// Requests so far: each goes to the next gateway.
    turn: AtomicUsize,
}

/// A client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Where requests go, in turns.
    pub gateways: Arc<Vec<S3>>,
    /// Its name in events.
    pub number: usize,
    /// Whether nobody else is at work: then a list of versions is one moment's.
    pub is_alone: bool,
    /// What it shares with the others.
    pub shared: Arc<Shared>,
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It was answered, and recorded.
    Answered(Outcome),
    /// It certainly changed nothing, and told nothing.
    Refused,
    /// It was not answered.
    Lost,
    /// The answer is wrong whatever else happened; that is noted.
    Wrong,
}

/// Why there is no outcome.
enum NoOutcome {
    Refused,
    Lost,
    Wrong,
}

impl From<Unknown> for NoOutcome {
    fn from(unknown: Unknown) -> Self {
        if unknown.is_sent {
            Self::Lost
        } else {
            Self::Refused
        }
    }
}

impl Shared {
    /// With nothing done yet.
    #[must_use]
    pub fn new(record: Record, adapter: Adapter) -> Self {
        Self {
            record,
            adapter,
            uploads: Mutex::default(),
            cache: Mutex::default(),
            turn: AtomicUsize::new(0),
        }
    }
}

fn header_of(condition: Condition) -> Vec<(&'static str, String)> {
    match condition {
        Condition::Always => Vec::new(),
        Condition::Absent => vec![("if-none-match", "*".to_owned())],
        Condition::Is(value) => vec![("if-match", etag(value))],
    }
}

/// As the client takes headers.
fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'static str, &'a str)> {
    headers.iter().map(|(n, v)| (*n, v.as_str())).collect()
}

impl Client {
    fn place(&self, place: usize) -> &Place {
        &self.shared.record.places[place]
    }

    fn path(&self, place: usize) -> String {
        let place = self.place(place);
        format!("/{}/{}", place.bucket, place.key)
    }

    /// The gateway of the next request.
    fn s3(&self) -> &S3 {
        let turn = self.shared.turn.fetch_add(1, Ordering::Relaxed);
        &self.gateways[turn % self.gateways.len()]
    }

    fn wrong(&self, place: usize, what: &str) -> NoOutcome {
        let at_ms = self.shared.record.now() / 1000;
        let path = self.path(place);
        let text = format!("{path} at {at_ms} ms, client {}: {what}", self.number);
        self.shared.record.add_wrong(text);
        NoOutcome::Wrong
    }

    /// Carries out a call on a key and records it.
    pub async fn call(&self, place: usize, call: Call) -> Told {
        self.call_on(&[place], call).await
    }

    /// Carries out a call that changes several keys at once and records it with each.
    pub async fn call_on(&self, places: &[usize], call: Call) -> Told {
        let record = &self.shared.record;
        let called = record.now();
        let is_read = matches!(call, Call::Read | Call::ReadVersion(_) | Call::List);
        let (outcome, returned) = match self.adapted(places[0], call).await {
            Ok(outcome) => (outcome, record.now()),
            Err(NoOutcome::Refused) => return Told::Refused,
            Err(NoOutcome::Wrong) => return Told::Wrong,
            Err(NoOutcome::Lost) if is_read => return Told::Lost,
            Err(NoOutcome::Lost) => (Outcome::Unknown, u64::MAX),
        };
        let event = |call, outcome: &Outcome| Event {
            client: self.number,
            called,
            returned,
            call,
            outcome: outcome.clone(),
        };
        for place in places {
            match &outcome {
                // A list of versions is no snapshot of them: each entry was there at some moment.
                Outcome::Listed(entries) if !self.is_alone => {
                    for (version, value) in entries {
                        let seen = match value {
                            Some(value) => Outcome::Found(*value, *version),
                            None => Outcome::Marker(*version),
                        };
                        record.add(*place, event(Call::ReadVersion(*version), &seen));
                    }
                }
                _ => record.add(*place, event(call, &outcome)),
            }
        }
        match outcome {
            Outcome::Unknown => Told::Lost,
            outcome => Told::Answered(outcome),
        }
    }

    async fn adapted(&self, place: usize, call: Call) -> Result<Outcome, NoOutcome> {
        match (self.shared.adapter, call) {
            (Adapter::CachedReads, Call::Read) => {
                let now = self.shared.record.now();
                let cached = self.shared.cache.lock().get(&place).cloned();
                if let Some((at, outcome)) = cached
                    && now - at < CACHED_FOR_US
                {
                    return Ok(outcome);
                }
                let outcome = self.run(place, call).await?;
                let entry = (self.shared.record.now(), outcome.clone());
                self.shared.cache.lock().insert(place, entry);
                Ok(outcome)
            }
            (Adapter::CheckThenPublish, _) => self.check_then_publish(place, call).await,
            (Adapter::LostWrites, Call::Put(value, Condition::Always))
                if self.place(place).versioning == Versioning::Off && value % 100 == 0 =>
            {
                Ok(Outcome::Stored(Version::Null))
            }
            _ => self.run(place, call).await,
        }
    }

    async fn check_then_publish(&self, place: usize, call: Call) -> Result<Outcome, NoOutcome> {
        let (condition, bare) = match call {
            Call::Put(value, condition) => (condition, Call::Put(value, Condition::Always)),
            Call::Complete(value, condition) => {
                (condition, Call::Complete(value, Condition::Always))
            }
            Call::Delete(condition) => (condition, Call::Delete(Condition::Always)),
            other => (Condition::Always, other),
        };
        if condition != Condition::Always {
            let current = match self.run(place, Call::Read).await? {
                Outcome::Found(value, _) => Some(value),
                _ => None,
            };
            match (condition, current) {
                (Condition::Absent, Some(_)) => return Ok(Outcome::Failed),
                (Condition::Is(_), None) => return Ok(Outcome::Missing),
                (Condition::Is(asked), Some(current)) if asked != current => {
                    return Ok(Outcome::Failed);
                }
                _ => {}
            }
        }
        self.run(place, bare).await
    }

    /// Sends the request of a call.
    async fn run(&self, place: usize, call: Call) -> Result<Outcome, NoOutcome> {
        let answer = match call {
            Call::Put(value, condition) => self.put(place, value, condition).await?,
            Call::Complete(value, condition) => {
                let upload = self.shared.uploads.lock()[&value].clone();
                let headers = header_of(condition);
                let Place { bucket, key, .. } = self.place(place);
                let s3 = self.s3();
                s3.complete(bucket, key, &upload, &borrowed(&headers))
                    .await?
            }
            Call::Delete(condition) => {
                let headers = header_of(condition);
                self.send(Method::DELETE, place, None, &headers).await?
            }
            Call::DeleteVersion(version) => {
                self.send(Method::DELETE, place, Some(version), &[]).await?
            }
            Call::Read => self.read(place, None).await?,
            Call::ReadVersion(version) => self.read(place, Some(version)).await?,
            Call::List => self.versions_of(place).await?,
            Call::SetVersioning(versioning) => self.set_versioning(place, versioning).await?,
            Call::Look => unreachable!("lists of objects are recorded by page: see `look`"),
        };
        self.outcome(place, call, &answer)
    }

    async fn send(
        &self,
        method: Method,
        place: usize,
        version: Option<Version>,
        headers: &[(&'static str, String)],
    ) -> Result<Answer, Unknown> {
        let version = version.map(|version| self.shared.record.text_of(version));
        let query: Vec<_> = version
            .iter()
            .map(|id| ("versionId", id.as_str()))
            .collect();
        let path = self.path(place);
        let headers = borrowed(headers);
        let s3 = self.s3();
        s3.send(method, &path, &query, &headers, Bytes::new()).await
    }

    async fn put(
        &self,
        place: usize,
        value: Value,
        condition: Condition,
    ) -> Result<Answer, Unknown> {
        let mut headers = header_of(condition);
        headers.push(("x-amz-meta-value", value.to_string()));
        let path = self.path(place);
        let s3 = self.s3();
        s3.send(Method::PUT, &path, &[], &borrowed(&headers), body(value))
            .await
    }

    /// GET or, one time in two, HEAD.
    async fn read(&self, place: usize, version: Option<Version>) -> Result<Answer, NoOutcome> {
        let method = match self.shared.record.now() % 2 {
            0 => Method::GET,
            _ => Method::HEAD,
        };
        let answer = self.send(method.clone(), place, version, &[]).await?;
        if answer.status == StatusCode::OK {
            let value = self.value_in(place, &answer)?;
            let bytes = body(value);
            let is_whole = match method {
                Method::GET => answer.body == bytes,
                _ => answer.header("content-length") == Some(&bytes.len().to_string()),
            };
            if !is_whole || answer.header("etag") != Some(etag(value).as_str()) {
                let (length, headers) = (answer.body.len(), &answer.headers);
                let what = format!(
                    "{method} of v{value} has other bytes: {length} of {}, {headers:?}",
                    bytes.len()
                );
                return Err(self.wrong(place, &what));
            }
        }
        Ok(answer)
    }

    fn value_in(&self, place: usize, answer: &Answer) -> Result<Value, NoOutcome> {
        let value = answer.header("x-amz-meta-value");
        let value = value.and_then(|text| text.parse().ok());
        value.ok_or_else(|| self.wrong(place, &format!("nobody wrote this: {:?}", answer.headers)))
    }

    /// Sets the versioning of a place's bucket.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn set_versioning(
        &self,
        place: usize,
        versioning: Versioning,
    ) -> Result<Answer, Unknown> {
        let body = format!(
            "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
             <Status>{versioning:?}</Status></VersioningConfiguration>"
        );
        let path = format!("/{}", self.place(place).bucket);
        let query = [("versioning", "")];
        self.s3()
            .send(Method::PUT, &path, &query, &[], body.into())
            .await
    }

    /// Begins an upload of a new value and stores its parts, each request through the next gateway; None
    /// when one was not answered. An upload that is not completed changes nothing that is recorded.
    pub async fn upload(&self, place: usize) -> Option<Value> {
        let value = self.shared.record.new_value(true);
        debug_assert!(is_multipart(value));
        let path = self.path(place);
        let meta = value.to_string();
        let headers = [("x-amz-meta-value", meta.as_str())];
        let query = [("uploads", "")];
        let begun = self
            .s3()
            .send(Method::POST, &path, &query, &headers, Bytes::new());
        let id = begun.await.ok()?.one("UploadId")?;
        let mut listed = String::new();
        for (part, number) in parts(value).into_iter().zip(1..) {
            let text = format!("{number}");
            let query = [("partNumber", text.as_str()), ("uploadId", id.as_str())];
            let stored = self.s3().send(Method::PUT, &path, &query, &[], part);
            let stored = stored.await.ok()?;
            let etag = stored.header("etag")?;
            listed += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
        }
        let complete = format!("<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>");
        let mut uploads = self.shared.uploads.lock();
        uploads.insert(value, (id, complete.into()));
        Some(value)
    }

    /// What an answer says.
    fn outcome(&self, place: usize, call: Call, answer: &Answer) -> Result<Outcome, NoOutcome> {
        let version = || {
            let id = answer.header("x-amz-version-id");
            self.shared.record.version(id)
        };
        let is_marker = answer.header("x-amz-delete-marker") == Some("true");
        let is_write = matches!(call, Call::Put(..) | Call::Complete(..) | Call::Delete(_));
        let code = answer.one("Code");
        Ok(match (call, answer.status) {
            (_, status) if status.is_server_error() => return Err(NoOutcome::Lost),
            // Refused without an effect: there is nothing to explain.
            (_, StatusCode::CONFLICT) => return Err(NoOutcome::Refused),
            // By an index whose clock has gone back.
            (_, StatusCode::BAD_REQUEST) if code.as_deref() == Some("RequestTimeout") => {
                return Err(NoOutcome::Refused);
            }
            // By a gateway whose clock is far off. An answer to HEAD has no code.
            (_, StatusCode::FORBIDDEN)
                if code
                    .as_deref()
                    .is_none_or(|code| code == "RequestTimeTooSkewed") =>
            {
                return Err(NoOutcome::Refused);
            }
            (Call::Put(..) | Call::Complete(..), StatusCode::OK) => Outcome::Stored(version()),
            (_, StatusCode::NOT_FOUND) if is_write && code.as_deref() == Some("NoSuchKey") => {
                Outcome::Missing
            }
            (_, StatusCode::PRECONDITION_FAILED) if is_write => Outcome::Failed,
            (Call::Delete(_) | Call::DeleteVersion(_), StatusCode::NO_CONTENT) => {
                Outcome::Deleted(is_marker.then(version))
            }
            (Call::Read | Call::ReadVersion(_), StatusCode::OK) => {
                Outcome::Found(self.value_in(place, answer)?, version())
            }
            (Call::Read, StatusCode::NOT_FOUND)
            | (Call::ReadVersion(_), StatusCode::METHOD_NOT_ALLOWED)
                if is_marker =>
            {
                Outcome::Marker(version())
            }
            (Call::Read | Call::ReadVersion(_), StatusCode::NOT_FOUND) => Outcome::Missing,
            (Call::List, StatusCode::OK) => self.versions_in(place, answer)?,
            (Call::SetVersioning(_), StatusCode::OK) => Outcome::Set,
            _ => {
                let text = String::from_utf8_lossy(&answer.body);
                let (status, headers) = (answer.status, &answer.headers);
                let what = format!("{call:?} was answered with {status} {text} {headers:?}");
                return Err(self.wrong(place, &what));
            }
        })
    }
}
