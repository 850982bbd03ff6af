//! Runs the server: serve, work in the background, and drain when told to stop.

use crate::admin::{self, Admin};
use crate::assemble::Storage;
use crate::cluster::{Cluster, EvidenceQueue};
use crate::config::{Config, UserSetting};
use crate::region::Region;
use crate::region::home::NodeHome;
use crate::root_key::{self, RootKey};
use crate::telemetry;
use crate::workers::Workers;
use anyhow::Context as _;
use anyhow::Result;
use gateway::admission::MemoryBudget;
use gateway::auth::{User, Users};
use gateway::cache::HotCache;
use gateway::config::GatewayConfig;
use gateway::context::Context;
use gateway::digest::Md5Pool;
use gateway::host::Hosts;
use gateway::http::{FrontConfig, Regions, RequestIds, S3Front, ServeLimits, s3_service, serve};
use gateway::s3::Gateway;
use index::Index;
use std::future::IntoFuture;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use types::Role;

/// Runs until SIGTERM or Ctrl-C, then drains.
///
/// # Errors
/// Something is wrong with the configuration, an address, the index or a disk; nothing was served then.
pub async fn run(config: Config) -> Result<()> {
    let metrics = telemetry::start(&config)?;
    gateway::metrics::describe();
    rpc::counters::describe();
    let upkeep = telemetry::keep_up(metrics.clone());
    raise_open_files();
    let shutdown = CancellationToken::new();
    stop_on_signal(shutdown.clone())?;
    let s3_listener = bind(config.listen).await?;
    let admin_listener = bind(config.admin_listen).await?;
    let admin = Admin::new(metrics);
    let admin_stop = CancellationToken::new();
    let admin_server = axum::serve(admin_listener, admin::router(admin.clone()))
        .with_graceful_shutdown(admin_stop.clone().cancelled_owned());
    let admin_task = tokio::spawn(admin_server.into_future());

    let open = Open::open(&config, &shutdown).await?;
    admin.show(&open.storage);
    let root = open.root_key(&config)?;
    let workers = Workers::new(&config, &open.storage);
    let runner = workers.runner();
    workers.start_local(&runner);
    if open.region.is_none() {
        workers.start_regional(&runner).await?;
    }
    if open.is_gateway() {
        serve_s3(&config, &open, s3_listener, &root, &admin, shutdown).await?;
    } else {
        drop(s3_listener);
        admin.ready(true);
        shutdown.cancelled().await;
        admin.ready(false);
    }
    runner.stop().await;
    admin_stop.cancel();
    admin_task.await??;
    open.close().await;
    upkeep.abort();
    info!("stopped");
    Ok(())
}

/// What the process has open.
struct Open {
    storage: Arc<Storage>,
    /// Acts on what the data path reports of disks.
    evidence: JoinHandle<()>,
    /// Where this is one node of several.
    region: Option<Region>,
}

impl Open {
    async fn open(config: &Config, shutdown: &CancellationToken) -> Result<Self> {
        let (storage, queue, region) = match &config.node {
            Some(node) => {
                let home = NodeHome::open(&node.dir)?;
                let (region, storage, queue) = Region::open(config, node, home, shutdown).await?;
                (storage, queue, Some(region))
            }
            None => {
                let (storage, queue) = Storage::open(config).await?;
                (Arc::new(storage), queue, None)
            }
        };
        Ok(Self {
            evidence: act_on_evidence(&storage.cluster, &storage.index, queue),
            storage,
            region,
        })
    }

    /// The root user's key pair: the configured one, or the generated one.
    fn root_key(&self, config: &Config) -> Result<RootKey> {
        let kept = match &self.region {
            Some(region) => region.home.root_key()?,
            None => root_key::load_or_generate(&config.index_dir, self.storage.entropy.as_ref())?,
        };
        Ok(match &config.root {
            // The canonical id stays the installation's, so that the root user's buckets do too.
            Some(given) => RootKey {
                access_key: given.access_key.clone(),
                secret_key: given.secret_key.clone(),
                canonical_id: kept.canonical_id,
            },
            None => kept,
        })
    }

    /// Where the root user's key pair is kept.
    fn root_key_dir<'a>(&'a self, config: &'a Config) -> &'a Path {
        let home = self.region.as_ref().map(|region| region.home.dir());
        home.unwrap_or(&config.index_dir)
    }

    fn is_gateway(&self) -> bool {
        let region = self.region.as_ref();
        region.is_none_or(|region| region.plays(&self.storage.cluster, Role::Gateway))
    }

    async fn close(self) {
        self.evidence.abort();
        let engine = match self.region {
            Some(region) => region.stop().await,
            None => None,
        };
        self.storage.close().await;
        if let Some(engine) = engine {
            engine.shutdown().await;
        }
    }
}

/// Serves S3 until the stop, and finishes what is under way then.
async fn serve_s3(
    config: &Config,
    open: &Open,
    listener: TcpListener,
    root: &RootKey,
    admin: &Admin,
    shutdown: CancellationToken,
) -> Result<()> {
    let (front, budget) = front(config, &open.storage, root)?;
    announce(
        config,
        listener.local_addr()?,
        root,
        open.root_key_dir(config),
    );
    admin.ready(true);
    let limits = ServeLimits {
        max_connections: config.memory.connections,
        max_awake: config.memory.awake,
        budget: Some(budget),
        drain: config.drain_timeout,
        ..Default::default()
    };
    let stopping = {
        let (admin, shutdown) = (admin.clone(), shutdown.clone());
        tokio::spawn(async move {
            shutdown.cancelled().await;
            admin.ready(false);
            info!("stopping: no new connections, requests in flight are finished");
        })
    };
    serve(listener, front, shutdown, limits).await;
    stopping.await?;
    Ok(())
}

/// Allows as many open files as the system lets this process have: connections, and one for each volume.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, current = ?limit.current, "the limit of open files could not be raised");
    }
}

async fn bind(address: std::net::SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

fn users(config: &Config, root: &RootKey) -> Result<Users> {
    let root = User {
        name: "root".to_owned(),
        canonical_id: root.canonical_id.clone(),
        access_key: root.access_key.clone(),
        secret_key: root.secret_key.clone().into(),
    };
    let others = config.users.iter().map(UserSetting::to_user);
    Ok(Users::new(std::iter::once(root).chain(others))?)
}

/// The service, and the budget that its requests share.
fn front(config: &Config, storage: &Storage, root: &RootKey) -> Result<(S3Front, MemoryBudget)> {
    let gateway_config = GatewayConfig {
        region: config.region.clone(),
        region_aliases: config.region_aliases.clone(),
        memory_limit_bytes: config.memory.bodies,
        inline_bytes: config.inline_limit,
        read_deadline: config.read_deadline,
        ..Default::default()
    };
    gateway_config.check()?;
    let users = users(config, root)?;
    let regions: Vec<String> = std::iter::once(&config.region)
        .chain(&config.region_aliases)
        .cloned()
        .collect();
    let hosts = Hosts::new(&config.domains, &regions)?;
    let budget = MemoryBudget::new(
        gateway_config.memory_limit_bytes,
        gateway_config.admission_wait,
    );
    let open = |config| HotCache::open(config, storage.chunks.clone(), budget.clone());
    let context = Context {
        index: storage.index.clone(),
        chunks: storage.chunks.clone(),
        cache: config.cache.as_ref().map(open).transpose()?,
        users: users.clone(),
        budget: budget.clone(),
        md5_pool: Md5Pool::new(),
        config: gateway_config,
        clock: Arc::clone(&storage.clock),
    };
    let service = s3_service(
        Gateway::new(Arc::new(context)),
        users,
        hosts.clone(),
        budget.clone(),
        Arc::clone(&storage.clock),
    );
    let front_config = FrontConfig {
        regions: Regions {
            own: config.region.clone(),
            aliases: config.region_aliases.clone(),
        },
        hosts,
        body_idle: Duration::from_secs(FrontConfig::DEFAULT_BODY_IDLE_S),
    };
    let ids = RequestIds::new(storage.entropy.as_ref());
    Ok((S3Front::new(service, front_config, ids), budget))
}

fn act_on_evidence(cluster: &Arc<Cluster>, index: &Index, queue: EvidenceQueue) -> JoinHandle<()> {
    let (cluster, index) = (Arc::clone(cluster), index.clone());
    tokio::spawn(async move { cluster.act_on_evidence(&index, queue).await })
}

/// Tells a person where the server is and how to use it.
fn announce(config: &Config, address: SocketAddr, root: &RootKey, keys: &Path) {
    let keys = root_key::path(keys);
    // Absolute, so that the line below works from any directory.
    let keys = std::path::absolute(&keys).unwrap_or(keys);
    println!(
        "Cairn serves S3 on http://{address}, metrics and health on http://{}",
        config.admin_listen
    );
    if config.root.is_some() {
        println!(
            "The root user's key pair is the configured one, with access key {}.",
            root.access_key
        );
        return;
    }
    let keys = keys.display();
    println!("The root user's key pair is in {keys}, which only you can read. To try it:");
    let read = |field: &str| format!("$(sed -n 's/.*\"{field}\": \"\\(.*\\)\".*/\\1/p' {keys})");
    println!(
        "  AWS_DEFAULT_REGION={} AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={} aws --endpoint-url http://{address} s3 mb s3://first",
        config.region,
        read("access_key"),
        read("secret_key"),
    );
}

/// Cancels `shutdown` at the first SIGTERM or Ctrl-C; a second one ends the process at once.
fn stop_on_signal(shutdown: CancellationToken) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if shutdown.is_cancelled() {
                warn!("stopped without waiting for requests in flight");
                std::process::exit(1);
            }
            shutdown.cancel();
        }
    });
    Ok(())
}
