//! Finalising a format in a region: only once every node of the map has said that it knows it, and every node takes it
//! over as it runs.

use super::context::AdminContext;
use super::status::{Asked, ask_all};
use crate::format::{self, Formats};
use anyhow::{Context, Result, bail};
use index::{Index, ReplaceError};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use types::FormatVersion;

/// How often a node looks whether a format was finalised.
const EVERY: Duration = Duration::from_secs(2);
/// How often nodes are asked whether they have taken it over, and how many times.
const ASK: (Duration, u32) = (Duration::from_millis(500), 30);

/// What could be finalised next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// No node knows anything newer.
    Nothing,
    /// All nodes know this one.
    Possible(FormatVersion),
    /// Not all are known to know this one; why.
    Waits(FormatVersion, Vec<String>),
}

impl Next {
    /// By what the nodes have told.
    #[must_use]
    pub fn of(finalised: FormatVersion, asked: &Asked) -> Self {
        let told = asked.iter().flat_map(|(_, status)| status);
        let newest = told.map(|status| status.formats.newest).max();
        let Some(newest) = newest.filter(|newest| *newest > finalised) else {
            return Self::Nothing;
        };
        let reasons = asked.iter().filter_map(|(node, status)| {
            let name = &node.name;
            match status {
                Ok(status) if status.formats.check(newest).is_ok() => None,
                Ok(status) => Some(format!(
                    "node {name} runs Cairn {}, which knows formats {} only: upgrade it",
                    status.product, status.formats
                )),
                Err(why) => Some(format!(
                    "node {name} does not say what it knows ({why}): start it, or remove it"
                )),
            }
        });
        let reasons: Vec<String> = reasons.collect();
        if reasons.is_empty() {
            Self::Possible(newest)
        } else {
            Self::Waits(newest, reasons)
        }
    }
}

/// Finalises the newest format, and waits until the nodes have taken it over; what was done. A node that is started with
/// an older binary in this very moment, or joins with one, does no harm: it reads what has been finalised before
/// it opens its disks, and ends.
///
/// # Errors
/// A node does not know the format or does not answer; nothing has changed then. Or the index does not answer.
pub async fn run(context: &AdminContext) -> Result<Vec<String>> {
    let kept = format::load(&context.index).await;
    let kept = kept.context("the finalised format cannot be read")?;
    let view = context.stored_view().await?;
    let next = match Next::of(kept.finalised, &ask_all(context, &view).await) {
        Next::Possible(next) => next,
        Next::Nothing => {
            return Ok(vec![format!(
                "format {} is finalised, and no node knows a newer one",
                kept.finalised
            )]);
        }
        Next::Waits(next, reasons) => {
            bail!("format {next} cannot be finalised: {}", reasons.join("; "))
        }
    };
    match format::store(&context.index, kept, next).await {
        Ok(()) => info!(format = %next, "a format was finalised"),
        Err(ReplaceError::Changed) => {
            bail!("somebody else finalised just now: look at `cairn admin status`")
        }
        Err(error) => {
            return Err(error)
                .context("whether the format was finalised is not known: repeat this");
        }
    }
    let mut done = vec![format!(
        "format {next} is finalised: versions of Cairn that do not know it cannot be started here any more"
    )];
    done.extend(until_taken_over(context, next).await);
    Ok(done)
}

/// Waits for the nodes; what is said of those that have not taken it over in time.
async fn until_taken_over(context: &AdminContext, format: FormatVersion) -> Vec<String> {
    let (pause, tries) = ASK;
    let mut behind = Vec::new();
    for _ in 0..tries {
        let view = context.newest_view().await;
        let asked = ask_all(context, &view).await;
        let is_behind = asked
            .into_iter()
            .filter(|(_, status)| !status.as_ref().is_ok_and(|status| status.writes >= format));
        behind = is_behind.map(|(node, _)| node.name).collect();
        if behind.is_empty() {
            break;
        }
        sleep(pause).await;
    }
    let line =
        |name: &String| format!("node {name} still writes the old format; its log may say why");
    behind.iter().map(line).collect()
}

/// Takes over what is finalised, for as long as the process runs. A binary that does not know it stops: it was started
/// in the moment in which the others did without it.
pub async fn follow(index: Index, formats: Arc<Formats>, stop: CancellationToken) -> Infallible {
    let mut is_failing = false;
    loop {
        sleep(EVERY).await;
        // An index that does not answer is told of elsewhere.
        let Ok(kept) = format::load(&index).await else {
            continue;
        };
        if kept.finalised == formats.finalised().get() {
            continue;
        }
        if let Err(why) = formats.check(kept.finalised) {
            error!("this node stops: {why}");
            stop.cancel();
            return std::future::pending().await;
        }
        let taking = {
            let formats = Arc::clone(&formats);
            tokio::task::spawn_blocking(move || formats.take_over(kept.finalised)).await
        };
        match taking {
            Ok(Ok(())) => is_failing = false,
            Ok(Err(why)) if !is_failing => {
                is_failing = true;
                warn!("the finalised format cannot be taken over: {why:#}");
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
