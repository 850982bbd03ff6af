//! Scrub: verifies every live shard of every disk in turn, slowly, and hands what is damaged to repair.

use crate::budget::Budget;
use crate::run::dirty::DirtyGroups;
use crate::worker::{Step, StepError, Worker};
use async_trait::async_trait;
use chunkstore::DiskStore;
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;
use types::Clock;

/// Time in which every shard is read once.
pub const PERIOD: Duration = Duration::from_secs(14 * 24 * 3600);
/// Bytes a second while a volume is read.
const BYTES_PER_SECOND: u64 = 32 << 20;

/// Verifies one volume at a time, spread over [`PERIOD`].
#[derive(Debug)]
pub struct Scrub {
    disks: Vec<Arc<DiskStore>>,
    dirty: Arc<DirtyGroups>,
    budget: Arc<Budget>,
    clock: Arc<dyn Clock>,
    /// Volumes still to be read in this period: disk and number.
    rest: Vec<(usize, u64)>,
    next_at: Duration,
}

impl Scrub {
    /// A worker for these disks; the first volume is read after its share of the period.
    #[must_use]
    pub fn new(
        disks: Vec<Arc<DiskStore>>,
        dirty: Arc<DirtyGroups>,
        budget: Arc<Budget>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let next_at = clock.monotonic();
        let mut scrub = Self {
            disks,
            dirty,
            budget,
            clock,
            rest: Vec::new(),
            next_at,
        };
        scrub.begin_period();
        scrub
    }

    fn begin_period(&mut self) {
        let volumes = |(n, disk): (usize, &Arc<DiskStore>)| {
            disk.volumes()
                .into_iter()
                .map(move |volume| (n, volume))
                .collect::<Vec<_>>()
        };
        self.rest = self.disks.iter().enumerate().flat_map(volumes).collect();
        self.next_at += self.share();
    }

    fn share(&self) -> Duration {
        PERIOD / u32::try_from(self.rest.len().max(1)).unwrap_or(u32::MAX)
    }

    /// Verifies one volume now.
    ///
    /// # Errors
    /// The disk's catalogue failed.
    pub async fn scrub_volume(&self, disk: &DiskStore, volume: u64) -> Result<(), StepError> {
        let report = disk
            .scrub(volume, BYTES_PER_SECOND)
            .await
            .map_err(StepError::of)?;
        self.budget.spend(report.bytes).await;
        metrics::counter!("cairn_scrub_bytes_total").increment(report.bytes);
        for finding in report.findings {
            warn!(?finding, "scrub found damage");
            metrics::counter!("cairn_scrub_findings_total").increment(1);
            if let Some(key) = finding.key {
                self.dirty.add_shard(key);
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Worker for Scrub {
    fn name(&self) -> &'static str {
        "scrub"
    }

    async fn step(&mut self) -> Result<Step, StepError> {
        if self.clock.monotonic() < self.next_at {
            return Ok(Step::Idle);
        }
        let Some((disk, volume)) = self.rest.pop() else {
            self.begin_period();
            return Ok(Step::Idle);
        };
        self.next_at += self.share();
        let disk = Arc::clone(&self.disks[disk]);
        self.scrub_volume(&disk, volume).await?;
        Ok(Step::More)
    }
}
