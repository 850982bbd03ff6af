//! Opening the engine's folder, and taking part only after another node has agreed that the disk is not
//! older than it should be.

use super::entry::{LogIdRecord, VoteRecord};
use super::group::Group;
use super::log_store::{LogStore, kind, read, record_key};
use super::message::{NodeRecord, RequestRecord, ResponseRecord, SeenRecord};
use super::network::{Clients, Link, Transport, node_id};
use super::options::RaftOptions;
use super::peers::{Peers, RolledBack, compare};
use super::snapshot::{Snapshots, open_position};
use super::state_machine::StateMachine;
use super::types::Raft;
use super::{Failure, OnFailure, RaftEngine, number, upkeep};
use crate::engine::rocks::records::{Change, Records};
use crate::engine::rocks::replica::Replica;
use crate::engine::rocks::space::Space;
use crate::engine::rocks::{OpenEngineError, RocksOptions};
use crate::store::StoreError;
use ::types::{Clock, Entropy, NodeId, PartitionId, envelope};
use parking_lot::{Mutex, RwLock};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::task::JoinSet;

/// Time for an answer to a hello.
const HELLO_DEADLINE: Duration = Duration::from_secs(1);
/// Time for which others are waited for when one has answered.
const HELLO_GRACE: Duration = Duration::from_millis(500);
/// Pause before a node that did not answer is asked again.
const HELLO_PAUSE: Duration = Duration::from_millis(250);

/// Why the engine could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenRaftError {
    /// A database cannot be opened.
    #[error(transparent)]
    Database(#[from] OpenEngineError),
    /// What is stored cannot be read, or cannot be written.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The folder is another node's.
    #[error("the index in {dir} is that of node {found}, this is node {node}")]
    OtherNode {
        /// The folder.
        dir: std::path::PathBuf,
        /// Whose it is.
        found: u64,
        /// Who has opened it.
        node: NodeId,
    },
}

/// Why the engine takes no part.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The disk is an old copy.
    #[error(transparent)]
    RolledBack(#[from] RolledBack),
    /// openraft cannot go on from what is stored.
    #[error("the index cannot be started: {0}")]
    Failed(String),
}

impl RaftEngine {
    /// Opens the folder. Everything that this node ever acknowledged as a member is there on return, but it
    /// takes no part before [`RaftEngine::start`]; it answers others from now on ([`RaftEngine::receive`]).
    /// `on_failure` is called when it cannot go on: then the process must end.
    ///
    /// # Errors
    /// [`OpenRaftError`].
    pub async fn open(
        options: RaftOptions,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        on_failure: OnFailure,
    ) -> Result<Arc<Self>, OpenRaftError> {
        let dir = |name| options.dir.join(name);
        let log_options = RocksOptions {
            dir: dir("log"),
            ..options.log.clone()
        };
        let state_options = RocksOptions {
            dir: dir("state"),
            ..options.state.clone()
        };
        let records = Records::open(&log_options, options.before_sync.clone())?;
        let records = Arc::new(records);
        let node = count_start(&records, &options, entropy).await?;
        let replica = Arc::new(Replica::open(&state_options)?);
        let snapshots = dir("snapshots");
        std::fs::create_dir_all(&snapshots).map_err(|source| OpenEngineError::Folder {
            dir: snapshots,
            source,
        })?;
        let peers = Arc::new(Peers::open(Arc::clone(&records))?);
        let partitions = options.partitions.iter();
        let leadership = partitions.map(|partition| (*partition, upkeep::Leadership::default()));
        Ok(Arc::new(Self {
            log_space: Space::new(&log_options),
            leadership: leadership.collect(),
            transport,
            clock,
            records,
            replica,
            peers,
            node,
            groups: RwLock::default(),
            tasks: Mutex::default(),
            failure: Arc::new(Failure {
                reason: OnceLock::new(),
                tell: on_failure,
            }),
            options,
        }))
    }

    /// Asks the other nodes what they have seen of this one, and takes part in the groups. Returns when one
    /// has answered, and the others have had a moment to; a node alone starts at once. While no other can be
    /// reached it waits: it would have no quorum.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(self: &Arc<Self>) -> Result<(), StartError> {
        let failed = |error: StoreError| StartError::Failed(error.to_string());
        let links = self.links().map_err(failed)?;
        let others = self.others().map_err(failed)?;
        if !others.is_empty() {
            let mine = self.hello(&links);
            self.ask_others(others, &mine).await?;
        }
        for link in links {
            let group = self.start_group(link).await?;
            self.groups.write().insert(group.partition, group);
        }
        let groups: Vec<_> = self.groups.read().values().cloned().collect();
        let upkeep = upkeep::flush(
            groups,
            Arc::clone(&self.replica),
            Arc::clone(&self.peers),
            self.options.clone(),
        );
        self.tasks.lock().push(tokio::spawn(upkeep));
        Ok(())
    }

    fn links(&self) -> Result<Vec<Arc<Link>>, StoreError> {
        let link = |partition: &PartitionId| {
            let snapshots = Arc::new(Snapshots::open(
                &self.options.dir.join("snapshots"),
                *partition,
                Arc::clone(&self.replica),
                Arc::clone(&self.clock),
            )?);
            let log = LogStore::open(
                Arc::clone(&self.records),
                *partition,
                Arc::clone(&self.clock),
                Some(snapshots.floor()),
            )?;
            let timing = &self.options.timing;
            Ok(Arc::new(Link {
                me: number(self.options.node),
                partition: *partition,
                transport: Arc::clone(&self.transport),
                clock: Arc::clone(&self.clock),
                acks: Default::default(),
                peers: Arc::clone(&self.peers),
                log,
                snapshots,
                backoff: timing.heartbeat / 2,
                part_deadline: Duration::from_secs(10),
                install_deadline: Duration::from_secs(600),
            }))
        };
        self.options.partitions.iter().map(link).collect()
    }

    /// The other nodes that are configured or that groups know of.
    fn others(&self) -> Result<BTreeMap<NodeId, String>, StoreError> {
        let mut others = self.options.peers.clone();
        for partition in &self.options.partitions {
            let Some(position) = self.replica.position(*partition) else {
                continue;
            };
            let (_, membership) = open_position(*partition, &position)?;
            for (node, member) in membership.nodes() {
                others
                    .entry(node_id(*node))
                    .or_insert_with(|| member.addr.clone());
            }
        }
        others.remove(&self.options.node);
        Ok(others)
    }

    fn hello(&self, links: &[Arc<Link>]) -> NodeRecord {
        let group = |link: &Arc<Link>| SeenRecord {
            partition: link.partition,
            vote: VoteRecord::from(&link.log.vote()),
            last: link.log.last().as_ref().map(LogIdRecord::from),
            ..SeenRecord::default()
        };
        NodeRecord {
            groups: links.iter().map(group).collect(),
            ..self.node.clone()
        }
    }

    async fn ask_others(
        &self,
        others: BTreeMap<NodeId, String>,
        mine: &NodeRecord,
    ) -> Result<(), StartError> {
        let mut asked = JoinSet::new();
        for (node, address) in others {
            let transport = Arc::clone(&self.transport);
            let mine = mine.clone();
            asked.spawn(async move {
                loop {
                    let known = say_hello(transport.as_ref(), node, &address, &mine).await;
                    if let Some(known) = known {
                        return (node, known);
                    }
                    tokio::time::sleep(HELLO_PAUSE).await;
                }
            });
        }
        let answer = |answered: Result<(NodeId, Option<NodeRecord>), tokio::task::JoinError>| {
            let failed = |error: tokio::task::JoinError| StartError::Failed(error.to_string());
            let (node, known) = answered.map_err(failed)?;
            let judged = known.map_or(Ok(()), |known| compare(mine, &known, node));
            judged.map_err(StartError::from)
        };
        if let Some(first) = asked.join_next().await {
            answer(first)?;
        }
        let grace = tokio::time::sleep(HELLO_GRACE);
        tokio::pin!(grace);
        loop {
            tokio::select! {
                () = &mut grace => return Ok(()),
                next = asked.join_next() => match next {
                    Some(next) => answer(next)?,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn start_group(&self, link: Arc<Link>) -> Result<Arc<Group>, StartError> {
        let partition = link.partition;
        let failed = |error: &dyn std::fmt::Display| {
            StartError::Failed(format!("partition {partition}: {error}"))
        };
        let replica = Arc::clone(&self.replica);
        let machine = StateMachine::open(partition, replica, Arc::clone(&link.snapshots));
        let machine = machine.map_err(|error| failed(&error))?;
        let next = machine.next();
        let purged = link.log.purged().map_or(0, |at| at.index + 1);
        let applied = *next.borrow();
        if purged > applied {
            return Err(failed(&format_args!(
                "its log begins at entry {purged}, its state ends before entry {applied}: the folders \
                 state and log are not of the same moment; take both from one copy, or neither"
            )));
        }
        let config = self.options.config().validate();
        let config = Arc::new(config.map_err(|error| failed(&error))?);
        let clients = Clients(Arc::clone(&link));
        let raft = Raft::new(link.me, config, clients, link.log.clone(), machine).await;
        let raft = raft.map_err(|error| failed(&error))?;
        let timing = self.options.timing.clone();
        let (group, queues) = Group::new(raft, link, next, timing.clone());
        let leadership = self.leadership[&partition].clone();
        let failure = Arc::clone(&self.failure);
        let watched = Arc::clone(&group);
        let mut tasks = queues.serve(&group);
        tasks.push(tokio::spawn(upkeep::pulse(Arc::clone(&group), timing)));
        tasks.push(tokio::spawn(async move {
            let ended = upkeep::watch_group(watched, leadership.clone()).await;
            leadership.send_replace(None);
            if let Some(reason) = ended {
                failure.set(format!("partition {partition}: {reason}"));
            }
        }));
        self.tasks.lock().extend(tasks);
        Ok(group)
    }

    /// Answers a hello with what is known of its sender.
    pub(super) async fn take_hello(&self, hello: &NodeRecord) -> ResponseRecord {
        match self
            .peers
            .hello(hello, self.may_be_member(hello.node))
            .await
        {
            Ok(known) => ResponseRecord {
                hello: Some(known.unwrap_or_default()),
                ..ResponseRecord::default()
            },
            Err(reason) => ResponseRecord {
                refusal: Some(reason),
                ..ResponseRecord::default()
            },
        }
    }

    /// False if every group is known here to go on without `node`.
    fn may_be_member(&self, node: u64) -> bool {
        let groups = self.groups.read();
        let is_in = |group: &Arc<Group>| {
            let metrics = group.raft.metrics();
            let metrics = metrics.borrow();
            let membership = metrics.membership_config.membership();
            membership.get_node(&node).is_some() || membership.nodes().next().is_none()
        };
        groups.len() < self.options.partitions.len() || groups.values().any(is_in)
    }
}

/// What `node` knows of this one, if it answers at all.
async fn say_hello(
    transport: &dyn Transport,
    node: NodeId,
    address: &str,
    mine: &NodeRecord,
) -> Option<Option<NodeRecord>> {
    let request = RequestRecord {
        hello: Some(mine.clone()),
        ..RequestRecord::default()
    };
    let message = request.to_message();
    let partition = PartitionId::default();
    let sent = transport.send(node, address, partition, message, HELLO_DEADLINE);
    let answer = tokio::time::timeout(HELLO_DEADLINE, sent)
        .await
        .ok()?
        .ok()?;
    let answer = ResponseRecord::from_message(&answer).ok()?.hello?;
    // Node 0 stands for nobody known.
    Some((answer.node != 0).then_some(answer))
}

/// Counts this start, durably, so that a copy of the disk from before it can be told from the disk.
async fn count_start(
    records: &Records,
    options: &RaftOptions,
    entropy: &dyn Entropy,
) -> Result<NodeRecord, OpenRaftError> {
    let key = record_key(kind::NODE, 0);
    let found = read(records, &key, |payload| Ok(NodeRecord::decode(payload)?))?;
    let mut node = found.unwrap_or_else(|| NodeRecord {
        node: number(options.node),
        ..NodeRecord::default()
    });
    if node.node != number(options.node) {
        return Err(OpenRaftError::OtherNode {
            dir: options.dir.clone(),
            found: node.node,
            node: options.node,
        });
    }
    node.starts += 1;
    node.nonce = entropy.next_u64();
    let sealed = envelope::seal(&key, 0, &node.encode());
    let written = records.write(vec![Change::Put(key, sealed.into())]).await;
    written.map_err(StoreError::Unavailable)?;
    Ok(node)
}
