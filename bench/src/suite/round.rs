//! One round of one row: the server that it needs, its objects, and the measuring.

use super::rows::{Place, Row};
use crate::installation::{Installation, Server};
use crate::keys::Layout;
use crate::load::{Load, Phase, Settings};
use crate::mix::Mix;
use crate::process::Process;
use crate::report::{Report, ms};
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use types::clock::{Clock, SystemClock};

const WARM_UP: Duration = Duration::from_millis(300);
/// A server that used no more than this in [`QUIET_FOR`], so many times in a row, has finished what it does behind the
/// answers. More than once, because a compaction may wait for the disk.
const QUIET_CPU: Duration = Duration::from_millis(10);
const QUIET_FOR: Duration = Duration::from_millis(200);
const QUIET_TIMES: u32 = 2;
/// Longer is not waited for it; compactions of a round take a second or two.
const QUIET_WITHIN: Duration = Duration::from_secs(15);

/// What one round measured.
#[derive(Debug, Clone, Serialize)]
pub struct Round {
    /// The requests and answers.
    #[serde(flatten)]
    pub report: Report,
    /// CPU time that the server used after the last answer, for each operation: flushes and compactions.
    pub behind_cpu_ms_per_op: f64,
    /// Whether it had finished them when that was read; if not, there is more to come.
    pub is_quiet: bool,
}

/// What the server used until it came to rest.
#[derive(Debug, Clone, Copy)]
pub struct Behind {
    cpu: Duration,
    is_quiet: bool,
}

impl Round {
    /// CPU time of the server for each operation, from the first request to the last answer.
    pub fn server_cpu_ms_per_op(&self) -> f64 {
        let server = self.report.server.as_ref();
        server.map_or(0.0, |server| server.cpu_ms_per_op)
    }

    /// The same with what it used behind the answers: what an operation costs in all.
    pub fn total_cpu_ms_per_op(&self) -> f64 {
        self.server_cpu_ms_per_op() + self.behind_cpu_ms_per_op
    }
}

/// The servers of a suite.
pub struct Stage<'a> {
    binary: &'a Path,
    disk: PathBuf,
    memory: PathBuf,
    duration: Duration,
    clock: SystemClock,
    /// The server for all rounds, and the rows whose objects are there.
    kept: Option<(Installation, Server, BTreeMap<&'static str, Load>)>,
    fresh: u64,
}

impl<'a> Stage<'a> {
    /// Servers of `binary` in new directories under `disk` and `memory`.
    pub fn new(binary: &'a Path, disk: PathBuf, memory: PathBuf, duration: Duration) -> Self {
        Self {
            binary,
            disk,
            memory,
            duration,
            clock: SystemClock::new(),
            kept: None,
            fresh: 0,
        }
    }

    /// Runs one round.
    pub fn round(&mut self, row: &Row) -> Result<Round> {
        match row.place {
            Place::Disk => {
                let result = self.round_on_kept(row);
                result.or_else(|error| self.give_up_kept(error))
            }
            Place::FreshDisk => self.round_on_fresh(row, &self.disk.clone()),
            Place::Memory => self.round_on_fresh(row, &self.memory.clone()),
        }
    }

    fn round_on_kept(&mut self, row: &Row) -> Result<Round> {
        if self.kept.is_none() {
            let installation = Installation::new(self.binary, &self.disk.join("kept"))?;
            let (server, _) = installation.start(&self.clock)?;
            self.kept = Some((installation, server, BTreeMap::new()));
        }
        let (_, server, loads) = self.kept.as_mut().expect("made above");
        let load = match loads.entry(row.name) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let load = entry.insert(prepare(row, server)?);
                wait_until_quiet(server.process(), &self.clock)?;
                load
            }
        };
        measure(row, load, server, self.duration, &self.clock)
    }

    fn round_on_fresh(&mut self, row: &Row, place: &Path) -> Result<Round> {
        self.fresh += 1;
        let installation =
            Installation::new(self.binary, &place.join(format!("fresh{}", self.fresh)))?;
        let (mut server, _) = installation.start(&self.clock)?;
        let result = prepare(row, &server)
            .and_then(|load| measure(row, &load, &server, self.duration, &self.clock))
            .map_err(|error| blame(&mut server, &installation, error));
        drop(server);
        installation.remove()?;
        result
    }

    /// Gives up the server for all rounds if it has ended, so that the next row gets another.
    fn give_up_kept(&mut self, error: anyhow::Error) -> Result<Round> {
        let Some((installation, mut server, loads)) = self.kept.take() else {
            return Err(error);
        };
        let has_ended = server.ended().is_some();
        let error = blame(&mut server, &installation, error);
        if has_ended {
            installation.remove()?;
        } else {
            self.kept = Some((installation, server, loads));
        }
        Err(error)
    }

    /// Ends what runs and deletes what was made.
    pub fn clear(self) -> Result<()> {
        if let Some((installation, server, _)) = self.kept {
            drop(server);
            installation.remove()?;
        }
        Ok(())
    }
}

/// Says that the server has ended, where that is why.
fn blame(server: &mut Server, installation: &Installation, error: anyhow::Error) -> anyhow::Error {
    match server.ended() {
        Some(status) => {
            eprintln!("{}", installation.log_tail());
            error.context(format!("the server ended with {status}"))
        }
        None => error,
    }
}

/// Makes the row's bucket and the objects that are to be read.
fn prepare(row: &Row, server: &Server) -> Result<Load> {
    let load = Load::new(Settings {
        endpoint: server.endpoint.clone(),
        credentials: Installation::credentials(),
        signs_payload: false,
        bucket: row.bucket(),
        prefix: "bench".to_owned(),
        layout: Layout::Tree,
        sizes: vec![row.size_bytes],
        connections: row.connections,
        threads: 1,
        seed: 1,
        server: Some(server.process()),
    })?;
    load.make_bucket()?;
    load.fill(0..row.objects)?;
    Ok(load)
}

fn measure(
    row: &Row,
    load: &Load,
    server: &Server,
    duration: Duration,
    clock: &dyn Clock,
) -> Result<Round> {
    let mut phase = Phase {
        mix: Mix::only(row.operation),
        duration: WARM_UP,
        operations: row.operations_max.min(10_000),
        readable: 0..row.objects,
        deletable: 0..0,
    };
    let warm_up = load.measure(phase.clone())?;
    wait_until_quiet(server.process(), clock)?;
    phase.duration = duration;
    phase.operations = row.operations_max;
    let mut report = load.measure(phase)?;
    let behind = wait_until_quiet(server.process(), clock)?;
    load.read_back(&mut report)?;
    report.count_failures_of(&warm_up);
    Ok(Round {
        behind_cpu_ms_per_op: ms(behind.cpu) / report.operations.max(1) as f64,
        is_quiet: behind.is_quiet,
        report,
    })
}

/// Waits until the server does nothing, so that no row pays for another's; what it used meanwhile.
fn wait_until_quiet(server: Process, clock: &dyn Clock) -> Result<Behind> {
    let (began, first) = (clock.monotonic(), server.cpu()?);
    let (mut last, mut quiet_times) = (first, 0);
    while quiet_times < QUIET_TIMES && clock.monotonic() - began < QUIET_WITHIN {
        std::thread::sleep(QUIET_FOR);
        let now = server.cpu()?;
        let is_quiet = now.saturating_sub(last) <= QUIET_CPU;
        quiet_times = if is_quiet { quiet_times + 1 } else { 0 };
        last = now;
    }
    Ok(Behind {
        cpu: last.saturating_sub(first),
        is_quiet: quiet_times == QUIET_TIMES,
    })
}
