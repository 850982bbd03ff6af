//! The rows of the table: what is run, and the goal of each.

use crate::ceilings::Ceilings;
use crate::mix::Operation;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// When other processes have more of the cores, rates say nothing.
pub const QUIET_SHARE_MAX: f64 = 0.1;

/// Where the server's directories are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On the disk, on one server for all rows and rounds.
    Disk,
    /// On the disk, on a server that is made for one round: so that large objects do not fill it.
    FreshDisk,
    /// In memory, on a server that is made for one round.
    Memory,
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What is done.
    pub operation: Operation,
    /// To objects of this size.
    pub size_bytes: u64,
    /// By so many connections.
    pub connections: usize,
    /// So many objects are there before.
    pub objects: u64,
    /// A round ends after so many operations, if its time is not over before: what fits on the disk.
    pub operations_max: u64,
    /// Where the data lie.
    pub place: Place,
    /// The goal.
    pub goal: Goal,
}

/// What a row should reach.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// Server CPU time of an operation, with what it costs after its answer.
    CpuMs {
        /// The most that is good enough.
        limit: f64,
        /// What is aimed at.
        aim: f64,
    },
    /// Operations a second: 10 times the serial fdatasync rate of a growing file, or 80 % of what the cores
    /// allow at the CPU time of an operation (client included), whichever is less.
    DurableRate,
    /// Bytes a second: half of what one core's MD5 gives.
    HalfOfMd5,
}

/// Every row, in the order of the table. The aims of large PUTs are those of a server that computes several MD5s at once.
pub const ROWS: [Row; 9] = [
    row("put-4k", Operation::Put, 4 * KIB, cpu(0.25, 0.12)),
    row("get-4k", Operation::Get, 4 * KIB, cpu(0.08, 0.045)),
    Row {
        place: Place::FreshDisk,
        operations_max: 1536,
        ..row("put-1m", Operation::Put, MIB, cpu(3.5, 1.4))
    },
    Row {
        objects: 256,
        ..row("get-1m", Operation::Get, MIB, cpu(0.8, 0.5))
    },
    Row {
        place: Place::FreshDisk,
        operations_max: 32,
        ..row("put-64m", Operation::Put, 64 * MIB, cpu(220.0, 100.0))
    },
    Row {
        objects: 16,
        ..row("get-64m", Operation::Get, 64 * MIB, cpu(55.0, 40.0))
    },
    row("list-1000", Operation::List, 4 * KIB, cpu(1.6, 1.0)),
    Row {
        connections: 64,
        ..row("put-4k-64c", Operation::Put, 4 * KIB, Goal::DurableRate)
    },
    Row {
        connections: 1,
        place: Place::Memory,
        operations_max: 16,
        ..row("put-64m-tmpfs", Operation::Put, 64 * MIB, Goal::HalfOfMd5)
    },
];

/// What most rows have.
const fn row(name: &'static str, operation: Operation, size_bytes: u64, goal: Goal) -> Row {
    Row {
        name,
        operation,
        size_bytes,
        connections: 16,
        objects: match operation {
            Operation::Put => 0,
            _ => 10_000,
        },
        operations_max: u64::MAX,
        place: Place::Disk,
        goal,
    }
}

const fn cpu(limit: f64, aim: f64) -> Goal {
    Goal::CpuMs { limit, aim }
}

impl Row {
    /// Whether its objects are what the disk must have room for.
    pub fn is_large(&self) -> bool {
        self.size_bytes >= MIB
    }

    /// The bucket of the row's objects.
    pub fn bucket(&self) -> String {
        format!("bench-{}", self.name)
    }
}

/// How a row compares with its goal.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Verdict {
    /// What the goal is about.
    pub unit: &'static str,
    /// What was measured, in that unit.
    pub measured: f64,
    /// The bound; above it, or below it for rates, the row is missed.
    pub limit: f64,
    /// What is aimed at, where that is something else.
    pub aim: Option<f64>,
    /// Whether the bound is kept.
    pub is_met: bool,
    /// Whether the aim is reached too.
    pub is_aim_met: bool,
    /// Whether the measurement depends on the cores being ours alone: a rate does, CPU time hardly.
    pub needs_quiet: bool,
    /// Whether what was measured is all that there is; if not, it may only be more.
    pub is_whole: bool,
}

/// What a verdict rests on: medians of a row.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub ops_per_second: f64,
    pub megabytes_per_second: f64,
    /// From the first request to the last answer.
    pub server_cpu_ms: f64,
    /// With what the server used afterwards.
    pub total_cpu_ms: f64,
    pub client_cpu_ms: f64,
    /// Whether what it used afterwards was at an end when it was read.
    pub is_quiet: bool,
}

impl Goal {
    /// Compares.
    pub fn judge(self, figures: Figures, ceilings: &Ceilings) -> Verdict {
        match self {
            Self::CpuMs { limit, aim } => {
                let measured = figures.total_cpu_ms;
                Verdict {
                    unit: "ms CPU/op",
                    measured,
                    limit,
                    aim: Some(aim),
                    is_met: measured <= limit,
                    is_aim_met: measured <= aim,
                    needs_quiet: false,
                    is_whole: figures.is_quiet,
                }
            }
            Self::DurableRate => {
                let by_disk = 10.0 * ceilings.fdatasync_growing_per_second;
                let cpu_ms = figures.server_cpu_ms + figures.client_cpu_ms;
                let by_cores = 0.8 * 1000.0 * ceilings.cores as f64 / cpu_ms;
                Verdict::rate("ops/s", figures.ops_per_second, by_disk.min(by_cores))
            }
            Self::HalfOfMd5 => {
                let half = 0.5 * 1000.0 * ceilings.md5_gb_per_second;
                Verdict::rate("MB/s", figures.megabytes_per_second, half)
            }
        }
    }
}

impl Verdict {
    fn rate(unit: &'static str, measured: f64, limit: f64) -> Self {
        Self {
            unit,
            measured,
            limit,
            aim: None,
            is_met: measured >= limit,
            is_aim_met: measured >= limit,
            needs_quiet: true,
            is_whole: true,
        }
    }

    /// In a word, where other processes had this share of the cores.
    pub fn word(&self, others_share: f64) -> &'static str {
        match (self.is_met, self.is_aim_met) {
            _ if self.needs_quiet && others_share > QUIET_SHARE_MAX => "UNCLEAR",
            (false, _) => MISSED,
            _ if !self.is_whole => "UNCLEAR",
            (true, true) if self.aim.is_some() => "met, aim too",
            (true, _) => "met",
        }
    }
}

/// The word of a row that is beyond its limit.
pub const MISSED: &str = "MISSED";
/// The word of a row whose operations failed, or were answered with something wrong: its figures say nothing.
pub const FAILED: &str = "FAILED";
