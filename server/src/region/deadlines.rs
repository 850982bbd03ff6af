//! The deadlines of a region: one node frees what no version names, and it must wait for the writes and reads of all.
//! So the first node's settings are noted in the control partition, and a node that has others does not start.

use super::index::patiently;
use crate::config::Config;
use anyhow::{Result, bail};
use index::Index;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use types::record;

/// The name under which they are kept.
const NAME: &str = "deadlines";

record! {
    /// Durations in milliseconds.
    pub struct Deadlines {
        1 => write_ms: u64,
        2 => read_ms: u64,
        3 => reclaim_ms: u64,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Deadlines {
    fn of(config: &Config) -> Self {
        Self {
            write_ms: millis(config.write_deadline),
            read_ms: millis(config.read_deadline),
            reclaim_ms: millis(config.reclaim_grace),
            ..Self::default()
        }
    }

    /// What is another in `self`, this node's, than in `region`: the setting, this node's value and the region's.
    fn difference(&self, region: &Self) -> Option<String> {
        let pairs = [
            ("write_deadline", self.write_ms, region.write_ms),
            ("read_deadline", self.read_ms, region.read_ms),
            ("reclaim_grace", self.reclaim_ms, region.reclaim_ms),
        ];
        let (name, own, of_region) = pairs.into_iter().find(|(_, own, other)| own != other)?;
        let [own, of_region] = [own, of_region].map(Duration::from_millis);
        Some(format!(
            "`{name}` is {own:?} in this node's configuration and {of_region:?} in its region, whose nodes must \
             agree on it: one of them frees what others no longer write or read. Set it to {of_region:?} here"
        ))
    }
}

/// Holds this node's deadlines against the region's; the first node's become the region's.
///
/// # Errors
/// They differ, the record is damaged, or the process was told to stop.
pub async fn agree(index: &Index, config: &Config, stop: &CancellationToken) -> Result<()> {
    let own = Deadlines::of(config);
    loop {
        let what = "the region's deadlines";
        let kept = patiently(what, stop, || index.scheduler_state(NAME)).await?;
        if let Some(kept) = kept {
            let region = Deadlines::decode(kept.value)?;
            return match own.difference(&region) {
                Some(difference) => bail!(difference),
                None => Ok(()),
            };
        }
        let record = own.encode();
        if let Err(error) = index
            .replace_scheduler_state(NAME, None, record.into())
            .await
        {
            tracing::debug!(%error, "the deadlines were not noted; they are read again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_with_both_values() {
        let region = Deadlines {
            write_ms: 86_400_000,
            read_ms: 5_000,
            ..Deadlines::default()
        };
        assert_eq!(region.difference(&region), None);
        let own = Deadlines {
            read_ms: 2_000,
            ..region.clone()
        };
        let told = own.difference(&region).unwrap();
        assert!(told.contains("`read_deadline` is 2s"), "{told}");
        assert!(told.contains("Set it to 5s"), "{told}");
    }
}
