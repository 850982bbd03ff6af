//! Requests and answers as bytes. Batches have the form that they have in the log of a group: a node that does not
//! know all of one refuses it rather than leave something out.

use super::request::{Answer, Request};
use crate::engine::raft::entry::{CodecError, Command, CommandRecord};
use crate::store::{
    Change, Grouping, Outcome, ScanEntry, ScanPage, ScanRequest, StoreError, Versioned,
};
use bytes::Bytes;
use std::time::Duration;
use types::wire::DecodeError;
use types::{NodeId, PartitionId, record};

record! {
    /// A request: what is not asked for is left out.
    pub struct RequestRecord {
        1 => partition: PartitionId,
        /// A number of [`ask`].
        2 => kind: u8,
        3 => commit: CommandRecord,
        4 => key: Bytes,
        5 => scan: ScanRecord,
        /// After this commit, or up to it.
        6 => seq: u64,
        7 => limit: u64,
        8 => keys: Vec<Bytes>,
    }
}

record! {
    /// A [`ScanRequest`].
    pub struct ScanRecord {
        1 => start: Bytes,
        2 => end: Bytes,
        3 => limit: u64,
        /// Empty for no grouping.
        4 => delimiter: Bytes,
        5 => skip: u64,
    }
}

record! {
    /// An answer, or why there is none.
    pub struct AnswerRecord {
        /// A number of [`ask`]: what was asked.
        1 => kind: u8,
        2 => outcomes: Vec<OutcomeRecord>,
        3 => found: Option<ValueRecord>,
        4 => entries: Vec<EntryRecord>,
        5 => more: bool,
        6 => changes: Vec<ChangeRecord>,
        7 => seq: u64,
        8 => error: Option<ErrorRecord>,
        /// Of several keys, where there is one the value.
        9 => values: Vec<MaybeValueRecord>,
    }
}

record! {
    /// An [`Outcome`].
    pub struct OutcomeRecord {
        /// 1 committed, 2 condition failed, 3 duplicate, 4 expired.
        1 => kind: u8,
        /// Sequence, or number of the condition.
        2 => number: u64,
        3 => outcome: Bytes,
    }
}

record! {
    /// A [`Versioned`].
    pub struct ValueRecord {
        1 => seq: u64,
        2 => value: Bytes,
    }
}

record! {
    /// What was found of one of several keys.
    pub struct MaybeValueRecord {
        1 => found: Option<ValueRecord>,
    }
}

record! {
    /// A [`ScanEntry`]: a group where there is no value.
    pub struct EntryRecord {
        1 => key: Bytes,
        2 => found: Option<ValueRecord>,
    }
}

record! {
    /// A [`Change`].
    pub struct ChangeRecord {
        1 => seq: u64,
        2 => feed: Bytes,
    }
}

record! {
    /// A [`StoreError`]. One that is not known is taken for Indeterminate, which promises least.
    pub struct ErrorRecord {
        /// A number of [`fault`].
        1 => kind: u8,
        2 => text: String,
        3 => key: String,
        /// Epoch of the batch, or milliseconds to wait.
        4 => number: u64,
        5 => current: u64,
        6 => leader: Option<NodeId>,
    }
}

/// Numbers of what can be asked.
mod ask {
    pub const COMMIT: u8 = 1;
    pub const GET: u8 = 2;
    pub const SCAN: u8 = 3;
    pub const CHANGES: u8 = 4;
    pub const TRIM: u8 = 5;
    pub const LAST_SEQ: u8 = 6;
    pub const GET_MANY: u8 = 7;
}

/// Numbers of errors.
mod fault {
    pub const FENCED: u8 = 1;
    pub const MOVED: u8 = 2;
    pub const NOT_LEADER: u8 = 3;
    pub const THROTTLED: u8 = 4;
    pub const UNAVAILABLE: u8 = 5;
    pub const INDETERMINATE: u8 = 6;
    pub const CORRUPT: u8 = 7;
    pub const TOO_LARGE: u8 = 8;
    pub const FULL: u8 = 9;
    pub const EXPIRED: u8 = 10;
}

/// The bytes of a request about `partition`.
pub fn encode_request(partition: PartitionId, request: &Request) -> Bytes {
    let mut record = RequestRecord {
        partition,
        ..Default::default()
    };
    match request {
        Request::Commit(batches) => {
            record.kind = ask::COMMIT;
            record.commit = CommandRecord::from(&Command::Commit(batches.clone()));
        }
        Request::Get(key) => {
            record.kind = ask::GET;
            record.key = key.clone();
        }
        Request::GetMany(keys) => {
            record.kind = ask::GET_MANY;
            record.keys.clone_from(keys);
        }
        Request::Scan(scan) => {
            record.kind = ask::SCAN;
            record.scan = ScanRecord::from(scan);
        }
        Request::Changes { after, limit } => {
            record.kind = ask::CHANGES;
            (record.seq, record.limit) = (*after, *limit as u64);
        }
        Request::Trim(up_to) => {
            record.kind = ask::TRIM;
            record.seq = *up_to;
        }
        Request::LastSeq => record.kind = ask::LAST_SEQ,
    }
    record.encode().into()
}

/// What [`encode_request`] wrote.
///
/// # Errors
/// The bytes are no request that this binary knows.
pub fn decode_request(bytes: Bytes) -> Result<(PartitionId, Request), CodecError> {
    let record = RequestRecord::decode(bytes)?;
    let limit = usize::try_from(record.limit).unwrap_or(usize::MAX);
    let request = match record.kind {
        ask::COMMIT => match record.commit.command()? {
            Command::Commit(batches) => Request::Commit(batches),
            Command::Trim(_) => return Err(CodecError::Kind("a commit")),
        },
        ask::GET => Request::Get(record.key),
        ask::GET_MANY => Request::GetMany(record.keys),
        ask::SCAN => Request::Scan(record.scan.into()),
        ask::CHANGES => Request::Changes {
            after: record.seq,
            limit,
        },
        ask::TRIM => Request::Trim(record.seq),
        ask::LAST_SEQ => Request::LastSeq,
        _ => return Err(CodecError::Kind("a request")),
    };
    Ok((record.partition, request))
}

/// The bytes of an answer.
pub fn encode_answer(answer: &Result<Answer, StoreError>) -> Bytes {
    let mut record = AnswerRecord::default();
    match answer {
        Ok(Answer::Outcomes(outcomes)) => {
            record.kind = ask::COMMIT;
            record.outcomes = outcomes.iter().map(OutcomeRecord::from).collect();
        }
        Ok(Answer::Value(found)) => {
            record.kind = ask::GET;
            record.found = found.as_ref().map(ValueRecord::from);
        }
        Ok(Answer::Values(values)) => {
            record.kind = ask::GET_MANY;
            record.values = values.iter().map(MaybeValueRecord::from).collect();
        }
        Ok(Answer::Page(page)) => {
            record.kind = ask::SCAN;
            record.entries = page.entries.iter().map(EntryRecord::from).collect();
            record.more = page.more;
        }
        Ok(Answer::Changes(changes)) => {
            record.kind = ask::CHANGES;
            record.changes = changes.iter().map(ChangeRecord::from).collect();
        }
        Ok(Answer::Trimmed) => record.kind = ask::TRIM,
        Ok(Answer::Seq(seq)) => {
            record.kind = ask::LAST_SEQ;
            record.seq = *seq;
        }
        Err(error) => record.error = Some(ErrorRecord::from(error)),
    }
    record.encode().into()
}

/// What [`encode_answer`] wrote, about `partition`.
///
/// # Errors
/// The bytes are no answer that this binary knows.
pub fn decode_answer(
    partition: PartitionId,
    bytes: Bytes,
) -> Result<Result<Answer, StoreError>, DecodeError> {
    let record = AnswerRecord::decode(bytes)?;
    if let Some(error) = record.error {
        return Ok(Err(error.of(partition)));
    }
    Ok(Ok(match record.kind {
        ask::COMMIT => {
            let outcomes = record.outcomes.into_iter().map(OutcomeRecord::outcome);
            Answer::Outcomes(outcomes.collect::<Result<_, _>>()?)
        }
        ask::GET => Answer::Value(record.found.map(Into::into)),
        ask::GET_MANY => {
            let values = record.values.into_iter();
            Answer::Values(values.map(|value| value.found.map(Into::into)).collect())
        }
        ask::SCAN => Answer::Page(ScanPage {
            entries: record.entries.into_iter().map(Into::into).collect(),
            more: record.more,
        }),
        ask::CHANGES => Answer::Changes(record.changes.into_iter().map(Into::into).collect()),
        ask::TRIM => Answer::Trimmed,
        ask::LAST_SEQ => Answer::Seq(record.seq),
        _ => return Err(DecodeError::BadValue { what: "answer" }),
    }))
}

impl From<&ScanRequest> for ScanRecord {
    fn from(request: &ScanRequest) -> Self {
        let grouping = request.grouping.as_ref();
        Self {
            start: request.start.clone(),
            end: request.end.clone(),
            limit: request.limit as u64,
            delimiter: grouping.map_or_else(Bytes::new, |grouping| grouping.delimiter.clone()),
            skip: grouping.map_or(0, |grouping| grouping.skip as u64),
            ..Default::default()
        }
    }
}

impl From<ScanRecord> for ScanRequest {
    fn from(record: ScanRecord) -> Self {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let grouping = Grouping {
            skip: number(record.skip),
            delimiter: record.delimiter,
        };
        Self {
            start: record.start,
            end: record.end,
            limit: number(record.limit),
            grouping: Some(grouping).filter(|grouping| !grouping.delimiter.is_empty()),
        }
    }
}

impl From<&Outcome> for OutcomeRecord {
    fn from(outcome: &Outcome) -> Self {
        let (kind, number, outcome) = match outcome {
            Outcome::Committed(seq) => (1, *seq, Bytes::new()),
            Outcome::ConditionFailed(index) => (2, *index as u64, Bytes::new()),
            Outcome::Duplicate(outcome) => (3, 0, outcome.clone()),
            Outcome::Expired { oldest_kept_ms } => (4, *oldest_kept_ms, Bytes::new()),
        };
        Self {
            kind,
            number,
            outcome,
            ..Default::default()
        }
    }
}

impl OutcomeRecord {
    fn outcome(self) -> Result<Outcome, DecodeError> {
        let index = usize::try_from(self.number).map_err(|_| DecodeError::NumberTooLarge)?;
        Ok(match self.kind {
            1 => Outcome::Committed(self.number),
            2 => Outcome::ConditionFailed(index),
            3 => Outcome::Duplicate(self.outcome),
            4 => Outcome::Expired {
                oldest_kept_ms: self.number,
            },
            _ => return Err(DecodeError::BadValue { what: "outcome" }),
        })
    }
}

impl From<&Versioned> for ValueRecord {
    fn from(found: &Versioned) -> Self {
        Self {
            seq: found.seq,
            value: found.value.clone(),
            ..Default::default()
        }
    }
}

impl From<&Option<Versioned>> for MaybeValueRecord {
    fn from(found: &Option<Versioned>) -> Self {
        Self {
            found: found.as_ref().map(ValueRecord::from),
            ..Default::default()
        }
    }
}

impl From<ValueRecord> for Versioned {
    fn from(record: ValueRecord) -> Self {
        Self {
            seq: record.seq,
            value: record.value,
        }
    }
}

impl From<&ScanEntry> for EntryRecord {
    fn from(entry: &ScanEntry) -> Self {
        let (key, found) = match entry {
            ScanEntry::Value(key, found) => (key, Some(found.into())),
            ScanEntry::Group(prefix) => (prefix, None),
        };
        Self {
            key: key.clone(),
            found,
            ..Default::default()
        }
    }
}

impl From<EntryRecord> for ScanEntry {
    fn from(record: EntryRecord) -> Self {
        match record.found {
            Some(found) => Self::Value(record.key, found.into()),
            None => Self::Group(record.key),
        }
    }
}

impl From<&Change> for ChangeRecord {
    fn from(change: &Change) -> Self {
        Self {
            seq: change.seq,
            feed: change.feed.clone(),
            ..Default::default()
        }
    }
}

impl From<ChangeRecord> for Change {
    fn from(record: ChangeRecord) -> Self {
        Self {
            seq: record.seq,
            feed: record.feed,
        }
    }
}

impl From<&StoreError> for ErrorRecord {
    fn from(error: &StoreError) -> Self {
        let mut record = Self::default();
        record.kind = match error {
            StoreError::Fenced { epoch, current, .. } => {
                (record.number, record.current) = (*epoch, *current);
                fault::FENCED
            }
            StoreError::Moved(_) => fault::MOVED,
            StoreError::NotLeader { leader, .. } => {
                record.leader = *leader;
                fault::NOT_LEADER
            }
            StoreError::Throttled(after) => {
                record.number = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                fault::THROTTLED
            }
            StoreError::Unavailable(text) => {
                record.text.clone_from(text);
                fault::UNAVAILABLE
            }
            StoreError::Indeterminate(text) => {
                record.text.clone_from(text);
                fault::INDETERMINATE
            }
            StoreError::Corrupt { key, reason } => {
                record.key.clone_from(key);
                record.text.clone_from(reason);
                fault::CORRUPT
            }
            StoreError::TooLarge(text) => {
                record.text.clone_from(text);
                fault::TOO_LARGE
            }
            StoreError::Full => fault::FULL,
            StoreError::Expired { oldest_kept_ms } => {
                record.number = *oldest_kept_ms;
                fault::EXPIRED
            }
        };
        record
    }
}

impl ErrorRecord {
    fn of(self, partition: PartitionId) -> StoreError {
        match self.kind {
            fault::FENCED => StoreError::Fenced {
                partition,
                epoch: self.number,
                current: self.current,
            },
            fault::MOVED => StoreError::Moved(partition),
            fault::NOT_LEADER => StoreError::NotLeader {
                partition,
                leader: self.leader,
            },
            fault::THROTTLED => StoreError::Throttled(Duration::from_millis(self.number)),
            fault::UNAVAILABLE => StoreError::Unavailable(self.text),
            fault::CORRUPT => StoreError::Corrupt {
                key: self.key,
                reason: self.text,
            },
            fault::TOO_LARGE => StoreError::TooLarge(self.text),
            fault::FULL => StoreError::Full,
            fault::EXPIRED => StoreError::Expired {
                oldest_kept_ms: self.number,
            },
            _ => StoreError::Indeterminate(self.text),
        }
    }
}
