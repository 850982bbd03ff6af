//! The orphan collector: frees chunks that no record names, as [`crate::plan::orphans`] decides.
//!
//! A sweep goes through the placement groups in windows. For each window it first lists the chunks that the
//! disks have, then reads every chunk that any record of the index names, and then plans. The order matters:
//! a chunk that is listed and then not named was not named at any moment between, and being old enough, it
//! cannot be named by a commit still to come.

use crate::config::SchedulerConfig;
use crate::plan::orphans::{Findings, Quarantine, plan};
use crate::run::free::free_chunk;
use crate::run::gc::SharedTime;
use crate::worker::{Step, StepError, Worker};
use async_trait::async_trait;
use chunkstore::ChunkStore;
use index::{Index, ScanCursor};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tracing::info;
use types::{ChunkId, Clock, PartitionId, PgId};

/// Chunks of a window; bounds the memory of a sweep, at about 100 bytes each.
const WINDOW_CHUNKS: usize = 200_000;
/// Records of the index looked at in one step.
const SCAN_PAGE: usize = 1000;
/// Chunks in quarantine at the most; further ones enter once there is room.
const QUARANTINE_MAX: usize = 1_000_000;

type ByGroup = BTreeMap<PgId, BTreeSet<ChunkId>>;

/// Where a sweep is.
#[derive(Debug)]
enum Phase {
    /// Listing what the disks have, from this group on.
    List {
        group: PgId,
        after: Option<ChunkId>,
        window: ByGroup,
    },
    /// Reading what the index names; the window ended before group `next`.
    Scan {
        next: Option<PgId>,
        window: ByGroup,
        named: ByGroup,
        rest: Vec<PartitionId>,
        cursor: Option<ScanCursor>,
    },
}

/// Sweeps all groups again and again, at intervals of a quarter of the orphan age.
#[derive(Debug)]
pub struct Orphans {
    index: Index,
    chunks: ChunkStore,
    config: SchedulerConfig,
    time: Arc<SharedTime>,
    clock: Arc<dyn Clock>,
    quarantine: Quarantine,
    phase: Option<Phase>,
    next_sweep: Duration,
}

impl Orphans {
    /// A collector whose first sweep begins with its first round.
    #[must_use]
    pub fn new(
        index: Index,
        chunks: ChunkStore,
        config: SchedulerConfig,
        time: Arc<SharedTime>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let next_sweep = clock.monotonic();
        let quarantine = Quarantine::new();
        Self {
            index,
            chunks,
            config,
            time,
            clock,
            quarantine,
            phase: None,
            next_sweep,
        }
    }

    fn is_old(&self, chunk: ChunkId) -> bool {
        let age_ms = self.config.orphan_age().as_millis();
        u128::from(self.clock.now_ms().saturating_sub(chunk.time_ms())) > age_ms
    }

    fn partitions(&self) -> Vec<PartitionId> {
        self.index.partitions()
    }

    /// Lists one page of one group.
    async fn list(
        &self,
        group: PgId,
        after: Option<ChunkId>,
        mut window: ByGroup,
    ) -> Result<Option<Phase>, StepError> {
        let view = self.chunks.view();
        let Some(group) = view.groups.range(group..).next().map(|(id, _)| *id) else {
            return Ok(self.scan(None, window));
        };
        let page = self
            .chunks
            .list_chunks(group, after)
            .await
            .map_err(StepError::of)?;
        let old = page
            .chunks
            .iter()
            .map(|chunk| chunk.id)
            .filter(|chunk| self.is_old(*chunk));
        window.entry(group).or_default().extend(old);
        if page.next.is_some() {
            return Ok(Some(Phase::List {
                group,
                after: page.next,
                window,
            }));
        }
        let next = PgId(group.0 + 1);
        let size: usize = window.values().map(BTreeSet::len).sum();
        if size < WINDOW_CHUNKS {
            return Ok(Some(Phase::List {
                group: next,
                after: None,
                window,
            }));
        }
        Ok(self.scan(Some(next), window))
    }

    /// The scan for a window, or what follows if it is empty.
    fn scan(&self, next: Option<PgId>, mut window: ByGroup) -> Option<Phase> {
        window.retain(|_, chunks| !chunks.is_empty());
        if window.is_empty() {
            return next.map(|group| Phase::List {
                group,
                after: None,
                window,
            });
        }
        let (named, rest) = (ByGroup::new(), self.partitions());
        Some(Phase::Scan {
            next,
            window,
            named,
            rest,
            cursor: None,
        })
    }

    /// Plans and frees, once everything that is named was read.
    async fn finish(&mut self, window: &ByGroup, named: &ByGroup) -> Result<(), StepError> {
        let (age, grace) = (self.config.orphan_age(), self.config.reclaim_grace);
        let none = BTreeSet::new();
        for (pg, stored) in window {
            let findings = Findings {
                pg: *pg,
                stored,
                named: named.get(pg).unwrap_or(&none),
                now_ms: self.clock.now_ms(),
                observed: self.time.total(),
            };
            let free = plan(&mut self.quarantine, &findings, age, grace);
            for chunk in &free {
                free_chunk(&self.chunks, *pg, *chunk).await?;
                self.quarantine.remove(&(*pg, *chunk));
            }
            if !free.is_empty() {
                info!(pg = %pg, chunks = free.len(), "orphans freed");
                metrics::counter!("cairn_orphans_freed_total").increment(free.len() as u64);
            }
        }
        while self.quarantine.len() > QUARANTINE_MAX {
            self.quarantine.pop_last();
        }
        metrics::gauge!("cairn_orphans_quarantined").set(self.quarantine.len() as f64);
        Ok(())
    }

    async fn go_on(&mut self, phase: Phase) -> Result<Option<Phase>, StepError> {
        match phase {
            Phase::List {
                group,
                after,
                window,
            } => self.list(group, after, window).await,
            Phase::Scan {
                next,
                window,
                mut named,
                mut rest,
                cursor,
            } => {
                let Some(partition) = rest.last().copied() else {
                    self.finish(&window, &named).await?;
                    return Ok(next.map(|group| Phase::List {
                        group,
                        after: None,
                        window: ByGroup::new(),
                    }));
                };
                let page = self.index.scan_chunks(partition, cursor, SCAN_PAGE).await;
                let page = page.map_err(StepError::of)?;
                for chunk in page.chunks {
                    if window
                        .get(&chunk.pg)
                        .is_some_and(|stored| stored.contains(&chunk.id))
                    {
                        named.entry(chunk.pg).or_default().insert(chunk.id);
                    }
                }
                if page.next.is_none() {
                    rest.pop();
                }
                Ok(Some(Phase::Scan {
                    next,
                    window,
                    named,
                    rest,
                    cursor: page.next,
                }))
            }
        }
    }
}

#[async_trait]
impl Worker for Orphans {
    fn name(&self) -> &'static str {
        "orphans"
    }

    async fn step(&mut self) -> Result<Step, StepError> {
        let Some(phase) = self.phase.take() else {
            if self.clock.monotonic() < self.next_sweep {
                return Ok(Step::Idle);
            }
            self.next_sweep = self.clock.monotonic() + self.config.orphan_age() / 4;
            self.phase = Some(Phase::List {
                group: PgId(0),
                after: None,
                window: ByGroup::new(),
            });
            return Ok(Step::More);
        };
        // A failure gives the sweep up; the next one begins anew, and quarantine keeps what it knows.
        self.phase = self.go_on(phase).await?;
        Ok(if self.phase.is_some() {
            Step::More
        } else {
            Step::Idle
        })
    }
}
