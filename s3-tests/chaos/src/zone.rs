//! One zone: a process of the `cairn` binary with its disks, and what can be done to both.

use crate::faults::Fault;
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use s3_tests::dice::Dice;
use s3_tests::powerloss::PowerLoss;
use std::fs;
use std::io::{Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// How long a process is given to end after SIGTERM.
const STOP_TENTHS: usize = 600;

/// Room of a disk's file system. A catalogue alone takes some 40 MiB of it.
const DISK_BYTES: u64 = 384 << 20;

/// A zone; its process is killed when this is dropped.
#[derive(Debug)]
pub struct Zone {
    /// Number, counted from 0.
    pub number: usize,
    /// Everything of the zone is below it.
    pub root: PathBuf,
    /// The directories of its disks.
    pub disks: Vec<PathBuf>,
    /// Where it answers `/health/ready`.
    pub admin: SocketAddr,
    /// Words before the binary's, as those that enter a network namespace.
    pub wrapper: Vec<String>,
    /// The binary and its arguments.
    pub words: Vec<String>,
    /// Environment of the process.
    pub envs: Vec<(String, String)>,
    child: Option<Child>,
    /// Faults that keep the process from running, and that keep it stopped.
    down: u32,
    frozen: u32,
    mounted: Vec<PathBuf>,
    /// Directories that lose what was not synced when power is lost; none where that is not watched.
    watched: Vec<PathBuf>,
    loss: Option<PowerLoss>,
}

impl Zone {
    /// A zone below `root`, with directories for its disks, whose process does not run yet.
    ///
    /// # Errors
    /// When the directories cannot be made.
    pub fn new(number: usize, root: PathBuf, disks: usize, admin: SocketAddr) -> Result<Self> {
        let disks: Vec<PathBuf> = (0..disks).map(|n| root.join(format!("disk{n}"))).collect();
        for disk in &disks {
            fs::create_dir_all(disk).with_context(|| format!("make {}", disk.display()))?;
        }
        fs::write(root.join("control"), [0; 24]).context("write the control file")?;
        Ok(Self {
            number,
            root,
            disks,
            admin,
            wrapper: Vec::new(),
            words: Vec::new(),
            envs: Vec::new(),
            child: None,
            down: 0,
            frozen: 0,
            mounted: Vec::new(),
            watched: Vec::new(),
            loss: None,
        })
    }

    /// Gives each disk a file system of its own, of limited room; false where that is not permitted.
    pub fn mount_disks(&mut self) -> bool {
        for disk in &self.disks {
            let size = format!("size={DISK_BYTES}");
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
                .arg(disk)
                .output();
            if !mounted.is_ok_and(|output| output.status.success()) {
                return false;
            }
            self.mounted.push(disk.clone());
        }
        true
    }

    /// The disks that were deleted, as the server would see it.
    pub fn disks_without_identity(&self) -> impl Iterator<Item = &PathBuf> {
        let disks = self.disks.iter();
        disks.filter(|disk| !disk.join("identity").exists())
    }

    /// Watches the disks and these directories below the root from now on, so that power can be lost. They must be
    /// on one file system.
    pub fn watch(&mut self, directories: &[&str]) {
        let others = directories.iter().map(|name| self.root.join(name));
        self.watched = self.disks.iter().cloned().chain(others).collect();
    }

    /// Begins to watch a process that is about to be started; what it is to be started with.
    fn watched_envs(&mut self) -> Result<Vec<(String, String)>> {
        let mut envs = self.envs.clone();
        if self.watched.is_empty() {
            return Ok(envs);
        }
        let journal = self.root.join("journal");
        if journal.exists() {
            fs::remove_dir_all(&journal).context("remove the journal of the last process")?;
        }
        for directory in &self.watched {
            fs::create_dir_all(directory)?;
        }
        let loss = PowerLoss::prepare(&self.watched, &journal);
        for (name, value) in loss.envs() {
            match envs.iter_mut().find(|(other, _)| *other == name) {
                // The first library calls the next one.
                Some((_, libraries)) => *libraries += &format!(" {value}"),
                None => envs.push((name, value)),
            }
        }
        self.loss = Some(loss);
        Ok(envs)
    }

    /// Loses what the process that was just killed has not synced.
    fn lose_power(&mut self, seed: u64) -> Result<()> {
        let Some(loss) = self.loss.take() else {
            return Ok(());
        };
        let report = loss.crash(seed);
        let unseen = &report.unseen;
        ensure!(unseen.is_empty(), "written past the library: {unseen:?}");
        let (files, directories) = (report.files.len(), report.directories.len());
        println!(
            "         after {} syncs: {files} files and {directories} directories lost something",
            report.syncs
        );
        Ok(())
    }

    /// Starts the process under the library that moves its clock and slows its disks.
    pub fn preload(&mut self, library: &Path) {
        let text = |path: &Path| path.display().to_string();
        let disks: Vec<String> = self.disks.iter().map(|disk| text(disk)).collect();
        self.envs.extend([
            ("LD_PRELOAD".to_owned(), text(library)),
            ("CHAOS_CONTROL".to_owned(), text(&self.root.join("control"))),
            ("CHAOS_DISKS".to_owned(), disks.join(":")),
        ]);
    }

    /// A command of the binary, with the zone's wrapper; the environment is left to the caller.
    #[must_use]
    pub fn command(&self, binary: &Path) -> Command {
        let binary = binary.display().to_string();
        let mut words = self.wrapper.iter().chain([&binary]);
        let mut command = Command::new(words.next().expect("the binary is a word"));
        command.args(words).env("NO_COLOR", "1");
        command
    }

    /// Starts the process, unless a fault keeps it down.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&mut self, binary: &Path) -> Result<()> {
        if self.down > 0 || self.child.is_some() {
            return Ok(());
        }
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log())?;
        let envs = self.watched_envs()?;
        let child = self
            .command(binary)
            .args(&self.words)
            .envs(envs)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn();
        self.child = Some(child.with_context(|| format!("run {}", binary.display()))?);
        if self.frozen > 0 {
            self.signal(Signal::STOP)?;
        }
        Ok(())
    }

    /// The file with what its processes said.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("server.log")
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if let Some(child) = &self.child {
            let pid = Pid::from_child(child);
            kill_process(pid, signal).context("send a signal")?;
        }
        Ok(())
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error here says that it has ended already, which is what was wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM, and waits; None when there was no process.
    ///
    /// # Errors
    /// When it does not end within a minute.
    pub fn stop(&mut self) -> Result<Option<ExitStatus>> {
        self.signal(Signal::TERM)?;
        let Some(mut child) = self.child.take() else {
            return Ok(None);
        };
        for _ in 0..STOP_TENTHS {
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = child.kill();
        let _ = child.wait();
        anyhow::bail!("zone {} did not stop within a minute", self.number)
    }

    /// How the process ended, if it did so by itself. It may be started again.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        self.child = None;
        Some(status)
    }

    /// Whether it should run, and does.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.child.is_some() && self.frozen == 0
    }

    /// Whether `/health/ready` says so.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect_timeout(&self.admin, Duration::from_secs(2))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(
                stream,
                "GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            )?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer.starts_with("HTTP/1.1 200 "))
        };
        ask().unwrap_or(false)
    }

    /// The last lines that its processes logged.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let all: Vec<&str> = log.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Lines of the log that tell of a broken assertion.
    #[must_use]
    pub fn panics(&self) -> Vec<String> {
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        let panics = log.lines().filter(|line| line.contains("panicked at"));
        panics.map(str::to_owned).collect()
    }

    /// Begins a fault of the process or the disks.
    ///
    /// # Errors
    /// When it cannot be brought about.
    pub fn begin(&mut self, fault: &Fault) -> Result<()> {
        match fault {
            Fault::Kill { .. } => {
                self.down += 1;
                self.kill();
            }
            Fault::PowerLoss { seed, .. } => {
                self.down += 1;
                let was_running = self.child.is_some();
                self.kill();
                if was_running {
                    self.lose_power(*seed)?;
                }
            }
            Fault::Freeze { .. } => {
                self.frozen += 1;
                self.signal(Signal::STOP)?;
            }
            Fault::DeleteDisk { disk, .. } => empty(&self.disks[*disk]),
            Fault::FillDisk { disk, .. } => fill(&self.disks[*disk])?,
            Fault::FlipBits {
                disk, bits, seed, ..
            } => flip_bits(&self.disks[*disk], *bits, &mut Dice::new(*seed))?,
            Fault::SlowDisk { disk, ms, .. } => self.control(1, &[i64::from(*ms), *disk as i64])?,
            Fault::Skew { seconds, .. } => self.control(0, &[seconds * 1_000_000_000])?,
            other => anyhow::bail!("{other} is no fault of a process"),
        }
        Ok(())
    }

    /// Ends a fault, as far as it has an end.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub fn end(&mut self, fault: &Fault, binary: &Path) -> Result<()> {
        match fault {
            Fault::Kill { .. } | Fault::PowerLoss { .. } => {
                self.down -= 1;
                self.start(binary)?;
            }
            Fault::Freeze { .. } => {
                self.frozen -= 1;
                if self.frozen == 0 {
                    self.signal(Signal::CONT)?;
                }
            }
            Fault::FillDisk { disk, .. } => {
                // It is not there when another fault has emptied the disk meanwhile.
                let _ = fs::remove_file(ballast(&self.disks[*disk]));
            }
            Fault::SlowDisk { .. } => self.control(1, &[0, 0])?,
            Fault::Skew { .. } => self.control(0, &[0])?,
            _ => {}
        }
        Ok(())
    }

    /// Writes numbers into the control file of the preloaded library.
    fn control(&self, first: u64, numbers: &[i64]) -> Result<()> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let file = fs::File::options()
            .write(true)
            .open(self.root.join("control"))?;
        file.write_all_at(&bytes, first * 8)?;
        Ok(())
    }
}

impl Drop for Zone {
    fn drop(&mut self) {
        self.kill();
        for disk in &self.mounted {
            let _ = Command::new("umount").arg("-l").arg(disk).status();
        }
    }
}

/// The file that fills a disk.
fn ballast(disk: &Path) -> PathBuf {
    disk.join("ballast")
}

fn fill(disk: &Path) -> Result<()> {
    let mut file = fs::File::create(ballast(disk))?;
    let block = vec![0x55; 1 << 20];
    // Until there is no room: the limit is for directories that are no file systems of their own.
    for _ in 0..2 * DISK_BYTES / block.len() as u64 {
        if file.write_all(&block).is_err() {
            return Ok(());
        }
    }
    anyhow::bail!("{} does not get full", disk.display())
}

/// Removes what is in a directory; files that come and go meanwhile are no error.
pub fn empty(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
    }
}

/// Flips bits at random places of a disk's volumes, if there are any.
fn flip_bits(disk: &Path, bits: u64, dice: &mut Dice) -> Result<()> {
    let is_volume = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("volume-"))
    };
    let entries = fs::read_dir(disk)?.flatten().map(|entry| entry.path());
    let mut volumes: Vec<PathBuf> = entries.filter(is_volume).collect();
    volumes.sort();
    for _ in 0..bits {
        let Some(volume) = volumes.get(dice.roll(volumes.len().max(1) as u64) as usize) else {
            return Ok(());
        };
        let mut file = fs::File::options().read(true).write(true).open(volume)?;
        let length = file.seek(SeekFrom::End(0))?;
        if length == 0 {
            continue;
        }
        let at = dice.roll(length);
        let mut byte = [0];
        file.read_exact_at(&mut byte, at)?;
        byte[0] ^= 1 << dice.roll(8);
        file.write_all_at(&byte, at)?;
    }
    Ok(())
}

/// Checks that a command succeeded; what it printed.
///
/// # Errors
/// With what it said, when it did not.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("run {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
