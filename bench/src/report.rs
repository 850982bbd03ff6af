//! What a run measured, for machines (JSON) and for people (a table).

use crate::load::Stored;
use crate::mix::Operation;
use crate::process::Process;
use crate::table::{Table, maybe, number};
use crate::tally::{Count, Tally};
use anyhow::{Context, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

/// One measured run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The operations and the sizes of the objects.
    pub work: String,
    /// Connections, each with one request at a time.
    pub connections: usize,
    /// From the first request to the last answer; no request begins after the given time.
    pub seconds: f64,
    /// Successful operations.
    pub operations: u64,
    /// Successful operations a second.
    pub ops_per_second: f64,
    /// Object bytes, or bytes of list pages, in millions a second.
    pub megabytes_per_second: f64,
    /// Latencies of all operations.
    pub latency_ms: Latency,
    /// The same for each kind of operation.
    pub by_operation: BTreeMap<Operation, OfOperation>,
    /// Failures of all kinds, also of the warm-up, and of what was read back.
    pub failed: u64,
    /// Failures by status and code. `WRONG` are successful answers with other bytes or another ETag.
    pub errors: BTreeMap<String, u64>,
    /// Objects that were put and read back afterwards, each compared byte for byte.
    pub read_back: u64,
    /// Pages at the end of a list that were not full; no operations.
    pub short_pages: u64,
    /// Answers 503, each tried again after its Retry-After.
    pub busy: u64,
    /// CPU time of this process for each operation.
    pub client_cpu_ms_per_op: f64,
    /// The server's use of the machine, where its process is known.
    pub server: Option<ServerUse>,
    /// A sample of what was put, for [`crate::load::Load::read_back`].
    #[serde(skip)]
    pub stored: Vec<Stored>,
}

/// Latencies in milliseconds.
#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    /// The mean.
    pub mean: f64,
    /// Half take no longer.
    pub p50: f64,
    /// 99 of 100 take no longer.
    pub p99: f64,
    /// None takes longer.
    pub max: f64,
}

/// One kind of operation.
#[derive(Debug, Clone, Serialize)]
pub struct OfOperation {
    /// Successful operations.
    pub operations: u64,
    /// Their latencies.
    pub latency_ms: Latency,
}

/// What the server's process used.
#[derive(Debug, Clone, Serialize)]
pub struct ServerUse {
    /// CPU time of all its threads over the run, divided by the operations.
    pub cpu_ms_per_op: f64,
    /// Resident memory at the end.
    pub rss_bytes: u64,
    /// The most that resident memory was since the process began.
    pub peak_rss_bytes: u64,
}

/// Readings at the begin of a run, for differences at its end.
#[derive(Debug)]
pub struct Meter {
    client_cpu: Duration,
    server: Option<(Process, Duration)>,
}

impl Meter {
    /// Reads the counters now.
    pub fn start(server: Option<Process>) -> Result<Self> {
        let server = match server {
            Some(process) => Some((process, process.cpu()?)),
            None => None,
        };
        Ok(Self {
            client_cpu: Process::own().cpu()?,
            server,
        })
    }

    /// Reads them again, and sums up.
    pub fn stop(self, what: What, took: Duration, tally: Tally) -> Result<Report> {
        let total = tally.total();
        let operations = total.latency_us.len();
        let per_op = |time: Duration| ms(time) / operations.max(1) as f64;
        let seconds = took.as_secs_f64();
        let server = match self.server {
            Some((process, before)) => Some(ServerUse {
                cpu_ms_per_op: per_op(process.cpu()?.saturating_sub(before)),
                rss_bytes: process.rss_bytes()?,
                peak_rss_bytes: process.peak_rss_bytes()?,
            }),
            None => None,
        };
        let by_operation = tally.operations.iter().map(|(operation, count)| {
            let of = OfOperation {
                operations: count.latency_us.len(),
                latency_ms: Latency::of(count),
            };
            (*operation, of)
        });
        let (failed, by_operation) = (tally.failed(), by_operation.collect());
        Ok(Report {
            work: what.work,
            connections: what.connections,
            seconds,
            operations,
            ops_per_second: operations as f64 / seconds,
            megabytes_per_second: total.bytes as f64 / 1e6 / seconds,
            latency_ms: Latency::of(&total),
            by_operation,
            failed,
            errors: tally.errors,
            read_back: 0,
            short_pages: tally.short_pages,
            busy: tally.busy,
            client_cpu_ms_per_op: per_op(Process::own().cpu()?.saturating_sub(self.client_cpu)),
            server,
            stored: tally.stored,
        })
    }
}

/// What a report is about.
#[derive(Debug, Clone)]
pub struct What {
    /// The operations and the sizes of the objects.
    pub work: String,
    /// Connections.
    pub connections: usize,
}

impl Latency {
    fn of(count: &Count) -> Self {
        let at = |quantile| count.latency_us.value_at_quantile(quantile) as f64 / 1e3;
        Self {
            mean: count.latency_us.mean() / 1e3,
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

impl Report {
    /// Counts failures that came to light after the run.
    pub fn count_failed(&mut self, label: String, count: u64) {
        self.failed += count;
        *self.errors.entry(label).or_default() += count;
    }

    /// Counts the failures of another run as this one's.
    pub fn count_failures_of(&mut self, other: &Self) {
        for (label, count) in &other.errors {
            self.count_failed(label.clone(), *count);
        }
    }

    /// One row for each kind of operation if there are several, and one for all of them.
    pub fn table(&self) -> String {
        let mut table = Table::new(&[
            "work",
            "ops",
            "ops/s",
            "MB/s",
            "p50 ms",
            "p99 ms",
            "max ms",
            "server CPU ms/op",
            "client CPU ms/op",
            "RSS MiB",
            "peak MiB",
            "failed",
            "503",
        ]);
        if self.by_operation.len() > 1 {
            for (operation, of) in &self.by_operation {
                let mut cells = vec![format!("  {operation}"), of.operations.to_string()];
                cells.push(number(of.operations as f64 / self.seconds));
                cells.push(String::new());
                cells.extend(of.latency_ms.cells());
                table.row(cells);
            }
        }
        let server = self.server.as_ref();
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let mut cells = vec![self.work.clone(), self.operations.to_string()];
        cells.extend([self.ops_per_second, self.megabytes_per_second].map(number));
        cells.extend(self.latency_ms.cells());
        cells.push(maybe(server.map(|used| used.cpu_ms_per_op)));
        cells.push(number(self.client_cpu_ms_per_op));
        cells.push(maybe(server.map(|used| mebibytes(used.rss_bytes))));
        cells.push(maybe(server.map(|used| mebibytes(used.peak_rss_bytes))));
        cells.extend([self.failed, self.busy].map(|count| count.to_string()));
        table.row(cells);
        let mut text = table.markdown();
        for (count, what) in [
            (
                self.read_back,
                "objects that were put were read back and compared",
            ),
            (
                self.short_pages,
                "pages at the end of the list were not full and are not counted",
            ),
        ] {
            if count > 0 {
                text += &format!("{count} {what}\n");
            }
        }
        for (label, count) in &self.errors {
            text += &format!("failed: {count} x {label}\n");
        }
        text
    }
}

impl Latency {
    fn cells(&self) -> [String; 3] {
        [self.p50, self.p99, self.max].map(number)
    }
}

/// Writes figures for machines.
pub fn write_json(file: &Path, figures: &impl Serialize) -> Result<()> {
    let json = serde_json::to_string_pretty(figures)? + "\n";
    std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))
}

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Fault;

    fn report() -> Report {
        let mut tally = Tally::default();
        for n in 1..=100 {
            let took = Duration::from_millis(n);
            tally.record(Operation::Put, took, Ok(Some(1_000_000)));
            tally.record(Operation::Get, took, Ok(Some(0)));
        }
        tally.record(
            Operation::Get,
            Duration::ZERO,
            Err(Fault::Wrong("other bytes")),
        );
        let what = What {
            work: "put,get 1 MB".to_owned(),
            connections: 2,
        };
        let meter = Meter::start(Some(Process::own())).unwrap();
        meter.stop(what, Duration::from_secs(2), tally).unwrap()
    }

    #[test]
    fn sums_up() {
        let report = report();
        assert_eq!(report.operations, 200);
        assert_eq!(report.ops_per_second, 100.0);
        assert_eq!(report.megabytes_per_second, 50.0);
        assert!((report.latency_ms.p50 - 50.0).abs() < 0.1);
        assert_eq!(report.failed, 1);
        assert!(report.server.unwrap().rss_bytes > 0);
    }

    #[test]
    fn json_has_the_names_that_scripts_read() {
        let json = serde_json::to_value(report()).unwrap();
        assert_eq!(json["by_operation"]["put"]["operations"], 100);
        assert_eq!(json["errors"]["WRONG: other bytes"], 1);
        assert!(json["server"]["cpu_ms_per_op"].is_number());
    }

    #[test]
    fn what_is_found_later_counts() {
        let mut sum = report();
        sum.count_failed("WRONG: other bytes".to_owned(), 2);
        sum.count_failures_of(&report());
        assert_eq!((sum.failed, sum.errors["WRONG: other bytes"]), (4, 4));
    }

    #[test]
    fn the_table_names_every_failure() {
        let table = report().table();
        assert!(table.contains("failed: 1 x WRONG: other bytes"), "{table}");
        assert!(table.contains("|   put "), "{table}");
    }
}
