//! `cairn disk`: the disks of a server that is stopped.

use crate::cli::ReplaceDisk;
use crate::cluster::state_name;
use crate::config::{Config, Source};
use crate::disks::{self, OwnDisks};
use crate::format;
use crate::region::home::NodeHome;
use anyhow::{Context, Result, ensure};
use index::{Index, IndexConfig};
use std::path::PathBuf;
use std::sync::Arc;
use types::clock::SystemClock;
use types::entropy::OsEntropy;
use types::{ClusterView, DiskId, DiskState};

/// Prints each disk of the map, where it is, and its state.
pub fn list(source: Source) -> Result<()> {
    let config = Config::load(&source)?;
    if let Some(node) = &config.node {
        return list_of_node(&config.data, &NodeHome::open(&node.dir)?);
    }
    let view = stored_view(&config)?;
    let found = disks::survey(&config.data)?;
    for info in view
        .map
        .disks
        .iter()
        .filter(|info| info.state != DiskState::Removed)
    {
        let here = found
            .iter()
            .find(|disk| disk.identity.as_ref().is_some_and(|id| id.disk == info.id));
        let place = here.map_or("(missing)".to_owned(), |disk| {
            disk.directory.display().to_string()
        });
        println!("{}  {:9}  {place}", info.id, state_name(info.state));
    }
    for disk in found.iter().filter(|disk| disk.identity.is_none()) {
        println!("{:32}  {:9}  {}", "(no disk)", "", disk.directory.display());
    }
    Ok(())
}

/// Prints the disks that a node had at its last start, and where they are.
fn list_of_node(data: &[PathBuf], home: &NodeHome) -> Result<()> {
    let found = disks::survey(data)?;
    for disk in home.disks()? {
        let is_here = |found: &&disks::FoundDisk| {
            let identity = found.identity.as_ref();
            identity.is_some_and(|identity| identity.disk == disk)
        };
        let place = found.iter().find(is_here);
        let place = place.map_or("(missing)".to_owned(), |found| {
            found.directory.display().to_string()
        });
        println!("{disk}  {place}");
    }
    for disk in found.iter().filter(|disk| disk.identity.is_none()) {
        println!("{:32}  {}", "(no disk)", disk.directory.display());
    }
    println!("`cairn admin status` shows the state of each disk of the region");
    Ok(())
}

/// Puts an empty directory in the place of a lost disk.
pub fn replace(command: ReplaceDisk) -> Result<()> {
    let config = Config::load(&command.source)?;
    let lost = command.disk.as_deref().map(|text| {
        DiskId::parse(text)
            .with_context(|| format!("`{text}` is not a disk id; `cairn disk list` shows them"))
    });
    let own = own_disks(&config)?;
    let (lost, disk) = disks::replace(
        &config.data,
        &own,
        &command.directory,
        lost.transpose()?,
        &OsEntropy,
    )?;
    println!(
        "{} is now disk {disk} in the place of {lost}; the next start fills it",
        command.directory.display()
    );
    Ok(())
}

/// The disks of the server of this configuration, which is stopped.
fn own_disks(config: &Config) -> Result<OwnDisks> {
    let Some(node) = &config.node else {
        return Ok(OwnDisks::of(&stored_view(config)?.map, disks::NODE));
    };
    let home = NodeHome::open(&node.dir)?;
    ensure!(
        !home.is_running(),
        "node {} runs: stop it first",
        home.name()
    );
    let identity = home.identity();
    Ok(OwnDisks {
        installation: identity.installation,
        region: identity.region,
        node: identity.node,
        in_use: home.disks()?,
    })
}

fn stored_view(config: &Config) -> Result<ClusterView> {
    with_index(config, async |index| {
        let view = index.cluster_view().await?;
        view.context("the index has no cluster map: start the server once")
    })
}

/// Opens the index of a server that is stopped, for `act`.
///
/// # Errors
/// There is none, it is in use, this binary does not know its format, or what `act` fails with.
pub fn with_index<T>(config: &Config, act: impl AsyncFnOnce(&Index) -> Result<T>) -> Result<T> {
    format::require_known(config)?;
    let dir = &config.index_dir;
    anyhow::ensure!(
        dir.join("CURRENT").exists(),
        "there is no index in {}",
        dir.display()
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let index_config = IndexConfig {
            region: disks::REGION,
            ..IndexConfig::in_dir(dir.clone())
        };
        let index = Index::open(
            &index_config,
            Arc::new(SystemClock::new()),
            Arc::new(OsEntropy),
        )?;
        let done = act(&index).await?;
        index.close().await?;
        Ok(done)
    })
}
