//! What always holds of an index, as named predicates over all of its records.
//!
//! Tests run them after every run; they can also be run on an index that nobody writes to. What is
//! not verified: that chunks exist (the index never reads them), and that each reference to a shared
//! manifest has its version: one that has none is dropped by the audit ([`dangling_references`]).

mod image;
mod predicates;

pub use image::PartitionImage;
pub use predicates::{Violation, dangling_references};

use crate::context::Context;
use crate::store::StoreError;

/// Every record of every data partition, read into memory.
pub(crate) async fn read(ctx: &Context) -> Result<Vec<PartitionImage>, StoreError> {
    let mut images = Vec::new();
    for owner in ctx.owners.iter().skip(1) {
        images.push(image::read(owner).await?);
    }
    Ok(images)
}

/// Every violation of every predicate.
pub(crate) async fn check(ctx: &Context) -> Result<Vec<Violation>, StoreError> {
    Ok(predicates::all(&read(ctx).await?))
}
