//! Disks of other nodes: [`RemoteDisk`] is a [`ShardStore`](crate::ShardStore) whose disk another process has, and
//! [`ShardService`] answers for the disks of this one. What lies between them is a [`NodeCaller`]: this crate knows
//! messages, not networks.
//!
//! ```text
//! ChunkStore -> RemoteDisk -> NodeCaller ~~ network ~~ ShardService -> DiskStore
//! ```
//! # To ensure correctness
//! - A put that was answered with success is on the other node's stable storage. One without an answer may be
//!   there or not ([`PutShardError::Unreachable`](crate::PutShardError)); it is never counted as durable.
//! - Every block that was read is checked once more here, for the position that was asked for: an answer to
//!   another question fails as damaged bytes do.
//! - A node refuses writes of those who go by an older version of a placement group than it knows.

mod disk;
mod message;
mod service;

pub use disk::{RemoteDisk, RemoteNode};
pub use service::ShardService;

use async_trait::async_trait;
use bytes::Bytes;
use std::time::Duration;

/// The most shards that one answer lists.
const LIST_MAX: u32 = 4096;

/// What the service is asked to do; the names are part of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ShardMethod {
    /// Store a shard; the body is the cell.
    Put,
    /// Read blocks; the answer's body has them.
    Read,
    /// Remove a chunk's shards.
    Delete,
    /// List shards.
    List,
    /// Room on each disk of the node.
    Usage,
}

impl ShardMethod {
    /// Every method.
    pub const ALL: [Self; 5] = [Self::Put, Self::Read, Self::Delete, Self::List, Self::Usage];

    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "shard.put",
            Self::Read => "shard.read",
            Self::Delete => "shard.delete",
            Self::List => "shard.list",
            Self::Usage => "shard.usage",
        }
    }
}

/// A message: a small record, and bytes that go as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// A record of this module, encoded.
    pub header: Bytes,
    /// A cell, or blocks of one; mostly empty.
    pub body: Bytes,
}

/// Why there is no answer of the service to a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The other side has certainly not acted on it.
    #[error("not sent: {0}")]
    NotSent(String),
    /// It may have acted on it.
    #[error("no answer: {0}")]
    Unknown(String),
    /// It answered with an error of its own: a record of this module.
    #[error("it answered with an error")]
    Failed(Bytes),
}

/// Carries calls to one other node.
#[async_trait]
pub trait NodeCaller: Send + Sync + std::fmt::Debug {
    /// Sends `request` and waits for the answer, for at most `deadline`. When the future is dropped the answer is
    /// thrown away.
    ///
    /// # Errors
    /// [`CallError`].
    async fn call(
        &self,
        method: ShardMethod,
        request: Message,
        deadline: Duration,
    ) -> Result<Message, CallError>;
}

#[cfg(test)]
mod tests;
