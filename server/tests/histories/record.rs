//! What the clients of one run recorded, and the names that stand in it.

use crate::common::workload::value as bytes_of;
use bytes::Bytes;
use openssl::hash::{MessageDigest, hash};
use s3_tests::history::{Event, History, Outcome, Value, Version, Versioning};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// A key under test.
#[derive(Debug, Clone)]
pub struct Place {
    pub bucket: String,
    pub key: String,
    /// The bucket's versioning at the start.
    pub versioning: Versioning,
    /// Whether the bucket's versioning changes during the run.
    pub is_mixed: bool,
}

/// The events of a run by key, their clock, and their names.
pub struct Record {
    pub places: Vec<Place>,
    started: Instant,
    next_value: AtomicU64,
    /// Values by their ETags.
    etags: Mutex<HashMap<String, Value>>,
    versions: Mutex<Interned>,
    events: Mutex<Vec<(usize, Event)>>,
}

#[derive(Default)]
struct Interned {
    texts: Vec<String>,
    places: HashMap<String, usize>,
}

/// Values of completed uploads are odd: their ETags are made in another way.
pub fn is_multipart(value: Value) -> bool {
    value % 2 == 1
}

/// The bytes that a value stands for: inline, whole copies or a stripe.
pub fn body(value: Value) -> Bytes {
    let length = match value / 2 % 16 {
        0 => 200_000,
        1 | 2 => 20_000,
        _ => 100,
    };
    bytes_of(value, length)
}

/// The ETag that S3 gives to a value.
pub fn etag(value: Value) -> String {
    let md5 = |bytes: &[u8]| hash(MessageDigest::md5(), bytes).unwrap();
    let digest = md5(&body(value));
    if is_multipart(value) {
        format!("\"{}-1\"", hex::encode(md5(&digest)))
    } else {
        format!("\"{}\"", hex::encode(digest))
    }
}

impl Record {
    pub fn new(places: Vec<Place>) -> Self {
        Self {
            places,
            started: Instant::now(),
            next_value: AtomicU64::new(16),
            etags: Mutex::default(),
            versions: Mutex::default(),
            events: Mutex::default(),
        }
    }

    /// Microseconds since the start.
    pub fn now(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// A value that nobody has.
    pub fn new_value(&self, is_multipart: bool) -> Value {
        let value = self.next_value.fetch_add(2, Ordering::Relaxed) + u64::from(is_multipart);
        self.etags.lock().unwrap().insert(etag(value), value);
        value
    }

    /// The value with this ETag, if it is one of the run's.
    pub fn value_of(&self, etag: &str) -> Option<Value> {
        self.etags.lock().unwrap().get(etag).copied()
    }

    pub fn version(&self, text: Option<&str>) -> Version {
        match text {
            None | Some("null") => Version::Null,
            Some(text) => {
                let mut names = self.versions.lock().unwrap();
                let next = names.texts.len();
                let place = *names.places.entry(text.to_owned()).or_insert(next);
                if place == next {
                    names.texts.push(text.to_owned());
                }
                Version::Id(place)
            }
        }
    }

    pub fn text_of(&self, version: Version) -> String {
        match version {
            Version::Null => "null".to_owned(),
            Version::Id(place) => self.versions.lock().unwrap().texts[place].clone(),
        }
    }

    pub fn add(&self, place: usize, event: Event) {
        self.events.lock().unwrap().push((place, event));
    }

    /// What was called before the last moment and was not answered has taken effect by now, or never will:
    /// the server that it was sent to is gone.
    pub fn settle(&self) {
        let now = self.now();
        for (_, event) in self.events.lock().unwrap().iter_mut() {
            if event.outcome == Outcome::Unknown && event.returned == u64::MAX {
                event.returned = now;
            }
        }
    }

    /// Each key's history.
    pub fn histories(&self) -> Vec<History> {
        let events = self.events.lock().unwrap();
        let of = |place: usize| events.iter().filter(move |(at, _)| *at == place);
        self.places
            .iter()
            .enumerate()
            .map(|(n, place)| History {
                key: format!("{}/{}", place.bucket, place.key),
                versioning: place.versioning,
                events: of(n).map(|(_, event)| event.clone()).collect(),
                versions: self.versions.lock().unwrap().texts.clone(),
            })
            .collect()
    }

    /// Calls that were not answered.
    pub fn unanswered(&self) -> usize {
        let events = self.events.lock().unwrap();
        let is_unknown = |(_, event): &&(usize, Event)| event.outcome == Outcome::Unknown;
        events.iter().filter(is_unknown).count()
    }

    /// How often each kind of call had each kind of outcome.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (_, event) in self.events.lock().unwrap().iter() {
            let first = |text: String| {
                let end = text.find(['(', ' ']).unwrap_or(text.len());
                text[..end].to_owned()
            };
            let kind = format!(
                "{} {}",
                first(format!("{:?}", event.call)),
                first(format!("{:?}", event.outcome))
            );
            *counts.entry(kind).or_default() += 1;
        }
        counts
    }

    /// Fails the test when the workload did not do what it is there for.
    pub fn assert_varied(&self) {
        let counts = self.counts();
        for kind in [
            "Put Stored",
            "Put Failed",
            "Put Missing",
            "Complete Stored",
            "Complete Failed",
            "Delete Deleted",
            "DeleteVersion Deleted",
            "Read Found",
            "Read Missing",
            "Read Marker",
            "ReadVersion Found",
            "ReadVersion Missing",
            "List Listed",
            "SetVersioning Set",
        ] {
            assert!(counts.contains_key(kind), "no {kind:?} in {counts:?}");
        }
    }
}
