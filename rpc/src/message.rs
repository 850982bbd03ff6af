//! What stands in front of every request and answer: a length of four bytes (big-endian), and a record of tagged
//! fields. Fields that a newer peer adds are passed over, so that versions can be mixed while a
//! cluster is upgraded.
//!
//! ```text
//! HTTP/2 stream:  | length u32 | CallHeader or ReplyHeader | body ...
//! ```

use bytes::{Bytes, BytesMut};
use types::ids::{InstallationId, NodeId, RegionId};
use types::limits::RPC_HEADER_BYTES_MAX;
use types::record;
use types::wire::{DecodeError, put_number};

/// The oldest version of the protocol that this binary speaks.
pub const VERSION_MIN: u32 = 1;
/// The newest version of the protocol that this binary speaks.
pub const VERSION_MAX: u32 = 1;

/// Bytes of the length in front of a header.
pub const PREFIX_BYTES: usize = 4;

record! {
    /// In front of a request.
    pub struct CallHeader {
        /// The version of the protocol that was agreed on.
        1 => version: u32,
        /// The installation that the caller is a part of.
        2 => installation: InstallationId,
        /// The caller's region.
        3 => region: RegionId,
        /// The epoch of the cluster map that the caller goes by.
        4 => epoch: u64,
        /// Milliseconds until nobody waits for the answer any more.
        5 => remaining_ms: u64,
        /// What is called.
        6 => method: String,
        /// The method's own record.
        7 => message: Bytes,
        /// Length of the body; absent for a stream of unknown length.
        8 => body_bytes: Option<u64>,
    }
}

record! {
    /// In front of an answer.
    pub struct ReplyHeader {
        /// 0: done. 1: refused before anything was executed. 2: the method failed. 3: ended midway.
        1 => status: u32,
        /// Which refusal, or the method's own code.
        2 => code: u32,
        /// For people.
        3 => text: String,
        /// The epoch of the cluster map that the answering node goes by.
        4 => epoch: u64,
        /// The method's own record.
        5 => message: Bytes,
        /// Length of the body; absent for a stream of unknown length.
        6 => body_bytes: Option<u64>,
    }
}

record! {
    /// The first request of a connection.
    pub struct Hello {
        /// The installation that the caller is a part of.
        1 => installation: InstallationId,
        /// The caller's region.
        2 => region: RegionId,
        /// Who calls. It must be what the certificate says.
        3 => node: NodeId,
        /// Whom the caller means to reach.
        4 => wanted: NodeId,
        /// Drawn at random when the caller's process started.
        5 => boot: [u8; 16],
        /// The caller's product version.
        6 => product: String,
        /// The oldest version of the protocol that the caller speaks.
        7 => version_min: u32,
        /// The newest one.
        8 => version_max: u32,
    }
}

record! {
    /// The answer to it.
    pub struct Welcome {
        /// Who answers.
        1 => node: NodeId,
        /// Drawn at random when the answering process started.
        2 => boot: [u8; 16],
        /// Its product version.
        3 => product: String,
        /// The version of the protocol for this connection.
        4 => version: u32,
    }
}

/// How a call ended, in [`ReplyHeader::status`].
pub mod status {
    /// The method's answer follows.
    pub const DONE: u32 = 0;
    /// Nothing was executed.
    pub const REFUSED: u32 = 1;
    /// The method answers with an error.
    pub const FAILED: u32 = 2;
    /// The method was ended before it had an answer: it may have had an effect.
    pub const INTERRUPTED: u32 = 3;
}

/// Why a header could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The stream ended before the header did.
    #[error("the stream ended inside the header")]
    Truncated,
    /// The header is longer than any of ours.
    #[error("the header would have {0} bytes, more than {RPC_HEADER_BYTES_MAX}")]
    TooLong(usize),
    /// The header is no record.
    #[error("the header cannot be read: {0}")]
    Decode(#[from] DecodeError),
}

/// A header with its length in front, and the body behind it if that is short: one piece to send.
pub fn frame(header: &[u8], short_body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(PREFIX_BYTES + header.len() + short_body.len());
    let length = u32::try_from(header.len()).expect("a header is bounded by RPC_HEADER_BYTES_MAX");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(header);
    out.extend_from_slice(short_body);
    out.freeze()
}

/// Collects a header from the pieces of a stream.
#[derive(Debug, Default)]
pub struct Collector {
    pieces: BytesMut,
}

/// A header, and what came behind it in the same piece.
#[derive(Debug, PartialEq, Eq)]
pub struct Collected {
    /// The bytes of the record.
    pub header: Bytes,
    /// The beginning of the body.
    pub rest: Bytes,
}

impl Collector {
    /// Takes the next piece; gives the header once it is whole. A header in one piece is not copied.
    ///
    /// # Errors
    /// When the header would be too long.
    pub fn push(&mut self, mut piece: Bytes) -> Result<Option<Collected>, HeaderError> {
        if !self.pieces.is_empty() {
            self.pieces.extend_from_slice(&piece);
            piece = self.pieces.split().freeze();
        }
        let Some(prefix) = piece.first_chunk::<PREFIX_BYTES>() else {
            self.pieces.extend_from_slice(&piece);
            return Ok(None);
        };
        let length = u32::from_be_bytes(*prefix) as usize;
        if length > RPC_HEADER_BYTES_MAX {
            return Err(HeaderError::TooLong(length));
        }
        if piece.len() < PREFIX_BYTES + length {
            self.pieces.extend_from_slice(&piece);
            return Ok(None);
        }
        let mut header = piece.split_to(PREFIX_BYTES + length);
        Ok(Some(Collected {
            header: header.split_off(PREFIX_BYTES),
            rest: piece,
        }))
    }
}

/// The version that two ranges agree on: the newest that both have.
pub fn agree(theirs_min: u32, theirs_max: u32) -> Option<u32> {
    let version = VERSION_MAX.min(theirs_max);
    (version >= VERSION_MIN.max(theirs_min)).then_some(version)
}

/// An upper bound of a header's length for a message of this length.
pub fn header_bytes(method: &str, message: usize) -> usize {
    // Tags, lengths and numbers of the other fields are less than this.
    const FIXED: usize = 128;
    let mut number = Vec::new();
    put_number(&mut number, message as u64);
    FIXED + method.len() + number.len() + message
}

#[cfg(test)]
mod tests;
