//! The ways in which a request body can be wrong, as facts.

use std::time::Duration;

/// Why a request body cannot be used. Nothing of it may be made visible.
///
/// [`PayloadError::code`] and [`PayloadError::status`] say how S3 names each on the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The body ended before the declared number of bytes had come.
    #[error("the body ended after {received} of {declared} bytes")]
    Truncated {
        /// What Content-Length or x-amz-decoded-content-length promised, in bytes.
        declared: u64,
        /// What came, in bytes.
        received: u64,
    },
    /// More bytes came, or were announced, than declared.
    #[error("the body is longer than the declared {declared} bytes")]
    TooLong {
        /// What Content-Length or x-amz-decoded-content-length promised, in bytes.
        declared: u64,
    },
    /// The aws-chunked framing is broken.
    #[error("chunk {chunk} is not framed as aws-chunked: {what}")]
    MalformedChunk {
        /// Which chunk, counted from 1.
        chunk: u64,
        /// What was wrong.
        what: &'static str,
    },
    /// A chunk other than the last is smaller than S3 allows.
    #[error("only the last chunk is allowed to have a size less than {min} bytes")]
    ChunkTooSmall {
        /// The chunk whose beginning showed it, counted from 1.
        chunk: u64,
        /// The size of the chunk before it, in bytes.
        bad_len: u64,
        /// The least size allowed, in bytes.
        min: u64,
    },
    /// The signature of a chunk is wrong.
    #[error("the signature of chunk {chunk} does not match")]
    ChunkSignature {
        /// Which chunk, counted from 1.
        chunk: u64,
    },
    /// The trailers cannot be parsed, or are not those that x-amz-trailer announced.
    #[error("malformed trailers: {what}")]
    MalformedTrailers {
        /// What was wrong.
        what: &'static str,
    },
    /// The signature over the trailers is wrong.
    #[error("the signature of the trailers does not match")]
    TrailerSignature,
    /// The body does not have the SHA-256 that x-amz-content-sha256 promised.
    #[error("x-amz-content-sha256 is {declared}, the body has {computed}")]
    Sha256Mismatch {
        /// The promised digest in hexadecimal.
        declared: String,
        /// The digest of what came, in hexadecimal.
        computed: String,
    },
    /// More text came, or was announced, than a request may bring.
    #[error("Your request was too big.")]
    TextTooLong {
        /// The most bytes allowed.
        bytes_max: u64,
    },
    /// A body that must be XML is not even text in UTF-8.
    #[error(
        "The XML you provided was not well-formed or did not validate against our published schema"
    )]
    NotText,
    /// The client sent nothing for too long.
    #[error("no byte of the body came for {} seconds", idle.as_secs())]
    IdleTimeout {
        /// The longest silence allowed.
        idle: Duration,
    },
    /// The connection broke.
    #[error("the connection broke within the body: {reason}")]
    Disconnected {
        /// What the HTTP layer said.
        reason: String,
    },
    /// Chunks are signed, and the request has no verified identity to check them against.
    #[error("the chunks are signed but the request is not")]
    Unauthenticated,
    /// An operation asked for a body that was never there, or asked twice.
    #[error("the body is not there or has been taken before")]
    AlreadyTaken,
    /// The stream was read on after an error.
    #[error("the body failed before")]
    AlreadyFailed,
}

impl PayloadError {
    /// The S3 error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Truncated { .. }
            | Self::TooLong { .. }
            | Self::MalformedChunk { .. }
            | Self::Disconnected { .. } => "IncompleteBody",
            Self::ChunkTooSmall { .. } => "InvalidChunkSizeError",
            Self::ChunkSignature { .. } | Self::TrailerSignature => "SignatureDoesNotMatch",
            Self::MalformedTrailers { .. } => "MalformedTrailerError",
            Self::Sha256Mismatch { .. } => "XAmzContentSHA256Mismatch",
            Self::TextTooLong { .. } => "MaxMessageLengthExceeded",
            Self::NotText => "MalformedXML",
            Self::IdleTimeout { .. } => "RequestTimeout",
            Self::Unauthenticated => "AccessDenied",
            Self::AlreadyTaken | Self::AlreadyFailed => "InternalError",
        }
    }

    /// The HTTP status that goes with [`PayloadError::code`].
    #[must_use]
    pub fn status(&self) -> http::StatusCode {
        match self {
            Self::Truncated { .. }
            | Self::TooLong { .. }
            | Self::MalformedChunk { .. }
            | Self::ChunkTooSmall { .. }
            | Self::MalformedTrailers { .. }
            | Self::Sha256Mismatch { .. }
            | Self::TextTooLong { .. }
            | Self::NotText
            | Self::IdleTimeout { .. }
            | Self::Disconnected { .. } => http::StatusCode::BAD_REQUEST,
            Self::ChunkSignature { .. } | Self::TrailerSignature | Self::Unauthenticated => {
                http::StatusCode::FORBIDDEN
            }
            Self::AlreadyTaken | Self::AlreadyFailed => http::StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}
