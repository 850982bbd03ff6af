//! The format that has been finalised for this installation or region, see `types::format`.
//!
//! It stands in the control partition, and is changed there by compare-and-set. Each process remembers it in its
//! directories before it writes anything of the kind, so that a binary that does not know it refuses to start before
//! it has touched them or asked anybody.

use crate::config::Config;
use crate::root_key::write_private;
use anyhow::{Context, Result};
use bytes::Bytes;
use chunkstore::identity;
use index::{Index, ReplaceError, StoreError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tracing::{info, warn};
use types::format::{FormatError, FormatRange};
use types::{Finalised, FormatVersion, record};

/// The name under which it is kept.
const NAME: &str = "finalised-format";
/// The file that remembers it. Without it, it is the first.
const FILE: &str = "format.toml";

record! {
    /// What is kept.
    pub struct FormatRecord {
        1 => finalised: FormatVersion,
    }
}

/// What is kept, and which commit wrote it; the first format where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The format.
    pub finalised: FormatVersion,
    seq: Option<u64>,
}

#[derive(Serialize, Deserialize)]
struct FormatFile {
    finalised: u32,
}

/// What has been finalised.
///
/// # Errors
/// The index does not answer, or the record is damaged.
pub async fn load(index: &Index) -> Result<Kept, StoreError> {
    let Some(kept) = index.scheduler_state(NAME).await? else {
        return Ok(Kept {
            finalised: FormatVersion::FIRST,
            seq: None,
        });
    };
    let record = FormatRecord::decode(kept.value).map_err(|error| StoreError::Corrupt {
        key: NAME.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(Kept {
        finalised: record.finalised,
        seq: Some(kept.seq),
    })
}

/// Finalises `format`, if what was loaded is still so; durable on return.
///
/// # Errors
/// It was changed meanwhile, or the index does not answer.
pub async fn store(index: &Index, kept: Kept, format: FormatVersion) -> Result<(), ReplaceError> {
    let record = FormatRecord {
        finalised: format,
        ..Default::default()
    };
    let value = Bytes::from(record.encode());
    index.replace_scheduler_state(NAME, kept.seq, value).await?;
    Ok(())
}

/// Refuses directories that a newer binary has written, or one that is too old; nothing is changed. To be called
/// before anything is opened.
///
/// # Errors
/// What was finalised is not known here, with what to do; or the file that tells cannot be read.
pub fn require_known(config: &Config) -> Result<()> {
    let places = Places::of(config);
    let check = |directory: &Path, found: Option<FormatVersion>| {
        let checked = FormatRange::own().check(found.unwrap_or_default());
        let shown = directory.display();
        checked.with_context(|| format!("nothing was started and nothing changed in {shown}"))
    };
    for directory in &places.own {
        check(directory, remembered(directory)?)?;
    }
    for directory in &places.disks {
        // One disk that cannot be read ends nothing.
        check(directory, remembered(directory).ok().flatten())?;
    }
    Ok(())
}

/// The directories of a process.
#[derive(Debug, Default)]
struct Places {
    /// Those of the node and of the index.
    own: Vec<PathBuf>,
    disks: Vec<PathBuf>,
}

impl Places {
    fn of(config: &Config) -> Self {
        let node = config.node.iter().map(|node| node.dir.clone());
        Self {
            own: node.chain([config.index_dir.clone()]).collect(),
            disks: config.data.clone(),
        }
    }
}

/// What a process writes and remembers.
#[derive(Debug, Default)]
pub struct Formats {
    places: Places,
    finalised: Finalised,
}

impl Formats {
    /// Those of the process with this configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            places: Places::of(config),
            finalised: Finalised::default(),
        }
    }

    /// For those who write.
    #[must_use]
    pub fn finalised(&self) -> &Finalised {
        &self.finalised
    }

    /// Whether this binary knows `format`.
    ///
    /// # Errors
    /// It does not, with what to do.
    pub fn check(&self, format: FormatVersion) -> Result<(), FormatError> {
        FormatRange::own().check(format)
    }

    /// Goes by what was loaded. A new installation begins with the newest format.
    ///
    /// # Errors
    /// It is not known here; the index does not answer; a directory cannot be written.
    pub async fn settle(&self, index: &Index, mut kept: Kept, is_new: bool) -> Result<()> {
        if is_new && kept.seq.is_none() {
            match store(index, kept, FormatVersion::NEWEST).await {
                // Somebody else did.
                Ok(()) | Err(ReplaceError::Changed) => kept = load(index).await?,
                Err(error) => return Err(error).context("the first format cannot be kept"),
            }
        }
        self.take_over(kept.finalised)?;
        if kept.finalised < FormatVersion::NEWEST {
            info!(
                finalised = %kept.finalised,
                newest = %FormatVersion::NEWEST,
                "the previous version can still read everything; `cairn admin finalise` ends that"
            );
        }
        Ok(())
    }

    /// Remembers `format` in every directory, and has it written then.
    ///
    /// # Errors
    /// It is not known here, and nothing was changed; or a directory cannot be written.
    pub fn take_over(&self, format: FormatVersion) -> Result<()> {
        self.check(format)?;
        let there = self.places.own.iter().filter(|place| place.is_dir());
        for directory in there {
            remember(directory, format)?;
        }
        for directory in &self.places.disks {
            // A disk that is missing is told by its next start; one that takes no file takes nothing newer either.
            let is_disk = matches!(identity::read(directory), Ok(Some(_)));
            if is_disk && let Err(error) = remember(directory, format) {
                warn!("{error:#}");
            }
        }
        if format > self.finalised.get() {
            info!(%format, "this format is written from now on");
        }
        self.finalised.raise(format);
        Ok(())
    }
}

/// What a directory remembers.
fn remembered(directory: &Path) -> Result<Option<FormatVersion>> {
    let path = directory.join(FILE);
    let shown = path.display();
    let text = match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.with_context(|| format!("cannot read {shown}"))?,
    };
    let file: FormatFile = toml::from_str(&text)
        .with_context(|| format!("{shown} does not say which format was finalised"))?;
    Ok(Some(FormatVersion(file.finalised)))
}

/// Has a directory remember `format`; durable on return. What it remembers is never lowered.
fn remember(directory: &Path, format: FormatVersion) -> Result<()> {
    if remembered(directory)?.unwrap_or_default() >= format {
        return Ok(());
    }
    let file = FormatFile {
        finalised: format.0,
    };
    let path = directory.join(FILE);
    write_private(&path, toml::to_string(&file)?.as_bytes())
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests;
