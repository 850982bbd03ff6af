//! What is asked of a partition, as a value: it can be sent, and asked of an engine here.

use super::AnswerSize;
use crate::store::{
    Batch, Change, IndexStore, Outcome, ScanPage, ScanRequest, Seq, StoreError, Versioned,
};
use bytes::Bytes;
use types::PartitionId;

/// A call of [`IndexStore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// [`IndexStore::commit_many`].
    Commit(Vec<Batch>),
    /// [`IndexStore::get`].
    Get(Bytes),
    /// [`IndexStore::get_many`].
    GetMany(Vec<Bytes>),
    /// [`IndexStore::scan`].
    Scan(ScanRequest),
    /// [`IndexStore::changes`].
    Changes {
        /// After this commit.
        after: Seq,
        /// As many at the most.
        limit: usize,
    },
    /// [`IndexStore::trim`].
    Trim(Seq),
    /// [`IndexStore::last_seq`].
    LastSeq,
}

/// What it returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Of [`Request::Commit`].
    Outcomes(Vec<Outcome>),
    /// Of [`Request::Get`].
    Value(Option<Versioned>),
    /// Of [`Request::GetMany`]: of the first keys, of one at least.
    Values(Vec<Option<Versioned>>),
    /// Of [`Request::Scan`].
    Page(ScanPage),
    /// Of [`Request::Changes`].
    Changes(Vec<Change>),
    /// Of [`Request::Trim`].
    Trimmed,
    /// Of [`Request::LastSeq`].
    Seq(Seq),
}

impl Request {
    /// Whether asking once more than was needed does no harm.
    pub fn can_be_repeated(&self) -> bool {
        // A trim forgets up to a place: it does so once.
        !matches!(self, Self::Commit(_))
    }

    /// What its answer will be like.
    pub fn answer_size(&self) -> AnswerSize {
        match self {
            Self::Scan(_) | Self::Changes { .. } => AnswerSize::Page,
            Self::Commit(_) | Self::Get(_) | Self::GetMany(_) | Self::Trim(_) | Self::LastSeq => {
                AnswerSize::Short
            }
        }
    }

    /// Asks an engine of this process.
    pub async fn ask(
        self,
        store: &dyn IndexStore,
        partition: PartitionId,
    ) -> Result<Answer, StoreError> {
        Ok(match self {
            Self::Commit(batches) => Answer::Outcomes(store.commit_many(partition, batches).await?),
            Self::Get(key) => Answer::Value(store.get(partition, &key).await?),
            Self::GetMany(keys) => Answer::Values(store.get_many(partition, &keys).await?),
            Self::Scan(request) => Answer::Page(store.scan(partition, request).await?),
            Self::Changes { after, limit } => {
                Answer::Changes(store.changes(partition, after, limit).await?)
            }
            Self::Trim(up_to) => {
                store.trim(partition, up_to).await?;
                Answer::Trimmed
            }
            Self::LastSeq => Answer::Seq(store.last_seq(partition).await?),
        })
    }
}
