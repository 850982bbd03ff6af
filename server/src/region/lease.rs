//! Which node does what one node does for all: garbage collection, orphans, housekeeping, repair.
//!
//! A record in the control partition names the holder. He writes it anew now and then; who has seen the same record
//! for long enough takes it over by compare-and-set. Time is what each has observed passing, no clock is compared. A
//! holder that cannot write it any more stops before another may begin; should he be late all the same (a process that
//! was stopped in the middle), tasks that run twice do no harm: each step is a conditional batch, or does what was
//! done already.

use crate::workers::Workers;
use bytes::Bytes;
use index::Index;
use scheduler::worker::Runner;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};
use types::{Clock, NodeId, record};

/// The name under which the record is kept.
const NAME: &str = "worker-lease";
/// How often the holder writes it, and others look at it.
const ROUND: Duration = Duration::from_secs(2);
/// A holder that could not write it for this long stops.
const GIVE_UP: Duration = Duration::from_secs(6);
/// Who has seen it unchanged for this long takes it over.
const TAKE_OVER: Duration = Duration::from_secs(12);

record! {
    /// The record. Its sequence shows that it was written anew.
    pub struct WorkerLease {
        1 => holder: NodeId,
    }
}

/// What is known of the record.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// Its sequence; `None` while there is none.
    seq: Option<u64>,
    /// Since when it has this sequence, by this node's monotonic time.
    since: Duration,
}

/// What holding the lease takes.
pub struct Leasing {
    /// Where the record is.
    pub index: Index,
    /// This node.
    pub me: NodeId,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whether this node may hold it: it has the role.
    pub may_hold: Box<dyn Fn() -> bool + Send + Sync>,
    /// What the holder does.
    pub workers: Workers,
    /// Told who holds it.
    pub holder: watch::Sender<Option<NodeId>>,
}

/// Runs the region's tasks on this node for as long as it holds the lease. Never returns.
pub async fn run(leasing: Leasing) -> Infallible {
    let clock = &leasing.clock;
    let mut seen = Seen::default();
    // When the lease was last known to be ours.
    let mut held: Option<Duration> = None;
    let mut runner: Option<Runner> = None;
    loop {
        let now = clock.monotonic();
        let may_hold = (leasing.may_hold)();
        match round(&leasing.index, (leasing.me, may_hold), now, &mut seen).await {
            Ok(holder) => {
                held = (holder == Some(leasing.me) && may_hold).then_some(now);
                leasing
                    .holder
                    .send_if_modified(|known| std::mem::replace(known, holder) != holder);
            }
            Err(error) => warn!(%error, "the lease of the region's tasks could not be kept"),
        }
        let holds = held.is_some_and(|held| clock.monotonic() < held + GIVE_UP);
        if holds && runner.is_none() {
            runner = leasing.start().await;
        } else if let Some(running) = runner.take_if(|_| !holds) {
            info!("this node stops running the region's background tasks");
            running.stop().await;
        }
        tokio::time::sleep(ROUND).await;
    }
}

impl Leasing {
    async fn start(&self) -> Option<Runner> {
        let runner = self.workers.runner();
        match self.workers.start_regional(&runner).await {
            Ok(()) => {
                info!("this node runs the region's background tasks");
                Some(runner)
            }
            Err(error) => {
                warn!(%error, "the region's background tasks could not be started");
                runner.stop().await;
                None
            }
        }
    }
}

/// Looks at the record, and writes it where it is ours or was left alone; who holds it.
async fn round(
    index: &Index,
    (me, may_hold): (NodeId, bool),
    now: Duration,
    seen: &mut Seen,
) -> Result<Option<NodeId>, anyhow::Error> {
    let kept = index.scheduler_state(NAME).await?;
    let seq = kept.as_ref().map(|kept| kept.seq);
    let lease = kept
        .map(|kept| WorkerLease::decode(kept.value))
        .transpose()?;
    let holder = lease.map(|lease| lease.holder);
    if seen.seq != seq {
        *seen = Seen { seq, since: now };
    }
    let is_left = holder.is_none() || now >= seen.since + TAKE_OVER;
    if !may_hold || (holder != Some(me) && !is_left) {
        return Ok(holder);
    }
    let mine = WorkerLease {
        holder: me,
        ..Default::default()
    };
    let value = Bytes::from(mine.encode());
    match index.replace_scheduler_state(NAME, seq, value).await {
        Ok(_) => Ok(Some(me)),
        Err(index::ReplaceError::Changed) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
