//! One server on one machine with six disks, which clients reach by several addresses.

use super::{ACCESS_KEY, Disks, Inspection, PATIENCE, SECRET_KEY, Target, revive};
use crate::faults::{Fault, Kind, Shape};
use crate::native;
use crate::zone::{Zone, run};
use anyhow::{Context, Result};
use s3_tests::ports::free_port;
use s3_tests::s3::S3;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// As many disks as the profile 4+2 has shards.
const DISKS: usize = 6;

/// Loopback addresses by which the clients reach it.
const ADDRESSES: usize = 3;

/// How often the server is started to repair what is missing, and for how long at first; each time is twice as
/// long as the one before.
const REPAIRS: u32 = 5;
const REPAIR: Duration = Duration::from_secs(4);

/// See the module.
#[derive(Debug)]
pub struct Machine {
    binary: PathBuf,
    root: PathBuf,
    zone: Zone,
    port: u16,
    kinds: Vec<Kind>,
}

impl Machine {
    /// Starts a server on new directories below `root`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(binary: &Path, root: &Path, disks: Disks) -> Result<Self> {
        let (port, admin_port) = (free_port(), free_port());
        let admin = SocketAddr::from(([127, 0, 0, 1], admin_port));
        let mut zone = Zone::new(0, root.join("zone0"), DISKS, admin)?;
        let mut kinds = vec![Kind::Kill, Kind::Freeze, Kind::Skew];
        kinds.extend(disks.prepare(&mut zone, &["index"]));
        zone.preload(&native::faults_library(root)?);
        let key = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        zone.envs.extend([
            key("CAIRN_ROOT_ACCESS_KEY", ACCESS_KEY),
            key("CAIRN_ROOT_SECRET_KEY", SECRET_KEY),
        ]);
        zone.words = vec!["server".to_owned()];
        zone.words.extend(directories(&zone));
        zone.words.extend([
            format!("--listen=0.0.0.0:{port}"),
            format!("--admin-listen={admin}"),
            "--task-interval=500ms".to_owned(),
            "--volume-size=16MiB".to_owned(),
            "--disk-reserve=16MiB".to_owned(),
        ]);
        zone.start(binary)?;
        let mut machine = Self {
            binary: binary.to_owned(),
            root: root.to_owned(),
            zone,
            port,
            kinds,
        };
        super::wait_until_ready(&mut machine)?;
        Ok(machine)
    }
}

impl Target for Machine {
    fn name(&self) -> &'static str {
        "machine"
    }

    fn shape(&self) -> Shape {
        Shape {
            zones: 1,
            disks: DISKS,
            kinds: self.kinds.clone(),
        }
    }

    fn gateways(&self) -> Vec<S3> {
        (1..=ADDRESSES)
            .map(|n| {
                let endpoint = format!("http://127.0.0.{n}:{}", self.port);
                S3::new(&endpoint, ACCESS_KEY, SECRET_KEY).with_patience(PATIENCE)
            })
            .collect()
    }

    fn begin(&mut self, fault: &Fault) -> Result<()> {
        self.zone.begin(fault)
    }

    fn end(&mut self, fault: &Fault) -> Result<()> {
        self.zone.end(fault, &self.binary)
    }

    fn revive(&mut self) -> Result<Vec<String>> {
        revive(std::slice::from_mut(&mut self.zone), &self.binary)
    }

    fn is_ready(&self) -> bool {
        self.zone.is_up() && self.zone.is_ready()
    }

    fn kill_settles(&self) -> bool {
        true
    }

    /// Puts new disks in the place of lost ones, and lets the server repair until nothing is missing.
    fn inspect(&mut self) -> Result<Inspection> {
        self.zone.stop()?;
        let mut inspection = self.check()?;
        for disk in self.zone.disks_without_identity() {
            let mut command = self.zone.command(&self.binary);
            command.args(["disk", "replace"]).arg(disk);
            run(command.args(directories(&self.zone)))?;
        }
        let first = inspection.missing_shards;
        let mut repairs = 0;
        while inspection.is_sound && inspection.missing_shards > 0 && repairs < REPAIRS {
            self.zone.start(&self.binary)?;
            super::wait_until_ready(self)?;
            std::thread::sleep(REPAIR * (1 << repairs));
            self.zone.stop()?;
            inspection = self.check()?;
            repairs += 1;
        }
        inspection.is_sound &= inspection.missing_shards == 0;
        inspection.repaired_shards = first.saturating_sub(inspection.missing_shards);
        Ok(inspection)
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn panics(&self) -> Vec<String> {
        self.zone.panics()
    }
}

impl Machine {
    /// What `cairn check` says.
    fn check(&self) -> Result<Inspection> {
        let output = self
            .zone
            .command(&self.binary)
            .args(["check", "--json"])
            .args(directories(&self.zone))
            .output()
            .context("run cairn check")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let report: serde_json::Value = serde_json::from_str(&text)
            .with_context(|| format!("cairn check gave no report: {text} {errors}"))?;
        Ok(Inspection {
            is_sound: output.status.success(),
            missing_shards: report["missing_shards"].as_u64().unwrap_or(0),
            report: text,
            ..Inspection::default()
        })
    }
}

/// The options that say where a zone's data are.
fn directories(zone: &Zone) -> [String; 2] {
    let disks: Vec<String> = zone.disks.iter().map(|d| d.display().to_string()).collect();
    [
        format!("--data={}", disks.join(",")),
        format!("--index-dir={}", zone.root.join("index").display()),
    ]
}
