//! Histories of concurrent operations on one key, and the check that some order of them explains what
//! every client saw: linearizability, after Wing and Gong, with Lowe's just-in-time search.
//!
//! A key is checked by itself, which loses nothing: a history is linearizable when each key's is.
//!
//! - `model` says what one operation does to one key, in buckets of every versioning state;
//! - `search` looks for an order, and finds the first answer that no order explains;
//! - `explain` leaves out what that answer does not depend on, and writes the rest down for people.
//!
//! A list of many keys is no snapshot: what it shows of each key must have been so at some moment of the page.
//!
//! Not judged: times of modification, parts and uploads that were not completed.

mod explain;
mod model;
mod search;
#[cfg(test)]
mod tests;

pub use explain::Broken;
pub use search::check;

use std::fmt;
use std::sync::Arc;

/// Stands for the bytes of one write. No two writes of a history may share one, so that what is read
/// tells who wrote it; a repeated completion of one upload is the same write.
pub type Value = u64;

/// A bucket's versioning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Versioning {
    /// Never switched on.
    Off,
    /// Each write makes a version.
    Enabled,
    /// Each write replaces the null version.
    Suspended,
}

/// A version's name. An answer that names none is about the null version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Version {
    /// `null`.
    Null,
    /// Index into [`History::versions`].
    Id(usize),
}

/// What must hold at the moment of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    Always,
    /// `If-None-Match: *`.
    Absent,
    /// `If-Match` with the ETag that this value has.
    Is(Value),
}

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// PutObject.
    Put(Value, Condition),
    /// CompleteMultipartUpload of the upload that holds the value; it may be called more than once.
    Complete(Value, Condition),
    /// DeleteObject without a version.
    Delete(Condition),
    /// DeleteObject of a version.
    DeleteVersion(Version),
    /// GetObject or HeadObject.
    Read,
    /// GetObject or HeadObject of a version.
    ReadVersion(Version),
    /// Every version of the key in a list.
    List,
    /// What a list of objects shows of the key.
    Look,
    /// PutBucketVersioning. It belongs into the history of each of the bucket's keys.
    SetVersioning(Versioning),
}

/// What the client was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The write took effect and made this version.
    Stored(Version),
    /// The delete was carried out. The delete marker that it made, or removed when it named a version.
    Deleted(Option<Version>),
    /// The read's value and version.
    Found(Value, Version),
    /// The read met this delete marker.
    Marker(Version),
    /// There is no such object or version; of a write, that there was none to match (404).
    Missing,
    /// The condition does not hold (412). Nothing was changed.
    Failed,
    /// The list, newest first; a delete marker has no value.
    Listed(Vec<(Version, Option<Value>)>),
    /// The list of objects has the key with this value, or does not have it.
    Shown(Option<Value>),
    /// The versioning was set.
    Set,
    /// No answer: the call took effect once before [`Event::returned`], or never.
    Unknown,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Who called; only shown.
    pub client: usize,
    /// Before the request was sent, in microseconds since the history's start.
    pub called: u64,
    /// After the whole answer had come. Of an unknown outcome, when it became certain that the call would
    /// not take effect any more (the server's process was gone); `u64::MAX` if it never did.
    pub returned: u64,
    /// What was asked for.
    pub call: Call,
    /// What was answered.
    pub outcome: Outcome,
}

/// All that happened to one key, which did not exist at the start.
#[derive(Debug, Clone)]
pub struct History {
    /// The key; only shown.
    pub key: String,
    /// The bucket's versioning at the start.
    pub versioning: Versioning,
    /// The operations, in any order.
    pub events: Vec<Event>,
    /// The texts of version ids, which the histories of a run share; only shown.
    pub versions: Arc<Vec<String>>,
}

/// What [`check`] found.
#[derive(Debug)]
pub enum Verdict {
    /// There is an order that explains every answer.
    Linearizable,
    /// There is none.
    Broken(Box<Broken>),
    /// The search was given up: at this event there were more possibilities than the limit.
    Undecided(usize),
}

impl Outcome {
    /// Whether the call certainly changed nothing.
    fn is_observation(&self) -> bool {
        matches!(
            self,
            Self::Found(..)
                | Self::Marker(_)
                | Self::Missing
                | Self::Failed
                | Self::Listed(_)
                | Self::Shown(_)
        )
    }
}

impl Version {
    fn show(self, texts: &[String]) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Id(n) => texts.get(n).cloned().unwrap_or_else(|| format!("#{n}")),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => Ok(()),
            Self::Absent => write!(f, " if absent"),
            Self::Is(value) => write!(f, " if v{value}"),
        }
    }
}

impl Call {
    fn show(&self, texts: &[String]) -> String {
        match self {
            Self::Put(value, condition) => format!("PUT v{value}{condition}"),
            Self::Complete(value, condition) => format!("COMPLETE v{value}{condition}"),
            Self::Delete(condition) => format!("DELETE{condition}"),
            Self::DeleteVersion(version) => format!("DELETE version {}", version.show(texts)),
            Self::Read => "GET".to_owned(),
            Self::ReadVersion(version) => format!("GET version {}", version.show(texts)),
            Self::List => "LIST versions".to_owned(),
            Self::Look => "LIST objects".to_owned(),
            Self::SetVersioning(versioning) => format!("SET versioning {versioning:?}"),
        }
    }
}

impl Outcome {
    fn show(&self, texts: &[String]) -> String {
        match self {
            Self::Stored(version) => format!("stored as {}", version.show(texts)),
            Self::Deleted(None) => "deleted".to_owned(),
            Self::Deleted(Some(marker)) => format!("deleted, marker {}", marker.show(texts)),
            Self::Found(value, version) => format!("v{value}, version {}", version.show(texts)),
            Self::Marker(version) => format!("delete marker {}", version.show(texts)),
            Self::Missing => "404".to_owned(),
            Self::Failed => "412".to_owned(),
            Self::Listed(entries) => {
                let entries: Vec<String> = entries
                    .iter()
                    .map(|(version, value)| {
                        let value = value.map_or("marker".to_owned(), |value| format!("v{value}"));
                        format!("{value}={}", version.show(texts))
                    })
                    .collect();
                format!("[{}]", entries.join(" "))
            }
            Self::Shown(Some(value)) => format!("listed with v{value}"),
            Self::Shown(None) => "not listed".to_owned(),
            Self::Set => "set".to_owned(),
            Self::Unknown => "no answer".to_owned(),
        }
    }
}
