//! What a repeated operation is answered with (`o/`).

use types::record;
use types::{Order, UploadId, VersionId};

record! {
    /// The result of an operation, as its first commit gave it.
    pub struct OutcomeRecord {
        1 => version: VersionId,
        2 => order: Order,
        3 => is_null: bool,
        4 => delete_marker: bool,
        5 => etag: String,
        6 => upload: UploadId,
    }
}

#[cfg(test)]
mod tests;
