//! The server that the tests talk to.

use crate::ports::free_port;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Tenths of a second that a server is given to get ready.
const READY_TENTHS: usize = 600;
/// As many disks as the profile 4+2 has shards.
const DISKS: usize = 6;

/// A server that answers S3 requests, and the root key of it. One that was started here is killed, and
/// its directories are removed, when the target is dropped.
#[derive(Debug)]
pub struct Target {
    /// `http://ADDR:PORT`.
    pub endpoint: String,
    /// Access key of the root user.
    pub access_key: String,
    /// Secret key of the root user.
    pub secret_key: String,
    _started: Option<Started>,
}

/// The order of the fields is that of the clean-up: first the process, then what it writes to.
#[derive(Debug)]
struct Started {
    process: Process,
    directory: TempDir,
}

#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // An error here says that it has ended already, which is what was wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Target {
    /// The server named by `CAIRN_TEST_ENDPOINT`, with the keys in `CAIRN_TEST_ACCESS_KEY` and
    /// `CAIRN_TEST_SECRET_KEY`; without that variable, a server started for this target on six disks in
    /// a new directory. Its binary is `CAIRN_BIN` or lies where cargo puts it.
    ///
    /// # Panics
    /// With the reason and the server's log, when there is no binary or the server does not get ready:
    /// a test that needs a server fails without one.
    #[must_use]
    pub fn get() -> Self {
        let Some(endpoint) = variable("CAIRN_TEST_ENDPOINT") else {
            return Self::start();
        };
        let key = |name| variable(name).unwrap_or_else(|| panic!("{name} must be set too"));
        Self {
            endpoint,
            access_key: key("CAIRN_TEST_ACCESS_KEY"),
            secret_key: key("CAIRN_TEST_SECRET_KEY"),
            _started: None,
        }
    }

    fn start() -> Self {
        let (access_key, secret_key) = ("AKTESTROOT", "test-root-secret-key");
        let directory = TempDir::new().expect("the temporary directory can be written");
        let [listen, admin] = free_addresses();
        let root = directory.path();
        let disks = (1..=DISKS).map(|n| root.join(format!("disk{n}")).display().to_string());
        let log = std::fs::File::create(root.join("server.log")).expect("a new file can be made");
        let child = Command::new(binary())
            .arg("server")
            .arg(format!("--data={}", disks.collect::<Vec<_>>().join(",")))
            .arg(format!("--index-dir={}", root.join("index").display()))
            .arg(format!("--listen={listen}"))
            .arg(format!("--admin-listen={admin}"))
            .env("CAIRN_ROOT_ACCESS_KEY", access_key)
            .env("CAIRN_ROOT_SECRET_KEY", secret_key)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a handle can be duplicated"))
            .stderr(log)
            .spawn()
            .expect("the server's binary can be run");
        let mut started = Started {
            process: Process(child),
            directory,
        };
        started.wait_until_ready(admin);
        Self {
            endpoint: format!("http://{listen}"),
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            _started: Some(started),
        }
    }
}

impl Started {
    fn wait_until_ready(&mut self, admin: SocketAddr) {
        for _ in 0..READY_TENTHS {
            if is_ready(admin).unwrap_or(false) {
                return;
            }
            let ended = self
                .process
                .0
                .try_wait()
                .expect("a child can be asked for its state");
            if ended.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = std::fs::read_to_string(self.directory.path().join("server.log"));
        panic!("the server did not get ready:\n{}", log.unwrap_or_default());
    }
}

fn is_ready(admin: SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&admin, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(
        stream,
        "GET /health/ready HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}

/// Two addresses that nobody listens on.
fn free_addresses() -> [SocketAddr; 2] {
    [(); 2].map(|()| SocketAddr::from(([127, 0, 0, 1], free_port())))
}

fn binary() -> PathBuf {
    if let Some(path) = variable("CAIRN_BIN") {
        return path.into();
    }
    // .../debug/deps/THIS-0123, beside which cargo puts .../debug/cairn.
    let this = std::env::current_exe().expect("a running program has a path");
    let profile = this
        .parent()
        .and_then(Path::parent)
        .expect("cargo puts tests two folders deep");
    let path = profile.join("cairn");
    assert!(
        path.exists(),
        "{} is missing: cargo build -p server",
        path.display()
    );
    path
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told what to test by whoever runs them, and not by the server's configuration"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
