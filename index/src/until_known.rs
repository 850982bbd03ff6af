//! Commits whose outcome must become known: an indeterminate one is tried again under the same
//! operation id, which the index answers with what became of the first.
//!
//! # To ensure correctness
//! - Once an attempt is indeterminate, a refusal of a later one says nothing of it: the first may still arrive, or
//!   have been committed and forgotten. What was written for it stays.
//! - An operation gets another id only while none of its attempts is indeterminate.

use crate::error::{
    CompleteUploadError, CopyObjectError, CreateUploadError, DeleteObjectError, PutObjectError,
    PutPartError, SetObjectTagsError, UpdateBucketError,
};
use crate::store::StoreError;
use std::time::Duration;
use types::{Clock, OpId};

const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Why a commit did not succeed.
#[derive(Debug)]
pub enum Failed<E> {
    /// Nothing was changed.
    NotCommitted(E),
    /// It is not known. What was written for it must stay: the orphan collector frees it once no
    /// commit can name it any more.
    Unknown(E),
}

impl<E> Failed<E> {
    /// The error, whichever it is.
    pub fn into_error(self) -> E {
        match self {
            Self::NotCommitted(error) | Self::Unknown(error) => error,
        }
    }
}

/// An error of the index that may be one of its store.
pub trait MayBeStore {
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
    SetObjectTagsError,
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

/// Runs `attempt` until its outcome is known, for no longer than `deadline`. All attempts carry the operation id that
/// they are given; `op_id` is the last one.
///
/// # Errors
/// [`Failed`].
pub async fn until_known<T, E, F>(
    (clock, deadline): (&dyn Clock, Duration),
    op_id: &mut OpId,
    mut attempt: impl FnMut(OpId) -> F,
) -> Result<T, Failed<E>>
where
    E: MayBeStore,
    F: Future<Output = Result<T, E>>,
{
    let started = clock.monotonic();
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
            // Another process's clock is ahead of this one's, or this one's was put forward.
            Some(StoreError::Expired { oldest_kept_ms }) => {
                *op_id = op_id.not_before(*oldest_kept_ms);
                !unknown
            }
            _ => false,
        };
        let waited = clock.monotonic().saturating_sub(started);
        if !again || waited >= deadline {
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
