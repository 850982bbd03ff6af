//! `cairn bench suite`: starts servers on directories of its own, measures every row a few times, each round of all
//! rows after the other, and compares the medians with the goals.

mod round;
mod rows;

use crate::ceilings::Ceilings;
use crate::installation::FileSystem;
use crate::process::{Process, machine_cpu};
use crate::report::write_json;
use crate::table::{Table, number};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use round::{Round, Stage};
use rows::{Figures, Place, ROWS, Row, Verdict};
use serde::Serialize;
use std::path::PathBuf;
use std::time::Duration;
use types::clock::{Clock, SystemClock};

/// What the rows take on the disk at most, with parity, and with what is kept until it is deleted.
const DISK_BYTES_NEEDED: u64 = 12 << 30;
/// What one round of the row in memory takes, with parity and room.
const MEMORY_BYTES_NEEDED: u64 = 4 << 30;

/// `cairn bench suite`
#[derive(Debug, Clone, Args)]
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
    #[arg(long, default_value = "5s", value_parser = humantime::parse_duration, value_name = "TIME")]
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

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Outcome {
    label: String,
    ceilings: Ceilings,
    /// The share of the cores that other processes had meanwhile; figures are worth less the greater it is.
    others_share: f64,
    rows: Vec<RowOutcome>,
    /// Rows that were not run, and why.
    skipped: Vec<String>,
}

/// One row's rounds, their medians, and how they compare with the goal.
#[derive(Debug, Serialize)]
struct RowOutcome {
    name: &'static str,
    connections: usize,
    ops_per_second: f64,
    megabytes_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    server_cpu_ms_per_op: f64,
    server_cpu_ms_per_op_least: f64,
    server_cpu_ms_per_op_most: f64,
    behind_cpu_ms_per_op: f64,
    client_cpu_ms_per_op: f64,
    peak_rss_bytes: u64,
    failed: u64,
    verdict: Verdict,
    rounds: Vec<Round>,
}

/// Measures, prints the table, and writes it down. A goal that is missed is marked, and is no error.
pub fn run(options: &SuiteOptions) -> Result<()> {
    let (rows, skipped) = choose(options)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => std::env::current_exe().context("cannot find this binary")?,
    };
    eprintln!("measuring the ceilings");
    let clock = SystemClock::new();
    let busy = (machine_cpu()?, Process::cpu_of_family()?);
    let ceilings = Ceilings::measure(&options.data, 16, Duration::from_secs(1))?;
    let own = format!("cairn-bench-{}", std::process::id());
    let (disk, memory) = (options.data.join(&own), options.memory.join(&own));
    let mut stage = Stage::new(&binary, disk.clone(), memory.clone(), options.duration);
    let measured = measure(&rows, options.rounds, &mut stage);
    let cleared = stage.clear();
    for place in [disk, memory] {
        // Left by a round that failed, or never made.
        let _ = std::fs::remove_dir_all(place);
    }
    let rows = rows
        .iter()
        .zip(measured?)
        .map(|(row, rounds)| RowOutcome::of(row, rounds, &ceilings));
    let rows = rows.collect::<Result<_>>()?;
    cleared?;
    let others = (machine_cpu()? - busy.0).saturating_sub(Process::cpu_of_family()? - busy.1);
    let outcome = Outcome {
        label: options.label.clone(),
        others_share: others.as_secs_f64()
            / clock.monotonic().as_secs_f64()
            / ceilings.cores as f64,
        ceilings,
        rows,
        skipped,
    };
    let text = outcome.text();
    print!("{text}");
    if let Some(results) = &options.results {
        let about = || format!("cannot write to {}", results.display());
        std::fs::create_dir_all(results).with_context(about)?;
        let file = |extension: &str| results.join(format!("{}.{extension}", options.label));
        std::fs::write(file("md"), text).with_context(about)?;
        write_json(&file("json"), &outcome)?;
        eprintln!("written to {}, and .json", file("md").display());
    }
    Ok(())
}

/// The rows that are asked for and can be run; those that cannot be, with the reason.
fn choose(options: &SuiteOptions) -> Result<(Vec<Row>, Vec<String>)> {
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
    ensure!(
        disk.free_bytes >= DISK_BYTES_NEEDED,
        "{} has {} GiB free, and the rows need {}: name another directory, or make room",
        options.data.display(),
        gibibytes(disk.free_bytes),
        gibibytes(DISK_BYTES_NEEDED)
    );
    let memory = FileSystem::of(&options.memory).map_or(0, |memory| memory.free_bytes);
    let (mut chosen, mut skipped) = (Vec::new(), Vec::new());
    for row in ROWS {
        if !options.rows.is_empty() && !options.rows.iter().any(|name| name == row.name) {
            continue;
        }
        if row.place == Place::Memory && memory < MEMORY_BYTES_NEEDED {
            let line = format!(
                "SKIPPED: {}: {} has {} GiB free, and it needs {}",
                row.name,
                options.memory.display(),
                gibibytes(memory),
                gibibytes(MEMORY_BYTES_NEEDED)
            );
            eprintln!("{line}");
            skipped.push(line);
        } else {
            chosen.push(row);
        }
    }
    Ok((chosen, skipped))
}

/// The rounds of each row. Every round runs all rows, so that what else the machine does hits all alike.
fn measure(rows: &[Row], rounds: u16, stage: &mut Stage<'_>) -> Result<Vec<Vec<Round>>> {
    let mut measured = vec![Vec::new(); rows.len()];
    for number in 1..=rounds {
        for (row, measured) in rows.iter().zip(&mut measured) {
            eprintln!("round {number} of {rounds}: {}", row.name);
            let round = stage
                .round(row)
                .with_context(|| format!("row {} could not be measured", row.name))?;
            measured.push(round);
        }
    }
    Ok(measured)
}

impl RowOutcome {
    fn of(row: &Row, rounds: Vec<Round>, ceilings: &Ceilings) -> Result<Self> {
        let middle = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
        let server = |round: &Round| {
            let server = round.report.server.as_ref();
            server.map_or(0.0, |server| server.cpu_ms_per_op)
        };
        let cpu = || rounds.iter().map(server);
        let peaks = rounds
            .iter()
            .filter_map(|round| round.report.server.as_ref());
        let figures = Figures {
            ops_per_second: middle(&|round| round.report.ops_per_second),
            megabytes_per_second: middle(&|round| round.report.megabytes_per_second),
            server_cpu_ms: middle(&server),
            client_cpu_ms: middle(&|round| round.report.client_cpu_ms_per_op),
        };
        let operations: u64 = rounds.iter().map(|round| round.report.operations).sum();
        ensure!(operations > 0, "row {}: no operation succeeded", row.name);
        Ok(Self {
            name: row.name,
            connections: row.connections,
            ops_per_second: figures.ops_per_second,
            megabytes_per_second: figures.megabytes_per_second,
            p50_ms: middle(&|round| round.report.latency_ms.p50),
            p99_ms: middle(&|round| round.report.latency_ms.p99),
            server_cpu_ms_per_op: figures.server_cpu_ms,
            server_cpu_ms_per_op_least: cpu().fold(f64::MAX, f64::min),
            server_cpu_ms_per_op_most: cpu().fold(0.0, f64::max),
            behind_cpu_ms_per_op: middle(&|round| round.behind_cpu_ms_per_op),
            client_cpu_ms_per_op: figures.client_cpu_ms,
            peak_rss_bytes: peaks.map(|server| server.peak_rss_bytes).max().unwrap_or(0),
            failed: rounds.iter().map(|round| round.report.failed).sum(),
            verdict: row.goal.judge(figures, ceilings),
            rounds,
        })
    }
}

impl Outcome {
    /// The ceilings, and under them the rows.
    fn text(&self) -> String {
        let mut table = Table::new(&[
            "work",
            "conns",
            "ops/s",
            "MB/s",
            "p50 ms",
            "p99 ms",
            "CPU ms/op",
            "least to most",
            "behind",
            "client",
            "peak MiB",
            "limit",
            "aim",
            "verdict",
        ]);
        for row in &self.rows {
            let verdict = &row.verdict;
            table.row(vec![
                row.name.to_owned(),
                row.connections.to_string(),
                number(row.ops_per_second),
                number(row.megabytes_per_second),
                number(row.p50_ms),
                number(row.p99_ms),
                number(row.server_cpu_ms_per_op),
                format!(
                    "{} to {}",
                    number(row.server_cpu_ms_per_op_least),
                    number(row.server_cpu_ms_per_op_most)
                ),
                number(row.behind_cpu_ms_per_op),
                number(row.client_cpu_ms_per_op),
                number(row.peak_rss_bytes as f64 / f64::from(1 << 20)),
                format!("{} {}", number(verdict.limit), verdict.unit),
                verdict.aim.map_or_else(|| "-".to_owned(), number),
                verdict.word(self.others_share).to_owned(),
            ]);
        }
        let mut text = format!(
            "{}\n\n{}\nMeanwhile other processes had {:.0} % of the cores.\n\n{}\n{EXPLANATION}",
            self.label,
            self.ceilings.table(),
            100.0 * self.others_share,
            table.markdown()
        );
        let failures = self.rows.iter().filter(|row| row.failed > 0);
        for row in failures {
            text += &format!(
                "FAILED: {}: {} operations failed; the JSON says how\n",
                row.name, row.failed
            );
        }
        for line in &self.skipped {
            text += &format!("{line}\n");
        }
        text
    }
}

const EXPLANATION: &str = "\
Medians over the rounds. CPU ms/op: the server's, in user and kernel mode, from the first request to the last answer,
for each operation; behind: what it used after the last answer; client: the client's, on the same cores. Limits of
rates are lower bounds: put-4k-64c 10 x the serial fdatasync rate (growing file) or 80 % of what the cores allow at
the CPU of server and client, whichever is less; put-64m-tmpfs half of one core's MD5. They are UNCLEAR where other
processes had more than a tenth of the cores; CPU ms/op is then somewhat too high. peak MiB: since the server started:
put-1m, put-64m and put-64m-tmpfs have one of their own for each round, the other rows one together.
";

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests;
