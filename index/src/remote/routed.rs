//! Finds the leader of a partition and asks it.

use super::message::{decode_answer, encode_request};
use super::reads::Reads;
use super::request::{Answer, Request};
use super::{CallError, IndexCaller};
use crate::store::{
    Batch, Change, IndexStore, Outcome, ScanPage, ScanRequest, Seq, StoreError, Versioned,
};
use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use types::{Clock, NodeId, PartitionId};

/// The first pause before another node is asked, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// Hints in a row that are followed at once.
const HINTS: usize = 2;

/// How often it is looked whether a node that does not answer still leads.
const GLANCE: Duration = Duration::from_millis(40);

/// Nodes that keep partitions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IndexNodes {
    /// All of them.
    pub all: Vec<NodeId>,
    /// Those that the cluster map has marked down.
    pub down: BTreeSet<NodeId>,
}

/// Who led a partition when it was last asked.
#[derive(Debug, Clone, Copy)]
struct Known {
    leader: NodeId,
    /// Who did as far as the local engine had heard then.
    heard: Option<NodeId>,
}

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
    router: Arc<Router>,
    reads: Mutex<BTreeMap<PartitionId, Arc<Reads>>>,
}

/// Finds leaders and asks them.
#[derive(Debug)]
pub struct Router {
    me: NodeId,
    /// The engine of this process, if it keeps partitions.
    local: Option<Arc<dyn IndexStore>>,
    caller: Arc<dyn IndexCaller>,
    nodes: watch::Receiver<IndexNodes>,
    routing: Routing,
    pub clock: Arc<dyn Clock>,
    leaders: Mutex<BTreeMap<PartitionId, Known>>,
}

impl RoutedStore {
    /// A store for node `me`, which has `local` itself and reaches `nodes` through `caller`.
    #[must_use]
    pub fn new(
        (me, local): (NodeId, Option<Arc<dyn IndexStore>>),
        caller: Arc<dyn IndexCaller>,
        nodes: watch::Receiver<IndexNodes>,
        routing: Routing,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let router = Router {
            me,
            local,
            caller,
            nodes,
            routing,
            clock,
            leaders: Mutex::default(),
        };
        Self {
            router: Arc::new(router),
            reads: Mutex::default(),
        }
    }

    fn reads(&self, partition: PartitionId) -> Arc<Reads> {
        let mut reads = self.reads.lock();
        let start = || Reads::start(Arc::clone(&self.router), partition);
        Arc::clone(reads.entry(partition).or_insert_with(start))
    }
}

impl Router {
    /// Asks the leader; follows hints, and goes round all nodes while there is none.
    pub async fn ask(
        &self,
        partition: PartitionId,
        request: Request,
    ) -> Result<Answer, StoreError> {
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
                    self.know(partition, node);
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

    /// Whether this node has led the partition when it was last asked.
    fn leads(&self, partition: PartitionId) -> bool {
        let leaders = self.leaders.lock();
        leaders
            .get(&partition)
            .is_some_and(|known| known.leader == self.me)
    }

    /// Who leads as far as the local engine has heard.
    fn heard(&self, partition: PartitionId) -> Option<NodeId> {
        self.local.as_ref()?.leader_heard(partition)
    }

    /// Notes that `leader` leads; returns whom it was taken for before.
    fn know(&self, partition: PartitionId, leader: NodeId) -> Option<NodeId> {
        let heard = self.heard(partition);
        let known = Known { leader, heard };
        let before = self.leaders.lock().insert(partition, known);
        before.map(|known| known.leader)
    }

    /// Whom to ask: who led the partition last, unless another was heard of since; or else who was heard of, this
    /// node, or the next one, those that are down last.
    fn candidate(&self, partition: PartitionId, turn: &mut usize) -> Option<NodeId> {
        let heard = self.heard(partition);
        if let Some(known) = self.leaders.lock().get(&partition) {
            let newer = heard.filter(|_| *turn == 0 && heard != known.heard);
            return Some(newer.unwrap_or(known.leader));
        }
        let nodes = self.nodes.borrow();
        let mine = self.local.as_ref().map(|_| self.me);
        let first: Vec<_> = heard
            .into_iter()
            .chain(mine.filter(|_| heard != mine))
            .collect();
        let others = nodes.all.iter().copied();
        let others = others.filter(|node| *node != self.me && Some(*node) != heard);
        let (down, mut up): (Vec<_>, Vec<_>) = others.partition(|node| nodes.down.contains(node));
        // Processes that look for a leader do not all begin with the same node.
        let skipped = self.me.0 as usize % up.len().max(1);
        up.rotate_left(skipped);
        let all: Vec<NodeId> = first.into_iter().chain(up).chain(down).collect();
        let node = all.get(*turn % all.len().max(1)).copied();
        *turn += 1;
        node
    }

    /// Takes from a refusal who leads; whether that is somebody else, who can be asked at once.
    fn learn(&self, partition: PartitionId, asked: NodeId, error: &StoreError) -> bool {
        match error {
            StoreError::NotLeader {
                leader: Some(leader),
                ..
            } if *leader != asked => self.know(partition, *leader) != Some(*leader),
            _ => {
                let mut leaders = self.leaders.lock();
                // It may have been asked before another was found.
                if leaders
                    .get(&partition)
                    .is_some_and(|known| known.leader == asked)
                {
                    leaders.remove(&partition);
                }
                false
            }
        }
    }

    /// Waits until `node` is known not to lead any more although it has not said so: the local engine hears
    /// another leader, or the cluster map marks it down. One that is cut off says nothing.
    async fn replaced(&self, node: NodeId, partition: PartitionId) -> &'static str {
        let is_down = || self.nodes.borrow().down.contains(&node);
        let (heard_before, down_before) = (self.heard(partition), is_down());
        loop {
            tokio::time::sleep(GLANCE).await;
            let heard = self.heard(partition);
            if heard.is_some_and(|leader| leader != node) && heard != heard_before {
                return "another node leads by now";
            }
            if is_down() && !down_before {
                return "the cluster map has marked it down";
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
        let call = self.caller.call(node, message, size, self.routing.attempt);
        let answer = tokio::select! {
            biased;
            answer = call => answer,
            why = self.replaced(node, partition) => Err(CallError::Unknown(why.to_owned())),
        };
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
pub fn mixed_up() -> StoreError {
    StoreError::Indeterminate("a node answered another question".to_owned())
}

#[async_trait]
impl IndexStore for RoutedStore {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let count = batches.len();
        match self.router.ask(partition, Request::Commit(batches)).await? {
            Answer::Outcomes(outcomes) if outcomes.len() == count => Ok(outcomes),
            _ => Err(mixed_up()),
        }
    }

    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError> {
        let key = Bytes::copy_from_slice(key);
        if !self.router.leads(partition) {
            return self.reads(partition).get(key).await;
        }
        match self.router.ask(partition, Request::Get(key)).await? {
            Answer::Value(found) => Ok(found),
            _ => Err(mixed_up()),
        }
    }

    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        match self.router.ask(partition, Request::Scan(request)).await? {
            Answer::Page(page) => Ok(page),
            _ => Err(mixed_up()),
        }
    }

    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        match self
            .router
            .ask(partition, Request::Changes { after, limit })
            .await?
        {
            Answer::Changes(changes) => Ok(changes),
            _ => Err(mixed_up()),
        }
    }

    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        match self.router.ask(partition, Request::Trim(up_to)).await? {
            Answer::Trimmed => Ok(()),
            _ => Err(mixed_up()),
        }
    }

    fn failure(&self) -> Option<String> {
        self.router.local.as_ref().and_then(|local| local.failure())
    }

    /// Every other process may be another writer.
    fn has_other_writers(&self) -> bool {
        true
    }

    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        match self.router.ask(partition, Request::LastSeq).await? {
            Answer::Seq(seq) => Ok(seq),
            _ => Err(mixed_up()),
        }
    }
}
