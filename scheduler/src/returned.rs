//! Disks that came back, took the place of another, or had their catalogue made anew: they may lack shards in
//! any of their groups. The list is kept in the index until all of them were walked, so that a stop in between
//! loses no repair.

use crate::worker::StepError;
use bytes::Bytes;
use index::Index;
use std::collections::BTreeSet;
use types::{DiskId, record};

/// The name under which the list is kept.
const NAME: &str = "returned-disks";

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

async fn store(index: &Index, disks: BTreeSet<DiskId>, seq: Option<u64>) -> Result<(), StepError> {
    let disks = disks.into_iter().collect();
    let value = Bytes::from(
        ReturnedDisks {
            disks,
            ..Default::default()
        }
        .encode(),
    );
    index
        .replace_scheduler_state(NAME, seq, value)
        .await
        .map_err(StepError::of)?;
    Ok(())
}

/// Adds disks; durable on return.
///
/// # Errors
/// The index could not be read or changed.
pub async fn remember(
    index: &Index,
    disks: impl IntoIterator<Item = DiskId>,
) -> Result<(), StepError> {
    let (mut list, seq) = load(index).await?;
    let before = list.len();
    list.extend(disks);
    if list.len() == before {
        Ok(())
    } else {
        store(index, list, seq).await
    }
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
    let (mut list, seq) = load(index).await?;
    let before = list.len();
    list.retain(|disk| !walked.contains(disk));
    if list.len() == before {
        Ok(())
    } else {
        store(index, list, seq).await
    }
}
