//! The owner of a partition: it orders the partition's commits, shares their cost, and serialises
//! what is read and then written.
//!
//! All commits of a partition go through one thread (in a simulation, one task). Whatever waits when it
//! becomes free is committed together ([`crate::IndexStore::commit_many`]), so concurrent writers share one
//! sync of the device and a lone writer waits for nobody.

mod latches;
mod remembered;

pub use latches::Latch;

use crate::engine::limits::{batch_bytes, check_batch};
use crate::key::Key;
use crate::store::{
    Batch, Change, IndexStore, Operation, Outcome, ScanEntry, ScanPage, ScanRequest, Seq,
    StoreError, Versioned,
};
use bytes::Bytes;
use latches::Latches;
use parking_lot::Mutex;
use remembered::Remembered;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::task;
use types::limits::{BATCH_OPERATIONS_MAX, OUTCOME_TTL};
use types::{Clock, PartitionId, RunOn};

/// Batches that wait for the owner's thread; more writers wait for a place.
const QUEUE_BATCHES: usize = 1024;
/// Batches committed together at the most.
const GROUP_BATCHES_MAX: usize = 256;
/// Bytes after which no further batch joins a group.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Outcomes that one [`PartitionOwner::purge_outcomes`] looks at.
pub const PURGE_MAX: usize = BATCH_OPERATIONS_MAX;

/// A batch on its way to the owner's thread, and where its outcome goes.
struct Waiting {
    batch: Batch,
    answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// The owner of one partition. All of its methods may be called at the same time.
#[derive(Debug)]
pub struct PartitionOwner {
    store: Arc<dyn IndexStore>,
    partition: PartitionId,
    epoch: u64,
    clock: Arc<dyn Clock>,
    latches: Latches,
    /// `None` where others may change what it would hold.
    remembered: Option<Arc<Remembered>>,
    /// Highest hybrid logical time taken from the clock so far.
    last_time: AtomicU64,
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    committer: Mutex<Option<Running>>,
}

/// The committer at work.
#[derive(Debug)]
enum Running {
    Thread(thread::JoinHandle<()>),
    Task(task::JoinHandle<()>),
}

impl PartitionOwner {
    /// Starts owning `partition` of `store` under `epoch`, which the caller has made sure is higher than
    /// that of any other owner. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn start(
        store: Arc<dyn IndexStore>,
        partition: PartitionId,
        epoch: u64,
        clock: Arc<dyn Clock>,
        run_on: RunOn,
    ) -> std::io::Result<Arc<Self>> {
        let (sender, receiver) = mpsc::channel(QUEUE_BATCHES);
        let remembered = (!store.has_other_writers()).then(Arc::<Remembered>::default);
        let committer = Committer {
            store: Arc::clone(&store),
            remembered: remembered.clone(),
            partition,
            clock: Arc::clone(&clock),
        };
        let runtime = Handle::current();
        let running = match run_on {
            RunOn::Tasks => Running::Task(runtime.spawn(committer.run_as_task(receiver))),
            RunOn::Threads => {
                let thread = thread::Builder::new().name(format!("partition-{partition}"));
                Running::Thread(thread.spawn(move || committer.run(receiver, &runtime))?)
            }
        };
        Ok(Arc::new(Self {
            store,
            partition,
            epoch,
            clock,
            latches: Latches::new(),
            remembered,
            last_time: AtomicU64::new(0),
            queue: Mutex::new(Some(sender)),
            committer: Mutex::new(Some(running)),
        }))
    }

    /// The partition.
    #[must_use]
    pub fn partition(&self) -> PartitionId {
        self.partition
    }

    /// The epoch under which this owner commits.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Commits one batch, together with whatever else waits; durable when it returns
    /// [`Outcome::Committed`]. The owner fills in [`Batch::epoch`].
    ///
    /// Once called, the batch may be committed even if the future is dropped. An operation id that began longer
    /// than [`OUTCOME_TTL`] ago by this process's clock is [`Outcome::Expired`].
    ///
    /// # Errors
    /// [`StoreError`]; the fault of one batch (too large, a damaged record, a full device) does not reach
    /// those that were committed with it.
    pub async fn commit(&self, mut batch: Batch) -> Result<Outcome, StoreError> {
        batch.epoch = self.epoch;
        check_batch(&batch)?;
        let oldest_kept_ms = self.oldest_kept_ms();
        let once = batch.idempotency.as_ref();
        if once.is_some_and(|once| once.op_id.time_ms() < oldest_kept_ms) {
            return Ok(Outcome::Expired { oldest_kept_ms });
        }
        let closed = || StoreError::Unavailable(format!("partition {} is closed", self.partition));
        let queue = self.queue.lock().clone().ok_or_else(closed)?;
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting { batch, answer };
        queue.send(waiting).await.map_err(|_| closed())?;
        drop(queue);
        outcome.await.unwrap_or_else(|_| {
            Err(StoreError::Indeterminate(
                "the partition's owner ended before it answered".to_owned(),
            ))
        })
    }

    /// Holds `keys` against every other caller that asks for one of them, until the latch is dropped.
    /// Ask for all keys at once: asking for more while holding some can wait for ever.
    pub async fn latch(&self, keys: &[Bytes]) -> Latch {
        self.latches.hold(keys).await
    }

    /// Hybrid logical time (milliseconds << 16 | counter) for a new version of a key whose greatest time
    /// so far is `last`, 0 if it has none. Call it while holding the key's latch.
    ///
    /// It is greater than `last`, and times that come from the clock never go back while this owner
    /// lives, even if the wall clock does. A `last` far in the future raises this key's times alone.
    #[must_use]
    pub fn next_order(&self, last: u64) -> u64 {
        let now = self.clock.now_ms() << 16;
        let next = |previous: u64| now.max(previous + 1);
        let previous = self
            .last_time
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |previous| {
                Some(next(previous))
            })
            .expect("the closure always returns a value");
        next(previous).max(last.saturating_add(1))
    }

    /// See [`IndexStore::failure`].
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.store.failure()
    }

    /// The value of `key`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, key: &[u8]) -> Result<Option<Versioned>, StoreError> {
        let Some(remembered) = &self.remembered else {
            return self.store.get(self.partition, key).await;
        };
        let reading = match remembered.find(key) {
            Ok(found) => return Ok(Some(found)),
            Err(reading) => reading,
        };
        let found = self.store.get(self.partition, key).await?;
        remembered.keep(reading, key, found.as_ref());
        Ok(found)
    }

    /// One page of a range.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scan(&self, request: ScanRequest) -> Result<ScanPage, StoreError> {
        self.store.scan(self.partition, request).await
    }

    /// Up to `limit` commits after `after`, from the first that is not trimmed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn changes(&self, after: Seq, limit: usize) -> Result<Vec<Change>, StoreError> {
        self.store.changes(self.partition, after, limit).await
    }

    /// Forgets the feed up to and including `up_to`, which every registered consumer has passed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn trim(&self, up_to: Seq) -> Result<(), StoreError> {
        self.store.trim(self.partition, up_to).await
    }

    /// Sequence of the last commit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_seq(&self) -> Result<Seq, StoreError> {
        self.store.last_seq(self.partition).await
    }

    /// From when on operation ids are taken, by this process's clock.
    fn oldest_kept_ms(&self) -> u64 {
        let ttl_ms = OUTCOME_TTL.as_millis() as u64;
        self.clock.now_ms().saturating_sub(ttl_ms)
    }

    /// Looks at up to [`PURGE_MAX`] outcomes of operation ids that are too old to be sent again, behind `after`, and
    /// deletes those of commits up to and including `up_to`: the caller has seen [`OUTCOME_TTL`] pass since that
    /// commit. Ids tell the time of other processes' clocks, so their age alone says nothing. Returns the last key
    /// looked at, to go on behind; `None` at the end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn purge_outcomes(
        &self,
        up_to: Seq,
        after: Option<&Bytes>,
    ) -> Result<Option<Bytes>, StoreError> {
        let range = Key::outcomes_range(self.oldest_kept_ms());
        let range = after.map_or(range.clone(), |key| range.after(key));
        let page = self.scan(range.page(PURGE_MAX, None)).await?;
        let mut last = None;
        let mut operations = Vec::new();
        for entry in page.entries {
            let ScanEntry::Value(key, found) = entry else {
                continue;
            };
            if found.seq <= up_to {
                operations.push(Operation::Delete(key.clone()));
            }
            last = Some(key);
        }
        if !operations.is_empty() {
            let batch = Batch {
                operations,
                ..Batch::default()
            };
            self.commit(batch).await?;
        }
        Ok(last.filter(|_| page.more))
    }

    /// Commits what waits, refuses what comes after, and returns when the committer has ended.
    pub async fn close(&self) {
        drop(self.queue.lock().take());
        let running = self.committer.lock().take();
        let ended = match running {
            None => true,
            Some(Running::Task(task)) => task.await.is_ok(),
            Some(Running::Thread(thread)) => {
                let joined = task::spawn_blocking(move || thread.join()).await;
                matches!(joined, Ok(Ok(())))
            }
        };
        if !ended {
            tracing::error!(partition = self.partition.0, "the committer panicked");
        }
    }
}

/// What commits, on the owner's thread or task.
struct Committer {
    store: Arc<dyn IndexStore>,
    remembered: Option<Arc<Remembered>>,
    partition: PartitionId,
    clock: Arc<dyn Clock>,
}

impl Committer {
    fn run(&self, mut queue: mpsc::Receiver<Waiting>, runtime: &Handle) {
        while let Some(first) = queue.blocking_recv() {
            let group = with_waiting(first, &mut queue);
            runtime.block_on(self.commit(group));
        }
    }

    async fn run_as_task(self, mut queue: mpsc::Receiver<Waiting>) {
        while let Some(first) = queue.recv().await {
            let group = with_waiting(first, &mut queue);
            self.commit(group).await;
        }
    }

    async fn commit(&self, group: Vec<Waiting>) {
        let began = self.clock.monotonic();
        let (batches, answers): (Vec<_>, Vec<_>) = group
            .into_iter()
            .map(|waiting| (waiting.batch, waiting.answer))
            .unzip();
        let remembered = self.remembered.as_ref();
        let changing = remembered.and_then(|remembered| remembered.change(batches.iter()));
        let results = self.commit_batches(batches).await;
        drop(changing);
        let took = self.clock.monotonic().saturating_sub(began);
        metrics::histogram!("cairn_index_commit_seconds").record(took.as_secs_f64());
        metrics::histogram!("cairn_index_commit_batches").record(results.len() as f64);
        assert_eq!(results.len(), answers.len(), "one result for each batch");
        for (result, answer) in results.into_iter().zip(answers) {
            // A caller that has gone away does not want its answer.
            let _ = answer.send(result);
        }
    }

    /// Commits all batches together; when that fails by the fault of one, each by itself.
    async fn commit_batches(&self, batches: Vec<Batch>) -> Vec<Result<Outcome, StoreError>> {
        let count = batches.len();
        let alone = (count > 1).then(|| batches.clone());
        let error = match self.store.commit_many(self.partition, batches).await {
            Ok(outcomes) => return outcomes.into_iter().map(Ok).collect(),
            Err(error) => error,
        };
        let is_of_one_batch = matches!(
            error,
            StoreError::Corrupt { .. } | StoreError::TooLarge(_) | StoreError::Full
        );
        let Some(batches) = alone.filter(|_| is_of_one_batch) else {
            return vec![Err(error); count];
        };
        let mut results = Vec::with_capacity(count);
        for batch in batches {
            let result = self.store.commit_many(self.partition, vec![batch]).await;
            results.push(result.map(|mut outcomes| outcomes.remove(0)));
        }
        results
    }
}

/// A batch with those that wait behind it, as many as are committed together.
fn with_waiting(first: Waiting, queue: &mut mpsc::Receiver<Waiting>) -> Vec<Waiting> {
    let mut bytes = batch_bytes(&first.batch);
    let mut group = vec![first];
    while group.len() < GROUP_BATCHES_MAX && bytes < GROUP_BYTES_MAX {
        let Ok(next) = queue.try_recv() else { break };
        bytes += batch_bytes(&next.batch);
        group.push(next);
    }
    group
}

#[cfg(test)]
mod tests;
