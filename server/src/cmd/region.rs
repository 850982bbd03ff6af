//! The commands that ask a running node: `cairn admin`, `cairn index`, `cairn ca`.

use super::discard;
use super::finalise;
use super::socket::Asked;
use crate::config::Source;
use crate::region::report::{Report, groups_table};
use crate::region::rotation::AuthorityReport;
use crate::region::socket::{NodeRequest, ReplaceRequest};
use anyhow::Result;
use clap::{Args, Subcommand};

/// `cairn admin ...`
#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Show the region: nodes, disks, index, chunk clusters, tasks, and what needs attention.
    Status(AdminStatus),
    /// Have the newest format written that all nodes know; there is no way back to a version that does not know it.
    ///
    /// Of a single machine, the server must be stopped.
    Finalise(Asked),
}

/// `cairn admin status`
#[derive(Debug, Args)]
pub struct AdminStatus {
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
    /// Which node is asked.
    #[command(flatten)]
    pub asked: Asked,
}

/// `cairn index ...`
#[derive(Debug, Subcommand)]
pub enum IndexCommand {
    /// Show who keeps each partition, who leads it, and how far the others are behind.
    Status(Asked),
    /// Have one node more keep the index.
    Add(OneNode),
    /// Have a node not keep the index any more; it may be dead.
    Remove(OneNode),
    /// Put one node in the place of another, which may be dead.
    Replace(ReplaceNode),
    /// Put aside what this node has of the index, which was lost or put back; its server must be stopped.
    Discard(Box<Source>),
}

/// A command about one node.
#[derive(Debug, Args)]
pub struct OneNode {
    /// The node's name
    pub node: String,
    /// Which node is asked.
    #[command(flatten)]
    pub asked: Asked,
}

/// `cairn index replace`
#[derive(Debug, Args)]
pub struct ReplaceNode {
    /// The node that keeps the index
    pub old: String,
    /// The node that is to
    pub new: String,
    /// Which node is asked.
    #[command(flatten)]
    pub asked: Asked,
}

/// `cairn ca ...`
#[derive(Debug, Subcommand)]
pub enum CaCommand {
    /// Show the trusted authorities, the nodes' certificates, and the next step of a replacement.
    Status(Asked),
    /// Make a new authority, trusted beside the old one.
    New(Asked),
    /// Give every node a certificate of the new authority.
    Renew(Asked),
    /// Trust the old authority no more.
    Retire(Asked),
}

/// Runs one of them.
pub fn admin(command: AdminCommand) -> Result<()> {
    match command {
        AdminCommand::Status(command) => status(&command),
        AdminCommand::Finalise(asked) if asked.is_node()? => asked.have_it_done("/v1/finalise"),
        AdminCommand::Finalise(asked) => finalise::run(&asked.source),
    }
}

fn status(command: &AdminStatus) -> Result<()> {
    let report: Report = command.asked.get("/v1/status")?;
    if command.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print!("{report}");
    }
    Ok(())
}

/// Runs one of them.
pub fn index(command: IndexCommand) -> Result<()> {
    match command {
        IndexCommand::Status(asked) => {
            let report: Report = asked.get("/v1/status")?;
            print!("{}", groups_table(&report.index));
            Ok(())
        }
        IndexCommand::Add(OneNode { node, asked }) => {
            asked.have_done("/v1/index/add", &NodeRequest { node })
        }
        IndexCommand::Remove(OneNode { node, asked }) => {
            asked.have_done("/v1/index/remove", &NodeRequest { node })
        }
        IndexCommand::Discard(source) => discard::run(&source),
        IndexCommand::Replace(ReplaceNode { old, new, asked }) => {
            asked.have_done("/v1/index/replace", &ReplaceRequest { old, new })
        }
    }
}

/// Runs one of them.
pub fn ca(command: CaCommand) -> Result<()> {
    match command {
        CaCommand::Status(asked) => {
            let report: AuthorityReport = asked.get("/v1/ca/status")?;
            print!("{report}");
            Ok(())
        }
        CaCommand::New(asked) => asked.have_it_done("/v1/ca/new"),
        CaCommand::Renew(asked) => asked.have_it_done("/v1/ca/renew"),
        CaCommand::Retire(asked) => asked.have_it_done("/v1/ca/retire"),
    }
}
