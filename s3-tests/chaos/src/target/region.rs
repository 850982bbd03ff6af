//! A region of several zones, a node each, with all roles and three disks. Where network namespaces may be made
//! each zone has its own, and the network between them can be faulted; elsewhere they are on loopback
//! addresses, and only processes and disks fail.

use super::{Disks, Inspection, PATIENCE, Target, revive, wait_until_ready};
use crate::faults::{Fault, Kind, Shape};
use crate::native;
use crate::net::Network;
use crate::zone::{Zone, empty, run};
use anyhow::{Context, Result};
use s3_tests::s3::S3;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Zones, and disks of each: as many disks as 5+4 has shards.
const ZONES: usize = 3;
const DISKS: usize = 3;

const S3_PORT: u16 = 9000;
const ADMIN_PORT: u16 = 9001;
const RPC_PORT: u16 = 9002;

/// How long nodes are given until they do what a command asks for.
const START_TICK: Duration = Duration::from_millis(200);
const START_TICKS: usize = 300;

/// See the module. The order of the fields is that of the clean-up: first processes, then their network.
#[derive(Debug)]
pub struct Region {
    zones: Vec<Zone>,
    network: Option<Network>,
    binary: PathBuf,
    root: PathBuf,
    kinds: Vec<Kind>,
    access_key: String,
    secret_key: String,
}

impl Region {
    /// Makes a region on new directories below `root` and starts it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn start(binary: &Path, root: &Path, disks: Disks) -> Result<Self> {
        let mut kinds = vec![Kind::Kill, Kind::Freeze, Kind::Skew];
        let network = match Network::start(ZONES, root) {
            Ok(network) => {
                kinds.extend([Kind::Cut, Kind::Isolate, Kind::Delay]);
                Some(network)
            }
            Err(error) => {
                println!("no faults of the network: {error:#}");
                None
            }
        };
        let library = native::faults_library(root)?;
        let (mut zones, mut of_disks) = (Vec::new(), Vec::new());
        for number in 0..ZONES {
            let mut zone = zone(number, root, network.as_ref())?;
            of_disks = disks.prepare(&mut zone, &["index", "node"]);
            zone.preload(&library);
            zones.push(zone);
        }
        kinds.extend(of_disks);
        let mut region = Self {
            zones,
            network,
            binary: binary.to_owned(),
            root: root.to_owned(),
            kinds,
            access_key: String::new(),
            secret_key: String::new(),
        };
        region.assemble()?;
        Ok(region)
    }

    /// Runs a command of the binary on a zone's node; what it printed.
    fn cairn(&self, zone: usize, words: &[&str]) -> Result<String> {
        let zone = &self.zones[zone];
        let mut command = zone.command(&self.binary);
        run(command.args(words).args(node_dir(zone)))
    }

    /// Runs a command on the first node until it succeeds: nodes need some time to know each other.
    fn patiently(&mut self, words: &[&str]) -> Result<String> {
        let mut refusal = None;
        for _ in 0..START_TICKS {
            match self.cairn(0, words) {
                Ok(printed) => return Ok(printed),
                Err(error) => refusal = Some(error),
            }
            for zone in &mut self.zones {
                if let Some(status) = zone.ended() {
                    let tail = zone.log_tail(10);
                    anyhow::bail!("zone {} ended, {status}: {tail}", zone.number);
                }
            }
            std::thread::sleep(START_TICK);
        }
        Err(refusal.context("there were attempts")?)
    }

    /// What the region says of itself.
    fn status(&self) -> Result<Value> {
        let text = self.cairn(0, &["admin", "status", "--json"])?;
        serde_json::from_str(&text).context("the status is JSON")
    }

    fn assemble(&mut self) -> Result<()> {
        for number in 0..ZONES {
            let name = format!("n{}", number + 1);
            let place = ["a", "b", "c"][number];
            let token;
            let words = if number == 0 {
                vec!["cluster", "create"]
            } else {
                token = self.patiently(&["node", "token"])?;
                vec!["node", "join", token.trim()]
            };
            let zone = &self.zones[number];
            let mut command = zone.command(&self.binary);
            command.args(words).args(["--name", &name, "--zone", place]);
            run(command.args(settings(zone)))?;
            self.zones[number].start(&self.binary)?;
            if number > 0 {
                self.patiently(&["index", "add", &name])?;
            }
        }
        let profile = ["--profile", "5+4", "--small", "1+3", "--domain", "zone"];
        self.patiently(&[&["cluster", "add"], &profile[..]].concat())?;
        let path = self.zones[0].root.join("node/root-key.json");
        let text = std::fs::read_to_string(&path).context("read the root key")?;
        let key: Value = serde_json::from_str(&text)?;
        let field = |name: &str| key[name].as_str().map(str::to_owned);
        self.access_key = field("access_key").context("the root key has an access key")?;
        self.secret_key = field("secret_key").context("the root key has a secret")?;
        wait_until_ready(self).map(|_| ())
    }
}

impl Target for Region {
    fn name(&self) -> &'static str {
        "region"
    }

    fn shape(&self) -> Shape {
        Shape {
            zones: ZONES,
            disks: DISKS,
            kinds: self.kinds.clone(),
        }
    }

    fn gateways(&self) -> Vec<S3> {
        let of = |zone: &Zone| {
            let endpoint = format!("http://{}:{S3_PORT}", zone.admin.ip());
            S3::new(&endpoint, &self.access_key, &self.secret_key).with_patience(PATIENCE)
        };
        self.zones.iter().map(of).collect()
    }

    fn begin(&mut self, fault: &Fault) -> Result<()> {
        match (fault.zone(), &mut self.network) {
            (Some(zone), _) => self.zones[zone].begin(fault),
            (None, Some(network)) => network.begin(fault),
            (None, None) => anyhow::bail!("{fault} needs a network of its own"),
        }
    }

    fn end(&mut self, fault: &Fault) -> Result<()> {
        match (fault.zone(), &mut self.network) {
            (Some(zone), _) => self.zones[zone].end(fault, &self.binary),
            (None, Some(network)) => network.end(fault),
            (None, None) => Ok(()),
        }
    }

    fn revive(&mut self) -> Result<Vec<String>> {
        revive(&mut self.zones, &self.binary)
    }

    fn is_ready(&self) -> bool {
        self.zones
            .iter()
            .all(|zone| zone.is_up() && zone.is_ready())
    }

    /// What a gateway has sent to another node before it died may take effect later.
    fn kill_settles(&self) -> bool {
        false
    }

    fn leader(&self) -> Option<usize> {
        let status = self.status().ok()?;
        let leads = |zone: usize| {
            let name = format!("n{}", zone + 1);
            let groups = status["index"].as_array().into_iter().flatten();
            groups.filter(|group| group["leader"] == *name).count()
        };
        (0..ZONES).max_by_key(|zone| leads(*zone))
    }

    fn harmless(&self) -> Vec<Fault> {
        (0..ZONES).map(|zone| Fault::Kill { zone }).collect()
    }

    fn tend_disks(&mut self) -> Result<()> {
        let status = self.status()?;
        let disks = status["disks"].as_array().into_iter().flatten();
        let down: Vec<Value> = disks
            .filter(|disk| disk["state"] == "down")
            .map(|disk| disk["node"].clone())
            .collect();
        for zone in &mut self.zones {
            let lost: Vec<PathBuf> = zone.disks_without_identity().cloned().collect();
            let name = format!("n{}", zone.number + 1);
            if lost.is_empty() && !down.contains(&name.into()) {
                continue;
            }
            zone.stop()?;
            for disk in &lost {
                // What the process still wrote there before it stopped.
                empty(disk);
                let mut command = zone.command(&self.binary);
                run(command
                    .args(["disk", "replace"])
                    .arg(disk)
                    .args(settings(zone)))?;
            }
            zone.start(&self.binary)?;
        }
        Ok(())
    }

    fn is_repaired(&self) -> Result<bool> {
        let tasks = &self.status()?["tasks"];
        let returned = tasks["returned_disks"].as_array().map(Vec::len);
        Ok(tasks["waiting_repairs"] == 0 && returned == Some(0))
    }

    /// There is no `cairn check` for a region yet, so this is what its nodes say of themselves.
    fn inspect(&mut self) -> Result<Inspection> {
        let status = self.status()?;
        let report = self.cairn(0, &["admin", "status"])?;
        for zone in &mut self.zones {
            zone.stop()?;
        }
        Ok(Inspection {
            is_sound: true,
            missing_shards: status["tasks"]["waiting_repairs"].as_u64().unwrap_or(0),
            report,
            ..Inspection::default()
        })
    }

    fn root(&self) -> &Path {
        &self.root
    }

    fn panics(&self) -> Vec<String> {
        self.zones.iter().flat_map(Zone::panics).collect()
    }
}

/// A zone below `root`, at its address.
fn zone(number: usize, root: &Path, network: Option<&Network>) -> Result<Zone> {
    let last = 11 + u8::try_from(number)?;
    let address = network.map_or(Ipv4Addr::new(127, 0, 0, last), |network| {
        network.zone(number)
    });
    let admin = SocketAddr::new(IpAddr::V4(address), ADMIN_PORT);
    let mut zone = Zone::new(number, root.join(format!("zone{number}")), DISKS, admin)?;
    if let Some(network) = network {
        zone.wrapper = network.wrapper(number);
    }
    zone.words = vec!["server".to_owned()];
    zone.words.extend(settings(&zone));
    zone.words.extend([
        format!("--listen={address}:{S3_PORT}"),
        format!("--admin-listen={admin}"),
        "--task-interval=500ms".to_owned(),
        "--volume-size=16MiB".to_owned(),
        "--disk-reserve=16MiB".to_owned(),
    ]);
    Ok(zone)
}

fn node_dir(zone: &Zone) -> [String; 1] {
    [format!("--node-dir={}", zone.root.join("node").display())]
}

/// The options that say where a zone's node is and where its data are.
fn settings(zone: &Zone) -> Vec<String> {
    let disks: Vec<String> = zone.disks.iter().map(|d| d.display().to_string()).collect();
    let address = SocketAddr::new(zone.admin.ip(), RPC_PORT);
    let mut settings = node_dir(zone).to_vec();
    settings.extend([
        format!("--data={}", disks.join(",")),
        format!("--index-dir={}", zone.root.join("index").display()),
        format!("--rpc-listen={address}"),
        format!("--rpc-advertise={address}"),
    ]);
    settings
}
