//! `cairn bench growth`: fills a server step by step and writes down what each size costs: disk, CPU, starts,
//! rewriting, memory. Each step's row is written as soon as it is known, as a table and as a picture.

mod plot;
mod space;
mod step;

use crate::installation::{FileSystem, Installation};
use crate::report::write_json;
use crate::table::{Table, number};
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::path::{Path, PathBuf};
use step::{Growing, Row};
use types::clock::SystemClock;

/// The size of every object.
pub const OBJECT_BYTES: u64 = 4096;
/// What an object is taken to need before the first step has shown it: its bytes, its records, and what RocksDB
/// has twice while it compacts.
const ESTIMATED_BYTES: f64 = 1.4 * (OBJECT_BYTES as f64 + 600.0);
/// What a further object is taken to need, for each byte that one took so far.
const HEADROOM: f64 = 1.25;
/// Left free for others on the disk.
const FREE_AFTER_BYTES: u64 = 3 << 30;

/// `cairn bench growth`
#[derive(Debug, Clone, Args)]
pub struct GrowthOptions {
    /// A directory on the disk to be filled; what is written there is deleted
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// The binary to be measured [default: this one]
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Objects at each step, ascending
    #[arg(
        long,
        default_value = "1000000,5000000",
        value_delimiter = ',',
        value_name = "N,..."
    )]
    pub objects: Vec<u64>,
    /// Where growth.md, growth.svg and growth.json go
    #[arg(long, default_value = "deploy/growth", value_name = "DIR")]
    pub results: PathBuf,
}

/// Runs all steps.
pub fn run(options: &GrowthOptions) -> Result<()> {
    let steps = &options.objects;
    ensure_steps(steps)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => std::env::current_exe().context("cannot find this binary")?,
    };
    std::fs::create_dir_all(&options.data)
        .with_context(|| format!("cannot make {}", options.data.display()))?;
    let last = *steps.last().expect("there is a step");
    ensure_fits(&options.data, last, ESTIMATED_BYTES)?;
    let root = options
        .data
        .join(format!("cairn-growth-{}", std::process::id()));
    let installation = Installation::new(&binary, &root)?;
    let result = run_steps(options, &installation);
    installation.remove()?;
    result
}

/// Refuses steps that are too close together to be measured.
fn ensure_steps(steps: &[u64]) -> Result<()> {
    let mut last = 0;
    for &objects in steps {
        ensure!(
            objects >= last + step::OBJECTS_MIN,
            "--objects: {objects} is less than {} more than the step before",
            step::OBJECTS_MIN
        );
        last = objects;
    }
    ensure!(last > 0, "--objects: give at least one number");
    Ok(())
}

fn run_steps(options: &GrowthOptions, installation: &Installation) -> Result<()> {
    let clock = SystemClock::new();
    let mut growing = Growing::start(installation, &clock)?;
    let empty_bytes = growing.disk_bytes()?;
    let mut rows: Vec<Row> = Vec::new();
    for objects in &options.objects {
        if let Some(row) = rows.last() {
            let each = HEADROOM * row.bytes_per_object();
            ensure_fits(&options.data, objects - row.objects, each)?;
        }
        rows.push(growing.step(*objects)?);
        write(options, empty_bytes, &rows)?;
    }
    Ok(())
}

/// Says what so many further objects are expected to take, and refuses if there is no room.
fn ensure_fits(data: &Path, objects: u64, bytes_each: f64) -> Result<()> {
    let needed = objects as f64 * bytes_each;
    let free = FileSystem::of(data)?.free_bytes;
    let gibibytes = |bytes: f64| number(bytes / f64::from(1 << 30));
    eprintln!(
        "{objects} objects of 4 KiB are expected to take {} GiB at most; {} has {} GiB free",
        gibibytes(needed),
        data.display(),
        gibibytes(free as f64)
    );
    ensure!(
        needed + FREE_AFTER_BYTES as f64 <= free as f64,
        "there is no room for them, with {} GiB left for others: fewer --objects, or another --data",
        gibibytes(FREE_AFTER_BYTES as f64)
    );
    Ok(())
}

/// Writes the rows that are known so far.
fn write(options: &GrowthOptions, empty_bytes: u64, rows: &[Row]) -> Result<()> {
    let results = &options.results;
    let about = || format!("cannot write to {}", results.display());
    std::fs::create_dir_all(results).with_context(about)?;
    let text = document(&FileSystem::of(&options.data)?, empty_bytes, rows);
    std::fs::write(results.join("growth.md"), &text).with_context(about)?;
    std::fs::write(results.join("growth.svg"), plot::svg(rows)).with_context(about)?;
    write_json(&results.join("growth.json"), &rows)?;
    print!("{text}");
    Ok(())
}

fn document(file_system: &FileSystem, empty_bytes: u64, rows: &[Row]) -> String {
    let mut table = Table::default();
    table.row_of("objects", rows, |row| row.objects.to_string());
    for (name, figure) in FIGURES {
        table.row_of(name, rows, |row| number(figure(row)));
    }
    let came_to_rest = |row: &Row| if row.is_quiet { "yes" } else { "NO" }.to_owned();
    table.row_of("at rest when it was measured", rows, came_to_rest);
    format!(
        "# Growth\n\nMade by `make bench-growth`; data on {} ({}), {} cores.\nAn \
         empty server takes {} MiB, which is part of all that follows.\n\n{}\n{DEFINITIONS}\n\
         ![the same as a picture](growth.svg)\n",
        file_system.kind,
        file_system.device,
        crate::ceilings::cores(),
        number(empty_bytes as f64 / f64::from(1 << 20)),
        table.markdown()
    )
}

/// A figure of a step.
type Figure = (&'static str, fn(&Row) -> f64);

/// What the table shows of each step.
const FIGURES: [Figure; 16] = [
    ("disk bytes per object, all", Row::bytes_per_object),
    ("disk bytes per object, chunk disks", |row| {
        row.disks_bytes_per_object
    }),
    ("disk bytes per object, index", |row| row.index.total),
    ("index: SST files of inline bodies", |row| {
        row.index.inline_tables
    }),
    ("index: other SST files", |row| row.index.other_tables),
    ("index: logs and the rest", |row| row.index.rest),
    ("PUT, server CPU ms/op", |row| row.put.server_cpu_ms),
    ("PUT, ops/s", |row| row.put.ops_per_second),
    ("PUT, p99 ms", |row| row.put.p99_ms),
    ("GET, server CPU ms/op", |row| row.get.server_cpu_ms),
    ("GET, ops/s", |row| row.get.ops_per_second),
    ("GET, p99 ms", |row| row.get.p99_ms),
    ("write amplification", |row| row.write_amplification),
    ("start after a stop, s", |row| row.start_after_stop_s),
    ("start after kill -9, s", |row| row.start_after_kill_s),
    ("resident memory, MiB", |row| row.rss_mib),
];

const DEFINITIONS: &str = "\
All objects have 4 KiB and lie over 65,536 prefixes; 16 connections, unsigned payload, every acknowledgement after
fsync. Each column was measured when the server held that many objects and was at rest: a second with at most 30 ms
of CPU. After ten minutes without such a second it was measured all the same.

- Disk bytes: blocks of the directories' files (`du`), of the running server. SST files say in their properties to
  which column family they belong; bodies up to the inline limit are in one of their own.
- PUT: the last objects of the step, while it was filled. GET: random objects; where the index no longer fits the
  page cache, from disk. CPU is the server's, in user and kernel mode.
- Write amplification: bytes that the server's process had the kernel write (`write_bytes` of /proc/PID/io: whole
  pages, so a log page that two syncs share counts twice), from the first PUT of the step until it was quiet, divided
  by the object bytes of the step.
- Start: from the start of the process until /health/ready says so. Before kill -9 a further 10,000 objects were
  written, so that there is a log to be read; they count with the next step.
- Resident memory: after the GETs.
";

#[cfg(test)]
mod tests;
