//! Commits whose outcome must become known: an indeterminate one is tried again under the same
//! operation id, which the index answers with what became of the first.

use crate::context::Context;
use index::error::{
    CompleteUploadError, CopyObjectError, CreateUploadError, DeleteObjectError, PutObjectError,
    PutPartError, SetObjectTagsError, UpdateBucketError,
};
use index::store::StoreError;
use std::time::Duration;

const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// Why a commit did not succeed.
#[derive(Debug)]
pub(crate) enum Failed<E> {
    /// Nothing was changed.
    NotCommitted(E),
    /// It is not known. What was written for it must stay: the orphan collector frees it once no
    /// commit can name it any more.
    Unknown(E),
}

impl<E> Failed<E> {
    /// The error, whichever it is.
    pub(crate) fn into_error(self) -> E {
        match self {
            Self::NotCommitted(error) | Self::Unknown(error) => error,
        }
    }
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

/// Runs `attempt` until its outcome is known, for no longer than the configured deadline. All
/// attempts must carry the same operation id.
pub(crate) async fn until_known<T, E, F>(
    context: &Context,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Failed<E>>
where
    E: MayBeStore,
    F: Future<Output = Result<T, E>>,
{
    let started = context.clock.monotonic();
    let mut pause = PAUSE_MIN;
    let mut unknown = false;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let Some(store) = error.store() else {
            return Err(Failed::NotCommitted(error));
        };
        let again = match store {
            StoreError::Indeterminate(_) => {
                unknown = true;
                true
            }
            StoreError::Throttled(_)
            | StoreError::Unavailable(_)
            | StoreError::NotLeader { .. } => unknown,
            _ => false,
        };
        let waited = context.clock.monotonic().saturating_sub(started);
        if !again || waited >= context.config.commit_deadline {
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
