//! What the clients of one run recorded, and the names that stand in it.

use bytes::Bytes;
use openssl::hash::{MessageDigest, hash};
use parking_lot::Mutex;
use s3_tests::dice;
use s3_tests::history::{Event, History, Outcome, Value, Version, Versioning};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use types::clock::{Clock, SystemClock};

/// The shortest part of an upload that is not its last.
const FIRST_PART_BYTES: usize = 5 << 20;

/// A key under test.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its bucket.
    pub bucket: String,
    /// Its key.
    pub key: String,
    /// The bucket's versioning at the start.
    pub versioning: Versioning,
    /// Whether the bucket's versioning changes during the run.
    pub is_mixed: bool,
}

/// The events of a run by key, their clock, and their names.
#[derive(Debug)]
pub struct Record {
    /// The keys; events name them by their index.
    pub places: Vec<Place>,
    clock: SystemClock,
    next_value: AtomicU64,
    /// Values by their ETags.
    etags: Mutex<HashMap<String, Value>>,
    versions: Mutex<Interned>,
    events: Mutex<Vec<(usize, Event)>>,
    /// How many events each place has, and how many of them are writes without an answer.
    counts: Vec<(AtomicU64, AtomicU64)>,
    wrong: Mutex<Vec<String>>,
}

#[derive(Debug, Default)]
struct Interned {
    texts: Vec<String>,
    places: HashMap<String, usize>,
}

/// Values of completed uploads are odd: their ETags are made in another way.
#[must_use]
pub fn is_multipart(value: Value) -> bool {
    value % 2 == 1
}

/// The bytes that a value stands for: inline, whole copies or a stripe; some uploads have two parts.
#[must_use]
pub fn body(value: Value) -> Bytes {
    let length = match (value / 2 % 16, value / 2 % 128) {
        (_, 79) if is_multipart(value) => FIRST_PART_BYTES + 1_000,
        (0, _) => 200_000,
        (1 | 2, _) => 20_000,
        _ => 100,
    };
    dice::value(value, length)
}

/// The parts that a value is uploaded in.
#[must_use]
pub fn parts(value: Value) -> Vec<Bytes> {
    let body = body(value);
    if body.len() <= FIRST_PART_BYTES {
        return vec![body];
    }
    vec![
        body.slice(..FIRST_PART_BYTES),
        body.slice(FIRST_PART_BYTES..),
    ]
}

/// The ETag that S3 gives to a value.
#[must_use]
pub fn etag(value: Value) -> String {
    let md5 = |bytes: &[u8]| hash(MessageDigest::md5(), bytes).expect("OpenSSL has MD5");
    if is_multipart(value) {
        let parts = parts(value);
        let digests: Vec<u8> = parts.iter().flat_map(|part| md5(part).to_vec()).collect();
        format!("\"{}-{}\"", hex::encode(md5(&digests)), parts.len())
    } else {
        format!("\"{}\"", hex::encode(md5(&body(value))))
    }
}

impl Record {
    /// Nothing yet, about these keys.
    #[must_use]
    pub fn new(places: Vec<Place>) -> Self {
        Self {
            counts: places.iter().map(|_| Default::default()).collect(),
            places,
            clock: SystemClock::new(),
            next_value: AtomicU64::new(16),
            etags: Mutex::default(),
            versions: Mutex::default(),
            events: Mutex::default(),
            wrong: Mutex::default(),
        }
    }

    /// Microseconds since the start.
    pub fn now(&self) -> u64 {
        u64::try_from(self.clock.monotonic().as_micros()).unwrap_or(u64::MAX)
    }

    /// A value that nobody has.
    pub fn new_value(&self, is_multipart: bool) -> Value {
        let value = self.next_value.fetch_add(2, Ordering::Relaxed) + u64::from(is_multipart);
        self.etags.lock().insert(etag(value), value);
        value
    }

    /// The value with this ETag, if it is one of the run's.
    pub fn value_of(&self, etag: &str) -> Option<Value> {
        self.etags.lock().get(etag).copied()
    }

    /// The name of a version by its id in an answer.
    pub fn version(&self, text: Option<&str>) -> Version {
        match text {
            None | Some("null") => Version::Null,
            Some(text) => {
                let mut names = self.versions.lock();
                let next = names.texts.len();
                let place = *names.places.entry(text.to_owned()).or_insert(next);
                if place == next {
                    names.texts.push(text.to_owned());
                }
                Version::Id(place)
            }
        }
    }

    /// The id of a version, for a request.
    pub fn text_of(&self, version: Version) -> String {
        match version {
            Version::Null => "null".to_owned(),
            Version::Id(place) => self.versions.lock().texts[place].clone(),
        }
    }

    /// Adds an event of a place.
    pub fn add(&self, place: usize, event: Event) {
        let (events, unknown) = &self.counts[place];
        events.fetch_add(1, Ordering::Relaxed);
        if event.outcome == Outcome::Unknown {
            unknown.fetch_add(1, Ordering::Relaxed);
        }
        self.events.lock().push((place, event));
    }

    /// How many events a place has, and how many of them are writes without an answer.
    pub fn counts_of(&self, place: usize) -> (u64, u64) {
        let (events, unknown) = &self.counts[place];
        (
            events.load(Ordering::Relaxed),
            unknown.load(Ordering::Relaxed),
        )
    }

    /// Notes an answer that is wrong whatever else happened: no order of events can explain it.
    pub fn add_wrong(&self, what: String) {
        self.wrong.lock().push(what);
    }

    /// The answers that are wrong by themselves.
    pub fn wrong(&self) -> Vec<String> {
        self.wrong.lock().clone()
    }

    /// What was called before the last moment and was not answered has taken effect by now, or never will:
    /// the server that it was sent to is gone.
    pub fn settle(&self) {
        let now = self.now();
        for (_, event) in self.events.lock().iter_mut() {
            if event.outcome == Outcome::Unknown && event.returned == u64::MAX {
                event.returned = now;
            }
        }
    }

    /// Each key's history, of those to which anything happened.
    pub fn histories(&self) -> Vec<History> {
        let mut events: Vec<Vec<Event>> = self.places.iter().map(|_| Vec::new()).collect();
        for (place, event) in self.events.lock().iter() {
            events[*place].push(event.clone());
        }
        let versions = Arc::new(self.versions.lock().texts.clone());
        self.places
            .iter()
            .zip(events)
            .filter(|(_, events)| !events.is_empty())
            .map(|(place, events)| History {
                key: format!("{}/{}", place.bucket, place.key),
                versioning: place.versioning,
                events,
                versions: Arc::clone(&versions),
            })
            .collect()
    }

    /// All events, in the order in which they were recorded.
    pub fn events(&self) -> Vec<Event> {
        let events = self.events.lock();
        events.iter().map(|(_, event)| event.clone()).collect()
    }

    /// Writes that were not answered.
    pub fn unanswered(&self) -> usize {
        let events = self.events.lock();
        let is_unknown = |(_, event): &&(usize, Event)| event.outcome == Outcome::Unknown;
        events.iter().filter(is_unknown).count()
    }

    /// How often each kind of call had each kind of outcome.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for (_, event) in self.events.lock().iter() {
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
}
