//! `cairn index discard`: a node whose index directory was lost or put back goes on without one.

use super::node::node_settings;
use crate::config::{Config, Source};
use crate::region::home::NodeHome;
use anyhow::{Context, Result, bail, ensure};
use index::engine::raft::FOLDERS;
use std::path::{Path, PathBuf};

/// Puts aside what the stopped node has of the index, so that it starts as a node that keeps none. The others go on as
/// before: they count on what this node had promised until they have taken it out of their groups.
///
/// # Errors
/// The node runs, keeps no index, or is the only one that does; a directory cannot be written.
pub fn run(source: &Source) -> Result<()> {
    let config = Config::load(source)?;
    let home = NodeHome::open(&node_settings(&config)?.dir)?;
    ensure!(
        !home.is_running(),
        "node {} runs: stop it first",
        home.name()
    );
    let mut peers = home.peers()?;
    let me = home.node();
    ensure!(
        peers.iter().any(|peer| peer.is_index && peer.node != me),
        "no other node is known to keep the index: what is in {} may be all that there is of it",
        config.index_dir.display()
    );
    let own = peers.iter_mut().find(|peer| peer.node == me);
    let own =
        own.context("this node was removed from the region, so there is nothing to discard")?;
    let aside = free_name(&config.index_dir)?;
    let parts: Vec<&str> = FOLDERS
        .into_iter()
        .filter(|part| config.index_dir.join(part).exists())
        .collect();
    if !own.is_index && parts.is_empty() {
        println!(
            "node {} keeps no index: nothing was to be done",
            home.name()
        );
        return Ok(());
    }
    // Were it to stop after this, the next start would be one without the index, and leave the directory alone.
    own.is_index = false;
    home.save_peers(&peers)?;
    if !parts.is_empty() {
        std::fs::create_dir(&aside).with_context(|| format!("cannot make {}", aside.display()))?;
        for part in parts {
            let (from, to) = (config.index_dir.join(part), aside.join(part));
            std::fs::rename(&from, &to)
                .with_context(|| format!("cannot move {} to {}", from.display(), to.display()))?;
        }
        println!(
            "What node {} had of the index is in {} now.",
            home.name(),
            aside.display()
        );
    }
    let name = home.name();
    println!(
        "Start the node: it serves without keeping the index. To make it keep the index again:\n  \
         cairn index remove {name}    on another node, which has the others go on without it\n  \
         cairn index add {name}       the same, which says when the node is to be restarted"
    );
    Ok(())
}

/// A name in `dir` that is not taken.
fn free_name(dir: &Path) -> Result<PathBuf> {
    for number in 1..1000 {
        let name = dir.join(format!("discarded-{number}"));
        if !name.exists() {
            return Ok(name);
        }
    }
    bail!(
        "{} holds a thousand discarded indexes: delete some",
        dir.display()
    )
}
