//! Trying an operation again whose commit was lost, with the same operation id.

use index::store::StoreError;
use index::{
    CompleteUploadError, CopyObjectError, CreateBucketError, DeleteBucketError, DeleteObjectError,
    PutObjectError, PutPartError, SetObjectTagsError, UpdateBucketError, UploadError,
};

/// Tries of an operation whose commits may fail once.
pub const TRIES: usize = 3;

/// Whether an operation is to be tried again, with the same operation id.
pub trait Lost {
    fn is_lost(&self) -> bool;
}

impl Lost for StoreError {
    fn is_lost(&self) -> bool {
        matches!(self, Self::Indeterminate(_) | Self::Unavailable(_))
    }
}

macro_rules! lost {
    ($($error:ident),*) => {$(
        impl Lost for $error {
            fn is_lost(&self) -> bool {
                matches!(self, Self::Store(error) if error.is_lost())
            }
        }
    )*};
}
lost!(
    CompleteUploadError,
    CopyObjectError,
    CreateBucketError,
    DeleteBucketError,
    DeleteObjectError,
    PutObjectError,
    PutPartError,
    SetObjectTagsError,
    UpdateBucketError,
    UploadError
);

/// Tries until it is known what happened; true when a try was lost.
macro_rules! settle {
    ($call:expr) => {{
        let mut lost = 0;
        loop {
            match $call.await {
                Err(error) if error.is_lost() && lost < $crate::sequences::retry::TRIES => {
                    lost += 1
                }
                result => break (result, lost > 0),
            }
        }
    }};
}
pub(crate) use settle;
