//! When nobody writes any more, everything is read: what was acknowledged must be there.

use super::Running;
use crate::client::{Client, Told};
use s3_tests::history::{Call, Condition, Outcome, Version, Versioning};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Clients that read at once.
const READERS: usize = 8;

/// The numbers of these clients in events begin here.
pub const FIRST_READER: usize = 900;

/// How often a read is tried that is not answered, and how long is waited in between.
const TRIES: usize = 120;
const PAUSE: Duration = Duration::from_millis(500);

impl Running {
    /// Reads every key to which anything was done, each of its versions that is known, and the lists of the
    /// buckets. To be called when no faults act any more: what stays without an answer for a minute is wrong.
    pub async fn read_all(&self) {
        let record = self.record();
        let touched: Vec<usize> = (0..record.places.len())
            .filter(|place| record.counts_of(*place).0 > 0)
            .collect();
        let touched = Arc::new(touched);
        let next = Arc::new(AtomicUsize::new(0));
        let mut readers = Vec::new();
        for number in 0..READERS {
            let reader = Reader {
                client: self.client(FIRST_READER + number, true),
                touched: Arc::clone(&touched),
                next: Arc::clone(&next),
                field: Arc::clone(&self.field),
            };
            readers.push(tokio::spawn(reader.run()));
        }
        for reader in readers {
            if let Err(error) = reader.await {
                record.add_wrong(format!("a reader of the run ended: {error}"));
            }
        }
        let client = self.client(FIRST_READER, true);
        for bucket in &self.buckets {
            self.read_lists(&client, bucket).await;
        }
    }

    /// Writes to each bucket until that is answered; what stays without an answer is wrong, too.
    pub async fn write_again(&self) {
        let writer = Reader {
            client: self.client(FIRST_READER, false),
            touched: Arc::default(),
            next: Arc::default(),
            field: Arc::clone(&self.field),
        };
        for bucket in &self.buckets {
            let places = &self.record().places;
            let first = places.iter().position(|place| place.bucket == *bucket);
            if let Some(place) = first {
                let value = self.record().new_value(false);
                let call = Call::Put(value, Condition::Always);
                writer.until_answered(place, call).await;
            }
        }
    }

    async fn read_lists(&self, client: &Client, bucket: &str) {
        let record = self.record();
        let touched = |place| record.counts_of(place).0 > 0;
        for _ in 0..TRIES {
            let objects = client.look(bucket, "", 1_000, touched).await;
            let versions = client.look_for_ghosts(bucket, touched).await;
            if objects != Told::Lost && versions.is_ok() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        record.add_wrong(format!("/{bucket} cannot be listed after the faults"));
    }
}

struct Reader {
    client: Client,
    touched: Arc<Vec<usize>>,
    next: Arc<AtomicUsize>,
    field: Arc<super::Field>,
}

impl Reader {
    async fn run(self) {
        while let Some(place) = self.touched.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            self.read(*place).await;
        }
    }

    async fn read(&self, place: usize) {
        self.until_answered(place, Call::Read).await;
        if self.client.shared.record.places[place].versioning == Versioning::Off {
            return;
        }
        let seen = self.field.boards[place].lock().versions.clone();
        let mut versions: Vec<Version> = seen.into_iter().collect();
        if let Some(Outcome::Listed(entries)) = self.until_answered(place, Call::List).await {
            versions.extend(entries.iter().map(|(version, _)| *version));
        }
        versions.sort_unstable_by_key(|version| match version {
            Version::Null => 0,
            Version::Id(id) => id + 1,
        });
        versions.dedup();
        for version in versions {
            self.until_answered(place, Call::ReadVersion(version)).await;
        }
    }

    async fn until_answered(&self, place: usize, call: Call) -> Option<Outcome> {
        let gateways = self.client.gateways.len();
        for attempt in 1..=TRIES * gateways {
            match self.client.call(place, call).await {
                Told::Answered(outcome) => return Some(outcome),
                Told::Wrong => return None,
                // One gateway may be gone while the others answer.
                Told::Refused | Told::Lost if attempt % gateways > 0 => {}
                // Nobody has to wait in vain for each of them.
                _ if self.field.is_hopeless.load(Ordering::Relaxed) => break,
                Told::Refused | Told::Lost => tokio::time::sleep(PAUSE).await,
            }
        }
        self.field.is_hopeless.store(true, Ordering::Relaxed);
        let record = &self.client.shared.record;
        let key = &record.places[place].key;
        record.add_wrong(format!(
            "{key}: {call:?} stays without an answer after the faults"
        ));
        None
    }
}
