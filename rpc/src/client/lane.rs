//! One place for a connection to a peer: none, one that is being made, one that is open, or a pause
//! after it could not be made.

use super::connect::{Link, NoLink, connect};
use super::peer::Shared;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A connection that ends sooner than this counts as a failed attempt, so that a peer that takes
/// connections and drops them is not stormed.
const SHORT_LIFE: Duration = Duration::from_secs(1);

/// A connection in the making: its outcome, once there is one.
type Making = watch::Receiver<Option<Result<Link, NoLink>>>;

enum State {
    Idle,
    Making { making: Making, is_retry: bool },
    Open(Link),
    Pause { until: Duration, why: String },
}

struct Inner {
    state: State,
    /// Attempts that failed since the last good connection.
    failures: u32,
}

/// One place for a connection.
pub struct Lane {
    inner: Mutex<Inner>,
}

/// What a call finds.
enum Found {
    Open(Link),
    Making { making: Making, is_retry: bool },
    Gone(String),
}

impl Lane {
    pub fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                state: State::Idle,
                failures: 0,
            }),
        }
    }

    /// An open connection, made if need be; or why there is none.
    pub async fn link(self: &Arc<Self>, shared: &Arc<Shared>) -> Result<Link, String> {
        let (mut making, is_retry) = match self.find(shared) {
            Found::Open(link) => return Ok(link),
            Found::Gone(why) => return Err(why),
            Found::Making { making, is_retry } => (making, is_retry),
        };
        let _waits = shared.wait()?;
        let outcome = async {
            let outcome = making.wait_for(Option::is_some).await;
            outcome.ok().and_then(|outcome| outcome.clone())
        };
        let outcome = if is_retry {
            // The last attempt failed: the node is likely gone, and the caller has others to ask.
            let limit = shared.node.limits.retry_wait;
            let limited = tokio::time::timeout(limit, outcome).await;
            limited.map_err(|_| "the node did not answer before, and does not yet".to_owned())?
        } else {
            outcome.await
        };
        match outcome {
            Some(Ok(link)) => Ok(link),
            Some(Err(error)) => Err(error.why),
            None => Err("this process is stopping".into()),
        }
    }

    fn find(self: &Arc<Self>, shared: &Arc<Shared>) -> Found {
        let now = shared.node.clock.monotonic();
        let mut inner = self.inner.lock();
        if let State::Open(link) = &inner.state {
            if !link.ended.is_cancelled() {
                return Found::Open(link.clone());
            }
            let lived = now.saturating_sub(link.since);
            inner.end(shared, lived, now);
        }
        match &inner.state {
            State::Pause { until, why } if now < *until => {
                return Found::Gone(format!("{why} (not tried again yet)"));
            }
            State::Making { making, is_retry } => {
                return Found::Making {
                    making: making.clone(),
                    is_retry: *is_retry,
                };
            }
            _ => {}
        }
        let (done, making) = watch::channel(None);
        let is_retry = inner.failures > 0;
        inner.state = State::Making {
            making: making.clone(),
            is_retry,
        };
        let (lane, shared) = (self.clone(), shared.clone());
        // Not a part of the call that needs it: others wait for it too.
        tokio::spawn(async move {
            let outcome = connect(&shared).await;
            lane.made(&shared, &outcome);
            done.send_replace(Some(outcome));
        });
        Found::Making { making, is_retry }
    }

    fn made(&self, shared: &Shared, outcome: &Result<Link, NoLink>) {
        let now = shared.node.clock.monotonic();
        let mut inner = self.inner.lock();
        match outcome {
            // The peer may have been closed meanwhile: it is used for this call's answer at most.
            Ok(link) => {
                if shared.is_closed() {
                    link.ended.cancel();
                }
                inner.state = State::Open(link.clone());
            }
            Err(error) => inner.fail(shared, now, error.why.clone()),
        }
    }

    /// Makes no new calls on the connection, if there is one; it ends with those under way.
    pub fn close(&self) {
        let mut inner = self.inner.lock();
        if let State::Open(link) = &inner.state {
            link.ended.cancel();
        }
        // Addresses may have changed: what failed at the old ones says nothing.
        if !matches!(inner.state, State::Making { .. }) {
            inner.state = State::Idle;
            inner.failures = 0;
        }
    }
}

impl Inner {
    fn fail(&mut self, shared: &Shared, now: Duration, why: String) {
        self.failures = self.failures.saturating_add(1);
        let until = now + shared.pause(self.failures);
        self.state = State::Pause { until, why };
    }

    fn end(&mut self, shared: &Shared, lived: Duration, now: Duration) {
        self.state = State::Idle;
        if lived >= SHORT_LIFE {
            self.failures = 0;
        } else if self.failures > 0 {
            self.fail(
                shared,
                now,
                "its connections end as soon as they are made".into(),
            );
        } else {
            // The first may have met a restart.
            self.failures = 1;
        }
    }
}
