//! Finds the leader of a partition and asks it.

use super::message::{decode_answer, encode_request};
use super::request::{Answer, Request};
use super::{CallError, IndexCaller};
use crate::store::{
    Batch, Change, IndexStore, Outcome, ScanPage, ScanRequest, Seq, StoreError, Versioned,
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::{Clock, NodeId, PartitionId};

/// The first pause before another node is asked, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// Hints in a row that are followed at once.
const HINTS: usize = 2;

/// How leaders are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Routing {
    /// Time for one node's answer.
    pub attempt: Duration,
    /// Time after which a request that nobody took is given up: longer than it takes to elect a leader.
    pub patience: Duration,
}

impl Default for Routing {
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(2),
            patience: Duration::from_secs(4),
        }
    }
}

/// The partitions of a region, wherever they are led.
#[derive(Debug)]
pub struct RoutedStore {
    me: NodeId,
    /// The engine of this process, if it keeps partitions.
    local: Option<Arc<dyn IndexStore>>,
    caller: Arc<dyn IndexCaller>,
    /// Nodes that keep partitions.
    nodes: watch::Receiver<Vec<NodeId>>,
    routing: Routing,
    clock: Arc<dyn Clock>,
    /// Who led a partition when it was last asked.
    leaders: Mutex<BTreeMap<PartitionId, NodeId>>,
}

impl RoutedStore {
    /// A store for node `me`, which has `local` itself and reaches `nodes` through `caller`.
    #[must_use]
    pub fn new(
        (me, local): (NodeId, Option<Arc<dyn IndexStore>>),
        caller: Arc<dyn IndexCaller>,
        nodes: watch::Receiver<Vec<NodeId>>,
        routing: Routing,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            me,
            local,
            caller,
            nodes,
            routing,
            clock,
            leaders: Mutex::default(),
        }
    }

    /// Asks the leader; follows hints, and goes round all nodes while there is none.
    async fn ask(&self, partition: PartitionId, request: Request) -> Result<Answer, StoreError> {
        let started = self.clock.monotonic();
        let mut pause = PAUSES.0;
        let (mut turn, mut hints) = (0, 0);
        loop {
            let Some(node) = self.candidate(partition, &mut turn) else {
                return Err(StoreError::Unavailable(
                    "the cluster map has no node that keeps the index".to_owned(),
                ));
            };
            let error = match self.ask_node(node, partition, &request).await {
                Ok(answer) => {
                    self.leaders.lock().insert(partition, node);
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let is_known_elsewhere = self.learn(partition, node, &error);
            let again = match &error {
                StoreError::NotLeader { .. }
                | StoreError::Moved(_)
                | StoreError::Unavailable(_) => true,
                StoreError::Indeterminate(_) => request.can_be_repeated(),
                _ => false,
            };
            let waited = self.clock.monotonic().saturating_sub(started);
            if !again || waited + pause >= self.routing.patience {
                return Err(error);
            }
            // Nodes that take each other for the leader are not asked in a circle.
            hints = if is_known_elsewhere { hints + 1 } else { 0 };
            if hints == 0 || hints > HINTS {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }

    /// Whom to ask: who led the partition last, or else this node, or else the next one.
    fn candidate(&self, partition: PartitionId, turn: &mut usize) -> Option<NodeId> {
        if let Some(leader) = self.leaders.lock().get(&partition) {
            return Some(*leader);
        }
        let nodes = self.nodes.borrow();
        let mine = self.local.as_ref().map(|_| self.me);
        let others = nodes.iter().copied().filter(|node| *node != self.me);
        let all: Vec<NodeId> = mine.into_iter().chain(others).collect();
        // Processes that look for a leader do not all begin with the same node.
        let first = if mine.is_some() {
            0
        } else {
            self.me.0 as usize
        };
        let node = all.get((first + *turn) % all.len().max(1)).copied();
        *turn += 1;
        node
    }

    /// Takes from a refusal who leads; whether that is somebody else, who can be asked at once.
    fn learn(&self, partition: PartitionId, asked: NodeId, error: &StoreError) -> bool {
        let mut leaders = self.leaders.lock();
        match error {
            StoreError::NotLeader {
                leader: Some(leader),
                ..
            } if *leader != asked => leaders.insert(partition, *leader) != Some(*leader),
            _ => {
                leaders.remove(&partition);
                false
            }
        }
    }

    async fn ask_node(
        &self,
        node: NodeId,
        partition: PartitionId,
        request: &Request,
    ) -> Result<Answer, StoreError> {
        if let Some(local) = self.local.as_ref().filter(|_| node == self.me) {
            return request.clone().ask(local.as_ref(), partition).await;
        }
        let size = request.answer_size();
        let message = encode_request(partition, request);
        let answer = self
            .caller
            .call(node, message, size, self.routing.attempt)
            .await;
        let answer = answer.map_err(|error| match error {
            CallError::NotSent(reason) => {
                StoreError::Unavailable(format!("node {node} cannot be reached: {reason}"))
            }
            CallError::Unknown(reason) => {
                StoreError::Indeterminate(format!("node {node} did not answer: {reason}"))
            }
        })?;
        decode_answer(partition, answer).unwrap_or_else(|error| {
            let reason = format!("the answer of node {node} cannot be read: {error}");
            Err(StoreError::Indeterminate(reason))
        })
    }
}

/// An answer to another question than was asked.
fn mixed_up<T>() -> Result<T, StoreError> {
    Err(StoreError::Indeterminate(
        "a node answered another question".to_owned(),
    ))
}

#[async_trait]
impl IndexStore for RoutedStore {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let count = batches.len();
        match self.ask(partition, Request::Commit(batches)).await? {
            Answer::Outcomes(outcomes) if outcomes.len() == count => Ok(outcomes),
            _ => mixed_up(),
        }
    }

    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError> {
        let key = Bytes::copy_from_slice(key);
        match self.ask(partition, Request::Get(key)).await? {
            Answer::Value(found) => Ok(found),
            _ => mixed_up(),
        }
    }

    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        match self.ask(partition, Request::Scan(request)).await? {
            Answer::Page(page) => Ok(page),
            _ => mixed_up(),
        }
    }

    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        match self
            .ask(partition, Request::Changes { after, limit })
            .await?
        {
            Answer::Changes(changes) => Ok(changes),
            _ => mixed_up(),
        }
    }

    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        match self.ask(partition, Request::Trim(up_to)).await? {
            Answer::Trimmed => Ok(()),
            _ => mixed_up(),
        }
    }

    fn failure(&self) -> Option<String> {
        self.local.as_ref().and_then(|local| local.failure())
    }

    /// Every other process may be another writer.
    fn has_other_writers(&self) -> bool {
        true
    }

    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        match self.ask(partition, Request::LastSeq).await? {
            Answer::Seq(seq) => Ok(seq),
            _ => mixed_up(),
        }
    }
}
