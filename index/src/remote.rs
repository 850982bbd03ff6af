//! The index of a process that does not lead a partition, or keeps none: [`RoutedStore`] is an
//! [`IndexStore`](crate::IndexStore) that finds the leader among the index nodes and asks it, and [`IndexService`]
//! answers for the partitions of this node. What lies between them is an [`IndexCaller`]: this crate knows messages,
//! not networks.
//!
//! ```text
//! PartitionOwner -> RoutedStore -> IndexCaller ~~ network ~~ IndexService -> engine
//! ```
//! # To ensure correctness
//! - Only the leader answers, and it proves that it leads for each read; so it does not matter who asks, nor how old
//!   the asker's idea of the leader is.
//! - Reads that go together (`reads.rs`) are proven together, after each of them was asked for.
//! - A commit is sent again only when it was certainly not acted on. Otherwise it is `Indeterminate`, and whoever
//!   has an operation id asks again with it.

mod message;
mod reads;
mod request;
mod routed;
mod service;

pub use routed::{IndexNodes, RoutedStore, Routing};
pub use service::IndexService;

use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;
use types::NodeId;

/// The method's name on the wire.
pub const METHOD: &str = "index.ask";

/// Why there is no answer of the other node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It has certainly not acted on the request.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have acted on it.
    #[error("no answer: {0}")]
    Unknown(String),
}

/// How much is expected of an answer, so that whoever carries it can keep long ones out of the way of short ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerSize {
    /// Outcomes, or values of at most `types::limits::VALUE_BYTES_MAX` together.
    Short,
    /// A page of records, which may have megabytes.
    Page,
}

/// Carries requests to other nodes.
#[async_trait]
pub trait IndexCaller: Send + Sync + std::fmt::Debug {
    /// Gives `request` to the [`IndexService`] of node `to` and waits for its answer, for at most `deadline`.
    ///
    /// # Errors
    /// [`CallError`].
    async fn call(
        &self,
        to: NodeId,
        request: Bytes,
        answer: AnswerSize,
        deadline: Duration,
    ) -> Result<Bytes, CallError>;
}

#[cfg(test)]
mod tests;
