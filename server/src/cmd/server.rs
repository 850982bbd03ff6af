//! `cairn server`: every role in this process.

use crate::config::{Config, Source};
use crate::format;
use anyhow::Result;

/// Runs until told to stop.
pub fn run(source: Source) -> Result<()> {
    let config = Config::load(&source)?;
    format::require_known(&config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(crate::run::run(config))
}
