//! Builds the library of `tests/syncfault/`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles the library into `dir` and gives its path, for `LD_PRELOAD`.
pub fn library(dir: &Path) -> PathBuf {
    let (source, library) = (dir.join("syncfault.c"), dir.join("syncfault.so"));
    std::fs::write(&source, include_str!("../syncfault/syncfault.c")).expect("write the source");
    let status = Command::new("cc")
        .args([
            "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o",
        ])
        .args([&library, &source])
        .arg("-ldl")
        .status()
        .expect("run cc (Debian package gcc)");
    assert!(status.success(), "cc failed");
    library
}
