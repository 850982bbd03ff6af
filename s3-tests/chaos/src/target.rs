//! What faults are brought about in: a server on one machine, or a region of several zones.

pub mod machine;
pub mod region;

use crate::faults::{Fault, Kind, Shape};
use crate::zone::Zone;
use anyhow::Result;
use s3_tests::s3::S3;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long clients wait for an answer.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The root user of what a run starts.
pub const ACCESS_KEY: &str = "AKTESTROOT";
/// Its secret.
pub const SECRET_KEY: &str = "test-root-secret-key";

/// How often a second readiness is asked for, and how long.
const READY_TICK: Duration = Duration::from_millis(100);
const READY_TICKS: usize = 1_200;

/// Which faults of disks a run has: a disk is a small file system of its own, or lies on one with all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disks {
    /// They can be full.
    Small,
    /// They can lose power. What nobody but the process under test may do to them then is to delete files.
    Watched,
}

impl Disks {
    /// Those of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        if seed.is_multiple_of(2) {
            Self::Watched
        } else {
            Self::Small
        }
    }

    /// Prepares the disks of a zone, with the directories that lie beside them; what can happen to them then.
    fn prepare(self, zone: &mut Zone, directories: &[&str]) -> Vec<Kind> {
        let mut kinds = vec![Kind::SlowDisk, Kind::FlipBits];
        match self {
            Self::Small => {
                kinds.push(Kind::DeleteDisk);
                kinds.extend(zone.mount_disks().then_some(Kind::FillDisk));
            }
            Self::Watched => {
                zone.watch(directories);
                kinds.push(Kind::PowerLoss);
            }
        }
        kinds
    }
}

/// What is under test. Its processes end, and what it made goes, when it is dropped.
pub trait Target {
    /// Its name in results.
    fn name(&self) -> &'static str;

    /// What can be done to it.
    fn shape(&self) -> Shape;

    /// A client for each gateway.
    fn gateways(&self) -> Vec<S3>;

    /// Brings a fault about.
    ///
    /// # Errors
    /// When that cannot be done, which says nothing of the product.
    fn begin(&mut self, fault: &Fault) -> Result<()>;

    /// Ends a fault that has begun.
    ///
    /// # Errors
    /// As [`Target::begin`].
    fn end(&mut self, fault: &Fault) -> Result<()>;

    /// Starts again what ended by itself, as a supervisor does; what ended, and how.
    ///
    /// # Errors
    /// When it cannot be started.
    fn revive(&mut self) -> Result<Vec<String>>;

    /// Whether everything is up and ready, to be asked when no faults act.
    fn is_ready(&self) -> bool;

    /// Whether a request that was sent before a [`Fault::Kill`] has certainly ended after it.
    fn kill_settles(&self) -> bool;

    /// The zone that leads most, if there is such a thing.
    fn leader(&self) -> Option<usize> {
        None
    }

    /// Faults of which each, alone, must cost no byte once everything is repaired.
    fn harmless(&self) -> Vec<Fault> {
        Vec::new()
    }

    /// What an operator has to do before the target is repaired: puts empty disks in the place of those that were
    /// deleted, and starts nodes again that could not open a disk while it was full.
    ///
    /// # Errors
    /// When a disk is not accepted.
    fn tend_disks(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether everything that is to be repaired has been.
    ///
    /// # Errors
    /// When the target does not tell.
    fn is_repaired(&self) -> Result<bool> {
        Ok(true)
    }

    /// Stops everything and looks at what is on the disks.
    ///
    /// # Errors
    /// When the look itself fails.
    fn inspect(&mut self) -> Result<Inspection>;

    /// Where logs are, to be kept after a failure.
    fn root(&self) -> &Path;

    /// What the processes said about broken assertions.
    fn panics(&self) -> Vec<String>;
}

/// What is on the disks after a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Whether every chunk is at full redundancy, or its missing shards are known, and nothing is damaged
    /// that no fault has damaged.
    pub is_sound: bool,
    /// Shards that are missing, and known to be.
    pub missing_shards: u64,
    /// Shards that were missing and are not any more.
    pub repaired_shards: u64,
    /// The report for people.
    pub report: String,
}

/// Waits until a target is ready.
///
/// # Errors
/// When it is not within two minutes.
pub fn wait_until_ready(target: &mut dyn Target) -> Result<Vec<String>> {
    let mut ended = Vec::new();
    for _ in 0..READY_TICKS {
        if target.is_ready() {
            return Ok(ended);
        }
        ended.extend(target.revive()?);
        std::thread::sleep(READY_TICK);
    }
    anyhow::bail!(
        "not ready within two minutes without faults; logs: {}",
        target.root().display()
    )
}

/// Starts again each zone whose process ended by itself.
fn revive(zones: &mut [Zone], binary: &Path) -> Result<Vec<String>> {
    let mut ended = Vec::new();
    for zone in zones {
        if let Some(status) = zone.ended() {
            let tail = zone.log_tail(3);
            ended.push(format!("zone {} ended, {status}: {tail}", zone.number));
            zone.start(binary)?;
        }
    }
    Ok(ended)
}

/// The binary that is beside this one.
///
/// # Errors
/// When there is none.
pub fn binary_beside() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    let folders = this.ancestors().skip(1).take(2);
    let mut found = folders.map(|folder| folder.join("cairn"));
    let found = found.find(|path| path.is_file());
    found
        .ok_or_else(|| anyhow::anyhow!("no cairn beside {}: cargo build -p server", this.display()))
}
