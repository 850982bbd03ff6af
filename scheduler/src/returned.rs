//! Disks that came back, took the place of another, or had their catalogue made anew: they may lack shards in
//! any of their groups. The list is kept in the index until all of them were walked, so that a stop in between
//! loses no repair.

use crate::worker::StepError;
use bytes::Bytes;
use index::{Index, ReplaceError};
use std::collections::BTreeSet;
use types::{DiskId, record};

/// The name under which the list is kept.
const NAME: &str = "returned-disks";
/// Changes by others in a row, after which a change is given up.
const TRIES: usize = 20;

record! {
    /// The list.
    pub struct ReturnedDisks {
        /// In rising order.
        1 => disks: Vec<DiskId>,
    }
}

/// The list, and the sequence of its record for a later change.
async fn load(index: &Index) -> Result<(BTreeSet<DiskId>, Option<u64>), StepError> {
    let Some(kept) = index.scheduler_state(NAME).await.map_err(StepError::of)? else {
        return Ok((BTreeSet::new(), None));
    };
    let record = ReturnedDisks::decode(kept.value).map_err(StepError::of)?;
    Ok((record.disks.into_iter().collect(), Some(kept.seq)))
}

/// Changes the list by compare-and-set, again when another process did so meanwhile.
async fn change(index: &Index, change: impl Fn(&mut BTreeSet<DiskId>)) -> Result<(), StepError> {
    for _ in 0..TRIES {
        let (mut list, seq) = load(index).await?;
        let before = list.clone();
        change(&mut list);
        if list == before {
            return Ok(());
        }
        let record = ReturnedDisks {
            disks: list.into_iter().collect(),
            ..Default::default()
        };
        let value = Bytes::from(record.encode());
        match index.replace_scheduler_state(NAME, seq, value).await {
            Err(ReplaceError::Changed) => {}
            other => return other.map(drop).map_err(StepError::of),
        }
    }
    Err(StepError(format!(
        "the list of returned disks was changed by others {TRIES} times in a row"
    )))
}

/// Adds disks; durable on return.
///
/// # Errors
/// The index could not be read or changed.
pub async fn remember(
    index: &Index,
    disks: impl IntoIterator<Item = DiskId>,
) -> Result<(), StepError> {
    let disks: BTreeSet<DiskId> = disks.into_iter().collect();
    change(index, |list| list.extend(&disks)).await
}

/// The disks on the list.
///
/// # Errors
/// The index could not be read.
pub async fn remembered(index: &Index) -> Result<BTreeSet<DiskId>, StepError> {
    Ok(load(index).await?.0)
}

/// Takes disks off the list, all of whose groups were walked.
///
/// # Errors
/// The index could not be read or changed.
pub async fn forget(index: &Index, walked: &BTreeSet<DiskId>) -> Result<(), StepError> {
    change(index, |list| list.retain(|disk| !walked.contains(disk))).await
}
