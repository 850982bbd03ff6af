//! The index of a node: its engine, if it keeps partitions, and the way to those that others lead.

use super::calls::Calls;
use crate::config::Config;
use crate::disks::REGION;
use crate::format::{self, Formats};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use index::engine::raft::{ChangeError, RaftEngine, RaftOptions, StartError};
use index::engine::rocks::RocksOptions;
use index::remote::{IndexNodes, RoutedStore, Routing};
use index::{Index, IndexConfig, StoreError, partition};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use types::{Clock, ClusterView, Entropy, Finalised, NodeId};

/// Pause before the index is asked again by a node that starts.
const START_PAUSE: Duration = Duration::from_millis(200);
/// Tries after which such a node says what it waits for, and again after as many.
const START_TRIES: u32 = 25;
/// Exit code of a process whose engine cannot go on.
const ENGINE_FAILED: i32 = 3;

/// The configuration of the index in a region: the same on every node.
fn index_config(config: &Config) -> IndexConfig {
    IndexConfig {
        region: REGION,
        cache_bytes: config.memory.index_cache as usize,
        write_buffer_bytes: config.memory.index_writes as usize,
        write_deadline: config.write_deadline,
        ..IndexConfig::in_dir(config.index_dir.clone())
    }
}

/// Opens the engine. It takes no part yet.
///
/// # Errors
/// The folder is a single machine's, another node's, or cannot be opened.
pub async fn open_engine(
    config: &Config,
    finalised: &Finalised,
    (me, peers): (NodeId, BTreeMap<NodeId, String>),
    calls: &Calls,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Arc<RaftEngine>> {
    let dir = &config.index_dir;
    ensure!(
        !dir.join("CURRENT").exists(),
        "the index directory {} is that of a single machine: a node of a region keeps its index in another one",
        dir.display()
    );
    let partitions = partition::all(index_config(config).data_partitions).collect();
    let mut options = RaftOptions::new(me, dir, partitions);
    options.peers = peers;
    let writes = config.memory.index_writes as usize;
    options.state = RocksOptions {
        block_cache_bytes: config.memory.index_cache as usize,
        write_buffer_bytes: writes * 3 / 4,
        finalised: finalised.clone(),
        ..options.state
    };
    options.log.write_buffer_bytes = writes / 4;
    let on_failure = Box::new(|reason: &str| {
        // What was acknowledged is on the log of a quorum; going on might acknowledge what is not.
        eprintln!("cairn: the index of this node cannot go on: {reason}");
        std::process::exit(ENGINE_FAILED);
    });
    let transport = Arc::new(calls.clone());
    RaftEngine::open(
        options,
        transport,
        Arc::clone(clock),
        entropy.as_ref(),
        on_failure,
    )
    .await
    .with_context(|| format!("the index in {} cannot be opened", dir.display()))
}

/// Takes part in the groups; on a region's first node, forms them. Returns once others have answered.
///
/// # Errors
/// The node's disk went back in time, or the engine cannot go on.
pub async fn take_part(
    config: &Config,
    engine: &Arc<RaftEngine>,
    forms: Option<(NodeId, String)>,
) -> Result<()> {
    engine.start().await.map_err(|error| match error {
        StartError::RolledBack(why) => anyhow!(
            "{why}. If the right index directory is still there, give it back. If it is lost, run `cairn index discard` \
             here and start the node: it serves without the index, and goes on to say how it gets it again"
        ),
        StartError::Failed(_) => error.into(),
    })?;
    let Some((me, address)) = forms else {
        return Ok(());
    };
    let members = BTreeMap::from([(me, address)]);
    for partition in partition::all(index_config(config).data_partitions) {
        match engine.bootstrap(partition, &members).await {
            Ok(()) | Err(ChangeError::AlreadyFormed(_)) => {}
            Err(error) => bail!("partition {partition} cannot be formed: {error}"),
        }
    }
    Ok(())
}

/// The index as this process uses it.
///
/// # Errors
/// The operating system gives no thread.
pub fn open_index(
    config: &Config,
    (me, engine): (NodeId, Option<Arc<RaftEngine>>),
    calls: &Calls,
    nodes: watch::Receiver<IndexNodes>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
) -> Result<Index> {
    let local = engine.map(|engine| engine as _);
    let store = RoutedStore::new(
        (me, local),
        Arc::new(calls.clone()),
        nodes,
        Routing::default(),
        Arc::clone(clock),
    );
    let (clock, entropy) = (Arc::clone(clock), Arc::clone(entropy));
    let index = Index::with_store(&index_config(config), Arc::new(store), clock, entropy)?;
    Ok(index)
}

/// Asks the index until it answers, or the process is told to stop.
///
/// # Errors
/// Damage, or the stop.
pub async fn patiently<T, F>(
    what: &str,
    stop: &CancellationToken,
    mut ask: impl FnMut() -> F,
) -> Result<T>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut tries = 0;
    loop {
        let error = match ask().await {
            Ok(answer) => return Ok(answer),
            Err(error @ StoreError::Corrupt { .. }) => return Err(error.into()),
            Err(error) => error,
        };
        tries += 1;
        if tries % START_TRIES == 0 {
            warn!(%error, "waiting for {what}: a majority of the index nodes must be up and reachable");
        }
        tokio::select! {
            () = stop.cancelled() => bail!("stopped while waiting for {what}: {error}"),
            () = tokio::time::sleep(START_PAUSE) => {}
        }
    }
}

/// The stored cluster view, and the format that is written; on a region's first node, `first` is stored if there is none.
///
/// # Errors
/// As for [`patiently`] and [`Formats::settle`]; or there is no view, and this node has none to store.
pub async fn settle_view(
    index: &Index,
    first: Option<&ClusterView>,
    formats: &Formats,
    stop: &CancellationToken,
) -> Result<ClusterView> {
    let epoch = patiently("the cluster map", stop, || index.cluster_epoch()).await?;
    let kept = patiently("the finalised format", stop, || format::load(index)).await?;
    let is_new = epoch == 0 && first.is_some();
    formats.settle(index, kept, is_new).await?;
    loop {
        let stored = patiently("the cluster map", stop, || index.cluster_view()).await?;
        match (stored, first) {
            (Some(view), _) => return Ok(view),
            (None, Some(first)) => {
                // Whatever came of it is seen when it is read again.
                if let Err(error) = index.replace_cluster_view(0, first).await {
                    warn!(%error, "the first cluster map was not stored; trying again");
                    tokio::time::sleep(START_PAUSE).await;
                } else {
                    info!("new region");
                }
            }
            (None, None) => bail!(
                "the index has no cluster map: start the region's first node (that of `cairn cluster create`) before others"
            ),
        }
    }
}
