//! How often a second the disk makes 4 KiB durable, one write after the other.

use super::best;
use anyhow::{Context, Result};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;
use types::clock::Clock;

const WRITE_BYTES: usize = 4096;
/// The length of the file that has its length before.
const FILE_BYTES: u64 = 64 << 20;
/// Stretches of the time, of which the best counts.
const SLICES: u32 = 10;

/// Writes a second.
pub struct Syncs {
    pub existing: f64,
    pub growing: f64,
}

/// Measures each kind for `each`, in a file that is deleted afterwards.
pub fn measure(data: &Path, each: Duration, clock: &dyn Clock) -> Result<Syncs> {
    let path = data.join(format!("ceilings-{}", std::process::id()));
    let result = measure_in(&path, each, clock);
    // A file that was not made cannot be deleted either.
    let _ = std::fs::remove_file(&path);
    result.with_context(|| format!("cannot measure fdatasync in {}", data.display()))
}

fn measure_in(path: &Path, each: Duration, clock: &dyn Clock) -> Result<Syncs> {
    let growing = serial(&File::create(path)?, u64::MAX, each, clock)?;
    let file = File::create(path)?;
    for offset in (0..FILE_BYTES).step_by(1 << 20) {
        file.write_all_at(&[1; 1 << 20], offset)?;
    }
    file.sync_all()?;
    let existing = serial(&file, FILE_BYTES, each, clock)?;
    Ok(Syncs { existing, growing })
}

/// Writes from the begin of the file, and again from there once `length` is reached.
fn serial(file: &File, length: u64, each: Duration, clock: &dyn Clock) -> Result<f64> {
    let mut offset = 0;
    best(each, each / SLICES, clock, 1.0, || {
        file.write_all_at(&[2; WRITE_BYTES], offset)?;
        file.sync_data()?;
        offset = (offset + WRITE_BYTES as u64) % length;
        Ok(())
    })
}
