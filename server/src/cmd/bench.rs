//! `cairn bench`: measures an S3 service, this one or another.

use anyhow::Result;
use bench::ceilings::CeilingsOptions;
use bench::growth::GrowthOptions;
use bench::options::RunOptions;
use bench::suite::SuiteOptions;
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
    /// Measure what this machine gives at best.
    Ceilings(CeilingsOptions),
    /// Start servers on directories of their own and measure them against the goals.
    Suite(SuiteOptions),
    /// Fill a server of its own step by step, and write down what each size costs.
    Growth(GrowthOptions),
    /// Answer every request with nothing: what `ceilings` compares with.
    #[command(hide = true)]
    ServeNothing,
}

/// Measures, and prints what was measured.
pub fn run(bench: Bench) -> Result<()> {
    match bench.command {
        Some(BenchCommand::Run(options)) => bench::load::run(&options),
        Some(BenchCommand::Ceilings(options)) => bench::ceilings::run(&options),
        Some(BenchCommand::Suite(options)) => bench::suite::run(&options),
        Some(BenchCommand::Growth(options)) => bench::growth::run(&options),
        Some(BenchCommand::ServeNothing) => bench::ceilings::serve_nothing(),
        None => bench::load::run(&bench.run),
    }
}
