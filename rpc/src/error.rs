//! How calls go wrong, told so that the caller knows what it may do: repeat the call, elsewhere or here,
//! or find out first what became of it.

use crate::message::{ReplyHeader, status};
use bytes::Bytes;
use types::ids::NodeId;

/// The method's own error, from the handler to the caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct Failure {
    /// What programs go by. Its meaning is the method's.
    pub code: u32,
    /// What people read.
    pub message: String,
    /// The method's own record with more, or nothing.
    pub detail: Bytes,
}

impl Failure {
    /// A failure without details.
    #[must_use]
    pub fn new(code: u32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            detail: Bytes::new(),
        }
    }
}

/// Why a node refused a call or a connection. Nothing was executed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The caller is of another installation.
    Installation,
    /// The caller is of another region.
    Region,
    /// The two have no version of the protocol in common, or the call is not of the agreed one.
    Version,
    /// The certificate says another node than the caller does, or the caller meant another node.
    Node,
    /// A node of this id is connected from elsewhere.
    Duplicate,
    /// The connection did not begin with a hello.
    NotGreeted,
    /// There is no such method.
    UnknownMethod,
    /// The node has no memory or no place for the call just now.
    Busy,
    /// The request is longer than the method takes.
    TooLarge,
    /// The request could not be read.
    Malformed,
    /// The deadline had passed on arrival.
    Late,
    /// A refusal that this binary does not know.
    Other,
}

/// The numbers that stand for refusals on the wire, and the words for them in metrics.
const REFUSALS: &[(Refusal, u32, &str)] = &[
    (Refusal::Installation, 1, "installation"),
    (Refusal::Region, 2, "region"),
    (Refusal::Version, 3, "version"),
    (Refusal::Node, 4, "node"),
    (Refusal::Duplicate, 5, "duplicate"),
    (Refusal::NotGreeted, 6, "not-greeted"),
    (Refusal::UnknownMethod, 7, "unknown-method"),
    (Refusal::Busy, 8, "busy"),
    (Refusal::TooLarge, 9, "too-large"),
    (Refusal::Malformed, 10, "malformed"),
    (Refusal::Late, 11, "late"),
    (Refusal::Other, 0, "other"),
];

impl Refusal {
    fn row(self) -> (u32, &'static str) {
        let row = REFUSALS.iter().find(|(refusal, ..)| *refusal == self);
        row.map_or((0, "other"), |(_, code, word)| (*code, *word))
    }

    /// The number for it on the wire.
    #[must_use]
    pub fn code(self) -> u32 {
        self.row().0
    }

    /// One word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().1
    }

    /// The inverse of `code`; a number of a newer peer is [`Other`](Self::Other).
    #[must_use]
    pub fn from_code(code: u32) -> Self {
        let row = REFUSALS.iter().find(|(_, known, _)| *known == code);
        row.map_or(Self::Other, |(refusal, ..)| *refusal)
    }
}

/// A refusal with its explanation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Refused {
    /// What was wrong.
    pub reason: Refusal,
    /// What was wrong and what to do, for people.
    pub text: String,
}

impl Refused {
    /// A refusal.
    #[must_use]
    pub fn new(reason: Refusal, text: impl Into<String>) -> Self {
        Self {
            reason,
            text: text.into(),
        }
    }
}

/// How a call ended that has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// It was certainly not executed: the same call may go to another node, or here again.
    #[error("node {peer} was not reached: {why}")]
    NotSent {
        /// Who was called.
        peer: NodeId,
        /// What stood in the way.
        why: String,
    },
    /// It may have been executed, wholly or in part.
    #[error("what node {peer} did with the call is not known: {why}")]
    Unknown {
        /// Who was called.
        peer: NodeId,
        /// What happened.
        why: String,
    },
    /// The node refused it before executing anything.
    #[error("node {peer} refused: {refused}")]
    Refused {
        /// Who was called.
        peer: NodeId,
        /// Why.
        refused: Refused,
    },
    /// The method answered with an error.
    #[error("node {peer}: {failure}")]
    Failed {
        /// Who was called.
        peer: NodeId,
        /// The error.
        failure: Failure,
    },
}

impl CallError {
    /// True if nothing was executed, so that the call may be repeated anywhere.
    #[must_use]
    pub fn is_certainly_not_executed(&self) -> bool {
        matches!(self, Self::NotSent { .. } | Self::Refused { .. })
    }

    /// One word for metrics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotSent { .. } => "not-sent",
            Self::Unknown { .. } => "unknown",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
        }
    }

    pub(crate) fn not_sent(peer: NodeId, why: impl Into<String>) -> Self {
        Self::NotSent {
            peer,
            why: why.into(),
        }
    }

    pub(crate) fn unknown(peer: NodeId, why: impl Into<String>) -> Self {
        Self::Unknown {
            peer,
            why: why.into(),
        }
    }

    /// What an answer says, where it is not the method's result.
    pub(crate) fn from_reply(peer: NodeId, reply: &ReplyHeader) -> Option<Self> {
        let text = reply.text.clone();
        match reply.status {
            status::DONE => None,
            status::REFUSED => Some(Self::Refused {
                peer,
                refused: Refused::new(Refusal::from_code(reply.code), text),
            }),
            status::FAILED => Some(Self::Failed {
                peer,
                failure: Failure {
                    code: reply.code,
                    message: text,
                    detail: reply.message.clone(),
                },
            }),
            status::INTERRUPTED => Some(Self::unknown(peer, text)),
            other => Some(Self::unknown(
                peer,
                format!("its answer has status {other}"),
            )),
        }
    }
}
