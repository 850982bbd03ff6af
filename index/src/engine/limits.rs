//! The bounds of a batch and of a scan, the same in every engine.

use crate::key::{kind, kind_of};
use crate::store::{Batch, Condition, Operation, ScanRequest, StoreError};
use types::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};

/// Bytes of keys and values after which a page of a scan ends, although its limit is not reached: it
/// bounds the memory of a list of records with much metadata.
pub const SCAN_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Refuses a batch that is outside the bounds of `types::limits`.
///
/// # Errors
/// [`StoreError::TooLarge`] saying which bound.
///
/// # Panics
/// When the batch writes a record that belongs to the engine (feed, outcome, partition state): a
/// fault of the code that built it.
pub fn check_batch(batch: &Batch) -> Result<(), StoreError> {
    at_most("conditions", batch.conditions.len(), BATCH_OPERATIONS_MAX)?;
    at_most("operations", batch.operations.len(), BATCH_OPERATIONS_MAX)?;
    for condition in &batch.conditions {
        let (Condition::Absent(key) | Condition::Exists(key) | Condition::SeqIs(key, _)) =
            condition;
        check_key(key)?;
    }
    at_most("bytes of the feed event", batch.feed.len(), VALUE_BYTES_MAX)?;
    let outcome_bytes = batch.idempotency.as_ref().map_or(0, |id| id.outcome.len());
    at_most("bytes of the outcome", outcome_bytes, VALUE_BYTES_MAX)?;
    for operation in &batch.operations {
        check_operation(operation)?;
    }
    at_most("bytes", batch_bytes(batch), BATCH_BYTES_MAX)
}

fn check_operation(operation: &Operation) -> Result<(), StoreError> {
    match operation {
        Operation::Put(key, value) => {
            assert!(
                !is_engine_record(key) && kind_of(key) != Some(kind::OUTCOME),
                "a batch may not put a record that the engine writes itself"
            );
            check_key(key)?;
            at_most("bytes of a value", value.len(), VALUE_BYTES_MAX)
        }
        Operation::Delete(key) => {
            assert!(
                !is_engine_record(key),
                "a batch may not delete a record that the engine keeps itself"
            );
            check_key(key)
        }
        Operation::Reclaim(value) => at_most("bytes of a reclaim", value.len(), VALUE_BYTES_MAX),
    }
}

fn is_engine_record(key: &[u8]) -> bool {
    matches!(kind_of(key), Some(kind::FEED | kind::PARTITION_STATE))
}

fn check_key(key: &[u8]) -> Result<(), StoreError> {
    if key.is_empty() {
        return Err(StoreError::TooLarge("a key is empty".to_owned()));
    }
    at_most("bytes of a key", key.len(), KEY_BYTES_MAX)
}

fn at_most(what: &str, count: usize, max: usize) -> Result<(), StoreError> {
    if count > max {
        return Err(StoreError::TooLarge(format!(
            "{count} {what}, at most {max}"
        )));
    }
    Ok(())
}

/// Bytes of keys and values that the batch writes.
#[must_use]
pub fn batch_bytes(batch: &Batch) -> usize {
    let operations: usize = batch
        .operations
        .iter()
        .map(|operation| match operation {
            Operation::Put(key, value) => key.len() + value.len(),
            Operation::Delete(key) => key.len(),
            Operation::Reclaim(value) => value.len(),
        })
        .sum();
    let outcome_bytes = batch.idempotency.as_ref().map_or(0, |id| id.outcome.len());
    operations + batch.feed.len() + outcome_bytes
}

/// Refuses a scan that no engine can answer.
///
/// # Errors
/// [`StoreError::TooLarge`] when the limit is 0 or the delimiter of a grouping is empty.
pub fn check_scan(request: &ScanRequest) -> Result<(), StoreError> {
    let fault = if request.limit == 0 {
        "a scan asks for 0 entries"
    } else if request
        .grouping
        .as_ref()
        .is_some_and(|grouping| grouping.delimiter.is_empty())
    {
        "a scan groups by an empty delimiter"
    } else {
        return Ok(());
    };
    Err(StoreError::TooLarge(fault.to_owned()))
}

/// Whether a batch is refused when the device is nearly full: it puts more records that hold objects
/// (versions, bodies, pages, parts, uploads) than it deletes. What deletes do, delete markers and
/// promoted versions included, goes on, and so does the work that frees space.
#[must_use]
pub fn adds_data(batch: &Batch) -> bool {
    const DATA: [u8; 5] = [
        kind::CURRENT,
        kind::INLINE,
        kind::MANIFEST_PAGE,
        kind::UPLOAD,
        kind::PART,
    ];
    let is_data = |key: &[u8]| kind_of(key).is_some_and(|kind| DATA.contains(&kind));
    let is_version = |key: &[u8]| kind_of(key) == Some(kind::VERSION);
    let puts = batch.operations.iter().filter(|operation| match operation {
        Operation::Put(key, _) => is_data(key),
        Operation::Delete(_) | Operation::Reclaim(_) => false,
    });
    let deletes = batch.operations.iter().filter(|operation| match operation {
        Operation::Delete(key) => is_data(key) || is_version(key),
        Operation::Put(..) | Operation::Reclaim(_) => false,
    });
    puts.count() > deletes.count()
}
