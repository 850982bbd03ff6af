//! What a suite found: the medians of each row, how they compare with the goal, and what failed.

use super::Measured;
use super::round::Round;
use super::rows::{FAILED, Figures, MISSED, Row, Verdict};
use crate::ceilings::Ceilings;
use crate::report::write_json;
use crate::table::{Table, number};
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What the figures are of.
    pub label: String,
    /// What the machine gives at best.
    pub ceilings: Ceilings,
    /// The share of the cores that other processes had meanwhile; figures are worth less the greater it is.
    pub others_share: f64,
    /// The rows that were run.
    pub rows: Vec<RowOutcome>,
    /// Rows that were not run, and why.
    pub skipped: Vec<String>,
}

/// One row's rounds, their medians, and how they compare with the goal.
#[derive(Debug, Serialize)]
pub struct RowOutcome {
    name: &'static str,
    connections: usize,
    ops_per_second: f64,
    megabytes_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    server_cpu_ms_per_op: f64,
    behind_cpu_ms_per_op: f64,
    total_cpu_ms_per_op: f64,
    total_cpu_ms_per_op_least: f64,
    total_cpu_ms_per_op_most: f64,
    client_cpu_ms_per_op: f64,
    peak_rss_bytes: u64,
    /// The word of the table.
    result: &'static str,
    /// Operations that failed or were answered with something wrong, in all rounds.
    failed: u64,
    errors: BTreeMap<String, u64>,
    /// Why the row could not be measured to its end.
    error: Option<String>,
    verdict: Verdict,
    rounds: Vec<Round>,
}

impl RowOutcome {
    /// Sums up, and judges.
    pub fn of(row: &Row, measured: Measured, ceilings: &Ceilings, others_share: f64) -> Self {
        let Measured { rounds, mut error } = measured;
        let middle = |figure: &dyn Fn(&Round) -> f64| median(rounds.iter().map(figure).collect());
        let figures = Figures {
            ops_per_second: middle(&|round| round.report.ops_per_second),
            megabytes_per_second: middle(&|round| round.report.megabytes_per_second),
            server_cpu_ms: middle(&Round::server_cpu_ms_per_op),
            total_cpu_ms: middle(&Round::total_cpu_ms_per_op),
            client_cpu_ms: middle(&|round| round.report.client_cpu_ms_per_op),
            is_quiet: rounds.iter().all(|round| round.is_quiet),
        };
        let is_idle = |round: &Round| round.report.operations == 0;
        if error.is_none() && (rounds.is_empty() || rounds.iter().any(is_idle)) {
            error = Some("no operation succeeded in a round".to_owned());
        }
        let mut errors = BTreeMap::new();
        for (label, count) in rounds.iter().flat_map(|round| &round.report.errors) {
            *errors.entry(label.clone()).or_default() += count;
        }
        let failed = rounds.iter().map(|round| round.report.failed).sum();
        let verdict = row.goal.judge(figures, ceilings);
        let result = if failed > 0 || error.is_some() {
            FAILED
        } else {
            verdict.word(others_share)
        };
        let total = || rounds.iter().map(Round::total_cpu_ms_per_op);
        let servers = rounds
            .iter()
            .filter_map(|round| round.report.server.as_ref());
        Self {
            name: row.name,
            connections: row.connections,
            ops_per_second: figures.ops_per_second,
            megabytes_per_second: figures.megabytes_per_second,
            p50_ms: middle(&|round| round.report.latency_ms.p50),
            p99_ms: middle(&|round| round.report.latency_ms.p99),
            server_cpu_ms_per_op: figures.server_cpu_ms,
            behind_cpu_ms_per_op: middle(&|round| round.behind_cpu_ms_per_op),
            total_cpu_ms_per_op: figures.total_cpu_ms,
            total_cpu_ms_per_op_least: total().reduce(f64::min).unwrap_or(0.0),
            total_cpu_ms_per_op_most: total().reduce(f64::max).unwrap_or(0.0),
            client_cpu_ms_per_op: figures.client_cpu_ms,
            peak_rss_bytes: servers
                .map(|server| server.peak_rss_bytes)
                .max()
                .unwrap_or(0),
            result,
            failed,
            errors,
            error,
            verdict,
            rounds,
        }
    }

    fn cells(&self) -> Vec<String> {
        let verdict = &self.verdict;
        vec![
            self.name.to_owned(),
            self.connections.to_string(),
            number(self.ops_per_second),
            number(self.megabytes_per_second),
            number(self.p50_ms),
            number(self.p99_ms),
            number(self.server_cpu_ms_per_op),
            number(self.behind_cpu_ms_per_op),
            number(self.total_cpu_ms_per_op),
            format!(
                "{} to {}",
                number(self.total_cpu_ms_per_op_least),
                number(self.total_cpu_ms_per_op_most)
            ),
            number(self.client_cpu_ms_per_op),
            number(self.peak_rss_bytes as f64 / f64::from(1 << 20)),
            format!("{} {}", number(verdict.limit), verdict.unit),
            verdict.aim.map_or_else(|| "-".to_owned(), number),
            self.result.to_owned(),
        ]
    }

    /// What the table cannot say.
    fn lines(&self) -> String {
        let mut text = String::new();
        for (label, count) in &self.errors {
            text += &format!("{FAILED}: {}: {count} x {label}\n", self.name);
        }
        if let Some(error) = &self.error {
            text += &format!("{FAILED}: {}: {error}\n", self.name);
        }
        let verdict = &self.verdict;
        if self.result == MISSED {
            text += &format!(
                "{MISSED}: {}: {} {}, and the limit is {}\n",
                self.name,
                number(verdict.measured),
                verdict.unit,
                number(verdict.limit)
            );
        }
        if !verdict.is_whole {
            text += &format!(
                "{}: the server still worked when the wait for it was over; there is more to come than `behind`\n",
                self.name
            );
        }
        text
    }
}

impl Outcome {
    /// Prints the table, and writes it and the JSON into a directory.
    pub fn show(&self, results: Option<&Path>) -> Result<()> {
        let text = self.text();
        print!("{text}");
        let Some(results) = results else {
            return Ok(());
        };
        let about = || format!("cannot write to {}", results.display());
        std::fs::create_dir_all(results).with_context(about)?;
        let file = |extension: &str| results.join(format!("{}.{extension}", self.label));
        std::fs::write(file("md"), text).with_context(about)?;
        write_json(&file("json"), self)?;
        eprintln!("written to {}, and .json", file("md").display());
        Ok(())
    }

    /// The rows that failed.
    pub fn failed(&self) -> Vec<&'static str> {
        let failed = self.rows.iter().filter(|row| row.result == FAILED);
        failed.map(|row| row.name).collect()
    }

    /// The ceilings, and under them the rows.
    pub fn text(&self) -> String {
        let mut table = Table::new(&[
            "work",
            "conns",
            "ops/s",
            "MB/s",
            "p50 ms",
            "p99 ms",
            "CPU ms/op",
            "behind",
            "sum",
            "least to most",
            "client",
            "peak MiB",
            "limit",
            "aim",
            "verdict",
        ]);
        for row in &self.rows {
            table.row(row.cells());
        }
        let mut text = format!(
            "{}\n\n{}\nMeanwhile other processes had {:.0} % of the cores.\n\n{}\n{EXPLANATION}",
            self.label,
            self.ceilings.table(),
            100.0 * self.others_share,
            table.markdown()
        );
        text.extend(self.rows.iter().map(RowOutcome::lines));
        for line in &self.skipped {
            text += &format!("{line}\n");
        }
        text
    }
}

const EXPLANATION: &str = "\
Medians over the rounds. CPU ms/op: the server's, in user and kernel mode, from the first request to the last answer,
for each operation; behind: what it used after the last answer, for flushes and compactions, until it came to rest; sum:
both, which is what limits of CPU are held against; least to most: sums. client: the client's, on the same cores. Of what
is put, the ETags are compared with the MD5s (of large objects, of a sample), and a sample is read back. Limits of
rates are lower bounds: put-4k-64c 10 x the serial fdatasync rate (growing file) or 80 % of what the cores allow at
the CPU of server and client, whichever is less; put-64m-tmpfs half of one core's MD5. They are UNCLEAR where other
processes had more than a tenth of the cores; CPU ms/op is then somewhat too high. Figures of a row that FAILED say
nothing. peak MiB: since the server started: put-1m, put-64m and put-64m-tmpfs have one of their own for each round, the
other rows one together.
";

/// The middle; 0 of nothing.
fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
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
