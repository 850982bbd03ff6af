//! Garbage collection: frees what deletes and overwrites have left, once the grace was observed to pass.

use crate::config::SchedulerConfig;
use crate::observed::ObservedTime;
use crate::plan::gc::{Mark, add_mark, ripe_up_to};
use crate::run::free::free_chunk;
use crate::state::{NAME, TimeRecord};
use crate::worker::{Step, StepError, Worker};
use async_trait::async_trait;
use chunkstore::ChunkStore;
use index::{Index, ReclaimEntry, ReclaimStep};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tracing::debug;
use types::{Clock, PartitionId};

/// Reclaim entries handled in one step.
const ENTRIES_PER_STEP: usize = 64;

/// Observed time as the workers share it; persisted by the collector.
#[derive(Debug, Default)]
pub struct SharedTime {
    total_ms: AtomicU64,
    ripe: Mutex<BTreeMap<PartitionId, u64>>,
}

impl SharedTime {
    /// Observed time so far, as of the last tick.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::from_millis(self.total_ms.load(Ordering::Acquire))
    }

    /// Up to which commit of the partition a whole reclaim grace was observed to pass; 0 for none.
    #[must_use]
    pub fn ripe_up_to(&self, partition: PartitionId) -> u64 {
        self.ripe.lock().get(&partition).copied().unwrap_or(0)
    }

    fn set(&self, total: Duration) {
        let ms = u64::try_from(total.as_millis()).unwrap_or(u64::MAX);
        self.total_ms.store(ms, Ordering::Release);
    }
}

/// Ticks observed time, and frees what is ripe.
#[derive(Debug)]
pub struct Gc {
    index: Index,
    chunks: ChunkStore,
    config: SchedulerConfig,
    clock: Arc<dyn Clock>,
    shared: Arc<SharedTime>,
    observed: ObservedTime,
    marks: BTreeMap<PartitionId, VecDeque<Mark>>,
    /// Sequence of the persisted record; `None` before the first.
    persisted: Option<u64>,
    /// Partitions with ripe entries still to be looked at in this round, and up to which sequence.
    ripe: Vec<(PartitionId, u64)>,
    in_round: bool,
}

impl Gc {
    /// Resumes observed time from where it was persisted.
    ///
    /// # Errors
    /// The index cannot be read, or the record is damaged.
    pub async fn resume(
        index: Index,
        chunks: ChunkStore,
        config: SchedulerConfig,
        clock: Arc<dyn Clock>,
        shared: Arc<SharedTime>,
    ) -> Result<Self, StepError> {
        let kept = index.scheduler_state(NAME).await.map_err(StepError::of)?;
        let record = match &kept {
            Some(kept) => TimeRecord::decode(kept.value.clone()).map_err(StepError::of)?,
            None => TimeRecord::default(),
        };
        let total = Duration::from_millis(record.observed_ms);
        shared.set(total);
        Ok(Self {
            observed: ObservedTime::resume(total, clock.as_ref()),
            marks: record.marks(),
            persisted: kept.map(|kept| kept.seq),
            index,
            chunks,
            config,
            clock,
            shared,
            ripe: Vec::new(),
            in_round: false,
        })
    }

    /// Begins a round: ticks, marks where each partition is, persists both, and finds what is ripe.
    async fn begin(&mut self) -> Result<(), StepError> {
        let now = self.observed.tick(self.clock.as_ref());
        let grace = self.config.reclaim_grace;
        self.ripe.clear();
        for partition in self.index.partitions() {
            let seq = self
                .index
                .last_seq(partition)
                .await
                .map_err(StepError::of)?;
            let marks = self.marks.entry(partition).or_default();
            if let Some(ripe) = ripe_up_to(marks, now, grace) {
                self.ripe.push((partition, ripe));
            }
            add_mark(marks, Mark { at: now, seq }, grace);
        }
        let record = TimeRecord::of(now, &self.marks).encode();
        match self
            .index
            .replace_scheduler_state(NAME, self.persisted, record.into())
            .await
        {
            Ok(seq) => self.persisted = Some(seq),
            Err(error) => {
                // It may have been written all the same; the next round goes on from what stands there.
                let kept = self
                    .index
                    .scheduler_state(NAME)
                    .await
                    .map_err(StepError::of)?;
                self.persisted = kept.map(|kept| kept.seq);
                return Err(StepError::of(error));
            }
        }
        // Only time that is persisted may free anything: after a restart it must not have run back.
        self.shared.set(now);
        self.shared.ripe.lock().extend(self.ripe.iter().copied());
        self.in_round = true;
        Ok(())
    }

    /// Frees everything that one entry names.
    async fn reclaim(&self, entry: &ReclaimEntry) -> Result<(), StepError> {
        loop {
            match self
                .index
                .reclaim_step(entry)
                .await
                .map_err(StepError::of)?
            {
                ReclaimStep::Free { chunks, freed } => {
                    for chunk in &chunks {
                        free_chunk(&self.chunks, chunk.pg, chunk.id).await?;
                    }
                    metrics::counter!("cairn_gc_chunks_freed_total").increment(chunks.len() as u64);
                    self.index
                        .reclaim_freed(entry, &freed)
                        .await
                        .map_err(StepError::of)?;
                }
                ReclaimStep::More => {}
                ReclaimStep::Done => return Ok(()),
            }
        }
    }
}

#[async_trait]
impl Worker for Gc {
    fn name(&self) -> &'static str {
        "gc"
    }

    async fn step(&mut self) -> Result<Step, StepError> {
        if !self.in_round {
            self.begin().await?;
        }
        let Some((partition, up_to)) = self.ripe.last().copied() else {
            self.in_round = false;
            return Ok(Step::Idle);
        };
        let entries = self
            .index
            .next_reclaims(partition, up_to, ENTRIES_PER_STEP)
            .await;
        let entries = entries.map_err(StepError::of);
        let entries = match entries {
            Ok(entries) if entries.is_empty() => {
                self.ripe.pop();
                // What is ripe is also past every window in which the feed may be asked for it.
                self.index
                    .trim(partition, up_to)
                    .await
                    .map_err(StepError::of)?;
                return Ok(Step::More);
            }
            Ok(entries) => entries,
            Err(error) => {
                self.in_round = false;
                return Err(error);
            }
        };
        debug!(%partition, entries = entries.len(), "freeing");
        for entry in &entries {
            if let Err(error) = self.reclaim(entry).await {
                self.in_round = false;
                return Err(error);
            }
        }
        Ok(Step::More)
    }
}
