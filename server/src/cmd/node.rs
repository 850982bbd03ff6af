//! `cairn node`: the nodes of a region.

use super::region::OneNode;
use super::socket::Asked;
use crate::config::{Config, NodeConfig, Source, Span};
use crate::region::describe::{JoinAnswer, NodeDescription};
use crate::region::home::{NewHome, NodeHome};
use crate::region::report::{Report, nodes_table};
use crate::region::socket::{NodeRequest, TokenAnswer, TokenRequest};
use anyhow::{Context, Result, anyhow, bail, ensure};
use chunkstore::identity::{self, Identity};
use clap::{Args, Subcommand};
use rpc::identity::NodeIdentity;
use rpc::join::{JoinToken, join};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use types::clock::SystemClock;
use types::format::FormatRange;
use types::{DiskId, Role};

/// Time for the answer of each address of a token.
const JOIN_LIMIT: Duration = Duration::from_secs(20);

/// `cairn node ...`
#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// Make a token with which one node may join.
    Token(MakeToken),
    /// List the nodes of the region.
    List(Asked),
    /// Take a node out of the region for good.
    Remove(OneNode),
    /// Join the region of a token, on the new node; nothing is started.
    Join(Box<JoinNode>),
}

/// `cairn node token`
#[derive(Debug, Args)]
pub struct MakeToken {
    /// How long the token is good for
    #[arg(long, default_value = "1h", value_name = "TIME")]
    pub ttl: Span,
    /// Which node is asked.
    #[command(flatten)]
    pub asked: Asked,
}

/// What a new node is.
#[derive(Debug, Args)]
pub struct NewNode {
    /// Name of the node, unlike that of any other
    #[arg(long)]
    pub name: String,
    /// Name of its zone: the data centre that it fails together with
    #[arg(long)]
    pub zone: String,
    /// Name of its rack, unlike that of any other of the zone
    #[arg(long, default_value = "")]
    pub rack: String,
    /// What it does [default: gateway,index,chunkstore,scheduler; without --data not chunkstore]
    #[arg(long, value_delimiter = ',', value_name = "ROLE,...")]
    pub roles: Option<Vec<Role>>,
}

/// `cairn node join`
#[derive(Debug, Args)]
pub struct JoinNode {
    /// What `cairn node token` printed.
    pub token: String,
    /// What it is.
    #[command(flatten)]
    pub node: NewNode,
    /// Where it is.
    #[command(flatten)]
    pub source: Source,
}

impl NewNode {
    /// The node as it describes itself to the cluster.
    ///
    /// # Errors
    /// It cannot be so.
    pub fn describe(&self, config: &Config) -> Result<NodeDescription> {
        let address = node_settings(config)?.rpc_advertise.clone();
        let address = address.context(
            "say with --rpc-advertise HOST:PORT where other nodes reach this one: it listens on all addresses",
        )?;
        let usual = || {
            let has_disks = !config.data.is_empty();
            Role::ALL
                .into_iter()
                .filter(|role| has_disks || *role != Role::Chunkstore)
                .collect()
        };
        let given = |roles: &Vec<Role>| roles.iter().copied().collect();
        let description = NodeDescription {
            name: self.name.clone(),
            zone: self.zone.clone(),
            rack: self.rack.clone(),
            addresses: vec![address],
            roles: self.roles.as_ref().map_or_else(usual, given),
            disks: u32::try_from(config.data.len())?,
            formats: FormatRange::own(),
            ..Default::default()
        };
        description.check().map_err(|why| anyhow!(why))?;
        Ok(description)
    }
}

/// The settings of a node.
///
/// # Errors
/// The configuration is that of a single machine.
pub fn node_settings(config: &Config) -> Result<&NodeConfig> {
    config
        .node
        .as_ref()
        .context("name the directory of the node with --node-dir, CAIRN_NODE_DIR or `node_dir`")
}

/// Runs one of them.
pub fn run(command: NodeCommand) -> Result<()> {
    match command {
        NodeCommand::Token(MakeToken { ttl, asked }) => {
            let ttl_ms = u64::try_from(ttl.0.as_millis())?;
            let TokenAnswer { token } = asked.post("/v1/token", &TokenRequest { ttl_ms })?;
            println!("{token}");
            Ok(())
        }
        NodeCommand::List(asked) => {
            let report: Report = asked.get("/v1/status")?;
            print!("{}", nodes_table(&report.nodes));
            Ok(())
        }
        NodeCommand::Remove(OneNode { node, asked }) => {
            asked.have_done("/v1/nodes/remove", &NodeRequest { node })
        }
        NodeCommand::Join(command) => join_region(*command),
    }
}

/// Joins with a token: asks the cluster, formats the disks as it answers, and writes the node's directory. Can be
/// done again after it was interrupted.
fn join_region(command: JoinNode) -> Result<()> {
    let token: JoinToken = command.token.parse()?;
    let config = Config::load(&command.source)?;
    let dir = &node_settings(&config)?.dir;
    let description = command.node.describe(&config)?;
    NodeHome::check_new(dir, &config.data)?;
    let is_repeated = NodeHome::was_prepared(dir);
    for directory in &config.data {
        require_free(directory, is_repeated)?;
    }
    let key = NodeHome::prepare(dir, &config.data)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let message = description.encode().into();
    let clock = Arc::new(SystemClock::new());
    let joined = runtime.block_on(join(&token, &key, message, clock, JOIN_LIMIT))?;
    let node = joined
        .certificate
        .node()
        .context("the cluster's answer is no certificate of a node")?;
    let answer =
        JoinAnswer::decode(joined.answer).context("the cluster's answer cannot be read")?;
    format_disks(&config.data, node, &answer.disks)?;
    let new = NewHome {
        name: &description.name,
        certificate: &joined.certificate,
        bundle: &joined.bundle,
        root: &answer.root(),
        peers: &answer.peers(),
        first: None,
    };
    let home = NodeHome::create(dir, &new)?;
    println!(
        "Node {} has joined as number {}. Start it with `cairn server --node-dir {}` and the settings that were \
         given here.",
        home.name(),
        home.node(),
        dir.display()
    );
    Ok(())
}

/// Refuses a directory that cannot be made a disk. One that is a disk may be of this node where it has tried to join
/// before: that is known when the cluster has answered.
fn require_free(directory: &Path, is_repeated: bool) -> Result<()> {
    let shown = directory.display();
    if identity::read(directory)?.is_some() {
        ensure!(
            is_repeated,
            "{shown} is a disk already: name an empty directory"
        );
        return Ok(());
    }
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.with_context(|| format!("cannot read {shown}"))?,
    };
    for found in entries {
        let found = found?.file_name();
        // What formatting leaves behind when it is interrupted.
        let is_left_over = found == "identity.new" || found == "lock";
        ensure!(
            is_repeated && is_left_over,
            "{shown} holds {found:?}, so it is not made a disk: name an empty directory"
        );
    }
    Ok(())
}

/// Gives each directory one of the ids; those that have theirs from an earlier attempt keep it.
fn format_disks(data: &[PathBuf], node: NodeIdentity, disks: &[DiskId]) -> Result<()> {
    ensure!(
        data.len() == disks.len(),
        "the cluster has {} disks of this node, and --data names {} directories: join again with those of the first \
         attempt",
        disks.len(),
        data.len()
    );
    let mut free = disks.to_vec();
    let mut empty = Vec::new();
    for directory in data {
        match identity::read(directory)? {
            None => empty.push(directory),
            Some(found) => {
                let at = free.iter().position(|disk| *disk == found.disk);
                let Some(at) = at else {
                    bail!(
                        "{} is disk {} of installation {}, which is none of this node: name an empty directory",
                        directory.display(),
                        found.disk,
                        found.installation
                    );
                };
                free.remove(at);
            }
        }
    }
    for (directory, disk) in empty.into_iter().zip(free) {
        let made = Identity {
            installation: node.installation,
            region: node.region,
            node: node.node,
            disk,
            replaces: None,
        };
        identity::format(directory, &made)?;
    }
    Ok(())
}
