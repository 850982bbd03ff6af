//! The network between zones and clients: a namespace for each zone, and a switch of our own between them, as
//! `netem` is missing from many kernels. Needs the rights to make network namespaces.

#[cfg(test)]
mod tests;

use crate::faults::Fault;
use crate::native;
use crate::zone::run;
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Networks of runs at the same time on one machine.
const NETWORKS: u8 = 100;

/// The first host's address in a network; the switch knows it too.
const FIRST_HOST: u8 = 10;

/// Large packets, because each passes through a process.
const MTU: &str = "16000";

/// Of a million packets.
const ALL: u32 = 1_000_000;

/// What happens to packets from one host to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Least delay in microseconds.
    pub least_us: u32,
    /// Greatest delay.
    pub most_us: u32,
    /// Packets lost, of a million.
    pub lost_per_million: u32,
}

/// The network of a run; it goes when this is dropped. Port 0 is that of the clients, port n + 1 that of zone n.
#[derive(Debug)]
pub struct Network {
    number: u8,
    zones: usize,
    table: PathBuf,
    switch: Child,
    acting: Vec<Fault>,
}

/// The links while these faults act, by sender and then by receiver.
#[must_use]
pub fn links(zones: usize, acting: &[Fault]) -> Vec<Vec<Link>> {
    let ports = zones + 1;
    let mut links = vec![vec![Link::default(); ports]; ports];
    let mut cut = |from: usize, to: usize| links[from][to].lost_per_million = ALL;
    for fault in acting {
        match fault {
            Fault::Cut {
                from,
                to,
                is_both_ways,
            } => {
                for (from, to) in from
                    .iter()
                    .flat_map(|from| to.iter().map(move |to| (from, to)))
                {
                    cut(from + 1, to + 1);
                    if *is_both_ways {
                        cut(to + 1, from + 1);
                    }
                }
            }
            Fault::Isolate { zone } => {
                for other in (0..ports).filter(|other| *other != zone + 1) {
                    cut(zone + 1, other);
                    cut(other, zone + 1);
                }
            }
            _ => {}
        }
    }
    for fault in acting {
        if let Fault::Delay {
            zone,
            ms,
            lost_per_mille,
        } = fault
        {
            for link in &mut links[zone + 1] {
                link.least_us = link.least_us.max(ms * 500);
                link.most_us = link.most_us.max(ms * 1_000);
                link.lost_per_million = link.lost_per_million.max(lost_per_mille * 1_000);
            }
        }
    }
    links
}

impl Network {
    /// Makes the namespaces and starts the switch.
    ///
    /// # Errors
    /// When that is not permitted.
    pub fn start(zones: usize, dir: &Path) -> Result<Self> {
        let switch = native::switch(dir)?;
        let table = dir.join("links");
        std::fs::write(&table, vec![0; (zones + 1) * (zones + 1) * 16])?;
        let number = claim()?;
        let mut child = Command::new(switch)
            .arg(&table)
            .arg(prefix(number))
            .args([
                &(zones + 1).to_string(),
                &format!("10.{FIRST_HOST}.{number}"),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("run the switch")?;
        let output = child.stdout.take().context("the switch has an output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let mut network = Self {
            number,
            zones,
            table,
            switch: child,
            acting: Vec::new(),
        };
        ensure!(line == "ready\n", "the switch did not start");
        network.connect()?;
        network.apply()?;
        Ok(network)
    }

    /// Gives each port its address.
    fn connect(&self) -> Result<()> {
        let device = |port: usize| format!("{}{port}", prefix(self.number));
        for zone in 0..self.zones {
            let namespace = self.namespace(zone);
            if zone > 0 {
                ip(&["netns", "add", &namespace])?;
            }
            ip(&["link", "set", &device(zone + 1), "netns", &namespace])?;
            let within = |words: &[&str]| ip(&[&["-n", &namespace], words].concat());
            within(&["link", "set", "lo", "up"])?;
            let address = format!("{}/24", self.address(zone + 1));
            within(&["addr", "add", &address, "dev", &device(zone + 1)])?;
            within(&["link", "set", &device(zone + 1), "mtu", MTU, "up"])?;
        }
        let address = format!("{}/24", self.address(0));
        ip(&["addr", "add", &address, "dev", &device(0)])?;
        ip(&["link", "set", &device(0), "mtu", MTU, "up"])?;
        Ok(())
    }

    fn address(&self, port: usize) -> Ipv4Addr {
        let host = FIRST_HOST + u8::try_from(port).expect("there are few zones");
        Ipv4Addr::new(10, FIRST_HOST, self.number, host)
    }

    /// The address of a zone.
    #[must_use]
    pub fn zone(&self, zone: usize) -> Ipv4Addr {
        self.address(zone + 1)
    }

    fn namespace(&self, zone: usize) -> String {
        namespace(self.number, zone)
    }

    /// The words before a command that is to run in a zone.
    #[must_use]
    pub fn wrapper(&self, zone: usize) -> Vec<String> {
        let words = ["ip", "netns", "exec", &self.namespace(zone)];
        words.map(str::to_owned).to_vec()
    }

    /// Begins a fault of the network.
    ///
    /// # Errors
    /// When the switch cannot be told.
    pub fn begin(&mut self, fault: &Fault) -> Result<()> {
        self.acting.push(fault.clone());
        self.apply()
    }

    /// Ends a fault that has begun.
    ///
    /// # Errors
    /// When the switch cannot be told.
    pub fn end(&mut self, fault: &Fault) -> Result<()> {
        if let Some(at) = self.acting.iter().position(|acting| acting == fault) {
            self.acting.remove(at);
        }
        self.apply()
    }

    fn apply(&mut self) -> Result<()> {
        let status = self.switch.try_wait()?;
        ensure!(status.is_none(), "the switch ended: {status:?}");
        let links = links(self.zones, &self.acting);
        let bytes: Vec<u8> = links
            .iter()
            .flatten()
            .flat_map(|link| [link.least_us, link.most_us, link.lost_per_million, 0])
            .flat_map(u32::to_le_bytes)
            .collect();
        let file = std::fs::File::options().write(true).open(&self.table)?;
        file.write_all_at(&bytes, 0)?;
        Ok(())
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.switch.kill();
        let _ = self.switch.wait();
        for zone in 0..self.zones {
            let _ = ip(&["netns", "del", &self.namespace(zone)]);
        }
    }
}

/// A network that nobody uses: whoever makes the namespace of its first zone has it.
fn claim() -> Result<u8> {
    let mut refusal = None;
    for number in 1..=NETWORKS {
        match ip(&["netns", "add", &namespace(number, 0)]) {
            Ok(()) => return Ok(number),
            Err(error) => refusal = Some(error),
        }
    }
    let refusal = refusal.context("there are numbers to try")?;
    Err(refusal.context("no network namespace can be made; left by earlier runs: ip netns list"))
}

fn namespace(number: u8, zone: usize) -> String {
    format!("chaos-{number}-{zone}")
}

/// The beginning of the devices' names.
fn prefix(number: u8) -> String {
    format!("chaos{number}x")
}

fn ip(words: &[&str]) -> Result<()> {
    run(Command::new("ip").args(words)).map(|_| ())
}
