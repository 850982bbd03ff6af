//! A client that carries out the calls of a history and tells their outcomes, directly or through an
//! adapter that plants a fault.

use crate::common::s3::{Answer, S3, Unknown};
use crate::record::{Place, Record, body, etag, is_multipart};
use bytes::Bytes;
use http::{Method, StatusCode};
use s3_tests::history::{Call, Condition, Event, Outcome, Value, Version, Versioning};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What stands between a client and the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adapter {
    None,
    /// Reads, judges the condition itself, and then writes without one: the commonest race of stores that
    /// were not built for conditional writes.
    CheckThenPublish,
    /// Answers reads with what it has read up to [`CACHED_FOR`] ago.
    CachedReads,
}

const CACHED_FOR: Duration = Duration::from_millis(30);

/// An upload with its part in place, to be completed, perhaps more than once.
pub type Upload = (String, Bytes);

/// What the clients of a run share.
pub struct Shared {
    pub record: Record,
    pub adapter: Adapter,
    /// Uploads by their value.
    pub uploads: Mutex<HashMap<Value, Upload>>,
    cache: Mutex<HashMap<usize, (Instant, Outcome)>>,
}

/// A client.
#[derive(Clone)]
pub struct Client {
    pub s3: S3,
    pub number: usize,
    /// Whether nobody else is at work: then a list is one moment's.
    pub is_alone: bool,
    pub shared: Arc<Shared>,
}

impl Shared {
    pub fn new(record: Record, adapter: Adapter) -> Self {
        Self {
            record,
            adapter,
            uploads: Mutex::default(),
            cache: Mutex::default(),
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

impl Client {
    fn place(&self, place: usize) -> &Place {
        &self.shared.record.places[place]
    }

    fn path(&self, place: usize) -> String {
        let place = self.place(place);
        format!("/{}/{}", place.bucket, place.key)
    }

    /// Carries out a call on a key and records it; its outcome.
    pub async fn call(&self, place: usize, call: Call) -> Outcome {
        self.call_on(&[place], call).await
    }

    /// Carries out a call that changes several keys at once and records it with each.
    pub async fn call_on(&self, places: &[usize], call: Call) -> Outcome {
        let record = &self.shared.record;
        let called = record.now();
        let outcome = self.adapted(places[0], call).await;
        let (outcome, returned) = match outcome {
            Ok(Some(outcome)) => (outcome, record.now()),
            // Refused without an effect: there is nothing to explain.
            Ok(None) => return Outcome::Failed,
            Err(Unknown(_)) => (Outcome::Unknown, u64::MAX),
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
        outcome
    }

    async fn adapted(&self, place: usize, call: Call) -> Result<Option<Outcome>, Unknown> {
        match (self.shared.adapter, call) {
            (Adapter::CachedReads, Call::Read) => {
                let cached = self.shared.cache.lock().unwrap().get(&place).cloned();
                if let Some((at, outcome)) = cached
                    && at.elapsed() < CACHED_FOR
                {
                    return Ok(Some(outcome));
                }
                let outcome = self.run(place, call).await?;
                if let Some(outcome) = &outcome {
                    let entry = (Instant::now(), outcome.clone());
                    self.shared.cache.lock().unwrap().insert(place, entry);
                }
                Ok(outcome)
            }
            (Adapter::CheckThenPublish, _) => self.check_then_publish(place, call).await,
            _ => self.run(place, call).await,
        }
    }

    async fn check_then_publish(
        &self,
        place: usize,
        call: Call,
    ) -> Result<Option<Outcome>, Unknown> {
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
                Some(Outcome::Found(value, _)) => Some(value),
                _ => None,
            };
            match (condition, current) {
                (Condition::Absent, Some(_)) => return Ok(Some(Outcome::Failed)),
                (Condition::Is(_), None) => return Ok(Some(Outcome::Missing)),
                (Condition::Is(asked), Some(current)) if asked != current => {
                    return Ok(Some(Outcome::Failed));
                }
                _ => {}
            }
        }
        self.run(place, bare).await
    }

    /// Sends the request of a call. None: it was refused and changed nothing.
    async fn run(&self, place: usize, call: Call) -> Result<Option<Outcome>, Unknown> {
        let answer = match call {
            Call::Put(value, condition) => self.put(place, value, condition).await?,
            Call::Complete(value, condition) => {
                let upload = self.shared.uploads.lock().unwrap()[&value].clone();
                let headers = header_of(condition);
                let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
                let key = &self.place(place).key;
                let bucket = &self.place(place).bucket;
                self.s3.complete(bucket, key, &upload, &headers).await?
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
            Call::List => self.list(place).await?,
            Call::SetVersioning(versioning) => self.set_versioning(place, versioning).await?,
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
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let path = self.path(place);
        self.s3
            .send(method, &path, &query, &headers, Bytes::new())
            .await
    }

    async fn put(
        &self,
        place: usize,
        value: Value,
        condition: Condition,
    ) -> Result<Answer, Unknown> {
        let mut headers = header_of(condition);
        headers.push(("x-amz-meta-value", value.to_string()));
        let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let path = self.path(place);
        self.s3
            .send(Method::PUT, &path, &[], &headers, body(value))
            .await
    }

    /// GET or, one time in two, HEAD.
    async fn read(&self, place: usize, version: Option<Version>) -> Result<Answer, Unknown> {
        let method = match self.shared.record.now() % 2 {
            0 => Method::GET,
            _ => Method::HEAD,
        };
        let answer = self.send(method.clone(), place, version, &[]).await?;
        if answer.status == StatusCode::OK {
            let value = self.value_in(&answer);
            let bytes = body(value);
            let is_whole = match method {
                Method::GET => answer.body == bytes,
                _ => answer.header("content-length") == Some(&bytes.len().to_string()),
            };
            assert!(
                is_whole,
                "value {value} is read with other bytes: {answer:?}"
            );
            assert_eq!(answer.header("etag"), Some(etag(value).as_str()));
        }
        Ok(answer)
    }

    fn value_in(&self, answer: &Answer) -> Value {
        let value = answer.header("x-amz-meta-value");
        let value = value.and_then(|text| text.parse().ok());
        value.unwrap_or_else(|| panic!("an object that no client wrote: {answer:?}"))
    }

    async fn list(&self, place: usize) -> Result<Answer, Unknown> {
        let Place { bucket, key, .. } = self.place(place);
        let query = [("versions", ""), ("prefix", key)];
        let path = format!("/{bucket}");
        self.s3
            .send(Method::GET, &path, &query, &[], Bytes::new())
            .await
    }

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
        self.s3
            .send(Method::PUT, &path, &query, &[], body.into())
            .await
    }

    /// Begins an upload of a new value and stores its part; None when the server did not answer.
    pub async fn upload(&self, place: usize) -> Option<Value> {
        let value = self.shared.record.new_value(true);
        assert!(is_multipart(value));
        let path = self.path(place);
        let meta = value.to_string();
        let headers = [("x-amz-meta-value", meta.as_str())];
        let send = self.s3.send(
            Method::POST,
            &path,
            &[("uploads", "")],
            &headers,
            Bytes::new(),
        );
        let id = send.await.ok()?.one("UploadId")?;
        let query = [("partNumber", "1"), ("uploadId", id.as_str())];
        let part = self
            .s3
            .send(Method::PUT, &path, &query, &[], body(value))
            .await
            .ok()?;
        let complete = format!(
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{}</ETag></Part>\
             </CompleteMultipartUpload>",
            part.header("etag")?
        );
        let mut uploads = self.shared.uploads.lock().unwrap();
        uploads.insert(value, (id, complete.into()));
        Some(value)
    }

    /// What an answer says.
    fn outcome(
        &self,
        place: usize,
        call: Call,
        answer: &Answer,
    ) -> Result<Option<Outcome>, Unknown> {
        let version = || {
            self.shared
                .record
                .version(answer.header("x-amz-version-id"))
        };
        let is_marker = answer.header("x-amz-delete-marker") == Some("true");
        Ok(Some(match (call, answer.status) {
            (_, status) if status.is_server_error() => {
                return Err(Unknown(status.to_string()));
            }
            (_, StatusCode::CONFLICT) => return Ok(None),
            (Call::Put(..) | Call::Complete(..), StatusCode::OK) => Outcome::Stored(version()),
            (Call::Put(..) | Call::Complete(..) | Call::Delete(_), StatusCode::NOT_FOUND) => {
                assert_eq!(answer.one("Code").as_deref(), Some("NoSuchKey"), "{call:?}");
                Outcome::Missing
            }
            (
                Call::Put(..) | Call::Complete(..) | Call::Delete(_),
                StatusCode::PRECONDITION_FAILED,
            ) => Outcome::Failed,
            (Call::Delete(_) | Call::DeleteVersion(_), StatusCode::NO_CONTENT) => {
                Outcome::Deleted(is_marker.then(version))
            }
            (Call::Read | Call::ReadVersion(_), StatusCode::OK) => {
                Outcome::Found(self.value_in(answer), version())
            }
            (Call::Read, StatusCode::NOT_FOUND)
            | (Call::ReadVersion(_), StatusCode::METHOD_NOT_ALLOWED)
                if is_marker =>
            {
                Outcome::Marker(version())
            }
            (Call::Read | Call::ReadVersion(_), StatusCode::NOT_FOUND) => Outcome::Missing,
            (Call::List, StatusCode::OK) => self.listed(place, answer),
            (Call::SetVersioning(_), StatusCode::OK) => Outcome::Set,
            _ => panic!("{call:?} was answered with {answer:?}"),
        }))
    }

    fn listed(&self, place: usize, answer: &Answer) -> Outcome {
        assert_eq!(answer.one("IsTruncated").as_deref(), Some("false"));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let mut entries = Vec::new();
        for block in text
            .split("<Version>")
            .flat_map(|part| part.split("<DeleteMarker>"))
        {
            let one = |tag: &str| {
                let rest = block.split(&format!("<{tag}>")).nth(1)?;
                rest.split(&format!("</{tag}>")).next()
            };
            let Some(id) = one("VersionId") else { continue };
            assert_eq!(one("Key"), Some(self.place(place).key.as_str()));
            let is_latest = one("IsLatest") == Some("true");
            assert_eq!(
                is_latest,
                entries.is_empty(),
                "only the newest is the latest: {text}"
            );
            let value = one("ETag").map(|etag| {
                let etag = etag.replace("&quot;", "\"");
                let value = self.shared.record.value_of(&etag);
                value.unwrap_or_else(|| panic!("a version that no client wrote: {block}"))
            });
            entries.push((self.shared.record.version(Some(id)), value));
        }
        Outcome::Listed(entries)
    }
}
