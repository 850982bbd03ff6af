//! `cairn admin finalise` for a single machine whose server is stopped.

use super::disk::with_index;
use crate::config::{Config, Source};
use crate::format::{self, Formats};
use anyhow::Result;
use types::FormatVersion;

/// Finalises the newest format that this binary knows.
///
/// # Errors
/// The server runs, or there is no installation that this binary knows.
pub fn run(source: &Source) -> Result<()> {
    let config = Config::load(source)?;
    let (newest, formats) = (FormatVersion::NEWEST, Formats::of(&config));
    let before = with_index(&config, async |index| {
        let kept = format::load(index).await?;
        formats.check(kept.finalised)?;
        if kept.finalised < newest {
            format::store(index, kept, newest).await?;
        }
        formats.take_over(newest)?;
        Ok(kept.finalised)
    })?;
    if before == newest {
        println!("format {newest} is finalised, and this version of Cairn knows no newer one");
    } else {
        println!(
            "format {newest} is finalised: versions of Cairn that do not know it cannot be started here any more"
        );
    }
    Ok(())
}
