//! One step of growth: fill, wait, read, look at the disk, stop and start, kill and start.

use super::OBJECT_BYTES;
use super::space::IndexBytes;
use crate::installation::{Installation, Server, disk_usage};
use crate::keys::Layout;
use crate::load::{Load, Phase, Settings};
use crate::mix::{Mix, Operation};
use crate::process::Process;
use crate::report::Report;
use anyhow::{Context, Result, ensure};
use serde::Serialize;
use std::thread;
use std::time::Duration;
use types::clock::Clock;

/// The last objects of a step, over which PUT is measured.
const MEASURED_PUTS: u64 = 10_000;
const CONNECTIONS: usize = 16;
/// Connections while nothing is measured, to fill quickly.
const FILL_CONNECTIONS: usize = 64;
/// Objects that are written before a kill.
const BEFORE_KILL: u64 = 10_000;
/// A step adds at least so many, of which those before the last kill are there already.
pub const OBJECTS_MIN: u64 = 30_000;
const _: () = assert!(OBJECTS_MIN > BEFORE_KILL + MEASURED_PUTS);
const GET_WARM_UP: Duration = Duration::from_secs(2);
const GET_FOR: Duration = Duration::from_secs(8);
/// While a server uses more CPU than this in a second, it is compacting.
const QUIET_CPU: Duration = Duration::from_millis(30);
const QUIET_WITHIN: Duration = Duration::from_secs(600);

/// What was measured at one size.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Objects in the server.
    pub objects: u64,
    /// Blocks of the chunk disks for each object.
    pub disks_bytes_per_object: f64,
    /// The index, for each object.
    pub index: IndexBytes,
    /// PUTs.
    pub put: Cost,
    /// GETs of random objects.
    pub get: Cost,
    /// Bytes that the server wrote for each byte of an object.
    pub write_amplification: f64,
    /// Until it was ready, in seconds.
    pub start_after_stop_s: f64,
    /// Until it was ready, in seconds.
    pub start_after_kill_s: f64,
    /// Resident memory.
    pub rss_mib: f64,
    /// False where the server still compacted when it was measured.
    pub is_quiet: bool,
}

/// What one kind of operation costs.
#[derive(Debug, Clone, Serialize)]
pub struct Cost {
    /// CPU time of the server for each.
    pub server_cpu_ms: f64,
    /// Answers a second.
    pub ops_per_second: f64,
    /// 99 of 100 take no longer.
    pub p99_ms: f64,
}

impl Row {
    /// Chunk disks and index together.
    pub fn bytes_per_object(&self) -> f64 {
        self.disks_bytes_per_object + self.index.total
    }
}

impl Cost {
    fn of(report: &Report) -> Result<Self> {
        let failed = report.failed;
        ensure!(
            failed == 0,
            "{failed} operations failed: {:?}",
            report.errors
        );
        let server = report.server.as_ref().context("the server is known")?;
        Ok(Self {
            server_cpu_ms: server.cpu_ms_per_op,
            ops_per_second: report.ops_per_second,
            p99_ms: report.latency_ms.p99,
        })
    }
}

/// A server that grows.
pub struct Growing<'a> {
    installation: &'a Installation,
    clock: &'a dyn Clock,
    /// None only between the end of one and the start of the next.
    server: Option<Server>,
    objects: u64,
}

impl<'a> Growing<'a> {
    /// An empty one.
    pub fn start(installation: &'a Installation, clock: &'a dyn Clock) -> Result<Self> {
        let (server, _) = installation.start(clock)?;
        let growing = Self {
            installation,
            clock,
            server: Some(server),
            objects: 0,
        };
        growing.load(CONNECTIONS)?.make_bucket()?;
        Ok(growing)
    }

    /// What it takes on disk now.
    pub fn disk_bytes(&self) -> Result<u64> {
        Ok(self.disks_bytes()? + disk_usage(&self.installation.index())?)
    }

    fn disks_bytes(&self) -> Result<u64> {
        let disks = self.installation.disks();
        disks.iter().map(|disk| disk_usage(disk)).sum()
    }

    /// Fills the server to so many objects and measures it.
    pub fn step(&mut self, objects: u64) -> Result<Row> {
        let (put, write_amplification, is_quiet) = self.fill(objects)?;
        eprintln!("reading");
        let get = self.read()?;
        let rss_mib = self.process().rss_bytes()? as f64 / f64::from(1 << 20);
        let disks_bytes = self.disks_bytes()? as f64 / objects as f64;
        let index = IndexBytes::of(&self.installation.index())?.per_object(objects as f64);
        eprintln!("stopping and starting");
        let start_after_stop = self.restart(|server, clock| server.stop(clock))?;
        self.store(objects + BEFORE_KILL, CONNECTIONS)?;
        eprintln!("killing and starting");
        let start_after_kill = self.restart(|server, _| server.kill())?;
        Ok(Row {
            objects,
            disks_bytes_per_object: disks_bytes,
            index,
            put,
            get,
            write_amplification,
            start_after_stop_s: start_after_stop.as_secs_f64(),
            start_after_kill_s: start_after_kill.as_secs_f64(),
            rss_mib,
            is_quiet,
        })
    }

    /// Stores what is missing; the cost of the last PUTs, the write amplification of all, and whether the server was
    /// quiet in the end.
    fn fill(&mut self, objects: u64) -> Result<(Cost, f64, bool)> {
        let stored = objects - self.objects;
        eprintln!("filling to {objects} objects");
        let before = self.process().written_bytes()?;
        self.store(objects - MEASURED_PUTS, FILL_CONNECTIONS)?;
        let put = Cost::of(&self.store(objects, CONNECTIONS)?)?;
        let is_quiet = self.wait_until_quiet()?;
        let written = self.process().written_bytes()? - before;
        let amplification = written as f64 / (stored * OBJECT_BYTES) as f64;
        Ok((put, amplification, is_quiet))
    }

    /// Stores objects until there are so many.
    fn store(&mut self, objects: u64, connections: usize) -> Result<Report> {
        let report = self.load(connections)?.fill(self.objects..objects)?;
        self.objects = objects;
        Ok(report)
    }

    fn read(&self) -> Result<Cost> {
        let load = self.load(CONNECTIONS)?;
        let mut phase = Phase {
            mix: Mix::only(Operation::Get),
            duration: GET_WARM_UP,
            operations: u64::MAX,
            readable: 0..self.objects,
            deletable: 0..0,
        };
        load.measure(phase.clone())?;
        phase.duration = GET_FOR;
        Cost::of(&load.measure(phase)?)
    }

    /// Ends the server in this way; how long the next one takes until it is ready.
    fn restart(&mut self, end: impl FnOnce(Server, &dyn Clock) -> Result<()>) -> Result<Duration> {
        if let Some(server) = self.server.take() {
            end(server, self.clock)?;
        }
        let (server, took) = self.installation.start(self.clock)?;
        self.server = Some(server);
        Ok(took)
    }

    /// Whether the server came to rest in time.
    fn wait_until_quiet(&self) -> Result<bool> {
        eprintln!("waiting for compactions");
        let began = self.clock.monotonic();
        let mut last = self.process().cpu()?;
        while self.clock.monotonic() - began < QUIET_WITHIN {
            thread::sleep(Duration::from_secs(1));
            let now = self.process().cpu()?;
            if now.saturating_sub(last) <= QUIET_CPU {
                return Ok(true);
            }
            last = now;
        }
        eprintln!(
            "the server is still busy after {} s",
            QUIET_WITHIN.as_secs()
        );
        Ok(false)
    }

    fn server(&self) -> &Server {
        self.server
            .as_ref()
            .expect("a start that fails ends the run")
    }

    fn process(&self) -> Process {
        self.server().process()
    }

    fn load(&self, connections: usize) -> Result<Load> {
        Load::new(Settings {
            endpoint: self.server().endpoint.clone(),
            credentials: Installation::credentials(),
            signs_payload: false,
            bucket: "growth".to_owned(),
            prefix: "bench".to_owned(),
            layout: Layout::Tree,
            sizes: vec![OBJECT_BYTES],
            connections,
            threads: 1,
            seed: 1,
            server: Some(self.process()),
        })
    }
}
