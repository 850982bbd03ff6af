//! Reads of a partition whose leader is another process. A call costs both sides far more than a read does, so what is asked
//! for while calls are under way goes together in the next one: one call, and one proof of the leader, for all of it.
//!
//! # To ensure correctness
//! - A read is sent after it was asked for, never answered from a call that was under way before.

use super::request::{Answer, Request};
use super::routed::{Router, mixed_up};
use crate::store::{StoreError, Versioned};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use types::PartitionId;

/// Calls of one partition that are under way at once, unless they take long.
const CALLS: usize = 2;
/// How long a read waits for one of them to end; then it is sent beside them.
const WAIT_MAX: Duration = Duration::from_millis(10);
/// Keys of one call at the most.
const KEYS_MAX: usize = 64;
/// Reads that wait for the task to take them; more wait for a place.
const QUEUE: usize = 1024;

type Found = Result<Option<Versioned>, StoreError>;

struct Waiting {
    key: Bytes,
    answer: oneshot::Sender<Found>,
}

/// The way of reads to one partition.
#[derive(Debug)]
pub struct Reads {
    queue: mpsc::Sender<Waiting>,
}

impl Reads {
    /// Begins to take reads of `partition`, until it is dropped. Must be called inside a tokio runtime.
    #[must_use]
    pub fn start(router: Arc<Router>, partition: PartitionId) -> Arc<Self> {
        let (queue, taken) = mpsc::channel(QUEUE);
        tokio::spawn(run(router, partition, taken));
        Arc::new(Self { queue })
    }

    /// The value of `key`, as of some moment after the call.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, key: Bytes) -> Found {
        let (answer, found) = oneshot::channel();
        let ended = || StoreError::Unavailable("the process is stopping".to_owned());
        let waiting = Waiting { key, answer };
        self.queue.send(waiting).await.map_err(|_| ended())?;
        found.await.map_err(|_| ended())?
    }
}

async fn run(router: Arc<Router>, partition: PartitionId, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting: VecDeque<Waiting> = VecDeque::new();
    let mut calls: JoinSet<Vec<Waiting>> = JoinSet::new();
    let mut send_at = Duration::ZERO;
    loop {
        let now = router.clock.monotonic();
        if !waiting.is_empty() && (calls.len() < CALLS || now >= send_at) {
            let together = waiting.drain(..waiting.len().min(KEYS_MAX)).collect();
            calls.spawn(call(Arc::clone(&router), partition, together));
            send_at = now + WAIT_MAX;
            continue;
        }
        tokio::select! {
            taken = queue.recv(), if waiting.len() < QUEUE => {
                let Some(taken) = taken else { return };
                if waiting.is_empty() {
                    send_at = now + WAIT_MAX;
                }
                waiting.push_back(taken);
                while let Ok(also) = queue.try_recv() {
                    waiting.push_back(also);
                }
            }
            Some(ended) = calls.join_next() => {
                // Those for which the answer had no room any more are the next.
                ended.into_iter().flatten().rev().for_each(|left| waiting.push_front(left));
            }
            () = tokio::time::sleep(send_at.saturating_sub(now)), if !waiting.is_empty() => {}
        }
    }
}

/// Asks for all of `together` and answers them; those that the answer had no room for are left.
async fn call(router: Arc<Router>, partition: PartitionId, together: Vec<Waiting>) -> Vec<Waiting> {
    // Who asked may have gone meanwhile.
    let mut together: VecDeque<Waiting> = together
        .into_iter()
        .filter(|waiting| !waiting.answer.is_closed())
        .collect();
    if together.is_empty() {
        return Vec::new();
    }
    let keys = together.iter().map(|waiting| waiting.key.clone()).collect();
    let error = match router.ask(partition, Request::GetMany(keys)).await {
        Ok(Answer::Values(found)) if !found.is_empty() && found.len() <= together.len() => {
            for found in found {
                if let Some(waiting) = together.pop_front() {
                    // It does not matter if nobody waits any more.
                    let _ = waiting.answer.send(Ok(found));
                }
            }
            return together.into();
        }
        Ok(_) => mixed_up(),
        Err(error) => error,
    };
    for waiting in together {
        let _ = waiting.answer.send(Err(error.clone()));
    }
    Vec::new()
}
