//! `chaos`: runs faults under load and says what they broke. See the library.

use anyhow::{Result, ensure};
use chaos::failover::failover;
use chaos::report;
use chaos::run::{Outcome, run};
use chaos::target::machine::Machine;
use chaos::target::region::Region;
use chaos::target::{Disks, Target, binary_beside};
use chaos::workload::Plan;
use clap::{Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use types::clock::{Clock, SystemClock};

/// Faults under load, on processes of the real binary.
#[derive(Debug, Parser)]
#[command(name = "chaos", about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the schedules of some seeds, one after the other; fails when one finds something.
    Run(RunOptions),
    /// Measure on a region how long clients get no answer when a leader, a zone or a gateway fails.
    Failover {
        /// Trials of each kind.
        #[arg(long, default_value_t = 20)]
        trials: usize,
        /// How many clients.
        #[arg(long, default_value_t = 6)]
        clients: usize,
        /// The binary under test; the one beside this one unless it is given.
        #[arg(long)]
        cairn: Option<PathBuf>,
    },
    /// Say how many runs a file of results has.
    Total {
        /// The file.
        results: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct RunOptions {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// How long each.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How many clients.
    #[arg(long, default_value_t = 12)]
    clients: usize,
    /// What to run it on.
    #[arg(long, value_enum, default_value_t = On::Machine)]
    on: On,
    /// The binary under test; the one beside this one unless it is given.
    #[arg(long)]
    cairn: Option<PathBuf>,
    /// A file to add the results to.
    #[arg(long)]
    results: Option<PathBuf>,
}

/// What a run is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum On {
    /// One server on this machine.
    Machine,
    /// A region of three zones.
    Region,
}

impl On {
    fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Region => "region",
        }
    }
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    let work = async {
        match Cli::parse().command {
            Command::Run(options) => run_all(&options).await,
            Command::Failover {
                trials,
                clients,
                cairn,
            } => measure(trials, clients, cairn).await,
            Command::Total { results } => total(&results),
        }
    };
    // What was started is ended and removed in either case, because `work` is dropped.
    let result = tokio::select! {
        result = work => result,
        stopped = until_stopped() => stopped,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chaos: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn until_stopped() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupt = tokio::signal::ctrl_c() => interrupt?,
    }
    anyhow::bail!("stopped by a signal")
}

fn total(results: &std::path::Path) -> Result<()> {
    for target in ["machine", "region"] {
        let (runs, minutes, failed) = report::total(results, target)?;
        println!("{target}: {runs} runs, {minutes} minutes, {failed} failed");
    }
    Ok(())
}

async fn run_all(options: &RunOptions) -> Result<()> {
    let binary = options.cairn.clone().map_or_else(binary_beside, Ok)?;
    let mut failed = Vec::new();
    for seed in options.seed..options.seed + options.runs {
        println!("seed {seed}, {}", again(options, seed));
        let directory = tempfile::Builder::new().prefix("chaos-").tempdir()?;
        let mut target: Box<dyn Target> = match options.on {
            On::Machine => Box::new(Machine::start(&binary, directory.path(), Disks::of(seed))?),
            On::Region => Box::new(Region::start(&binary, directory.path(), Disks::of(seed))?),
        };
        let plan = Plan::of_chaos(seed, options.clients);
        let duration = Duration::from_secs(options.seconds);
        let outcome = run(target.as_mut(), &plan, duration).await?;
        drop(target);
        show(&outcome);
        let is_clean = outcome.is_clean();
        if let Some(path) = &options.results {
            report::append(path, &outcome.row, is_clean, SystemClock::new().now_ms())?;
        }
        if !is_clean {
            println!("FAILED; again: {}", again(options, seed));
            println!("kept: {}", directory.keep().display());
            failed.push(seed);
        }
    }
    ensure!(failed.is_empty(), "seeds that found something: {failed:?}");
    Ok(())
}

async fn measure(trials: usize, clients: usize, cairn: Option<PathBuf>) -> Result<()> {
    let binary = cairn.map_or_else(binary_beside, Ok)?;
    let directory = tempfile::Builder::new().prefix("chaos-").tempdir()?;
    let mut region = Region::start(&binary, directory.path(), Disks::Small)?;
    let plan = Plan::of_chaos(1, clients);
    let (kinds, judgement) = failover(&mut region, &plan, trials).await?;
    for trials in kinds {
        println!("{trials}");
    }
    ensure!(judgement.is_clean(), "{judgement}");
    Ok(())
}

fn show(outcome: &Outcome) {
    println!("{:?}", outcome.row);
    println!("{} shards repaired", outcome.inspection.repaired_shards);
    for what in &outcome.ended {
        println!("{what}");
    }
    if !outcome.inspection.is_sound || outcome.inspection.missing_shards > 0 {
        println!("{}", outcome.inspection.report);
    }
    println!("{}", outcome.judgement);
}

/// The line that does the same again.
fn again(options: &RunOptions, seed: u64) -> String {
    format!(
        "chaos run --on {} --seed {seed} --seconds {} --clients {}",
        options.on.name(),
        options.seconds,
        options.clients
    )
}
