//! Answers other nodes for the partitions of this one.

use super::message::{decode_request, encode_answer};
use crate::store::{IndexStore, StoreError};
use bytes::Bytes;
use std::sync::Arc;

/// The engine of this node, as others reach it.
#[derive(Debug, Clone)]
pub struct IndexService {
    store: Arc<dyn IndexStore>,
}

impl IndexService {
    /// A service over `store`, which answers only for what it leads.
    #[must_use]
    pub fn new(store: Arc<dyn IndexStore>) -> Self {
        Self { store }
    }

    /// The answer to `request`, whatever it says. When the future is dropped a commit may still happen.
    pub async fn handle(&self, request: Bytes) -> Bytes {
        let answer = match decode_request(request) {
            Ok((partition, request)) => request.ask(self.store.as_ref(), partition).await,
            // Nothing was done with it, and another node may understand it.
            Err(error) => Err(StoreError::Unavailable(format!(
                "the request cannot be read: {error}"
            ))),
        };
        encode_answer(&answer)
    }
}
