//! Which background tasks run where: those of the disks on every node that has some, those of the whole region on one
//! node at a time.

use crate::assemble::Storage;
use crate::config::Config;
use anyhow::Result;
use scheduler::SchedulerConfig;
use scheduler::budget::Budget;
use scheduler::run::compact::Compact;
use scheduler::run::gc::{Gc, SharedTime};
use scheduler::run::housekeeping::Housekeeping;
use scheduler::run::orphans::Orphans;
use scheduler::run::repair::Repair;
use scheduler::run::scrub::Scrub;
use scheduler::worker::Runner;
use std::sync::Arc;

/// What the tasks of a process have in common.
pub struct Workers {
    settings: SchedulerConfig,
    budget: Arc<Budget>,
    storage: Arc<Storage>,
}

impl Workers {
    /// Tasks on `storage`; none is started.
    pub fn new(config: &Config, storage: &Arc<Storage>) -> Self {
        let settings = SchedulerConfig {
            interval: config.task_interval,
            rate: config.task_rate,
            write_deadline: config.write_deadline,
            reclaim_grace: config.reclaim_grace,
            upload_expiry: config.upload_expiry,
        };
        Self {
            budget: Arc::new(Budget::new(settings.rate, Arc::clone(&storage.clock))),
            settings,
            storage: Arc::clone(storage),
        }
    }

    /// A runner for tasks.
    pub fn runner(&self) -> Runner {
        Runner::new(self.settings.interval, Arc::clone(&self.storage.entropy))
    }

    /// Starts what works on the disks of this process.
    pub fn start_local(&self, runner: &Runner) {
        let disks = || self.storage.disks.clone();
        runner.start(Compact::new(disks(), Arc::clone(&self.budget)));
        let (dirty, clock) = (
            Arc::clone(&self.storage.dirty),
            Arc::clone(&self.storage.clock),
        );
        runner.start(Scrub::new(disks(), dirty, Arc::clone(&self.budget), clock));
    }

    /// Starts what one process does for all.
    ///
    /// # Errors
    /// What the tasks remember could not be read from the index; none was started.
    pub async fn start_regional(&self, runner: &Runner) -> Result<()> {
        let storage = &self.storage;
        let (index, chunks) = (|| storage.index.clone(), || storage.chunks.clone());
        let clock = || Arc::clone(&storage.clock);
        let settings = || self.settings.clone();
        let time = Arc::new(SharedTime::default());
        let gc = Gc::resume(index(), chunks(), settings(), clock(), Arc::clone(&time)).await?;
        runner.start(gc);
        let orphans_time = Arc::clone(&time);
        runner.start(Orphans::new(
            index(),
            chunks(),
            settings(),
            orphans_time,
            clock(),
        ));
        runner.start(Housekeeping::new(index(), settings(), time, clock()));
        let dirty = Arc::clone(&storage.dirty);
        let budget = Arc::clone(&self.budget);
        let wake = runner.start(Repair::new(index(), chunks(), Arc::clone(&dirty), budget));
        runner.forward(async move {
            loop {
                dirty.changed().await;
                wake.notify_one();
            }
        });
        Ok(())
    }
}
