//! `cairn bench suite`: starts servers on directories of its own, measures every row a few times, each round of all
//! rows after the other, and compares the medians with the goals.

mod outcome;
mod round;
mod rows;

use crate::ceilings::Ceilings;
use crate::installation::FileSystem;
use crate::options::stretch_of_time;
use crate::process::{Process, machine_cpu};
use crate::table::number;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use outcome::{Outcome, RowOutcome};
use round::{Round, Stage};
use rows::{Place, ROWS, Row};
use std::path::PathBuf;
use std::time::Duration;
use types::clock::{Clock, SystemClock};

/// What the rows take on the disk at most, with parity, and with what is kept until it is deleted.
const DISK_BYTES_NEEDED: u64 = 12 << 30;
/// The same without the rows of large objects.
const DISK_BYTES_NEEDED_SMALL: u64 = 4 << 30;
/// What one round of the row in memory takes, with parity and room.
const MEMORY_BYTES_NEEDED: u64 = 4 << 30;

/// The ceilings are measured for this time each, or for that of a round if it is shorter.
const CEILING_TIME_MAX: Duration = Duration::from_secs(1);

/// What the exit code says.
const AFTER_HELP: &str = "\
Ends with 1 where a row FAILED: where an operation failed, was answered with wrong bytes or a wrong ETag, or where the
row could not be measured. A row that MISSED its limit is named, and the suite ends with 0 all the same: on a machine
that does other work too, a miss says little.";

/// `cairn bench suite`
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct SuiteOptions {
    /// A directory on the disk to be measured; what is written there is deleted
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// A directory in memory, for the row that no disk may slow down
    #[arg(long, default_value = "/dev/shm", value_name = "DIR")]
    pub memory: PathBuf,
    /// The binary to be measured [default: this one]
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Rows to be measured, as in `put-4k,get-4k` [default: all]
    #[arg(long, value_delimiter = ',', value_name = "ROW,...")]
    pub rows: Vec<String>,
    /// Time of a round
    #[arg(long, default_value = "5s", value_parser = stretch_of_time, value_name = "TIME")]
    pub duration: Duration,
    /// Rounds; figures are medians over them
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub rounds: u16,
    /// Where the table and the JSON go [default: nowhere]
    #[arg(long, value_name = "DIR")]
    pub results: Option<PathBuf>,
    /// What the files in that directory are called, and what the figures are of
    #[arg(long, default_value = "latest", value_name = "NAME")]
    pub label: String,
}

/// What the rounds of a row gave.
#[derive(Debug, Clone, Default)]
struct Measured {
    rounds: Vec<Round>,
    /// Why there are no more of them.
    error: Option<String>,
}

/// Measures, prints the table, and writes it down. A row that failed is an error in the end; a goal that is missed is
/// marked, and is none.
pub fn run(options: &SuiteOptions) -> Result<()> {
    let (rows, skipped) = choose(options)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => std::env::current_exe().context("cannot find this binary")?,
    };
    eprintln!("measuring the ceilings");
    let clock = SystemClock::new();
    let busy = (machine_cpu()?, Process::cpu_of_family()?);
    let each = options.duration.min(CEILING_TIME_MAX);
    let ceilings = Ceilings::measure(&options.data, 16, each)?;
    let own = format!("cairn-bench-{}", std::process::id());
    let (disk, memory) = (options.data.join(&own), options.memory.join(&own));
    let mut stage = Stage::new(&binary, disk.clone(), memory.clone(), options.duration);
    let measured = measure(&rows, options.rounds, &mut stage);
    let cleared = stage.clear();
    for place in [disk, memory] {
        // Left by a round that failed, or never made.
        let _ = std::fs::remove_dir_all(place);
    }
    let others = (machine_cpu()? - busy.0).saturating_sub(Process::cpu_of_family()? - busy.1);
    let others_share =
        others.as_secs_f64() / clock.monotonic().as_secs_f64() / ceilings.cores as f64;
    let rows = rows.iter().zip(measured);
    let rows = rows.map(|(row, measured)| RowOutcome::of(row, measured, &ceilings, others_share));
    let outcome = Outcome {
        label: options.label.clone(),
        others_share,
        rows: rows.collect(),
        ceilings,
        skipped,
    };
    outcome.show(options.results.as_deref())?;
    cleared?;
    let failed = outcome.failed();
    ensure!(
        failed.is_empty(),
        "FAILED: {}: operations failed, or were answered with something wrong; the lines under the table say how",
        failed.join(", ")
    );
    Ok(())
}

/// The rows that are asked for and can be run; those that cannot be, with the reason.
fn choose(options: &SuiteOptions) -> Result<(Vec<Row>, Vec<String>)> {
    check_names(options)?;
    for name in &options.rows {
        if !ROWS.iter().any(|row| row.name == name) {
            let names: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
            bail!("there is no row {name}; there are {}", names.join(", "));
        }
    }
    std::fs::create_dir_all(&options.data)
        .with_context(|| format!("cannot make {}", options.data.display()))?;
    let gibibytes = |bytes: u64| number(bytes as f64 / f64::from(1 << 30));
    let disk = FileSystem::of(&options.data)?;
    let is_asked_for =
        |row: &Row| options.rows.is_empty() || options.rows.iter().any(|name| name == row.name);
    let needed = if ROWS.iter().any(|row| is_asked_for(row) && row.is_large()) {
        DISK_BYTES_NEEDED
    } else {
        DISK_BYTES_NEEDED_SMALL
    };
    ensure!(
        disk.free_bytes >= needed,
        "{} has {} GiB free, and the rows need {}: name another directory, or make room",
        options.data.display(),
        gibibytes(disk.free_bytes),
        gibibytes(needed)
    );
    let memory = FileSystem::of(&options.memory).map_or(0, |memory| memory.free_bytes);
    let (mut chosen, mut skipped) = (Vec::new(), Vec::new());
    for row in ROWS.into_iter().filter(is_asked_for) {
        if row.place == Place::Memory && memory < MEMORY_BYTES_NEEDED {
            let line = format!(
                "SKIPPED: {}: {} has {} GiB free, and it needs {}",
                row.name,
                options.memory.display(),
                gibibytes(memory),
                gibibytes(MEMORY_BYTES_NEEDED)
            );
            ensure!(options.rows.is_empty(), "{line}; give another --memory");
            eprintln!("{line}");
            skipped.push(line);
        } else {
            chosen.push(row);
        }
    }
    Ok((chosen, skipped))
}

/// Refuses a binary that is none, and a label that would be a path.
fn check_names(options: &SuiteOptions) -> Result<()> {
    if let Some(binary) = &options.binary {
        ensure!(
            binary.is_file(),
            "--binary {}: there is no such file",
            binary.display()
        );
    }
    let label = &options.label;
    ensure!(
        !label.is_empty() && !label.contains('/'),
        "--label `{label}`: files are called by it, so it cannot be empty and has no /"
    );
    Ok(())
}

/// The rounds of each row. Every round runs all rows, so that what else the machine does hits all alike. A row that
/// cannot be measured is not run again.
fn measure(rows: &[Row], rounds: u16, stage: &mut Stage<'_>) -> Vec<Measured> {
    let mut measured = vec![Measured::default(); rows.len()];
    for number in 1..=rounds {
        for (row, measured) in rows.iter().zip(&mut measured) {
            if measured.error.is_some() {
                continue;
            }
            eprintln!("round {number} of {rounds}: {}", row.name);
            match stage.round(row) {
                Ok(round) => measured.rounds.push(round),
                Err(error) => {
                    let error = format!("it could not be measured: {error:#}");
                    eprintln!("{}: {error}", row.name);
                    measured.error = Some(error);
                }
            }
        }
    }
    measured
}

#[cfg(test)]
mod tests;
