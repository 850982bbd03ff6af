//! Faults of our own making, each of a kind that the product must never have, to show that the checks find it.
//! They are in what stands between the product's parts here; the product itself is as it is.

use clap::ValueEnum;

/// A bug to be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bug {
    /// What the batches ask of a key's current version is not looked at: check, then publish.
    UncheckedCurrent,
    /// A batch that is sent again is carried out again.
    ForgottenOutcome,
    /// Disks say that they have synced before they have.
    AckBeforeSync,
    /// A disk gives out one shard in the place of another.
    SwappedShards,
    /// Reads of the index may be some time behind.
    StaleReads,
    /// The commit does not say which shards are missing.
    MissingUntold,
    /// One disk answers deletes of chunks, and does nothing.
    DeleteForgotten,
}
