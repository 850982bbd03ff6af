//! One group on one node: what is written and read through its leader.
//!
//! # To ensure correctness
//! - What waits to be written is proposed together, one entry at a time. An entry that may be in a log is
//!   never called refused: if its fate is not known in time, the answer is `Indeterminate`.
//! - A read is answered from a state that holds every write acknowledged before the read arrived: a round
//!   in which a quorum confirms the leader begins after it, and what was committed by then is applied
//!   before it is read. Reads that arrive during a round share the next one.
//! - A leader that no quorum has answered for an election timeout takes neither.

use super::entry::Command;
use super::network::{Link, node_id};
use super::options::Timing;
use super::state_machine::Answer;
use super::types::{Member, Membership, Proposal, Raft, Vote};
use crate::engine::limits::batch_bytes;
use crate::store::StoreError;
use openraft::ServerState;
use openraft::error::{CheckIsLeaderError, ClientWriteError, ForwardToLeader, RaftError};
use openraft::metrics::RaftServerMetrics;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use types::{NodeId, PartitionId, Planted};

/// Writes and reads that wait; more wait for a place.
const QUEUE: usize = 1024;
/// Commands of one entry at the most, and bytes after which no further one joins.
const ENTRY_COMMANDS_MAX: usize = 256;
const ENTRY_BYTES_MAX: usize = 4 * 1024 * 1024;

type Written = Result<Answer, StoreError>;

/// A command on its way.
pub struct Write {
    command: Command,
    answer: oneshot::Sender<Written>,
}

/// A read that waits for a proof: the index below which everything must be applied.
pub struct Read {
    answer: oneshot::Sender<Result<u64, StoreError>>,
}

/// One group on this node.
pub struct Group {
    /// Which.
    pub partition: PartitionId,
    /// openraft's handle.
    pub raft: Raft,
    /// The way to the other members.
    pub link: Arc<Link>,
    timing: Timing,
    server: watch::Receiver<RaftServerMetrics<u64, Member>>,
    next: watch::Receiver<u64>,
    writes: mpsc::Sender<Write>,
    reads: mpsc::Sender<Read>,
    /// One part of a snapshot at a time.
    pub receiving: tokio::sync::Mutex<()>,
}

/// The other ends of a group's queues.
pub struct Queues {
    writes: mpsc::Receiver<Write>,
    reads: mpsc::Receiver<Read>,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("partition", &self.partition)
            .finish_non_exhaustive()
    }
}

impl Group {
    /// A group whose Raft runs; `next` tells what its replica has applied.
    pub fn new(
        raft: Raft,
        link: Arc<Link>,
        next: watch::Receiver<u64>,
        timing: Timing,
    ) -> (Arc<Self>, Queues) {
        let (write_sender, writes) = mpsc::channel(QUEUE);
        let (read_sender, reads) = mpsc::channel(QUEUE);
        let group = Self {
            partition: link.partition,
            server: raft.server_metrics(),
            raft,
            link,
            timing,
            next,
            writes: write_sender,
            reads: read_sender,
            receiving: tokio::sync::Mutex::default(),
        };
        (Arc::new(group), Queues { writes, reads })
    }

    /// Index of the next entry to apply.
    pub fn next(&self) -> u64 {
        *self.next.borrow()
    }

    /// openraft's view of the group.
    pub fn server(&self) -> RaftServerMetrics<u64, Member> {
        self.server.borrow().clone()
    }

    /// Who leads, as far as this node has heard.
    pub fn leader_heard(&self) -> Option<NodeId> {
        self.server.borrow().current_leader.map(node_id)
    }

    /// The members that this node knows.
    pub fn members(&self) -> Membership {
        self.server.borrow().membership_config.membership().clone()
    }

    /// How long ago a quorum has last answered this node under `vote`.
    pub fn quorum_age(&self, vote: Vote) -> Duration {
        let link = &self.link;
        let server = self.server.borrow();
        let members = server.membership_config.membership();
        link.acks
            .quorum_age(vote, link.me, members, link.clock.monotonic())
    }

    /// Refuses what only a leader may do, unless this node leads and was heard by a quorum just now.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`] and [`StoreError::Unavailable`].
    pub fn lead(&self) -> Result<(), StoreError> {
        let server = self.server();
        if server.state != ServerState::Leader {
            return Err(self.not_leader(server.current_leader));
        }
        let age = self.quorum_age(server.vote);
        if age > self.timing.election_max {
            return Err(StoreError::Unavailable(format!(
                "no quorum of partition {} has answered for {age:?}",
                self.partition
            )));
        }
        Ok(())
    }

    fn not_leader(&self, leader: Option<u64>) -> StoreError {
        let leader = leader.filter(|leader| *leader != self.link.me);
        StoreError::NotLeader {
            partition: self.partition,
            leader: leader.map(node_id),
        }
    }

    fn forward(&self, forward: &ForwardToLeader<u64, Member>) -> StoreError {
        self.not_leader(forward.leader_id)
    }

    fn stopped(&self) -> StoreError {
        StoreError::Unavailable(format!("partition {} is stopped", self.partition))
    }

    /// Has `command` replicated and applied.
    ///
    /// # Errors
    /// [`StoreError::Indeterminate`] when it may still be; with any other it never was.
    pub async fn write(&self, command: Command) -> Answer {
        self.lead()?;
        let (answer, written) = oneshot::channel();
        let waiting = Write { command, answer };
        let queued = self.writes.send(waiting).await;
        queued.map_err(|_| self.stopped())?;
        let lost = || StoreError::Indeterminate("the node stopped".to_owned());
        written.await.map_err(|_| lost())??
    }

    /// Proposes what waits until the group is dropped.
    pub async fn propose_all(self: Arc<Self>, mut queue: mpsc::Receiver<Write>) {
        while let Some(first) = queue.recv().await {
            let mut bytes = command_bytes(&first.command);
            let mut writes = vec![first];
            while writes.len() < ENTRY_COMMANDS_MAX && bytes < ENTRY_BYTES_MAX {
                let Ok(next) = queue.try_recv() else { break };
                bytes += command_bytes(&next.command);
                writes.push(next);
            }
            let (commands, waiting): (Vec<_>, Vec<_>) = writes
                .into_iter()
                .map(|write| (write.command, write.answer))
                .unzip();
            let proposed = self.propose(commands).await;
            let answers: Vec<Written> = match proposed {
                Ok(answers) => answers.into_iter().map(Ok).collect(),
                Err(error) => vec![Err(error); waiting.len()],
            };
            assert_eq!(answers.len(), waiting.len(), "one answer for each command");
            for (answer, waiting) in answers.into_iter().zip(waiting) {
                // Who has gone away does not want the answer.
                let _ = waiting.send(answer);
            }
        }
    }

    async fn propose(&self, commands: Vec<Command>) -> Result<Vec<Answer>, StoreError> {
        self.lead()?;
        let proposal = Proposal::new(commands);
        let taken = proposal.taken();
        let refused = |error: StoreError| {
            // openraft says "not the leader" of an entry, too, that it had in its log and lost to another
            // leader's; some node may still have it, and may yet lead.
            if taken.load(Ordering::SeqCst) {
                StoreError::Indeterminate(error.to_string())
            } else {
                error
            }
        };
        let clock = &self.link.clock;
        let began = clock.monotonic();
        let vote = self.server.borrow().vote;
        let proposed = self.raft.client_write_ff(proposal).await;
        let mut answer = proposed.map_err(|_| self.stopped())?;
        loop {
            match tokio::time::timeout(self.timing.heartbeat, &mut answer).await {
                Ok(Ok(Ok(written))) => return Ok(written.data.0),
                Ok(Ok(Err(ClientWriteError::ForwardToLeader(forward)))) => {
                    return Err(refused(self.forward(&forward)));
                }
                Ok(Ok(Err(ClientWriteError::ChangeMembershipError(error)))) => {
                    return Err(refused(StoreError::Unavailable(error.to_string())));
                }
                Ok(Err(_)) => return Err(refused(self.stopped())),
                Err(_) => {
                    let waited = clock.monotonic().saturating_sub(began);
                    let is_lost = self.quorum_age(vote) > self.timing.election_max;
                    if is_lost || waited > self.timing.commit_deadline {
                        let reason = format!("no quorum has confirmed the write in {waited:?}");
                        return Err(StoreError::Indeterminate(reason));
                    }
                }
            }
        }
    }

    /// Waits until everything that was acknowledged before the call is applied here, and this node was
    /// still the leader after it.
    ///
    /// # Errors
    /// [`StoreError::NotLeader`] and [`StoreError::Unavailable`].
    pub async fn prove(&self) -> Result<(), StoreError> {
        if Planted::StaleRead.is_here() && self.server().state == ServerState::Leader {
            return Ok(());
        }
        self.lead()?;
        let (answer, proof) = oneshot::channel();
        let queued = self.reads.send(Read { answer }).await;
        queued.map_err(|_| self.stopped())?;
        let index = proof.await.map_err(|_| self.stopped())??;
        let mut next = self.next.clone();
        let applied = next.wait_for(|next| *next >= index);
        match tokio::time::timeout(self.timing.read_deadline, applied).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(self.stopped()),
            Err(_) => Err(StoreError::Unavailable(format!(
                "partition {} is behind what was committed",
                self.partition
            ))),
        }
    }

    /// Proves that this node leads, for all reads that wait, until the group is dropped.
    pub async fn prove_all(self: Arc<Self>, mut queue: mpsc::Receiver<Read>) {
        while let Some(first) = queue.recv().await {
            let mut reads = vec![first];
            while let Ok(next) = queue.try_recv() {
                reads.push(next);
            }
            let proof = self.round().await;
            for read in reads {
                // Who has gone away does not want the answer.
                let _ = read.answer.send(proof.clone());
            }
        }
    }

    async fn round(&self) -> Result<u64, StoreError> {
        let clock = &self.link.clock;
        let until = clock.monotonic() + self.timing.read_deadline;
        loop {
            self.lead()?;
            let left = until.saturating_sub(clock.monotonic());
            let asked = tokio::time::timeout(left, self.raft.get_read_log_id()).await;
            let unproven = match asked {
                Ok(Ok((read, _))) => return Ok(read.map_or(0, |read| read.index + 1)),
                Ok(Err(RaftError::APIError(CheckIsLeaderError::ForwardToLeader(forward)))) => {
                    return Err(self.forward(&forward));
                }
                Ok(Err(RaftError::Fatal(_))) => return Err(self.stopped()),
                Ok(Err(RaftError::APIError(CheckIsLeaderError::QuorumNotEnough(error)))) => {
                    error.to_string()
                }
                Err(_) => "the leader does not answer".to_owned(),
            };
            if clock.monotonic() >= until {
                return Err(StoreError::Unavailable(unproven));
            }
            tokio::time::sleep(self.link.backoff).await;
        }
    }
}

impl Queues {
    /// Starts what serves them.
    pub fn serve(self, group: &Arc<Group>) -> Vec<tokio::task::JoinHandle<()>> {
        vec![
            tokio::spawn(Arc::clone(group).propose_all(self.writes)),
            tokio::spawn(Arc::clone(group).prove_all(self.reads)),
        ]
    }
}

fn command_bytes(command: &Command) -> usize {
    match command {
        Command::Commit(batches) => batches.iter().map(batch_bytes).sum(),
        Command::Trim(_) => 0,
    }
}
