//! Clients that do everything to a few keys at once.

use crate::client::{Adapter, Client, Shared};
use crate::common::server::{Installation, Server};
use crate::common::workload::Dice;
use crate::record::{Place, Record};
use s3_tests::history::{Call, Condition, Outcome, Value, Version, Versioning};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// A run.
pub struct Plan {
    pub seed: u64,
    pub clients: usize,
    /// Keys in each of the three buckets.
    pub keys_per_bucket: usize,
    pub duration: Duration,
    /// How often the server is killed and started again meanwhile.
    pub kills: u32,
    pub adapter: Adapter,
}

/// Clients at once on a key that keeps versions. Each order of calls that overlap may leave another stack of
/// versions, so with many the orders to look through are too many.
const CLIENTS_PER_VERSIONED_KEY: usize = 4;

/// How many recent names and values the clients choose from.
const RECENT: usize = 8;

/// What clients have lately seen of a key; they ask for that.
#[derive(Default)]
struct Board {
    versions: VecDeque<Version>,
    values: VecDeque<Value>,
    uploads: VecDeque<Value>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The number of servers that were killed so far.
    Running(u32),
    Stopped,
}

/// Runs the plan on keys of its own; the server that runs now, and what was recorded.
pub async fn run(plan: &Plan, installation: &Installation, mut server: Server) -> (Server, Record) {
    let shared = Arc::new(Shared::new(Record::new(places(plan)), plan.adapter));
    prepare(&server, &shared).await;
    let boards: Arc<Vec<Mutex<Board>>> = Arc::new(
        shared
            .record
            .places
            .iter()
            .map(|_| Mutex::default())
            .collect(),
    );
    let room = shared
        .record
        .places
        .iter()
        .map(|place| match place.versioning {
            Versioning::Off => Semaphore::new(plan.clients),
            _ => Semaphore::new(CLIENTS_PER_VERSIONED_KEY),
        });
    let room: Arc<Vec<Semaphore>> = Arc::new(room.collect());
    let (phase, phases) = watch::channel(Phase::Running(0));
    let mut tasks = Vec::new();
    for number in 0..plan.clients {
        let worker = Worker {
            client: Client {
                s3: server.s3.clone(),
                number,
                is_alone: false,
                shared: Arc::clone(&shared),
            },
            boards: Arc::clone(&boards),
            room: Arc::clone(&room),
            dice: Dice::new(plan.seed * 1_000 + number as u64),
        };
        tasks.push(tokio::spawn(worker.work(phases.clone())));
    }
    drop(phases);
    for kill in 1..=plan.kills {
        tokio::time::sleep(plan.duration / (plan.kills + 1)).await;
        server.kill();
        server = installation.start();
        shared.record.settle();
        phase.send(Phase::Running(kill)).unwrap();
    }
    tokio::time::sleep(plan.duration / (plan.kills + 1)).await;
    phase.send(Phase::Stopped).unwrap();
    for task in tasks {
        task.await.unwrap();
    }
    read_all(&server, &shared, &boards).await;
    println!("seed {}: {:?}", plan.seed, shared.record.counts());
    let shared = Arc::into_inner(shared).expect("all clients have ended");
    (server, shared.record)
}

fn places(plan: &Plan) -> Vec<Place> {
    let buckets = [
        ("off", Versioning::Off, false),
        ("on", Versioning::Enabled, false),
        ("mixed", Versioning::Enabled, true),
    ];
    let mut places = Vec::new();
    for (name, versioning, is_mixed) in buckets {
        for n in 0..plan.keys_per_bucket {
            places.push(Place {
                bucket: format!("{name}-{}", plan.seed),
                key: format!("key{n}"),
                versioning,
                is_mixed,
            });
        }
    }
    places
}

async fn prepare(server: &Server, shared: &Arc<Shared>) {
    let client = Client {
        s3: server.s3.clone(),
        number: 0,
        is_alone: true,
        shared: Arc::clone(shared),
    };
    for (n, place) in shared.record.places.iter().enumerate() {
        if place.key == "key0" {
            server.s3.create_bucket(&place.bucket).await.unwrap().ok();
            if place.versioning != Versioning::Off {
                let set = client.set_versioning(n, place.versioning).await;
                set.unwrap().ok();
            }
        }
    }
}

/// When nobody writes any more, everything is read: what was acknowledged must be there.
async fn read_all(server: &Server, shared: &Arc<Shared>, boards: &[Mutex<Board>]) {
    let client = Client {
        s3: server.s3.clone(),
        number: 99,
        is_alone: true,
        shared: Arc::clone(shared),
    };
    for (place, board) in boards.iter().enumerate() {
        client.call(place, Call::Read).await;
        let mut versions: Vec<Version> = board.lock().unwrap().versions.iter().copied().collect();
        if shared.record.places[place].versioning != Versioning::Off
            && let Outcome::Listed(entries) = client.call(place, Call::List).await
        {
            versions.extend(entries.iter().map(|(version, _)| *version));
            for version in versions {
                client.call(place, Call::ReadVersion(version)).await;
            }
        }
    }
}

struct Worker {
    client: Client,
    boards: Arc<Vec<Mutex<Board>>>,
    /// For how many clients more there is room at each place.
    room: Arc<Vec<Semaphore>>,
    dice: Dice,
}

impl Worker {
    async fn work(mut self, mut phases: watch::Receiver<Phase>) {
        let mut phase = *phases.borrow_and_update();
        while phase != Phase::Stopped {
            let place = self.dice.roll(self.boards.len() as u64) as usize;
            let room = Arc::clone(&self.room);
            let Ok(_seat) = room[place].try_acquire() else {
                tokio::task::yield_now().await;
                continue;
            };
            let outcome = self.step(place).await;
            if outcome == Some(Outcome::Unknown) {
                // The server died or is about to: whoever has lost a call waits for the next server.
                let wait = phases.wait_for(|now| *now != phase);
                let _ = tokio::time::timeout(Duration::from_secs(30), wait).await;
            }
            phase = *phases.borrow_and_update();
        }
    }

    /// One call on a key. None if it came to nothing that is recorded.
    async fn step(&mut self, place: usize) -> Option<Outcome> {
        let Place {
            versioning,
            is_mixed,
            ..
        } = self.client.shared.record.places[place];
        if is_mixed && self.client.number == 0 && self.dice.roll(4) == 0 {
            return Some(self.toggle(place).await);
        }
        let is_versioned = versioning != Versioning::Off;
        let call = match self.dice.roll(100) {
            0..=24 => {
                let value = self.client.shared.record.new_value(false);
                Call::Put(value, self.condition(place))
            }
            25..=32 => {
                let Some(value) = self.client.upload(place).await else {
                    return Some(Outcome::Unknown);
                };
                push(&mut self.boards[place].lock().unwrap().uploads, value);
                Call::Complete(value, self.condition(place))
            }
            33..=42 => {
                let condition = self.condition(place);
                Call::Complete(self.recent(place, |board| &board.uploads)?, condition)
            }
            43..=52 => match self.condition(place) {
                Condition::Absent => Call::Delete(Condition::Always),
                condition => Call::Delete(condition),
            },
            53..=70 if is_versioned => {
                Call::DeleteVersion(self.recent(place, |board| &board.versions)?)
            }
            71..=77 if is_versioned => {
                Call::ReadVersion(self.recent(place, |board| &board.versions)?)
            }
            78..=84 if is_versioned => Call::List,
            _ => Call::Read,
        };
        let outcome = self.client.call(place, call).await;
        self.note(place, &outcome);
        Some(outcome)
    }

    async fn toggle(&mut self, place: usize) -> Outcome {
        let places = &self.client.shared.record.places;
        let same: Vec<usize> = (0..places.len())
            .filter(|other| places[*other].bucket == places[place].bucket)
            .collect();
        let versioning = match self.dice.roll(2) {
            0 => Versioning::Enabled,
            _ => Versioning::Suspended,
        };
        self.client
            .call_on(&same, Call::SetVersioning(versioning))
            .await
    }

    fn condition(&mut self, place: usize) -> Condition {
        match self.dice.roll(10) {
            0..=2 => Condition::Absent,
            3..=6 => self
                .recent(place, |board| &board.values)
                .map_or(Condition::Absent, Condition::Is),
            _ => Condition::Always,
        }
    }

    /// One of what was seen of a key lately, mostly the last.
    fn recent<T: Copy>(&mut self, place: usize, of: fn(&Board) -> &VecDeque<T>) -> Option<T> {
        let board = self.boards[place].lock().unwrap();
        let from = of(&board);
        let back = match self.dice.roll(3) {
            0 => self.dice.roll(RECENT as u64) as usize,
            n => n as usize - 1,
        };
        from.iter().rev().nth(back).or(from.front()).copied()
    }

    fn note(&self, place: usize, outcome: &Outcome) {
        let mut board = self.boards[place].lock().unwrap();
        match outcome {
            Outcome::Stored(version)
            | Outcome::Deleted(Some(version))
            | Outcome::Marker(version) => push(&mut board.versions, *version),
            Outcome::Found(value, version) => {
                push(&mut board.versions, *version);
                push(&mut board.values, *value);
            }
            Outcome::Listed(entries) => {
                for (version, _) in entries.iter().take(RECENT).rev() {
                    push(&mut board.versions, *version);
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
