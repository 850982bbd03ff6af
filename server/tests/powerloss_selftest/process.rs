//! Starts processes under the power-loss library and kills them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::slice::from_ref;

use s3_tests::powerloss::{PowerLoss, Report};
use tempfile::TempDir;

/// A watched directory whose process was killed.
pub struct Killed {
    /// The watched directory.
    pub root: PathBuf,
    /// What the process said.
    pub lines: Vec<String>,
    loss: Option<PowerLoss>,
    _dir: TempDir,
}

impl Killed {
    /// Runs a script (see `child.rs`) in a new directory, and kills the process when it has said
    /// `times` lines that begin with `until`.
    pub fn after(script: &str, until: &str, times: usize) -> Self {
        let dir = tempfile::tempdir().expect("make a directory");
        let root = dir.path().join("root");
        fs::create_dir(&root).expect("make the root");
        let loss = PowerLoss::prepare(from_ref(&root), &dir.path().join("journal"));
        let mut command = Command::new(std::env::current_exe().expect("this test"));
        command.args(["--exact", "child", "--ignored", "--nocapture"]);
        command.envs(loss.envs()).current_dir(&root);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start this test again");
        let mut stdin = child.stdin.take().expect("a pipe");
        writeln!(stdin, "{script}end").expect("send the script");
        let mut lines = Vec::new();
        let mut said = 0;
        for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
            let line = line.expect("read what it says");
            said += usize::from(line.starts_with(until));
            lines.push(line);
            if said == times {
                child.kill().expect("kill"); // SIGKILL; what was said before still arrives
            }
        }
        drop(stdin); // until now, or the process would end by itself
        let status = child.wait().expect("wait");
        assert_eq!(status.signal(), Some(9), "it failed: {lines:?}");
        let loss = Some(loss);
        Self {
            root,
            lines,
            loss,
            _dir: dir,
        }
    }

    /// Kills the process when it has done all of the script.
    pub fn script(script: &str) -> Self {
        Self::after(script, "ready", 1)
    }

    /// The power loss, once.
    pub fn crash(&mut self, seed: u64) -> Report {
        let report = self.loss.take().expect("the first time").crash(seed);
        assert!(report.unseen.is_empty(), "{:?}", report.unseen);
        report
    }

    /// The content of a file, or None if there is no such name.
    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.root.join(name)).ok()
    }
}

/// Runs one case of `unfollowed.c`: how it ended, and the report or why the library gave up.
pub fn unfollowed(case: &str) -> (ExitStatus, Result<Report, String>) {
    let dir = tempfile::tempdir().expect("make a directory");
    let program = dir.path().join("unfollowed");
    let source =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/powerloss_selftest/unfollowed.c");
    let compiled = Command::new("cc")
        .arg("-o")
        .arg(&program)
        .arg(source)
        .status();
    assert!(compiled.expect("run cc").success());
    let (root, journal) = (dir.path().join("root"), dir.path().join("journal"));
    fs::create_dir(&root).expect("make the root");
    let loss = PowerLoss::prepare(from_ref(&root), &journal);
    let mut command = Command::new(program);
    command
        .arg(case)
        .envs(loss.envs())
        .current_dir(root)
        .stderr(Stdio::null());
    let status = command.status().expect("run the case");
    match fs::read_to_string(journal.join("failed")) {
        Ok(message) => (status, Err(message)),
        Err(_) => (status, Ok(loss.crash(0))),
    }
}
