//! Small tasks of the index: abandoned uploads, references that interrupted copies left, old outcomes.

use crate::config::SchedulerConfig;
use crate::plan::gc::{Mark, add_mark, ripe_up_to};
use crate::run::gc::SharedTime;
use crate::worker::{Step, StepError, Worker};
use async_trait::async_trait;
use bytes::Bytes;
use index::Index;
use index::store::StoreError;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tracing::info;
use types::limits::OUTCOME_TTL;
use types::{Clock, PartitionId};

/// Records looked at in one step.
const PAGE: usize = 500;

/// What is being gone through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Outcomes,
    Uploads,
    References,
}

/// Goes through one partition after the other.
#[derive(Debug)]
pub struct Housekeeping {
    index: Index,
    config: SchedulerConfig,
    clock: Arc<dyn Clock>,
    time: Arc<SharedTime>,
    /// When each partition had which commits, by this process's time since it began.
    marks: BTreeMap<PartitionId, VecDeque<Mark>>,
    rest: Vec<(Task, PartitionId)>,
    cursor: Option<Bytes>,
    next_audit: Duration,
}

impl Housekeeping {
    /// A worker that begins with its first round. `time` is what the collector has observed.
    #[must_use]
    pub fn new(
        index: Index,
        config: SchedulerConfig,
        time: Arc<SharedTime>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let next_audit = clock.monotonic();
        Self {
            index,
            config,
            clock,
            time,
            marks: BTreeMap::new(),
            rest: Vec::new(),
            cursor: None,
            next_audit,
        }
    }

    /// The tasks of a round. References are audited four times in a write deadline: none is due earlier.
    fn plan(&mut self) -> Vec<(Task, PartitionId)> {
        let mut tasks = vec![Task::Uploads, Task::Outcomes];
        if self.clock.monotonic() >= self.next_audit {
            self.next_audit = self.clock.monotonic() + self.config.write_deadline / 4;
            tasks.push(Task::References);
        }
        let partitions = self.index.partitions();
        tasks
            .iter()
            .flat_map(|task| partitions.iter().map(|partition| (*task, *partition)))
            .collect()
    }

    /// A page of old outcomes. Which are old is told by commits that were seen long ago: operation ids have the
    /// time of the clocks of those who sent them.
    async fn outcomes(
        &mut self,
        partition: PartitionId,
        cursor: Option<Bytes>,
    ) -> Result<Option<Bytes>, StoreError> {
        let now = self.clock.monotonic();
        let marks = self.marks.entry(partition).or_default();
        if cursor.is_none() {
            let seq = self.index.last_seq(partition).await?;
            add_mark(marks, Mark { at: now, seq }, OUTCOME_TTL);
        }
        match ripe_up_to(marks, now, OUTCOME_TTL) {
            Some(up_to) => self.index.purge_outcomes(partition, up_to, cursor).await,
            None => Ok(None),
        }
    }

    /// Does a page of a task; where to go on, or `None` when it is done.
    async fn page(
        &mut self,
        task: Task,
        partition: PartitionId,
    ) -> Result<Option<Bytes>, StepError> {
        let cursor = self.cursor.clone();
        match task {
            Task::Outcomes => {
                let next = self.outcomes(partition, cursor).await;
                next.map_err(StepError::of)
            }
            Task::Uploads => {
                let before_ms = self.config.upload_expiry.map_or(0, |expiry| {
                    let expiry_ms = u64::try_from(expiry.as_millis()).unwrap_or(u64::MAX);
                    self.clock.now_ms().saturating_sub(expiry_ms)
                });
                let page = self
                    .index
                    .expire_uploads(partition, before_ms, cursor, PAGE)
                    .await;
                let page = page.map_err(StepError::of)?;
                if page.aborted > 0 {
                    info!(%partition, uploads = page.aborted, "abandoned uploads aborted");
                    metrics::counter!("cairn_uploads_expired_total").increment(page.aborted as u64);
                }
                Ok(page.next)
            }
            Task::References => {
                let ripe = self.time.ripe_up_to(partition);
                let audit = self.index.audit_references(partition, ripe, cursor, PAGE);
                let page = audit.await.map_err(StepError::of)?;
                if page.dropped > 0 {
                    info!(%partition, references = page.dropped, "references of interrupted copies dropped");
                }
                Ok(page.next)
            }
        }
    }
}

#[async_trait]
impl Worker for Housekeeping {
    fn name(&self) -> &'static str {
        "housekeeping"
    }

    async fn step(&mut self) -> Result<Step, StepError> {
        if self.rest.is_empty() {
            self.rest = self.plan();
        }
        let Some((task, partition)) = self.rest.last().copied() else {
            return Ok(Step::Idle);
        };
        self.cursor = self.page(task, partition).await?;
        if self.cursor.is_none() {
            self.rest.pop();
        }
        Ok(if self.rest.is_empty() {
            Step::Idle
        } else {
            Step::More
        })
    }
}
