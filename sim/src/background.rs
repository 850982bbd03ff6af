//! The background work, on a machine of its own, with the scheduler's workers as they are.

use crate::dice::Dice;
use crate::machine::{Machine, WRITE_DEADLINE};
use crate::world::World;
use chunkstore::DiskStore;
use index::Index;
use scheduler::SchedulerConfig;
use scheduler::budget::Budget;
use scheduler::run::compact::Compact;
use scheduler::run::gc::{Gc, SharedTime};
use scheduler::run::housekeeping::Housekeeping;
use scheduler::run::orphans::Orphans;
use scheduler::run::repair::Repair;
use scheduler::run::scrub::Scrub;
use scheduler::worker::{Step, StepError, Worker};
use std::sync::Arc;
use std::time::Duration;
use types::Clock;

/// Observed time between a delete and the freeing of its chunks: longer than any read here.
const RECLAIM_GRACE: Duration = Duration::from_secs(600);
/// Steps after which a round is left for later: one that never gets idle is seen as such.
const STEPS_MAX: usize = 20_000;

/// The kinds of work.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Work {
    Gc,
    Orphans,
    Housekeeping,
    Repair,
    Compact,
    Scrub,
}

/// All of them.
pub(crate) const WORK: [Work; 6] = [
    Work::Gc,
    Work::Orphans,
    Work::Housekeeping,
    Work::Repair,
    Work::Compact,
    Work::Scrub,
];

/// See the module.
pub(crate) struct Background {
    world: Arc<World>,
    pub machine: Arc<Machine>,
    budget: Arc<Budget>,
    gc: Gc,
    orphans: Orphans,
    housekeeping: Housekeeping,
    repair: Repair,
}

impl Background {
    /// Begins on a machine that was just started.
    pub async fn start(world: &Arc<World>, machine: Arc<Machine>) -> Result<Self, StepError> {
        let config = SchedulerConfig {
            interval: Duration::from_secs(1),
            rate: 1 << 40,
            write_deadline: WRITE_DEADLINE,
            reclaim_grace: RECLAIM_GRACE,
            upload_expiry: None,
        };
        let (index, chunks): (Index, _) = (machine.index.clone(), machine.chunks.clone());
        let clock: Arc<dyn Clock> = Arc::clone(&machine.clock) as _;
        let time: Arc<SharedTime> = Arc::default();
        let budget = Arc::new(Budget::new(config.rate, Arc::clone(&clock)));
        let dirty = Arc::clone(world.site.keeper.dirty());
        let gc = Gc::resume(
            index.clone(),
            chunks.clone(),
            config.clone(),
            Arc::clone(&clock),
            Arc::clone(&time),
        );
        Ok(Self {
            gc: gc.await?,
            orphans: Orphans::new(
                index.clone(),
                chunks.clone(),
                config.clone(),
                Arc::clone(&time),
                Arc::clone(&clock),
            ),
            housekeeping: Housekeeping::new(index.clone(), config, Arc::clone(&time), clock),
            repair: Repair::new(index, chunks, dirty, Arc::clone(&budget)),
            world: Arc::clone(world),
            machine,
            budget,
        })
    }

    /// The disks that can be worked on now.
    fn disks(&self) -> Vec<Arc<DiskStore>> {
        let disks = self.world.site.disks.iter();
        disks.filter_map(|disk| disk.store()).collect()
    }

    /// Works until there is nothing more to do now.
    pub async fn round(&mut self, work: Work) -> Result<(), StepError> {
        match work {
            Work::Gc => round(&mut self.gc).await,
            Work::Orphans => round(&mut self.orphans).await,
            Work::Housekeeping => round(&mut self.housekeeping).await,
            Work::Repair => round(&mut self.repair).await,
            Work::Compact => round(&mut Compact::new(self.disks(), Arc::clone(&self.budget))).await,
            Work::Scrub => self.scrub().await,
        }
    }

    /// Reads every volume now.
    async fn scrub(&self) -> Result<(), StepError> {
        let disks = self.disks();
        let scrub = Scrub::new(
            disks.clone(),
            Arc::clone(self.world.site.keeper.dirty()),
            Arc::clone(&self.budget),
            Arc::clone(&self.machine.clock) as _,
        );
        for disk in &disks {
            for volume in disk.volumes() {
                scrub.scrub_volume(disk, volume).await?;
            }
        }
        Ok(())
    }
}

async fn round(worker: &mut impl Worker) -> Result<(), StepError> {
    for _ in 0..STEPS_MAX {
        if worker.step().await? == Step::Idle {
            return Ok(());
        }
    }
    Err(StepError(format!("{} never gets idle", worker.name())))
}

/// Works at random times, on machines that are ended and replaced at random times.
pub(crate) async fn run(world: Arc<World>, dice: Dice) {
    loop {
        let machine = world.start_machine("worker");
        if dice.percent(20) {
            machine.clock.set_skew_ms(skew_ms(&dice));
        }
        let alive = machine.alive.clone();
        let life = dice.millis(5_000, 40_000);
        let work = work(&world, Arc::clone(&machine), &dice);
        if tokio::time::timeout(life, work).await.is_err() {
            world
                .site
                .log
                .line(format_args!("{} is ended", machine.name));
        }
        alive.kill();
    }
}

/// How wrong a clock may be: for the most part a little, now and then by more than a quarter of an hour.
pub(crate) fn skew_ms(dice: &Dice) -> i64 {
    let most_ms = match dice.below(3) {
        0 => 2_000,
        1 => 120_000,
        _ => 25 * 60_000,
    };
    let by = i64::try_from(dice.below(most_ms)).unwrap_or_default();
    if dice.percent(50) { by } else { -by }
}

async fn work(world: &Arc<World>, machine: Arc<Machine>, dice: &Dice) {
    let name = machine.name.clone();
    let log = &world.site.log;
    let mut background = match Background::start(world, machine).await {
        Ok(background) => background,
        Err(error) => {
            log.line(format_args!("{name} cannot begin: {error}"));
            return tokio::time::sleep(dice.millis(100, 2_000)).await;
        }
    };
    loop {
        tokio::time::sleep(dice.millis(10, 3_000)).await;
        let work = WORK[dice.index(WORK.len())];
        match background.round(work).await {
            Ok(()) => log.line(format_args!("{name}: {work:?} done")),
            Err(error) => log.line(format_args!("{name}: {work:?} given up: {error}")),
        }
    }
}
