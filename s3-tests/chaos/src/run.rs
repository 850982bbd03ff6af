//! One run: clients at work while faults come and go, and the judgement of all that they saw.

use crate::check::{Judgement, judge, longest_gaps};
use crate::faults::{Fault, Step, schedule};
use crate::report::Row;
use crate::target::{Inspection, Target, wait_until_ready};
use crate::workload::{self, Plan, Running};
use anyhow::Result;
use std::time::Duration;

/// How often faults are looked after.
const TICK: Duration = Duration::from_millis(50);

/// How long a target may take to repair itself, and how often it is asked.
const REPAIR: Duration = Duration::from_secs(240);
const REPAIR_TICK: Duration = Duration::from_secs(1);

/// What a run showed.
#[derive(Debug)]
pub struct Outcome {
    /// Of what the clients were told.
    pub judgement: Judgement,
    /// Of the disks.
    pub inspection: Inspection,
    /// Processes that ended though no fault ended them, and assertions that broke.
    pub ended: Vec<String>,
    /// For the file of results.
    pub row: Row,
}

impl Outcome {
    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.judgement.is_clean()
            && self.inspection.is_sound
            && !self.ended.iter().any(|what| what.contains("panicked at"))
    }
}

/// Runs the faults of a plan's seed on a target for so long, and then judges.
///
/// # Errors
/// When the run itself could not be done, which says nothing of the product.
pub async fn run(target: &mut dyn Target, plan: &Plan, duration: Duration) -> Result<Outcome> {
    let steps = schedule(plan.seed, duration, &target.shape());
    for step in &steps {
        println!("{step}");
    }
    let mut running = workload::start(plan, target.gateways()).await?;
    let mut ended = conduct(target, &running, &steps, duration).await?;
    ended.extend(tokio::task::block_in_place(|| wait_until_ready(target))?);
    let end = running.record().now();
    running.stop().await;
    running.write_again().await;
    running.read_all().await;
    tokio::task::block_in_place(|| target.tend_disks())?;
    ended.extend(tokio::task::block_in_place(|| wait_until_ready(target))?);
    let mut is_repaired = wait_for_repair(target, &running).await?;
    if is_repaired {
        read_without_each(target, &running).await?;
        is_repaired = wait_for_repair(target, &running).await?;
    }
    if !is_repaired {
        let what = format!("not repaired {REPAIR:?} after the last fault");
        running.record().add_wrong(what);
    }
    let record = running.into_record();
    ended.extend(target.panics());
    let inspection = tokio::task::block_in_place(|| target.inspect())?;
    let judgement = judge(&record);
    let gaps = longest_gaps(&record.events(), plan.clients, (0, end));
    let mut gaps_ms: Vec<u64> = gaps.values().map(|us| us / 1000).collect();
    gaps_ms.sort_unstable();
    println!("{:?}", record.counts());
    let row = Row {
        target: target.name(),
        seed: plan.seed,
        seconds: duration.as_secs(),
        clients: plan.clients,
        faults: steps.len(),
        events: record.events().len(),
        unanswered: record.unanswered(),
        keys: judgement.keys,
        gap_median_ms: gaps_ms.get(gaps_ms.len() / 2).copied().unwrap_or(0),
        gap_max_ms: gaps_ms.last().copied().unwrap_or(0),
        missing_shards: inspection.missing_shards,
    };
    Ok(Outcome {
        judgement,
        inspection,
        ended,
        row,
    })
}

/// Whether the target says in time that nothing is left to be repaired.
async fn wait_for_repair(target: &mut dyn Target, running: &Running) -> Result<bool> {
    let end = running.now() + REPAIR;
    while running.now() < end {
        if tokio::task::block_in_place(|| target.is_repaired()).unwrap_or(false) {
            return Ok(true);
        }
        tokio::time::sleep(REPAIR_TICK).await;
    }
    Ok(false)
}

/// Reads everything again while each of the faults acts that must cost nothing, one after the other.
async fn read_without_each(target: &mut dyn Target, running: &Running) -> Result<()> {
    for fault in target.harmless() {
        let now = running.now().as_secs_f64();
        println!("{now:6.1} s all is read while {fault}");
        tokio::task::block_in_place(|| target.begin(&fault))?;
        running.read_all().await;
        tokio::task::block_in_place(|| target.end(&fault))?;
        tokio::task::block_in_place(|| wait_until_ready(target))?;
    }
    Ok(())
}

/// Begins and ends the steps in time, and starts again what ends by itself; what did.
async fn conduct(
    target: &mut dyn Target,
    running: &Running,
    steps: &[Step],
    duration: Duration,
) -> Result<Vec<String>> {
    let started = running.now();
    let mut waiting = steps.iter().peekable();
    let mut acting: Vec<&Step> = Vec::new();
    let mut ended = Vec::new();
    loop {
        let now = running.now() - started;
        while let Some(step) = waiting.next_if(|step| step.at <= now) {
            println!("{:6.1} s begin {}", now.as_secs_f64(), step.fault);
            tokio::task::block_in_place(|| target.begin(&step.fault))?;
            let is_death = matches!(step.fault, Fault::Kill { .. } | Fault::PowerLoss { .. });
            if is_death && target.kill_settles() {
                running.record().settle();
            }
            acting.push(step);
        }
        let (over, still): (Vec<&Step>, Vec<&Step>) = acting
            .into_iter()
            .partition(|step| step.at + step.lasts <= now);
        for step in over {
            println!("{:6.1} s end   {}", now.as_secs_f64(), step.fault);
            tokio::task::block_in_place(|| target.end(&step.fault))?;
        }
        acting = still;
        let fell = tokio::task::block_in_place(|| target.revive())?;
        for what in &fell {
            println!("{:6.1} s {what}", now.as_secs_f64());
        }
        ended.extend(fell);
        if now >= duration && acting.is_empty() && waiting.peek().is_none() {
            return Ok(ended);
        }
        tokio::time::sleep(TICK).await;
    }
}
