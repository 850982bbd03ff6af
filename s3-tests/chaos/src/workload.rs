//! Clients that do everything to a few keys at once, and race for new ones.
//!
//! A bucket has lanes, and a lane has keys. The clients work on a lane's current key until it has had enough,
//! and then go on to its next one: a key with many writes without an answer has too many possible
//! histories to look through.

pub mod finish;
mod worker;

use crate::client::{Adapter, Client, Shared};
use crate::record::{Place, Record};
use parking_lot::Mutex;
use s3_tests::dice::Dice;
use s3_tests::history::{Outcome, Value, Version, Versioning};
use s3_tests::s3::S3;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use worker::Worker;

/// How many recent names and values the clients choose from.
const RECENT: usize = 8;

/// Clients at once on a key that keeps versions. Each order of calls that overlap may leave another stack of
/// versions, so with many the orders to look through are too many.
const CLIENTS_PER_VERSIONED_KEY: usize = 4;

/// Keys of a lane with one prefix.
const KEYS_PER_PREFIX: usize = 10;

/// What the clients of a run are to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides what they do, as far as answers do not.
    pub seed: u64,
    /// How many there are.
    pub clients: usize,
    /// Where they work.
    pub buckets: Vec<Bucket>,
    /// What stands between them and the server.
    pub adapter: Adapter,
}

/// A bucket of a plan.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// The beginning of its name; the seed follows.
    pub name: &'static str,
    /// Its versioning at the start.
    pub versioning: Versioning,
    /// Whether client 0 changes its versioning meanwhile.
    pub is_mixed: bool,
    /// Its lanes.
    pub lanes: Vec<Lane>,
}

/// A lane of a bucket.
#[derive(Debug, Clone, Copy)]
pub struct Lane {
    /// What is done to its keys.
    pub kind: Kind,
    /// How many keys it has. Clients stay on the only key of a lane for ever.
    pub keys: usize,
}

/// What is done to the keys of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything, for long.
    Hot,
    /// Several clients try to create the key at once.
    Contest,
}

impl Kind {
    /// Events and writes without an answer after which a key is left for the next one.
    fn limits(self, versioning: Versioning) -> (u64, u64) {
        match (self, versioning) {
            (Self::Hot, Versioning::Off) => (400, 4),
            (Self::Hot, _) => (200, 3),
            (Self::Contest, _) => (12, 3),
        }
    }
}

impl Plan {
    /// Two versioned and two other lanes for everything, and contests in both kinds of bucket.
    #[must_use]
    pub fn of_chaos(seed: u64, clients: usize) -> Self {
        let hot = Lane {
            kind: Kind::Hot,
            keys: 400,
        };
        let contest = Lane {
            kind: Kind::Contest,
            keys: 2_000,
        };
        let bucket = |name, versioning| Bucket {
            name,
            versioning,
            is_mixed: false,
            lanes: vec![hot, hot, contest],
        };
        Self {
            seed,
            clients,
            buckets: vec![
                bucket("off", Versioning::Off),
                bucket("on", Versioning::Enabled),
            ],
            adapter: Adapter::None,
        }
    }

    fn bucket_name(&self, bucket: &Bucket) -> String {
        format!("{}-{}", bucket.name, self.seed)
    }

    /// The keys of all lanes, and the lanes with the indices of theirs.
    fn places(&self) -> (Vec<Place>, Vec<Track>) {
        let (mut places, mut tracks) = (Vec::new(), Vec::new());
        for bucket in &self.buckets {
            for (number, lane) in bucket.lanes.iter().enumerate() {
                let first = places.len();
                for n in 0..lane.keys {
                    let (prefix, last) = (n / KEYS_PER_PREFIX, n % KEYS_PER_PREFIX);
                    places.push(Place {
                        bucket: self.bucket_name(bucket),
                        key: format!("lane{number}/{prefix:04}/{last}"),
                        versioning: bucket.versioning,
                        is_mixed: bucket.is_mixed,
                    });
                }
                tracks.push(Track {
                    kind: lane.kind,
                    places: first..places.len(),
                    current: AtomicUsize::new(first),
                });
            }
        }
        (places, tracks)
    }
}

/// Where the clients are in a lane.
#[derive(Debug)]
struct Track {
    kind: Kind,
    places: Range<usize>,
    current: AtomicUsize,
}

/// What clients have lately seen of a key; they ask for that.
#[derive(Debug, Default)]
struct Board {
    versions: VecDeque<Version>,
    values: VecDeque<Value>,
    uploads: VecDeque<Value>,
}

impl Board {
    fn note(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Stored(version)
            | Outcome::Deleted(Some(version))
            | Outcome::Marker(version) => push(&mut self.versions, *version),
            Outcome::Found(value, version) => {
                push(&mut self.versions, *version);
                push(&mut self.values, *value);
            }
            Outcome::Listed(entries) => {
                for (version, _) in entries.iter().take(RECENT).rev() {
                    push(&mut self.versions, *version);
                }
            }
            _ => {}
        }
    }
}

/// Adds to what was seen lately.
fn push<T: PartialEq>(recent: &mut VecDeque<T>, new: T) {
    recent.retain(|old| *old != new);
    recent.push_back(new);
    if recent.len() > RECENT {
        recent.pop_front();
    }
}

/// What the workers of a run share.
#[derive(Debug)]
struct Field {
    shared: Arc<Shared>,
    tracks: Vec<Track>,
    boards: Vec<Mutex<Board>>,
    /// For how many clients more there is room at each place.
    room: Vec<Semaphore>,
    is_over: AtomicBool,
    /// Whether a read has been waited for in vain after the faults.
    is_hopeless: AtomicBool,
}

impl Field {
    /// The place of a track where clients work now; None at its end.
    fn current(&self, track: &Track) -> Option<usize> {
        let place = track.current.load(Ordering::Relaxed);
        if track.places.len() == 1 {
            return Some(place);
        }
        let versioning = self.shared.record.places.get(place)?.versioning;
        let (events_max, unknown_max) = track.kind.limits(versioning);
        let (events, unknown) = self.shared.record.counts_of(place);
        if events >= events_max || unknown >= unknown_max {
            let next = place + 1;
            // Whoever is first moves it; for the others it has moved.
            let _ =
                track
                    .current
                    .compare_exchange(place, next, Ordering::Relaxed, Ordering::Relaxed);
        }
        track.places.contains(&place).then_some(place)
    }
}

/// Clients at work.
#[derive(Debug)]
pub struct Running {
    field: Arc<Field>,
    gateways: Arc<Vec<S3>>,
    buckets: Vec<String>,
    workers: Vec<JoinHandle<()>>,
}

/// Makes the buckets and sets the clients to work, through all of `gateways`.
///
/// # Errors
/// When the buckets cannot be made.
pub async fn start(plan: &Plan, gateways: Vec<S3>) -> anyhow::Result<Running> {
    let (places, tracks) = plan.places();
    let room = places.iter().map(|place| match place.versioning {
        Versioning::Off => Semaphore::new(plan.clients),
        _ => Semaphore::new(CLIENTS_PER_VERSIONED_KEY),
    });
    let room = room.collect();
    let boards = places.iter().map(|_| Mutex::default()).collect();
    let shared = Arc::new(Shared::new(Record::new(places), plan.adapter));
    let gateways = Arc::new(gateways);
    let field = Arc::new(Field {
        shared,
        tracks,
        boards,
        room,
        is_over: AtomicBool::new(false),
        is_hopeless: AtomicBool::new(false),
    });
    let mut running = Running {
        buckets: plan.buckets.iter().map(|b| plan.bucket_name(b)).collect(),
        field,
        gateways,
        workers: Vec::new(),
    };
    running.make_buckets(plan).await?;
    for number in 0..plan.clients {
        let dice = Dice::new(plan.seed * 1_000 + number as u64);
        let worker = Worker::new(
            running.client(number, false),
            Arc::clone(&running.field),
            dice,
        );
        running.workers.push(tokio::spawn(worker.work()));
    }
    Ok(running)
}

impl Running {
    /// A client of the run.
    fn client(&self, number: usize, is_alone: bool) -> Client {
        Client {
            gateways: Arc::clone(&self.gateways),
            number,
            is_alone,
            shared: Arc::clone(&self.field.shared),
        }
    }

    async fn make_buckets(&self, plan: &Plan) -> anyhow::Result<()> {
        let client = self.client(0, true);
        for (name, bucket) in self.buckets.iter().zip(&plan.buckets) {
            let made = self.gateways[0].create_bucket(name).await;
            let made = made.map_err(|unknown| anyhow::anyhow!("{unknown:?}"))?;
            anyhow::ensure!(made.status.is_success(), "{name} was not made: {made:?}");
            let places = &self.record().places;
            let first = places.iter().position(|place| place.bucket == *name);
            if bucket.versioning != Versioning::Off
                && let Some(first) = first
            {
                let set = client.set_versioning(first, bucket.versioning).await;
                let set = set.map_err(|unknown| anyhow::anyhow!("{unknown:?}"))?;
                anyhow::ensure!(set.status.is_success(), "{name}: versioning: {set:?}");
            }
        }
        Ok(())
    }

    /// What was recorded so far.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.field.shared.record
    }

    /// What was recorded, when all clients have stopped.
    ///
    /// # Panics
    /// While a client is at work.
    #[must_use]
    pub fn into_record(self) -> Record {
        assert!(self.workers.is_empty(), "the clients have been stopped");
        let shared = Arc::into_inner(self.field).map(|field| field.shared);
        let shared = shared.and_then(Arc::into_inner);
        shared.expect("all clients have ended").record
    }

    /// How long after its start the run's clock is.
    #[must_use]
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.record().now())
    }

    /// Tells the clients to stop, and waits for them.
    pub async fn stop(&mut self) {
        self.field.is_over.store(true, Ordering::Relaxed);
        for worker in self.workers.drain(..) {
            if let Err(error) = worker.await {
                let what = format!("a client of the run ended: {error}");
                self.field.shared.record.add_wrong(what);
            }
        }
    }
}
