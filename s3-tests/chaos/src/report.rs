//! The file of results: one line for each run, so that runs of many sittings count together.

#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use time::OffsetDateTime;
use time::macros::format_description;

const HEAD: &str = "date,target,seed,seconds,clients,faults,events,unanswered,keys,\
                    gap_median_ms,gap_max_ms,missing_shards,verdict";

/// What a run did, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// What it ran on.
    pub target: &'static str,
    /// Its seed.
    pub seed: u64,
    /// How long.
    pub seconds: u64,
    /// How many clients.
    pub clients: usize,
    /// How many faults.
    pub faults: usize,
    /// What was recorded.
    pub events: usize,
    /// Writes without an answer.
    pub unanswered: usize,
    /// Keys that were judged.
    pub keys: usize,
    /// The longest time that a client was without an answer: the median of all clients.
    pub gap_median_ms: u64,
    /// And that of the worst.
    pub gap_max_ms: u64,
    /// Shards that were missing at the end, and known to be.
    pub missing_shards: u64,
}

impl Row {
    fn line(&self, date: &str, is_clean: bool) -> String {
        let verdict = if is_clean { "clean" } else { "FAILED" };
        let numbers = [
            self.seed,
            self.seconds,
            self.clients as u64,
            self.faults as u64,
            self.events as u64,
            self.unanswered as u64,
            self.keys as u64,
            self.gap_median_ms,
            self.gap_max_ms,
            self.missing_shards,
        ];
        let mut line = format!("{date},{}", self.target);
        for number in numbers {
            let _ = write!(line, ",{number}");
        }
        format!("{line},{verdict}")
    }
}

/// Appends a run to the file, which begins with a line of titles; `now_ms` is since the Unix epoch.
///
/// # Errors
/// When the file cannot be written.
pub fn append(path: &Path, row: &Row, is_clean: bool, now_ms: u64) -> Result<()> {
    let is_new = !path.exists();
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))?;
    if is_new {
        writeln!(file, "{HEAD}")?;
    }
    writeln!(file, "{}", row.line(&date(now_ms), is_clean))?;
    Ok(())
}

fn date(now_ms: u64) -> String {
    let format = format_description!("[year]-[month]-[day]");
    let seconds = i64::try_from(now_ms / 1000).unwrap_or(0);
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&format).unwrap_or_default()
}

/// How many runs a file has of a target, how many minutes they took, and how many of them failed.
///
/// # Errors
/// When the file cannot be read.
pub fn total(path: &Path, target: &str) -> Result<(usize, u64, usize)> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    let of_target = text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let seconds: u64 = fields.get(3)?.parse().ok()?;
        (*fields.get(1)? == target).then_some((seconds, *fields.last()? == "clean"))
    });
    let (mut runs, mut seconds, mut failed) = (0, 0, 0);
    for (took, is_clean) in of_target {
        runs += 1;
        seconds += took;
        failed += usize::from(!is_clean);
    }
    Ok((runs, seconds / 60, failed))
}
