//! The frame that every background task runs in: do a bounded piece of work, then either go on at once
//! or wait for the next round.

use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info_span, warn};
use types::Entropy;

/// What a step of work came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There may be more to do right now.
    More,
    /// Nothing more to do until the next round.
    Idle,
}

/// A failure of a step; the round is given up and tried again at the next one.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StepError(pub String);

impl StepError {
    /// A step error with the text of `error`.
    pub fn of(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

/// A background task.
///
/// A step is never interrupted, so it must be short (seconds) and leave everything consistent if the
/// process is killed inside it. Waiting between rounds is interrupted by a stop.
#[async_trait]
pub trait Worker: Send + 'static {
    /// Name in logs and metrics.
    fn name(&self) -> &'static str;

    /// Does one bounded piece of work.
    ///
    /// # Errors
    /// [`StepError`] when the round cannot go on; nothing is lost by it.
    async fn step(&mut self) -> Result<Step, StepError>;
}

/// Runs workers until told to stop.
#[derive(Debug)]
pub struct Runner {
    interval: Duration,
    entropy: Arc<dyn Entropy>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Runner {
    /// A runner whose workers begin a round every `interval`, spread by up to a tenth of it.
    #[must_use]
    pub fn new(interval: Duration, entropy: Arc<dyn Entropy>) -> Self {
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        Self {
            interval,
            entropy,
            stop,
            tasks,
        }
    }

    /// Starts a worker; returns a handle that begins its next round early when notified.
    pub fn start(&self, worker: impl Worker) -> Arc<Notify> {
        let wake = Arc::new(Notify::new());
        let name = worker.name();
        let rounds = Rounds {
            interval: self.interval,
            entropy: Arc::clone(&self.entropy),
            stop: self.stop.clone(),
            wake: Arc::clone(&wake),
        };
        self.tasks.spawn(
            rounds
                .run(worker)
                .instrument(info_span!("task", task = name)),
        );
        wake
    }

    /// Runs a small future beside the workers; it is dropped at the stop.
    pub fn forward(&self, future: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = future => {}
            }
        });
    }

    /// Tells every worker to stop and waits until each has finished the step it is in.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

struct Rounds {
    interval: Duration,
    entropy: Arc<dyn Entropy>,
    stop: CancellationToken,
    wake: Arc<Notify>,
}

impl Rounds {
    async fn run(self, mut worker: impl Worker) {
        loop {
            self.round(&mut worker).await;
            let tenth = u64::try_from(self.interval.as_millis() / 10)
                .unwrap_or(u64::MAX)
                .max(1);
            let jitter = Duration::from_millis(self.entropy.next_u64() % tenth);
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = self.wake.notified() => {}
                () = tokio::time::sleep(self.interval + jitter) => {}
            }
        }
    }

    async fn round(&self, worker: &mut impl Worker) {
        while !self.stop.is_cancelled() {
            match worker.step().await {
                Ok(Step::More) => {}
                Ok(Step::Idle) => {
                    metrics::counter!("cairn_task_rounds_total", "task" => worker.name())
                        .increment(1);
                    debug!("round done");
                    return;
                }
                Err(error) => {
                    metrics::counter!("cairn_task_failures_total", "task" => worker.name())
                        .increment(1);
                    warn!(%error, "round given up until the next one");
                    return;
                }
            }
        }
    }
}
