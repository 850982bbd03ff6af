//! One client of a run: picks an operation, makes it, checks the answer, counts, and so on.

use super::pages::{Expected, Pages};
use super::stored::{self, Sample, Stored};
use super::{Shared, patience};
use crate::client::{Call, Client, Fault};
use crate::content::scatter;
use crate::mix::Operation;
use crate::tally::Tally;
use http::Method;
use http::header::CONTENT_LENGTH;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use types::entropy::{Entropy, SeededEntropy};

/// Waited after a connection failed, so that a server that is gone is not asked a million times.
const RECONNECT_AFTER: Duration = Duration::from_millis(50);

/// See the head of the file.
pub struct Worker {
    shared: Arc<Shared>,
    client: Client,
    random: SeededEntropy,
    /// Objects that this worker stored and may delete.
    own: Vec<u64>,
    /// Some of what this worker stored, to be read back.
    sample: Sample,
    pages: Pages,
}

impl Worker {
    /// The worker with this index.
    pub fn new(shared: Arc<Shared>, index: usize) -> Self {
        let seed = shared.load.seed ^ scatter(index as u64);
        Self {
            client: shared.load.client(),
            random: SeededEntropy::new(seed),
            own: Vec::new(),
            sample: Sample::new(shared.sample_of_each),
            pages: Pages::new(),
            shared,
        }
    }

    /// Connects, waits for the others, and makes operations until the phase is over.
    pub async fn run(mut self) -> Tally {
        // A failure shows again, and is counted, with the first operation.
        let _ = self.client.connect().await;
        self.shared.connected.wait().await;
        self.shared.measured.wait().await;
        let clock = self.shared.load.clock.clone();
        let end = clock.monotonic().saturating_add(self.shared.phase.duration);
        let mut tally = Tally::default();
        let mut now = clock.monotonic();
        while now < end && self.shared.take() {
            let began = now;
            let Some((operation, number)) = self.choose() else {
                break;
            };
            let mut result = self.perform(operation, number).await;
            while let Err(fault) = &result
                && fault.is_busy()
                && clock.monotonic() < end
            {
                tally.busy += 1;
                tokio::time::sleep(patience(fault)).await;
                result = self.perform(operation, number).await;
            }
            if matches!(result, Err(Fault::Connection(_))) {
                tokio::time::sleep(RECONNECT_AFTER).await;
            }
            now = clock.monotonic();
            tally.record(operation, now - began, result);
        }
        tally.stored = self.sample.into_kept();
        tally
    }

    /// The next operation, and the number of its object; none when nothing is left to delete.
    fn choose(&mut self) -> Option<(Operation, u64)> {
        let shared = &self.shared;
        let phase = &shared.phase;
        let operation = phase.mix.pick(self.random.next_u64());
        let number = match operation {
            Operation::Put => shared.next_put.fetch_add(1, Ordering::Relaxed),
            Operation::Delete => match self.own.pop() {
                Some(number) => number,
                None => {
                    let number = shared.next_delete.fetch_add(1, Ordering::Relaxed);
                    if number >= phase.deletable.end {
                        return None;
                    }
                    number
                }
            },
            Operation::Get | Operation::Head | Operation::List => {
                let readable = &phase.readable;
                readable.start + self.random.next_u64() % (readable.end - readable.start)
            }
        };
        Some((operation, number))
    }

    /// Remembers an object to read it back, and to delete it if any are to be deleted.
    fn remember(&mut self, stored: Stored) {
        if self.shared.phase.mix.has(Operation::Delete) {
            self.own.push(stored.number);
        }
        let random = self.random.next_u64();
        self.sample.offer(stored, random);
    }

    /// Makes one operation and checks its answer; the bytes that it moved, or nothing if it is not to be counted.
    async fn perform(&mut self, operation: Operation, number: u64) -> Result<Option<u64>, Fault> {
        let shared = self.shared.clone();
        let load = &shared.load;
        let bytes = match operation {
            Operation::Put => {
                let stored = stored::put(&mut self.client, load, number).await?;
                self.remember(stored);
                load.size(number)
            }
            Operation::Get => stored::get(&mut self.client, load, number).await?,
            Operation::Head => {
                let path = load.path(number);
                let call = Call::new(Method::HEAD, &path);
                let headers = self.client.call(call, |_| ()).await?;
                let length = headers.get(CONTENT_LENGTH);
                let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
                if length != Some(load.size(number)) {
                    return Err(Fault::Wrong(
                        "the object has another length than was stored",
                    ));
                }
                0
            }
            Operation::Delete => {
                self.sample.forget(number);
                let path = load.path(number);
                let call = Call::new(Method::DELETE, &path);
                self.client.call(call, |_| ()).await?;
                0
            }
            Operation::List => {
                let readable = &shared.phase.readable;
                let expected = Expected::of(readable.end - readable.start);
                let pages = &mut self.pages;
                return pages.read(&mut self.client, load, number, expected).await;
            }
        };
        Ok(Some(bytes))
    }
}
