//! A server of our own on this machine: its directories, its process, and how it is started and stopped.

use crate::process::Process;
use crate::sign::Credentials;
use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;
use types::clock::Clock;

/// Directories that stand for disks: enough for four data and two parity shards.
pub const DISKS: usize = 6;
/// A start that takes longer has failed. Long, for the largest indexes of `cairn bench growth`.
const READY_WITHIN: Duration = Duration::from_secs(300);
const STOPPED_WITHIN: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_millis(5);
/// Lines of the server's log that are shown when it does not start.
const LOG_LINES_SHOWN: usize = 20;

/// Six disks and an index in one directory.
#[derive(Debug, Clone)]
pub struct Installation {
    binary: PathBuf,
    root: PathBuf,
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// `http://127.0.0.1:PORT`
    pub endpoint: String,
    admin: SocketAddr,
}

impl Installation {
    /// An installation under `root`, which is made.
    pub fn new(binary: &Path, root: &Path) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        Ok(Self {
            binary: binary.to_owned(),
            root: root.to_owned(),
        })
    }

    /// The directories of the disks.
    pub fn disks(&self) -> Vec<PathBuf> {
        (1..=DISKS)
            .map(|n| self.root.join(format!("disk{n}")))
            .collect()
    }

    /// The directory of the index.
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// Deletes everything. No server may run.
    pub fn remove(&self) -> Result<()> {
        fs::remove_dir_all(&self.root)
            .with_context(|| format!("cannot delete {}", self.root.display()))
    }

    /// Who may do everything here.
    pub fn credentials() -> Credentials {
        Credentials {
            access_key: "BENCHROOT".to_owned(),
            secret_key: "a-secret-for-measuring".to_owned(),
            region: "us-east-1".to_owned(),
        }
    }

    /// Starts a server; how long it took until it was ready.
    pub fn start(&self, clock: &dyn Clock) -> Result<(Server, Duration)> {
        let began = clock.monotonic();
        let mut server = self.spawn()?;
        loop {
            if server.is_ready() {
                return Ok((server, clock.monotonic() - began));
            }
            if let Some(status) = server.child.try_wait()? {
                bail!("the server ended with {status}:\n{}", self.log_tail());
            }
            ensure!(
                clock.monotonic() - began < READY_WITHIN,
                "the server is not ready after {} s:\n{}",
                READY_WITHIN.as_secs(),
                self.log_tail()
            );
            thread::sleep(POLL_EVERY);
        }
    }

    fn spawn(&self) -> Result<Server> {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_file())
            .with_context(|| format!("cannot write {}", self.log_file().display()))?;
        let (listen, admin) = (free_address()?, free_address()?);
        let credentials = Self::credentials();
        let disks: Vec<String> = self
            .disks()
            .iter()
            .map(|disk| disk.display().to_string())
            .collect();
        let child = Command::new(&self.binary)
            .arg("server")
            .arg(format!("--data={}", disks.join(",")))
            .arg(format!("--index-dir={}", self.index().display()))
            .arg(format!("--listen={listen}"))
            .arg(format!("--admin-listen={admin}"))
            // Every read is to go to the disks' shards, and be verified.
            .arg("--cache-memory=0")
            .env("CAIRN_ROOT_ACCESS_KEY", credentials.access_key)
            .env("CAIRN_ROOT_SECRET_KEY", credentials.secret_key)
            .env("CAIRN_REGION", credentials.region)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", self.binary.display()))?;
        Ok(Server {
            child,
            endpoint: format!("http://{listen}"),
            admin,
        })
    }

    fn log_file(&self) -> PathBuf {
        self.root.join("server.log")
    }

    /// The last lines of the server's log.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
    }
}

impl Server {
    /// The server's process.
    pub fn process(&self) -> Process {
        Process::new(self.child.id())
    }

    /// How its process ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Whether `/health/ready` says so.
    fn is_ready(&self) -> bool {
        let ask = || {
            let mut stream = TcpStream::connect_timeout(&self.admin, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream
                .write_all(b"GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
            let mut status = [0; 12];
            stream.read_exact(&mut status)?;
            std::io::Result::Ok(status.ends_with(b" 200"))
        };
        ask().unwrap_or(false)
    }

    /// Ends it with SIGTERM, as an operator does.
    pub fn stop(mut self, clock: &dyn Clock) -> Result<()> {
        let pid = i32::try_from(self.child.id())?;
        let pid = Pid::from_raw(pid).context("the server has no process id")?;
        kill_process(pid, Signal::TERM).context("cannot stop the server")?;
        let began = clock.monotonic();
        let status = self.wait(clock, began)?;
        ensure!(
            status.success(),
            "the server ended with {status} when it was stopped"
        );
        Ok(())
    }

    fn wait(&mut self, clock: &dyn Clock, began: Duration) -> Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            ensure!(
                clock.monotonic() - began < STOPPED_WITHIN,
                "the server did not stop within {} s",
                STOPPED_WITHIN.as_secs()
            );
            thread::sleep(POLL_EVERY);
        }
    }

    /// Ends it with SIGKILL, as a crash does.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().context("cannot kill the server")?;
        self.child.wait().context("cannot wait for the server")?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing can be done about a failure here, and after a stop there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on 127.0.0.1")?;
    Ok(listener.local_addr()?)
}

/// Bytes that files and folders under a path take on disk, as `du` counts them.
pub fn disk_usage(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let about = |path: &Path| format!("cannot look at {}", path.display());
    let metadata = fs::symlink_metadata(path).with_context(|| about(path))?;
    let mut bytes = metadata.blocks() * 512;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).with_context(|| about(path))? {
            // A server that runs deletes files while they are counted.
            bytes += disk_usage(&entry?.path()).unwrap_or(0);
        }
    }
    Ok(bytes)
}

/// The file system and the device of a path, and its free bytes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct FileSystem {
    /// As in `ext4`.
    pub kind: String,
    /// As in `/dev/vda`.
    pub device: String,
    /// What may still be written.
    pub free_bytes: u64,
}

impl FileSystem {
    /// That of an existing path.
    pub fn of(path: &Path) -> Result<Self> {
        let about = || format!("cannot look at {}", path.display());
        let path = fs::canonicalize(path).with_context(about)?;
        let mut mounts = String::new();
        File::open("/proc/self/mounts")
            .and_then(|mut file| file.read_to_string(&mut mounts))
            .context("cannot read /proc/self/mounts")?;
        let (device, kind) = mount_of(&mounts, &path).unwrap_or(("unknown", "unknown"));
        let space = rustix::fs::statvfs(&path).with_context(about)?;
        Ok(Self {
            kind: kind.to_owned(),
            device: device.to_owned(),
            free_bytes: space.f_bavail * space.f_frsize,
        })
    }
}

/// Device and file system of the innermost mount that holds the path.
fn mount_of<'a>(mounts: &'a str, path: &Path) -> Option<(&'a str, &'a str)> {
    let mut best: Option<(usize, &str, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ');
        let (Some(device), Some(place), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        // Of several mounts on one place the last is seen.
        if path.starts_with(place) && best.is_none_or(|(length, ..)| place.len() >= length) {
            best = Some((place.len(), device, kind));
        }
    }
    best.map(|(_, device, kind)| (device, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n/dev/b /data xfs rw 0 0\n";
        let of = |path: &str| mount_of(mounts, Path::new(path));
        assert_eq!(of("/data/x"), Some(("/dev/b", "xfs")));
        assert_eq!(of("/database"), Some(("/dev/a", "ext4")));
        assert_eq!(of("/dev/shm"), Some(("tmpfs", "tmpfs")));
    }

    #[test]
    fn usage_counts_every_file() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let file = disk_usage(&here.join("lib.rs")).unwrap();
        assert!(file >= 512 && disk_usage(&here).unwrap() > 10 * file / 2);
    }
}
