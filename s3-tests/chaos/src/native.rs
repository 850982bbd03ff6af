//! The parts that are written in C: what a process is started under, and the network between processes.
//! They are compiled on first use, as the tests of power loss compile theirs.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

const FLAGS: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-O2"];

/// Compiles the switch into `dir`; its path.
///
/// # Errors
/// When there is no C compiler, or it fails.
pub fn switch(dir: &Path) -> Result<PathBuf> {
    let source = include_str!("native/switch.c");
    compile(dir, "switch", source, &["-o", "switch"])
}

/// Compiles the library for `LD_PRELOAD` that moves clocks and slows disks into `dir`; its path.
///
/// # Errors
/// When there is no C compiler, or it fails.
pub fn faults_library(dir: &Path) -> Result<PathBuf> {
    let source = include_str!("native/faults.c");
    let output = ["-shared", "-fPIC", "-pthread", "-o", "faults.so"];
    compile(dir, "faults.so", source, &output)
}

fn compile(dir: &Path, product: &str, source: &str, flags: &[&str]) -> Result<PathBuf> {
    let file = dir.join(product).with_extension("c");
    std::fs::write(&file, source).context("write the C source")?;
    let mut compiler = Command::new("cc");
    compiler.current_dir(dir).args(FLAGS).args(flags);
    let output = compiler.arg(&file).arg("-ldl").output();
    let output = output.context("run cc (Debian package gcc)")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "cc failed: {errors}");
    Ok(dir.join(product))
}
