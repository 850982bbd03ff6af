//! Compaction: copies what is live out of a volume, then removes the volume.

use super::format::{Place, volume_name};
use super::reader::{Depth, Step, Walk};
use crate::catalog::{CatalogError, Entry};
use crate::shard::{PutShardError, ReadShardError, ShardKey};
use crate::shared::Shared;
use crate::store::DiskStore;
use crate::volume::writer::Request;
use std::collections::HashSet;
use tokio::sync::oneshot;
use types::DiskId;

/// Bytes of copies that are on their way at once.
const IN_FLIGHT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// The open volume is ended for compaction only when this much of it is dead.
const SEAL_DEAD_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// How much compaction may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompactBudget {
    /// Bytes of live records that may be copied; a volume is begun only if all of it fits.
    pub copy_bytes: u64,
    /// Volumes of which at most this share is live are compacted.
    pub live_percent_max: u8,
}

/// What compaction did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CompactReport {
    /// Volumes that were removed.
    pub removed_volumes: Vec<u64>,
    /// Bytes that they had.
    pub removed_bytes: u64,
    /// Bytes of live records that were copied.
    pub copied_bytes: u64,
    /// Damage found. A volume with damaged live shards stays until they are deleted or put again.
    pub findings: Vec<DiskFinding>,
    /// True when there was no room to copy more.
    pub is_full: bool,
}

/// Damage that was found on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFinding {
    /// The disk.
    pub disk: DiskId,
    /// The volume.
    pub volume: u64,
    /// The shard that is damaged; `None` when it cannot be told which.
    pub key: Option<ShardKey>,
    /// What is wrong.
    pub reason: String,
}

/// Why compaction or scrubbing stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaintainError {
    /// The disk takes no writes.
    #[error(transparent)]
    Put(#[from] PutShardError),
    /// The catalogue or the device failed.
    #[error(transparent)]
    Read(#[from] ReadShardError),
}

/// The live records of a volume in the order in which they lie. Those whose record cannot be recognised any
/// more are found in the catalogue.
pub(crate) fn live_entries(shared: &Shared, number: u64) -> Result<Vec<Entry>, CatalogError> {
    let Some(volume) = shared.volumes.get(number) else {
        return Ok(Vec::new());
    };
    let mut walk = Walk {
        file: &*volume.file,
        file_bytes: volume.bytes,
        disk: shared.id,
        next: Place {
            volume: number,
            offset: 0,
        },
        depth: Depth::Ends,
    };
    let mut live = Vec::new();
    while let Some(step) = walk.step() {
        if let Step::Record(entry) = step
            && shared.ledger.get(&entry.header.info.key)?.as_ref() == Some(&entry)
        {
            live.push(entry);
        }
    }
    if (live.len() as u64) < shared.ledger.live(number).shards {
        let seen: HashSet<u64> = live.iter().map(|entry| entry.place.offset).collect();
        let all = shared.ledger.entries_in(number)?;
        live.extend(
            all.into_iter()
                .filter(|entry| !seen.contains(&entry.place.offset)),
        );
        live.sort_by_key(|entry| entry.place);
    }
    Ok(live)
}

impl DiskStore {
    /// Compacts the volumes with the fewest live bytes, within the budget. One call at a time does so;
    /// others wait. What was removed is durably gone on return, what was copied durably found.
    ///
    /// # Errors
    /// [`MaintainError`] when the disk takes no writes or fails; a volume is never removed then
    /// unless all its live records have been copied.
    pub async fn compact(&self, budget: CompactBudget) -> Result<CompactReport, MaintainError> {
        let _only = self.compaction.lock().await;
        self.shared.check_writable()?;
        let mut report = CompactReport::default();
        for volume in self.candidates(budget.live_percent_max).await? {
            let live = self.shared.ledger.live(volume).bytes;
            if report.is_full || report.copied_bytes + live > budget.copy_bytes {
                break;
            }
            self.compact_volume(volume, &mut report).await?;
        }
        Ok(report)
    }

    /// Volumes worth compacting, fewest live bytes first, ended if need be.
    async fn candidates(&self, live_percent_max: u8) -> Result<Vec<u64>, MaintainError> {
        let sizes = self.shared.volumes.sizes();
        let newest = sizes.last().map(|(number, _)| *number);
        let mut candidates = Vec::new();
        for (number, bytes) in sizes {
            let live = self.shared.ledger.live(number).bytes;
            let dead = bytes.saturating_sub(live);
            let is_worth = live * 100 <= bytes * u64::from(live_percent_max);
            if Some(number) != newest {
                if is_worth {
                    candidates.push((live, number));
                }
            } else if is_worth && dead >= SEAL_DEAD_BYTES_MIN {
                let (done, is_done) = oneshot::channel();
                self.send(Request::Seal(number, done)).await?;
                self.answer(is_done).await?;
                candidates.push((live, number));
            }
        }
        candidates.sort_unstable();
        Ok(candidates.into_iter().map(|(_, number)| number).collect())
    }

    async fn compact_volume(
        &self,
        number: u64,
        report: &mut CompactReport,
    ) -> Result<(), MaintainError> {
        let listed = self.blocking(move |shared| {
            live_entries(shared, number).map_err(|error| shared.catalog_error(error))
        });
        let findings_before = report.findings.len();
        let mut on_their_way = Vec::new();
        let mut bytes_on_their_way = 0;
        for entry in listed.await? {
            let bytes = entry.header.record_bytes();
            let (entry, body) = self
                .blocking(move |shared| {
                    let body = shared.read_entry(&entry, 0, u32::MAX);
                    (entry, body)
                })
                .await;
            match body {
                Ok(body) => {
                    let sent = self.send_put(entry.header, body, Some(entry.place)).await?;
                    on_their_way.push((sent, bytes));
                    bytes_on_their_way += bytes;
                }
                Err(error) => {
                    report
                        .findings
                        .push(self.finding(number, Some(entry.header.info.key), &error))
                }
            }
            if bytes_on_their_way >= IN_FLIGHT_BYTES_MAX {
                self.arrive(&mut on_their_way, report).await?;
                bytes_on_their_way = 0;
            }
            if report.is_full {
                return Ok(());
            }
        }
        self.arrive(&mut on_their_way, report).await?;
        if !report.is_full {
            self.remove_if_empty(number, findings_before, report)
                .await?;
        }
        Ok(())
    }

    /// Waits until the copies are durable and found.
    async fn arrive(
        &self,
        on_their_way: &mut Vec<(oneshot::Receiver<Result<(), PutShardError>>, u64)>,
        report: &mut CompactReport,
    ) -> Result<(), MaintainError> {
        for (sent, bytes) in on_their_way.drain(..) {
            match self.answer(sent).await {
                Ok(()) => {
                    report.copied_bytes += bytes;
                    self.shared.metrics.compacted_bytes.increment(bytes);
                }
                Err(PutShardError::Full { .. }) => report.is_full = true,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes the volume if nothing in it is live: first the catalogue must durably say so.
    async fn remove_if_empty(
        &self,
        number: u64,
        findings_before: usize,
        report: &mut CompactReport,
    ) -> Result<(), MaintainError> {
        let shards = self.shared.ledger.live(number).shards;
        if shards > 0 {
            if report.findings.len() == findings_before {
                let reason = format!("{shards} live shards are counted but cannot be found");
                let disk = self.shared.id;
                report.findings.push(DiskFinding {
                    disk,
                    volume: number,
                    key: None,
                    reason,
                });
            }
            return Ok(());
        }
        let removed = self
            .blocking(move |shared| remove_volume(shared, number))
            .await?;
        report.removed_volumes.push(number);
        report.removed_bytes += removed;
        Ok(())
    }

    pub(crate) fn finding(
        &self,
        volume: u64,
        key: Option<ShardKey>,
        error: &dyn std::fmt::Display,
    ) -> DiskFinding {
        tracing::warn!(disk = %self.shared.id, volume, ?key, %error, "damage found");
        DiskFinding {
            disk: self.shared.id,
            volume,
            key,
            reason: error.to_string(),
        }
    }
}

/// Durably removes a volume in which nothing is live; gives the bytes it had.
fn remove_volume(shared: &Shared, number: u64) -> Result<u64, ReadShardError> {
    let bytes = shared.volumes.get(number).map_or(0, |volume| volume.bytes);
    shared
        .ledger
        .sync()
        .map_err(|error| shared.catalog_error(error))?;
    let failed = |error: std::io::Error| {
        let reason = format!("removing volume {number} failed: {error}");
        ReadShardError::Failed {
            disk: shared.id,
            reason,
        }
    };
    shared.disk.remove(&volume_name(number)).map_err(failed)?;
    shared.volumes.remove(number);
    shared.disk.sync_dir().map_err(failed)?;
    shared
        .ledger
        .forget_volume(number)
        .map_err(|error| shared.catalog_error(error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
