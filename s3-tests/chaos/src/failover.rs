//! How long clients get no answer when something fails: many trials of a few faults, on one region.

use crate::check::{Judgement, judge, longest_gaps};
use crate::faults::Fault;
use crate::target::{Target, wait_until_ready};
use crate::workload::{self, Plan};
use anyhow::Result;
use std::fmt;
use std::time::Duration;

/// How long a client waits for an answer before it asks another gateway. What a client sees of a gateway that
/// is gone is at least this, so it is short here.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// How long a fault acts, and how long everything is left alone after it: a zone is back in the cluster map when it was
/// heard for five seconds, and with two zones away nothing can be written.
const FAULT: Duration = Duration::from_secs(8);
const REST: Duration = Duration::from_secs(10);

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// kill -9 of the node that leads most groups.
    Leader,
    /// The zone that leads most groups is cut off.
    Zone,
    /// kill -9 of a node that leads as few as any: its gateway goes.
    Gateway,
}

impl Kind {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Leader, Self::Zone, Self::Gateway];

    fn fault(self, leader: usize, zones: usize) -> Fault {
        match self {
            Self::Leader => Fault::Kill { zone: leader },
            Self::Zone => Fault::Isolate { zone: leader },
            Self::Gateway => Fault::Kill {
                zone: (leader + 1) % zones,
            },
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader killed",
            Self::Zone => "zone cut off",
            Self::Gateway => "gateway killed",
        })
    }
}

/// The trials of one kind: in each, the longest time without an answer of the client that had the longest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trials {
    /// What was tried.
    pub kind: Kind,
    /// Milliseconds, in ascending order.
    pub worst_ms: Vec<u64>,
}

impl fmt::Display for Trials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (times, count) = (&self.worst_ms, self.worst_ms.len());
        let median = times.get(count / 2).copied().unwrap_or(0);
        let most = times.last().copied().unwrap_or(0);
        write!(
            f,
            "{}: {count} trials, longest time without an answer: median {median} ms, longest {most} ms",
            self.kind
        )
    }
}

/// Tries each kind `trials` times while the clients of a plan are at work, and judges what they saw.
///
/// # Errors
/// When the trials themselves could not be done.
pub async fn failover(
    target: &mut dyn Target,
    plan: &Plan,
    trials: usize,
) -> Result<(Vec<Trials>, Judgement)> {
    let gateways = target.gateways();
    let gateways = gateways.into_iter().map(|s3| s3.with_patience(PATIENCE));
    let mut running = workload::start(plan, gateways.collect()).await?;
    let mut windows = Vec::new();
    for kind in Kind::ALL {
        for trial in 0..trials {
            tokio::time::sleep(REST).await;
            let leader = target.leader().unwrap_or(trial % target.shape().zones);
            let fault = kind.fault(leader, target.shape().zones);
            let begun = running.record().now();
            tokio::task::block_in_place(|| target.begin(&fault))?;
            tokio::time::sleep(FAULT).await;
            windows.push((kind, (begun, running.record().now())));
            tokio::task::block_in_place(|| target.end(&fault))?;
            tokio::task::block_in_place(|| wait_until_ready(target))?;
        }
    }
    running.stop().await;
    running.read_all().await;
    let record = running.into_record();
    let events = record.events();
    let of = |kind| {
        let windows = windows.iter().filter(|(tried, _)| *tried == kind);
        let worst = windows.map(|(_, window)| {
            let gaps = longest_gaps(&events, plan.clients, *window);
            gaps.values().copied().max().unwrap_or(0) / 1000
        });
        let mut worst_ms: Vec<u64> = worst.collect();
        worst_ms.sort_unstable();
        Trials { kind, worst_ms }
    };
    Ok((Kind::ALL.map(of).to_vec(), judge(&record)))
}
