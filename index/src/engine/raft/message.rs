//! What nodes say to each other, as bytes: a protocol version (u8), then a `types::wire` record.

use super::entry::{CodecError, EntryRecord, LogIdRecord, VoteRecord};
use super::types::{AppendRequest, AppendResponse, Vote};
use bytes::Bytes;
use openraft::raft::{VoteRequest, VoteResponse};
use types::wire::DecodeError;
use types::{PartitionId, record};

/// The version that this binary speaks.
const PROTOCOL: u8 = 1;

record! {
    /// Entries for a follower's log, or none: then it says that its sender leads.
    pub struct AppendRecord {
        1 => vote: VoteRecord,
        2 => prev: Option<LogIdRecord>,
        3 => entries: Vec<EntryRecord>,
        4 => committed: Option<LogIdRecord>,
    }
}

record! {
    /// A candidate's question.
    pub struct VoteAskRecord {
        1 => vote: VoteRecord,
        2 => last: Option<LogIdRecord>,
    }
}

record! {
    /// A part of a snapshot, or with no bytes the question how much has arrived.
    pub struct PartRecord {
        /// The leader's vote.
        1 => vote: VoteRecord,
        /// Name of the snapshot.
        2 => id: String,
        /// Of which entry it is.
        3 => at: LogIdRecord,
        /// Where the part begins.
        4 => offset: u64,
        /// The part.
        5 => part: Bytes,
        /// Everything has arrived: it is to be installed.
        6 => install: bool,
    }
}

record! {
    /// How far a node is in a group: these only grow, under a vote and then by votes.
    pub struct SeenRecord {
        1 => partition: PartitionId,
        2 => vote: VoteRecord,
        3 => last: Option<LogIdRecord>,
    }
}

record! {
    /// A node, as itself or another knows it.
    pub struct NodeRecord {
        1 => node: u64,
        /// How often it was started.
        2 => starts: u64,
        /// A random number of its last start.
        3 => nonce: u64,
        4 => groups: Vec<SeenRecord>,
    }
}

record! {
    /// One of them.
    pub struct RequestRecord {
        1 => append: Option<AppendRecord>,
        2 => vote: Option<VoteAskRecord>,
        3 => part: Option<PartRecord>,
        4 => hello: Option<NodeRecord>,
    }
}

record! {
    /// What became of entries.
    pub struct AppendedRecord {
        /// 1: taken, 2: taken up to `matching`, 3: the log before them differs, 4: there is a newer leader.
        1 => kind: u8,
        2 => matching: Option<LogIdRecord>,
        3 => vote: Option<VoteRecord>,
    }
}

record! {
    /// The answer to a candidate.
    pub struct VotedRecord {
        1 => vote: VoteRecord,
        2 => granted: bool,
        3 => last: Option<LogIdRecord>,
    }
}

record! {
    /// How much of a snapshot has arrived.
    pub struct ArrivedRecord {
        /// The receiver's vote: the sender stops when it is newer than its own.
        1 => vote: VoteRecord,
        2 => bytes: u64,
        3 => is_installed: bool,
    }
}

record! {
    /// One of them, or why there is none.
    pub struct ResponseRecord {
        1 => append: Option<AppendedRecord>,
        2 => vote: Option<VotedRecord>,
        3 => part: Option<ArrivedRecord>,
        /// What is known of the node that said hello; nothing of an unknown one.
        4 => hello: Option<NodeRecord>,
        5 => refusal: Option<String>,
    }
}

macro_rules! message {
    ($type:ident) => {
        impl $type {
            /// The message as it is sent.
            pub fn to_message(&self) -> Bytes {
                let mut bytes = vec![PROTOCOL];
                types::wire::Field::put(self, &mut bytes);
                bytes.into()
            }

            /// Reads what was sent.
            pub fn from_message(bytes: &Bytes) -> Result<Self, CodecError> {
                match bytes.first() {
                    Some(&PROTOCOL) => Ok(Self::decode(bytes.slice(1..))?),
                    Some(_) => Err(CodecError::Kind("a message")),
                    None => Err(DecodeError::Truncated.into()),
                }
            }
        }
    };
}
message!(RequestRecord);
message!(ResponseRecord);

impl From<&AppendRequest> for AppendRecord {
    fn from(request: &AppendRequest) -> Self {
        Self {
            vote: (&request.vote).into(),
            prev: request.prev_log_id.as_ref().map(Into::into),
            entries: request.entries.iter().map(Into::into).collect(),
            committed: request.leader_commit.as_ref().map(Into::into),
            ..Self::default()
        }
    }
}

impl AppendRecord {
    /// The message that only says that the holder of `vote` leads.
    pub fn pulse(vote: &Vote) -> Self {
        Self {
            vote: vote.into(),
            ..Self::default()
        }
    }

    /// openraft's form of it.
    pub fn request(self) -> Result<AppendRequest, CodecError> {
        let entries = self.entries.into_iter().map(EntryRecord::entry);
        Ok(AppendRequest {
            vote: self.vote.vote(),
            prev_log_id: self.prev.as_ref().map(LogIdRecord::log_id),
            entries: entries.collect::<Result<_, _>>()?,
            leader_commit: self.committed.as_ref().map(LogIdRecord::log_id),
        })
    }
}

impl From<&AppendResponse> for AppendedRecord {
    fn from(response: &AppendResponse) -> Self {
        let (kind, matching, vote) = match response {
            AppendResponse::Success => (1, None, None),
            AppendResponse::PartialSuccess(matching) => (2, matching.as_ref(), None),
            AppendResponse::Conflict => (3, None, None),
            AppendResponse::HigherVote(vote) => (4, None, Some(vote)),
        };
        Self {
            kind,
            matching: matching.map(Into::into),
            vote: vote.map(Into::into),
            ..Self::default()
        }
    }
}

impl AppendedRecord {
    /// openraft's form of it.
    pub fn response(&self) -> Result<AppendResponse, CodecError> {
        Ok(match (self.kind, &self.vote) {
            (1, _) => AppendResponse::Success,
            (2, _) => {
                let matching = self.matching.as_ref().map(LogIdRecord::log_id);
                AppendResponse::PartialSuccess(matching)
            }
            (3, _) => AppendResponse::Conflict,
            (4, Some(vote)) => AppendResponse::HigherVote(vote.vote()),
            _ => return Err(CodecError::Kind("an answer")),
        })
    }
}

impl From<&VoteRequest<u64>> for VoteAskRecord {
    fn from(request: &VoteRequest<u64>) -> Self {
        Self {
            vote: (&request.vote).into(),
            last: request.last_log_id.as_ref().map(Into::into),
            ..Self::default()
        }
    }
}

impl VoteAskRecord {
    /// openraft's form of it.
    pub fn request(&self) -> VoteRequest<u64> {
        let last = self.last.as_ref().map(LogIdRecord::log_id);
        VoteRequest::new(self.vote.vote(), last)
    }
}

impl From<&VoteResponse<u64>> for VotedRecord {
    fn from(response: &VoteResponse<u64>) -> Self {
        Self {
            vote: (&response.vote).into(),
            granted: response.vote_granted,
            last: response.last_log_id.as_ref().map(Into::into),
            ..Self::default()
        }
    }
}

impl VotedRecord {
    /// openraft's form of it.
    pub fn response(&self) -> VoteResponse<u64> {
        let last = self.last.as_ref().map(LogIdRecord::log_id);
        VoteResponse::new(self.vote.vote(), last, self.granted)
    }
}

#[cfg(test)]
mod tests;
