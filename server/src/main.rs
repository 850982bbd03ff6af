//! The `cairn` binary: reads the command line and hands over to a command.

mod admin;
mod assemble;
mod cli;
mod cluster;
mod cmd;
mod config;
mod disks;
mod format;
mod region;
mod root_key;
mod run;
mod telemetry;
mod workers;

use clap::Parser;
use cli::{Cli, Command, ConfigCommand, DiskCommand};
use std::process::ExitCode;

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Server(settings) => cmd::server::run(*settings),
        Command::Config(ConfigCommand::Check(settings)) => cmd::config::check(*settings),
        Command::Config(ConfigCommand::Show(settings)) => cmd::config::show(*settings),
        Command::Check(settings) => cmd::check::run(*settings),
        Command::Disk(DiskCommand::List(settings)) => cmd::disk::list(*settings),
        Command::Disk(DiskCommand::Replace(command)) => cmd::disk::replace(*command),
        Command::Cluster(command) => cmd::cluster::run(command),
        Command::Node(command) => cmd::node::run(command),
        Command::Admin(command) => cmd::region::admin(command),
        Command::Index(command) => cmd::region::index(command),
        Command::Ca(command) => cmd::region::ca(command),
        Command::Bench(command) => cmd::bench::run(*command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn: {error:#}");
            ExitCode::FAILURE
        }
    }
}
