//! Runs seeds: `sim --seed 7` shows what happens in one, `sim --seeds 0..1000` looks for violations in many.

use clap::Parser;
use sim::{Bug, Report, run, run_shown};
use std::process::ExitCode;

/// A simulation of a whole site, by choices that follow from a seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// Runs this seed, and prints its log.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Runs these seeds, from the first to before the last, and prints the hash of each log.
    #[arg(long, value_parser = parse_range, default_value = "0..100")]
    seeds: (u64, u64),
    /// Runs each seed twice, and compares the logs byte for byte.
    #[arg(long)]
    twice: bool,
    /// Plants a bug, to see it found.
    #[arg(long, value_enum)]
    bug: Option<Bug>,
}

fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let parts = text.split_once("..");
    let range = parts.and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    range
        .filter(|(from, to)| from < to)
        .ok_or_else(|| "a range of seeds is written as 0..1000".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (from, to) = match arguments.seed {
        Some(seed) => (seed, seed + 1),
        None => arguments.seeds,
    };
    let (mut broken, mut undecided, mut histories) = (Vec::new(), 0, 0);
    for seed in from..to {
        eprint!("\rseed {seed} ");
        let report = match arguments.seed {
            Some(seed) => run_shown(seed, arguments.bug),
            None => run(seed, arguments.bug),
        };
        let differs = arguments.twice && run(seed, arguments.bug).log != report.log;
        show(&report);
        if differs {
            println!("seed {seed}: the second run was another one");
        }
        if differs || !report.violations.is_empty() {
            broken.push(seed);
        }
        undecided += report.undecided;
        histories += report.histories;
    }
    println!(
        "{} seeds, {histories} histories ({undecided} undecided), {} with violations: {broken:?}",
        to - from,
        broken.len()
    );
    if broken.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn show(report: &Report) {
    println!("seed {} {}", report.seed, report.hash());
    for violation in &report.violations {
        println!("seed {}: {violation}", report.seed);
    }
}
