//! Compaction: gives back the space of deleted shards.

use crate::budget::Budget;
use crate::worker::{Step, StepError, Worker};
use async_trait::async_trait;
use chunkstore::{CompactBudget, DiskStore};
use std::sync::Arc;
use tracing::{info, warn};

/// Volumes of which at most this share is live are rewritten.
const LIVE_PERCENT_MAX: u8 = 60;
/// Bytes copied in one step on one disk.
const STEP_BYTES: u64 = 256 << 20;

/// Compacts one disk after the other, and makes their deletes durable.
#[derive(Debug)]
pub struct Compact {
    disks: Vec<Arc<DiskStore>>,
    budget: Arc<Budget>,
    next: usize,
}

impl Compact {
    /// A worker for these disks.
    #[must_use]
    pub fn new(disks: Vec<Arc<DiskStore>>, budget: Arc<Budget>) -> Self {
        Self {
            disks,
            budget,
            next: 0,
        }
    }
}

#[async_trait]
impl Worker for Compact {
    fn name(&self) -> &'static str {
        "compact"
    }

    async fn step(&mut self) -> Result<Step, StepError> {
        let Some(disk) = self.disks.get(self.next).cloned() else {
            self.next = 0;
            return Ok(Step::Idle);
        };
        self.next += 1;
        if disk.read_only().is_some() {
            return Ok(Step::More);
        }
        disk.flush().await.map_err(StepError::of)?;
        let budget = CompactBudget {
            copy_bytes: STEP_BYTES,
            live_percent_max: LIVE_PERCENT_MAX,
        };
        let report = disk.compact(budget).await.map_err(StepError::of)?;
        for finding in &report.findings {
            warn!(?finding, "damage found while compacting; the volume stays");
        }
        if !report.removed_volumes.is_empty() {
            let (copied, freed) = (report.copied_bytes, report.removed_bytes);
            info!(
                volumes = report.removed_volumes.len(),
                copied, freed, "volumes compacted"
            );
            metrics::counter!("cairn_compact_copied_bytes_total").increment(copied);
            metrics::counter!("cairn_compact_freed_bytes_total").increment(freed);
            self.budget.spend(copied).await;
        }
        Ok(Step::More)
    }
}
