//! A region of several nodes on this machine, each a process of the real binary with all roles.

use super::server::{Installation, Server, free_port};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

/// Time for a region to do what was asked of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The nodes, one in each zone.
pub struct Region {
    pub nodes: Vec<Node>,
}

/// A node: its directories, and its process while it runs.
pub struct Node {
    pub name: String,
    pub zone: String,
    pub installation: Installation,
    pub server: Option<Server>,
}

impl Node {
    /// A node that was not made yet, with `disks` disks under `root`.
    pub fn new(root: &Path, number: usize, disks: usize) -> Self {
        let name = format!("n{number}");
        let root = root.join(&name);
        std::fs::create_dir_all(&root).expect("a directory");
        let mut installation = Installation::new(&root, disks);
        installation.set("node-dir", &root.join("node").display().to_string());
        for flag in ["rpc-listen", "join-listen"] {
            installation.set(flag, &format!("127.0.0.1:{}", free_port()));
        }
        Self {
            name,
            zone: format!("zone-{number}"),
            installation,
            server: None,
        }
    }

    /// Runs a command of the binary with this node's settings.
    pub fn run(&self, words: &[&str]) -> Output {
        let mut command = self.installation.command(words);
        command.output().expect("the binary can be run")
    }

    /// The same, and what it printed; it must succeed.
    #[track_caller]
    pub fn ok(&self, words: &[&str]) -> String {
        let output = self.run(words);
        assert!(
            output.status.success(),
            "cairn {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Starts the process and waits for nothing.
    pub fn begin(&mut self) {
        self.server = Some(self.installation.begin());
    }

    /// The running process.
    pub fn server(&self) -> &Server {
        self.server.as_ref().expect("the node runs")
    }

    /// Runs `words` until it succeeds.
    #[track_caller]
    pub fn patiently(&self, words: &[&str]) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = self.run(words);
            if output.status.success() {
                return String::from_utf8_lossy(&output.stdout).into_owned();
            }
            assert!(
                Instant::now() < deadline,
                "cairn {}: {}\n{}",
                words.join(" "),
                String::from_utf8_lossy(&output.stderr),
                self.installation.log_tail()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the node says that it serves.
    #[track_caller]
    pub fn wait_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.server().admin_get("/health/ready");
            if matches!(answer, Ok((200, _))) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{} is not ready: {answer:?}\n{}",
                self.name,
                self.installation.log_tail()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Region {
    /// Makes a region of `zones` zones with one node of `disks` disks each and one chunk cluster of `profile`, and
    /// waits until every node is ready.
    pub fn start(root: &Path, zones: usize, disks: usize, profile: &str) -> Self {
        let mut nodes: Vec<Node> = (1..=zones).map(|n| Node::new(root, n, disks)).collect();
        let [first, others @ ..] = &mut nodes[..] else {
            panic!("a region has a node");
        };
        let (name, zone) = (
            format!("--name={}", first.name),
            format!("--zone={}", first.zone),
        );
        first.ok(&["cluster", "create", &name, &zone]);
        first.begin();
        for node in others.iter_mut() {
            let token = first.patiently(&["node", "token"]);
            let (name, zone) = (
                format!("--name={}", node.name),
                format!("--zone={}", node.zone),
            );
            node.ok(&["node", "join", token.trim(), &name, &zone]);
            node.begin();
            first.patiently(&["index", "add", &node.name]);
        }
        let profile = format!("--profile={profile}");
        first.patiently(&["cluster", "add", &profile]);
        for node in &nodes {
            node.wait_ready();
        }
        Self { nodes }
    }
}
