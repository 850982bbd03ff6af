//! A node of a region: one process among several, which plays some of the roles and reaches the others by calls.
//!
//! ```text
//! gateway, workers ---> Index ---> RoutedStore ---> RaftEngine of this node, or index.ask ~~> that of another
//!                \----> ChunkStore ---> DiskStore of this node, or shard.* ~~> that of another
//! ```
//! The parts below the assembly are the same as on a single machine. What is added: who the node is (`home.rs`), calls
//! (`calls.rs`), who hears whom (`beat.rs`), who is marked down (`keeper.rs`), that every node goes by the newest map
//! (`follow.rs`), and which node does what one does for all (`lease.rs`).

#[allow(dead_code, reason = "tests of the region look at the rest")]
pub mod beat;
mod calls;
pub mod change;
pub mod context;
mod deadlines;
pub mod describe;
pub mod dirty;
pub mod finalise;
#[cfg(test)]
pub mod first;
pub mod follow;
pub mod home;
mod index;
mod join;
pub mod keeper;
mod lease;
mod members;
mod methods;
pub mod operate;
mod operator;
mod own;
pub mod report;
pub mod rotation;
pub mod socket;
mod status;
#[cfg(test)]
pub mod testing;
mod tokens;
mod trust;

use crate::assemble::{OpenDisk, Parts, Storage};
use crate::cluster::{Cluster, EvidenceQueue, Health};
use crate::config::{Config, NodeConfig};
use crate::disks::OwnDisks;
use crate::format::Formats;
use crate::workers::Workers;
use ::index::Index;
use ::index::engine::raft::RaftEngine;
use ::index::partition::CONTROL;
use ::index::remote::IndexNodes;
use anyhow::{Context as _, Result};
use beat::{Beats, BeatsOf};
use calls::{Answers, Calls};
use change::peers_of;
use chunkstore::{ChunkStoreOptions, HealthSink};
use context::AdminContext;
use dirty::Forwarding;
use follow::Following;
use home::{NodeHome, PeerEntry};
use keeper::Keeping;
use lease::Leasing;
use methods::RefuseRemoved;
use operator::Operator;
use own::Others;
use rpc::client::Network;
use rpc::identity::Identity;
use rpc::server::{Server, Service};
use rpc::{Limits, Node};
use scheduler::DirtyGroups;
use scheduler::plan::outage::OutageLimits;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::{Clock, ClusterView, Entropy, NodeId, Role};

/// Time that the slower nodes are given once a stripe may be acknowledged: one that hangs holds up no writer longer.
const STRAGGLER_WAIT: Duration = Duration::from_millis(250);

/// What runs beside the storage of a node.
pub struct Region {
    /// Who the node is.
    pub home: Arc<NodeHome>,
    engine: Option<Arc<RaftEngine>>,
    server: Server,
    _operator: Operator,
    tasks: JoinSet<()>,
}

/// What a node has before it takes part in anything.
struct Started {
    home: Arc<NodeHome>,
    network: Arc<Network>,
    calls: Calls,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// The format that is written.
    formats: Arc<Formats>,
    me: NodeId,
    /// Where others reach it.
    address: String,
    keeps_index: bool,
    peers: Vec<PeerEntry>,
    /// Nodes that keep the index, as far as is known.
    index_nodes: watch::Sender<IndexNodes>,
}

impl Region {
    /// Opens the node: takes part in the index, opens its disks, and reaches those of the others. Waits until the
    /// index answers. The queue holds what the data path reports of disks.
    ///
    /// # Errors
    /// The node directory, the index or a disk is not this node's, is older than it was, or cannot be opened; or the
    /// process was told to stop meanwhile.
    pub async fn open(
        config: &Config,
        node: &NodeConfig,
        home: NodeHome,
        stop: &CancellationToken,
    ) -> Result<(Self, Arc<Storage>, EvidenceQueue)> {
        chunkstore::erasure::require_cpu()?;
        let started = Started::new(config, home)?;
        let (me, home) = (started.me, Arc::clone(&started.home));
        let answers = Arc::new(Answers::default());
        let engine = started.engine(config, &answers).await?;
        let index = index::open_index(
            config,
            (me, engine.clone()),
            &started.calls,
            started.index_nodes.subscribe(),
            &started.clock,
            &started.entropy,
        )?;
        let cluster = Arc::new(Cluster::new(ClusterView::default()));
        let dirty = Arc::new(DirtyGroups::default());
        let beats = beats(&started, engine.as_ref(), &cluster);
        let service = beats.service(answers.serve(Service::new()));
        let worker = watch::Sender::new(None);
        let forwarding = started.forwarding(&worker, &dirty);
        let service = dirty::service(service, &forwarding);
        let parts = (&index, &cluster, &dirty);
        let (server, operator) = started
            .listen(node, service, parts, engine.as_ref())
            .await?;
        let begun = started.begin(config, (&index, engine.as_ref()), stop).await;
        let (view, opened) = match begun {
            Ok(begun) => begun,
            Err(error) => {
                drop(operator);
                server.shutdown().await;
                close(&index, engine).await;
                return Err(error);
            }
        };
        cluster.publish(view.clone());

        let (health, queue) = Health::new(Arc::clone(&dirty));
        let health: Arc<dyn HealthSink> = Arc::new(health);
        answers.serve_disks(&opened, &cluster, &health);
        let others = Arc::new(Others::new(me, started.calls.clone()));
        let parts = Parts {
            index,
            cluster,
            dirty,
            clock: Arc::clone(&started.clock),
            entropy: Arc::clone(&started.entropy),
        };
        let options = ChunkStoreOptions {
            small_bytes: config.small_limit,
            straggler_wait: STRAGGLER_WAIT,
            ..Default::default()
        };
        let remote = others.add(&view);
        let storage = Storage::connect(parts, opened, remote, options, health);
        let storage = Arc::new(storage);
        let mut region = Self {
            home,
            engine,
            server,
            _operator: operator,
            tasks: JoinSet::new(),
        };
        region.spawn(dirty::run(forwarding));
        let parts = (beats, others, worker);
        region.start_tasks(config, started, &storage, parts, stop);
        Ok((region, storage, queue))
    }

    fn start_tasks(
        &mut self,
        config: &Config,
        started: Started,
        storage: &Arc<Storage>,
        (beats, others, worker): (Arc<Beats>, Arc<Others>, watch::Sender<Option<NodeId>>),
        stop: &CancellationToken,
    ) {
        let Started {
            home,
            network,
            clock,
            formats,
            me,
            index_nodes,
            ..
        } = started;
        let (cluster, index) = (&storage.cluster, &storage.index);
        self.spawn(finalise::follow(index.clone(), formats, stop.clone()));
        self.spawn(Arc::clone(&beats).run(Arc::clone(&network), Arc::clone(cluster)));
        if let Some(engine) = &self.engine {
            self.spawn(keeper::run(Keeping {
                me,
                leadership: engine.leadership(CONTROL),
                index: index.clone(),
                cluster: Arc::clone(cluster),
                beats: Arc::clone(&beats),
                limits: OutageLimits::default(),
            }));
        }
        let may_hold = {
            let cluster = Arc::clone(cluster);
            Box::new(move || plays(&cluster, me, Role::Scheduler))
        };
        self.spawn(lease::run(Leasing {
            index: index.clone(),
            me,
            clock,
            may_hold,
            workers: Workers::new(config, storage),
            holder: worker,
        }));
        let chunks = storage.chunks.clone();
        let following = Arc::clone(&others);
        self.spawn(follow::run(Following {
            network,
            index: index.clone(),
            cluster: Arc::clone(cluster),
            beats,
            on_view: Box::new(move |view| {
                index_nodes.send_if_modified(|known| {
                    let down = view.map.nodes.iter().filter(|node| node.is_down);
                    let now = IndexNodes {
                        all: index_nodes_of(&peers_of(&view.map)),
                        down: down.map(|node| node.id).collect(),
                    };
                    std::mem::replace(known, now.clone()) != now
                });
                following.follow(view, &chunks);
            }),
            save_peers: Arc::new(move |map| home.save_peers(&peers_of(map))),
            refresh_usage: Box::new(move || {
                let others = Arc::clone(&others);
                Box::pin(async move { others.refresh().await })
            }),
            removed: stop.clone(),
        }));
    }

    fn spawn(&mut self, task: impl Future<Output = Infallible> + Send + 'static) {
        self.tasks.spawn(async move { match task.await {} });
    }

    /// What the node does, as the newest map says.
    pub fn plays(&self, cluster: &Cluster, role: Role) -> bool {
        plays(cluster, self.home.node(), role)
    }

    /// Ends everything but the index and the disks: calls of others first, within their time.
    pub async fn stop(mut self) -> Option<Arc<RaftEngine>> {
        self.tasks.shutdown().await;
        self.server.shutdown().await;
        self.engine
    }
}

/// A database that is still open while the process ends makes a crash of that.
async fn close(index: &Index, engine: Option<Arc<RaftEngine>>) {
    if let Err(error) = index.close().await {
        warn!(%error, "the index did not close cleanly");
    }
    if let Some(engine) = engine {
        engine.shutdown().await;
    }
}

fn plays(cluster: &Cluster, node: NodeId, role: Role) -> bool {
    let view = cluster.view();
    let node = view.map.node(node);
    node.is_some_and(|node| node.roles.has(role))
}

/// Those of the nodes that keep the index.
fn index_nodes_of(peers: &[PeerEntry]) -> Vec<NodeId> {
    let keeping = peers.iter().filter(|peer| peer.is_index);
    keeping.map(|peer| peer.node).collect()
}

fn beats(
    started: &Started,
    engine: Option<&Arc<RaftEngine>>,
    cluster: &Arc<Cluster>,
) -> Arc<Beats> {
    let cluster = Arc::clone(cluster);
    let usage = move || {
        let here = cluster
            .disks()
            .into_iter()
            .filter(|disk| disk.directory.is_some());
        here.map(|disk| (disk.id, disk.usage)).collect()
    };
    Beats::new(BeatsOf {
        node: Arc::clone(started.network.node()),
        clock: Arc::clone(&started.clock),
        leadership: engine.map(|engine| engine.leadership(CONTROL)),
        usage: Box::new(usage),
    })
}

impl Started {
    /// Answers other nodes and the operator from now on.
    async fn listen(
        &self,
        node: &NodeConfig,
        service: Service,
        (index, cluster, dirty): (&Index, &Arc<Cluster>, &Arc<DirtyGroups>),
        engine: Option<&Arc<RaftEngine>>,
    ) -> Result<(Server, Operator)> {
        let listener = TcpListener::bind(node.rpc_listen)
            .await
            .with_context(|| format!("cannot listen on {} for other nodes", node.rpc_listen))?;
        let admin = AdminContext {
            index: index.clone(),
            cluster: Arc::clone(cluster),
            network: Arc::clone(&self.network),
            engine: engine.cloned(),
            home: Arc::clone(&self.home),
            formats: Arc::clone(&self.formats),
            dirty: Arc::clone(dirty),
            advertise: node.rpc_advertise.clone(),
            join_port: node.join_listen.port(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        };
        let service = methods::add(service, admin.clone());
        let admission = RefuseRemoved::new(cluster.subscribe());
        let rpc_node = Arc::clone(self.network.node());
        let server = Server::start(rpc_node, listener, service, admission)?;
        Ok((server, Operator::start(admin, node.join_listen).await?))
    }

    fn new(config: &Config, home: NodeHome) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let entropy: Arc<dyn Entropy> = Arc::new(OsEntropy);
        let identity = Identity::new(home.credentials()?, Arc::clone(&clock))
            .with_context(|| format!("the certificate in {} is no good", home.dir().display()))?;
        let limits = Limits {
            request_bytes: config.memory.calls as usize,
            ..Limits::default()
        };
        let node = Node::new(
            Arc::new(identity),
            env!("CARGO_PKG_VERSION"),
            limits,
            Arc::clone(&clock),
            Arc::clone(&entropy),
        );
        let network = Arc::new(Network::new(Arc::new(node)));
        let me = home.node();
        let peers = home.peers()?;
        let others = peers.iter().filter(|peer| peer.node != me);
        network.update(
            others
                .map(|peer| (peer.node, peer.addresses.clone()))
                .collect(),
        );
        let own = peers.iter().find(|peer| peer.node == me);
        let own = own
            .with_context(|| format!(
                "this node was removed from the region, as peers.toml in {} says: empty its directories, and let it join \
                 again with a new token",
                home.dir().display()
            ))?;
        Ok(Self {
            calls: Calls::new(Arc::clone(&network)),
            address: own.addresses.first().cloned().unwrap_or_default(),
            keeps_index: own.is_index,
            index_nodes: watch::Sender::new(IndexNodes {
                all: index_nodes_of(&peers),
                ..Default::default()
            }),
            peers,
            home: Arc::new(home),
            formats: Arc::new(Formats::of(config)),
            network,
            clock,
            entropy,
            me,
        })
    }

    /// What hands findings over to the node that repairs.
    fn forwarding(
        &self,
        worker: &watch::Sender<Option<NodeId>>,
        dirty: &Arc<DirtyGroups>,
    ) -> Forwarding {
        Forwarding {
            network: Arc::clone(&self.network),
            worker: worker.subscribe(),
            dirty: Arc::clone(dirty),
        }
    }

    /// Takes part in the index, and opens the disks by the map that it holds.
    async fn begin(
        &self,
        config: &Config,
        (index, engine): (&Index, Option<&Arc<RaftEngine>>),
        stop: &CancellationToken,
    ) -> Result<(ClusterView, Vec<OpenDisk>)> {
        let first = self.home.first_view()?;
        if let Some(engine) = engine {
            let forms = first.is_some().then(|| (self.me, self.address.clone()));
            tokio::select! {
                taken = index::take_part(config, engine, forms) => taken?,
                () = stop.cancelled() => anyhow::bail!("stopped while waiting for other index nodes"),
            }
        }
        index::settle_view(index, first.as_ref(), &self.formats, stop).await?;
        deadlines::agree(index, config, stop).await?;
        let (view, opened) = own::open_own(config, index, self.me, &self.clock).await?;
        self.home.forget_first_view()?;
        self.home
            .save_disks(&OwnDisks::of(&view.map, self.me).in_use)?;
        Ok((view, opened))
    }

    /// The engine, on a node that keeps the index.
    async fn engine(&self, config: &Config, answers: &Answers) -> Result<Option<Arc<RaftEngine>>> {
        if !self.keeps_index {
            return Ok(None);
        }
        let peers = self
            .peers
            .iter()
            .filter(|peer| peer.is_index && peer.node != self.me);
        let peers: BTreeMap<NodeId, String> = peers
            .map(|peer| {
                (
                    peer.node,
                    peer.addresses.first().cloned().unwrap_or_default(),
                )
            })
            .collect();
        let engine = index::open_engine(
            config,
            self.formats.finalised(),
            (self.me, peers),
            &self.calls,
            &self.clock,
            &self.entropy,
        )
        .await?;
        assert!(answers.engine.set(Arc::clone(&engine)).is_ok(), "set once");
        Ok(Some(engine))
    }
}
