//! What this machine gives at best: the figures that no server on it can pass.

mod disk;
mod hash;
mod http;
mod memory;

pub use http::serve_nothing;

use crate::installation::FileSystem;
use crate::table::{Table, number};
use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use types::clock::{Clock, SystemClock};

/// `cairn bench ceilings`
#[derive(Debug, Clone, Args)]
pub struct CeilingsOptions {
    /// A directory on the disk to be measured; what is written there is deleted
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Connections to the empty handler
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: u16,
    /// Time for each figure
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub duration: Duration,
    /// Write the figures here too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// The figures, each of the best of several short stretches. Bytes are in 10^9 a second.
#[derive(Debug, Clone, Serialize)]
pub struct Ceilings {
    /// The processor's name.
    pub processor: String,
    /// How many threads run at once.
    pub cores: usize,
    /// Where the data lie.
    pub file_system: FileSystem,
    /// MD5, by OpenSSL.
    pub md5_gb_per_second: f64,
    /// SHA-256, by OpenSSL.
    pub sha256_gb_per_second: f64,
    /// BLAKE3, by the crate of that name.
    pub blake3_gb_per_second: f64,
    /// Copying memory, 64 MiB to another place.
    pub copy_gb_per_second: f64,
    /// One TCP stream over the loopback interface, a thread at each end.
    pub loopback_gb_per_second: f64,
    /// 4 KiB written and made durable with fdatasync, one after the other, into a file that has its length.
    pub fdatasync_existing_per_second: f64,
    /// The same, each behind the last, into a file that grows.
    pub fdatasync_growing_per_second: f64,
    /// Requests to a handler that does nothing, by the client of `cairn bench run`.
    pub empty_handler: EmptyHandler,
}

/// See [`Ceilings::empty_handler`].
#[derive(Debug, Clone, Serialize)]
pub struct EmptyHandler {
    /// Connections.
    pub connections: usize,
    /// Answers a second.
    pub requests_per_second: f64,
    /// CPU time of the handler's process for each.
    pub server_cpu_ms: f64,
    /// CPU time of the client for each.
    pub client_cpu_ms: f64,
}

impl Ceilings {
    /// Measures everything.
    pub fn measure(data: &Path, connections: u16, each: Duration) -> Result<Self> {
        let clock = SystemClock::new();
        std::fs::create_dir_all(data).with_context(|| format!("cannot make {}", data.display()))?;
        let syncs = disk::measure(data, each, &clock)?;
        let hashes = hash::measure(each, &clock)?;
        Ok(Self {
            processor: processor(),
            cores: cores(),
            file_system: FileSystem::of(data)?,
            md5_gb_per_second: hashes.md5,
            sha256_gb_per_second: hashes.sha256,
            blake3_gb_per_second: hashes.blake3,
            copy_gb_per_second: memory::measure_copy(each, &clock),
            loopback_gb_per_second: memory::measure_loopback(each, &clock)?,
            fdatasync_existing_per_second: syncs.existing,
            fdatasync_growing_per_second: syncs.growing,
            empty_handler: http::measure(connections, each)?,
        })
    }

    /// For people.
    pub fn table(&self) -> String {
        let file_system = &self.file_system;
        let handler = &self.empty_handler;
        let mut table = Table::new(&["ceiling", "figure"]);
        let mut row = |name: String, figure: String| table.row(vec![name, figure]);
        for (name, value) in [
            ("MD5, one core", self.md5_gb_per_second),
            ("SHA-256, one core", self.sha256_gb_per_second),
            ("BLAKE3, one core", self.blake3_gb_per_second),
            ("memory copy, one core", self.copy_gb_per_second),
            ("loopback, one TCP stream", self.loopback_gb_per_second),
        ] {
            row(name.to_owned(), format!("{} GB/s", number(value)));
        }
        for (name, value) in [
            ("existing file", self.fdatasync_existing_per_second),
            ("growing file", self.fdatasync_growing_per_second),
        ] {
            let name = format!("serial fdatasync of 4 KiB, {name}");
            row(name, format!("{} /s", number(value)));
        }
        row(
            format!("empty axum handler, {} connections", handler.connections),
            format!(
                "{} /s, {} ms server CPU, {} ms client CPU",
                number(handler.requests_per_second),
                number(handler.server_cpu_ms),
                number(handler.client_cpu_ms)
            ),
        );
        format!(
            "{} cores of {}; data on {} ({})\n\n{}",
            self.cores,
            self.processor,
            file_system.kind,
            file_system.device,
            table.markdown()
        )
    }
}

/// `cairn bench ceilings`
pub fn run(options: &CeilingsOptions) -> Result<()> {
    let ceilings = Ceilings::measure(&options.data, options.connections, options.duration)?;
    print!("{}", ceilings.table());
    if let Some(file) = &options.json {
        crate::report::write_json(file, &ceilings)?;
    }
    Ok(())
}

/// How many threads run at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or("an unnamed processor", |(_, name)| name)
        .to_owned()
}

/// Repeats `work`, which does so many units, until `each` is over; units a second in the best stretch of `slice` or
/// somewhat more. The best, because a figure that other processes pressed down is no ceiling.
fn best(
    each: Duration,
    slice: Duration,
    clock: &dyn Clock,
    units: f64,
    mut work: impl FnMut() -> Result<()>,
) -> Result<f64> {
    let end = clock.monotonic() + each;
    let mut best: f64 = 0.0;
    let mut now = clock.monotonic();
    while now < end {
        let began = now;
        let mut done = 0.0;
        while done == 0.0 || now - began < slice {
            work()?;
            done += units;
            now = clock.monotonic();
        }
        best = best.max(done / (now - began).as_secs_f64());
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::clock::ManualClock;

    #[test]
    fn the_best_stretch_counts() {
        let clock = ManualClock::at(0);
        let mut calls = 0;
        let (each, slice) = (Duration::from_secs(10), Duration::from_secs(1));
        let rate = best(each, slice, &clock, 2.0, || {
            // One stretch of five calls is undisturbed.
            calls += 1;
            let ms = if (3..8).contains(&calls) { 200 } else { 1000 };
            clock.advance(Duration::from_millis(ms));
            Ok(())
        });
        assert_eq!(rate.unwrap().round(), 10.0);
    }
}
