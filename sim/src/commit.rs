//! Commits whose outcome must become known, as `gateway/src/ops/commit.rs` makes them.

use crate::machine::Machine;
use index::StoreError;
use index::error::{
    CompleteUploadError, CopyObjectError, CreateUploadError, DeleteObjectError, PutObjectError,
    PutPartError, UpdateBucketError,
};
use std::time::Duration;
use types::{Clock, OpId};

const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// Time for which a gateway tries to find out.
const COMMIT_DEADLINE: Duration = Duration::from_secs(10);

/// Why a commit did not succeed.
#[derive(Debug)]
pub(crate) enum Failed<E> {
    /// Nothing was changed.
    NotCommitted(E),
    /// It is not known: what was written for it stays.
    Unknown(E),
}

/// An error of the index that may be one of its store.
pub(crate) trait MayBeStore {
    /// The error of the store.
    fn store(&self) -> Option<&StoreError>;
}

macro_rules! may_be_store {
    ($($error:ident),*) => {$(
        impl MayBeStore for $error {
            fn store(&self) -> Option<&StoreError> {
                match self {
                    Self::Store(error) => Some(error),
                    _ => None,
                }
            }
        }
    )*};
}
may_be_store!(
    PutObjectError,
    DeleteObjectError,
    CreateUploadError,
    PutPartError,
    UpdateBucketError
);

impl MayBeStore for CopyObjectError {
    fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Destination(error) => error.store(),
            Self::SourceChanged => None,
        }
    }
}

impl MayBeStore for CompleteUploadError {
    fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Put(error) => error.store(),
            _ => None,
        }
    }
}

/// Runs `attempt` until its outcome is known, for no longer than the deadline. All attempts carry the operation id that
/// they are given; `op_id` is the last one.
pub(crate) async fn until_known<T, E, F>(
    machine: &Machine,
    op_id: &mut OpId,
    mut attempt: impl FnMut(OpId) -> F,
) -> Result<T, Failed<E>>
where
    E: MayBeStore,
    F: Future<Output = Result<T, E>>,
{
    let started = machine.clock.monotonic();
    let mut pause = PAUSE_MIN;
    let mut unknown = false;
    loop {
        let error = match attempt(*op_id).await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let again = match error.store() {
            Some(StoreError::Indeterminate(_)) => {
                unknown = true;
                true
            }
            Some(
                StoreError::Throttled(_)
                | StoreError::Unavailable(_)
                | StoreError::NotLeader { .. },
            ) => unknown,
            Some(StoreError::Expired { oldest_kept_ms }) => {
                *op_id = op_id.not_before(*oldest_kept_ms);
                !unknown
            }
            _ => false,
        };
        let waited = machine.clock.monotonic().saturating_sub(started);
        if !again || waited >= COMMIT_DEADLINE {
            let failed = if unknown {
                Failed::Unknown
            } else {
                Failed::NotCommitted
            };
            return Err(failed(error));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
