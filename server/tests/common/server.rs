//! The real binary on loopback ports of its own, and what can be done to it.

use super::s3::S3;
pub use s3_tests::ports::free_port;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A directory with disks and an index, and how to run a server on it.
#[derive(Clone)]
pub struct Installation {
    pub root: PathBuf,
    pub disks: Vec<PathBuf>,
    pub flags: Vec<String>,
    pub envs: Vec<(String, String)>,
    pub binary: PathBuf,
    port: u16,
    admin_port: u16,
}

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub s3: S3,
    pub endpoint: String,
    pub admin: String,
}

/// A directory for an installation. It is kept when the test fails: its `server.log` tells why.
pub fn directory() -> Directory {
    Directory(Some(tempfile::tempdir().expect("a directory")))
}

/// See [`directory`].
pub struct Directory(Option<tempfile::TempDir>);

impl Directory {
    pub fn path(&self) -> &Path {
        self.0.as_ref().expect("it is there until dropped").path()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(dir) = self.0.take()
        {
            println!("kept: {}", dir.keep().display());
        }
    }
}

pub const ACCESS_KEY: &str = "AKTESTROOT";
pub const SECRET_KEY: &str = "test-root-secret-key";

impl Installation {
    /// `disks` disks and an index under `root`, with the short times that tests need.
    pub fn new(root: &Path, disks: usize) -> Self {
        let disks = (1..=disks).map(|n| root.join(format!("disk{n}"))).collect();
        let flags = [
            "--task-interval=200ms",
            "--read-deadline=5s",
            "--reclaim-grace=5500ms",
            "--write-deadline=20s",
            "--volume-size=16MiB",
            "--disk-reserve=1MiB",
            "--drain-timeout=5s",
        ];
        Self {
            root: root.to_owned(),
            disks,
            flags: flags.map(str::to_owned).into(),
            envs: Vec::new(),
            binary: PathBuf::from(env!("CARGO_BIN_EXE_cairn")),
            port: free_port(),
            admin_port: free_port(),
        }
    }

    /// Sets a flag, in place of an earlier value of it.
    pub fn set(&mut self, flag: &str, value: &str) {
        let start = format!("--{flag}=");
        self.flags.retain(|other| !other.starts_with(&start));
        self.flags.push(start + value);
    }

    pub fn index_dir(&self) -> PathBuf {
        self.root.join("index")
    }

    /// A command of the binary with this installation's directories.
    pub fn command(&self, words: &[&str]) -> Command {
        let data: Vec<String> = self
            .disks
            .iter()
            .map(|disk| disk.display().to_string())
            .collect();
        let mut command = Command::new(&self.binary);
        command.args(words);
        if !data.is_empty() {
            command.arg(format!("--data={}", data.join(",")));
        }
        command
            .arg(format!("--index-dir={}", self.index_dir().display()))
            .args(&self.flags)
            .env("NO_COLOR", "1")
            .env("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY)
            .env("CAIRN_ROOT_SECRET_KEY", SECRET_KEY)
            .envs(self.envs.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a server and waits until it is ready.
    pub fn start(&self) -> Server {
        self.try_start()
            .unwrap_or_else(|log| panic!("the server did not get ready:\n{log}"))
    }

    /// Starts a server; the log, if it does not get ready within a minute.
    pub fn try_start(&self) -> Result<Server, String> {
        let mut server = self.begin();
        let deadline = Instant::now() + Duration::from_secs(60);
        while Instant::now() < deadline {
            if server
                .admin_get("/health/ready")
                .is_ok_and(|(status, _)| status == 200)
            {
                return Ok(server);
            }
            if server
                .child
                .try_wait()
                .expect("the child can be asked")
                .is_some()
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(server);
        Err(self.log_tail())
    }

    /// Starts a server and waits for nothing.
    pub fn begin(&self) -> Server {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.root.join("server.log"))
            .expect("a log file");
        let child = self
            .command(&["server"])
            .arg(format!("--listen=127.0.0.1:{}", self.port))
            .arg(format!("--admin-listen=127.0.0.1:{}", self.admin_port))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("the binary can be run");
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        Server {
            child,
            s3: S3::new(&endpoint, ACCESS_KEY, SECRET_KEY),
            endpoint,
            admin: format!("127.0.0.1:{}", self.admin_port),
        }
    }

    /// The last lines that servers of this installation logged.
    pub fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.root.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Server {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("the server runs");
        self.child.wait().expect("the server can be waited for");
    }

    /// SIGTERM, and waits; the exit code.
    pub fn stop(mut self) -> Option<i32> {
        let status = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill can be run").success());
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server did not stop within 30 s of SIGTERM");
    }

    /// True while the process runs.
    pub fn alive(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("the child can be asked")
            .is_none()
    }

    /// GET on the admin address; status and body.
    pub fn admin_get(&self, path: &str) -> std::io::Result<(u16, String)> {
        use std::io::{Read, Write};
        let address = self.admin.parse().expect("an address");
        let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let status = text
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        Ok((
            status,
            text.split_once("\r\n\r\n")
                .map_or(String::new(), |(_, body)| body.to_owned()),
        ))
    }

    /// The value of a metric line that starts with `name`, summed over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.admin_get("/metrics").expect("metrics are served");
        text.lines()
            .filter(|line| line.starts_with(name))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
