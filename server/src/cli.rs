//! The command line.

use crate::cmd::bench::Bench;
use crate::cmd::cluster::ClusterCommand;
use crate::cmd::node::NodeCommand;
use crate::cmd::region::{AdminCommand, CaCommand, IndexCommand};
use crate::config::Source;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Cairn, an S3-compatible object storage service.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server: a single machine, or with --node-dir a node of a region.
    Server(Box<Source>),
    /// Look at the configuration; nothing is bound or written.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check the data of a server that is stopped: every object's bytes and every record.
    Check(Box<CheckData>),
    /// Disks of a server that is stopped.
    #[command(subcommand)]
    Disk(DiskCommand),
    /// A region of several nodes.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// The nodes of a region.
    #[command(subcommand)]
    Node(NodeCommand),
    /// How the region is.
    #[command(subcommand)]
    Admin(AdminCommand),
    /// Which nodes keep the index.
    #[command(subcommand)]
    Index(IndexCommand),
    /// The authority that signs the nodes' certificates.
    #[command(subcommand)]
    Ca(CaCommand),
    /// Measure an S3 service: throughput, latency, and what the server uses.
    Bench(Box<Bench>),
}

/// `cairn config ...`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Say whether the configuration is good, and which line is not.
    Check(Box<Source>),
    /// Print the configuration in force, secrets left out.
    Show(Box<Source>),
}

/// `cairn disk ...`
#[derive(Debug, Subcommand)]
pub enum DiskCommand {
    /// List the disks of the cluster map and where they are.
    List(Box<Source>),
    /// Put an empty directory in the place of a lost disk; the next start fills it.
    Replace(Box<ReplaceDisk>),
}

/// `cairn check`
#[derive(Debug, Args)]
pub struct CheckData {
    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
    /// Where the installation is.
    #[command(flatten)]
    pub source: Source,
}

/// `cairn disk replace`
#[derive(Debug, Args)]
pub struct ReplaceDisk {
    /// The empty directory, one of those that `--data` names.
    pub directory: PathBuf,
    /// The lost disk; may be left out when only one is missing.
    #[arg(long)]
    pub disk: Option<String>,
    /// Where the installation is.
    #[command(flatten)]
    pub source: Source,
}
