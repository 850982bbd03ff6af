//! Scrub: reads one volume and verifies every live record in it. Repairs nothing.

use crate::catalog::Entry;
use crate::shard::{ReadShardError, ShardKey};
use crate::shared::Shared;
use crate::store::DiskStore;
use crate::volume::compact::{DiskFinding, live_entries};
use crate::volume::reader::{Depth, Step, Walk};
use std::time::Duration;

/// Bytes verified between two pauses.
const STEP_BYTES: u64 = 1024 * 1024;

/// What a scrub of one volume found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ScrubReport {
    /// Live shards that were verified.
    pub shards: u64,
    /// Bytes of their records.
    pub bytes: u64,
    /// Damage, each with its shard. Putting the shard again mends it.
    pub findings: Vec<DiskFinding>,
}

impl DiskStore {
    /// Verifies every live record of a volume, header and body, reading at most `bytes_per_second`. A
    /// volume that is not there (any more) has none.
    ///
    /// # Errors
    /// [`ReadShardError`] when the catalogue fails; a record that cannot be read is a finding.
    pub async fn scrub(
        &self,
        volume: u64,
        bytes_per_second: u64,
    ) -> Result<ScrubReport, ReadShardError> {
        let listed = self.blocking(move |shared| {
            live_entries(shared, volume).map_err(|error| shared.catalog_error(error))
        });
        let mut report = ScrubReport::default();
        let mut rest = listed.await?;
        while !rest.is_empty() {
            let mut bytes = 0;
            let taken = rest
                .iter()
                .take_while(|entry| {
                    let is_room = bytes < STEP_BYTES;
                    bytes += entry.header.record_bytes();
                    is_room
                })
                .count();
            let later = rest.split_off(taken);
            let step = std::mem::replace(&mut rest, later);
            bytes = step.iter().map(|entry| entry.header.record_bytes()).sum();
            report.shards += step.len() as u64;
            report.bytes += bytes;
            let found = self.blocking(move |shared| damage(shared, &step)).await;
            let findings = found
                .iter()
                .map(|(key, why)| self.finding(volume, Some(*key), why));
            report.findings.extend(findings);
            let pause = bytes as f64 / bytes_per_second.max(1) as f64;
            tokio::time::sleep(Duration::from_secs_f64(pause)).await;
        }
        Ok(report)
    }
}

/// The damaged ones of some records, each with what is wrong with it.
fn damage(shared: &Shared, entries: &[Entry]) -> Vec<(ShardKey, String)> {
    let check = |entry: &Entry| {
        let reason = verify(shared, entry).err()?;
        let key = entry.header.info.key;
        // Deleted or moved while we read: what was read is garbage by now.
        let is_current = shared
            .ledger
            .get(&key)
            .is_ok_and(|now| now.as_ref() == Some(entry));
        is_current.then_some((key, reason))
    };
    entries.iter().filter_map(check).collect()
}

fn verify(shared: &Shared, entry: &Entry) -> Result<(), String> {
    shared
        .read_entry(entry, 0, u32::MAX)
        .map_err(|error| error.to_string())?;
    let volume = shared
        .volumes
        .get(entry.place.volume)
        .ok_or("its volume is gone")?;
    let mut walk = Walk {
        file: &*volume.file,
        file_bytes: volume.bytes,
        disk: shared.id,
        next: entry.place,
        depth: Depth::Ends,
    };
    match walk.step() {
        Some(Step::Record(found)) if found == *entry => Ok(()),
        _ => Err("the body is intact, the header or trailer of its record is not".to_owned()),
    }
}

#[cfg(test)]
mod tests;
