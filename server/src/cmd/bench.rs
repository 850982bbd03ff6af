//! `cairn bench`: measures an S3 service, this one or another.

use anyhow::Result;
use bench::options::RunOptions;
use clap::{Args, Subcommand};

/// `cairn bench`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Bench {
    /// What to measure; a run, if it is left out.
    #[command(subcommand)]
    command: Option<BenchCommand>,
    /// The options of a run.
    #[command(flatten)]
    run: RunOptions,
}

/// `cairn bench ...`
#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Put load on a service and measure it.
    Run(Box<RunOptions>),
}

/// Measures, and prints what was measured.
pub fn run(bench: Bench) -> Result<()> {
    match bench.command {
        Some(BenchCommand::Run(options)) => bench::load::run(&options),
        None => bench::load::run(&bench.run),
    }
}
