//! `cairn cluster`: makes a region.

use super::node::{NewNode, node_settings};
use super::socket::Asked;
use crate::config::{Config, Source};
use crate::region::change::{first_view, peers_of};
use crate::region::describe::NodeDescription;
use crate::region::home::{NewHome, NodeHome};
use crate::region::operate::ClusterPlan;
use crate::root_key;
use anyhow::{Context, Result, bail, ensure};
use chunkstore::identity::{self, Identity};
use clap::{Args, Subcommand};
use rpc::identity::{ClusterCa, NODE_VALIDITY, NodeRequest, TrustBundle};
use std::path::Path;
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::{DiskId, Entropy, InstallationId, NodeId, RegionId, Role};

/// The region of every cluster: one today.
const REGION: RegionId = RegionId(1);
/// The first node.
const FIRST: NodeId = NodeId(1);

/// `cairn cluster ...`
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Make the first node of a new region, with the cluster's authority; nothing is started.
    Create(Box<CreateCluster>),
    /// Make a chunk cluster of the disks that are in none, so that objects are placed on them.
    Add(AddCluster),
}

/// `cairn cluster add`
#[derive(Debug, Args)]
pub struct AddCluster {
    /// Data and parity shards of large objects [default: what suits the disks]
    #[arg(long, value_name = "K+M")]
    pub profile: Option<String>,
    /// Copies of small objects, as a profile [default: what suits the disks]
    #[arg(long, value_name = "1+M")]
    pub small: Option<String>,
    /// What is survived the loss of: zone, rack, node or disk [default: zone]
    #[arg(long)]
    pub domain: Option<String>,
    /// Which node is asked.
    #[command(flatten)]
    pub asked: Asked,
}

/// `cairn cluster create`
#[derive(Debug, Args)]
pub struct CreateCluster {
    /// The first node.
    #[command(flatten)]
    pub node: NewNode,
    /// Where it is.
    #[command(flatten)]
    pub source: Source,
}

/// Runs one of them.
pub fn run(command: ClusterCommand) -> Result<()> {
    match command {
        ClusterCommand::Create(command) => create(*command),
        ClusterCommand::Add(AddCluster {
            profile,
            small,
            domain,
            asked,
        }) => {
            let plan = ClusterPlan {
                profile,
                small,
                domain,
            };
            asked.have_done("/v1/cluster/add", &plan)
        }
    }
}

/// Makes the first node: its disks, authority, certificate, and the first cluster map. Everything is looked at before
/// anything is written, and what makes the directory a node's is written last.
fn create(command: CreateCluster) -> Result<()> {
    let config = Config::load(&command.source)?;
    let dir = &node_settings(&config)?.dir;
    let description = command.node.describe(&config)?;
    ensure!(
        description.roles.has(Role::Index),
        "the first node keeps the index: give it the role index, too"
    );
    NodeHome::check_new(dir, &config.data)?;
    for directory in config.data.iter().chain([&config.index_dir]) {
        require_empty(directory)?;
    }
    let (clock, entropy) = (SystemClock::new(), OsEntropy);
    let installation = InstallationId(random());
    let disks: Vec<DiskId> = config.data.iter().map(|_| DiskId(random())).collect();
    let view = first_view(installation, REGION, &description, &disks);
    let key = NodeHome::prepare(dir, &config.data)?;
    let authority = ClusterCa::create(installation, REGION, &clock, &entropy)?;
    let wanted = NodeRequest {
        request: &key.certificate_request()?,
        node: FIRST,
        names: &description.hosts(),
        validity: NODE_VALIDITY,
    };
    let certificate = authority.issue(&wanted, &clock, &entropy)?;
    for (directory, disk) in config.data.iter().zip(&disks) {
        let made = Identity {
            installation,
            region: REGION,
            node: FIRST,
            disk: *disk,
            replaces: None,
        };
        identity::format(directory, &made)?;
    }
    let new = NewHome {
        name: &description.name,
        certificate: &certificate,
        bundle: &TrustBundle::new(vec![authority.certificate().clone()])?,
        root: &root_key::generate(&entropy),
        peers: &peers_of(&view.map),
        first: Some((&authority, &view)),
    };
    NodeHome::create(dir, &new)?;
    announce(dir, &description);
    Ok(())
}

fn announce(dir: &Path, node: &NodeDescription) {
    let (dir, name, zone) = (dir.display(), &node.name, &node.zone);
    println!("Node {name} of zone {zone} is the first of a new region.");
    println!("{dir} holds the cluster's authority (ca.key): keep a copy of it in a safe place.");
    println!(
        "Start the node with `cairn server --node-dir {dir}` and the settings that were given here. Then"
    );
    println!(
        "  cairn node token --node-dir {dir}    gives what a further node joins with: `cairn node join TOKEN`"
    );
    println!(
        "  cairn cluster add --node-dir {dir}   makes the disks of all of them ready for objects"
    );
}

fn random() -> u128 {
    (u128::from(OsEntropy.next_u64()) << 64) | u128::from(OsEntropy.next_u64())
}

/// Refuses a directory in which there is something.
fn require_empty(directory: &Path) -> Result<()> {
    let shown = directory.display();
    let mut entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.with_context(|| format!("cannot read {shown}"))?,
    };
    if let Some(found) = entries.next().transpose()? {
        bail!(
            "{shown} holds {:?}: a new region begins with empty directories",
            found.file_name()
        );
    }
    Ok(())
}
