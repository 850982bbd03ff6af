//! Answers that the front gives itself, without s3s.

use crate::body::PayloadError;
use http::StatusCode;
use std::borrow::Cow;

/// An error answer: what its XML body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// S3's error code.
    pub code: &'static str,
    /// What is wrong, for a person.
    pub message: Cow<'static, str>,
    /// Further elements that S3 puts beside these, in order.
    pub details: Vec<(&'static str, String)>,
}

impl Refusal {
    /// A refusal without details.
    #[must_use]
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// 400.
    #[must_use]
    pub fn bad(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 403.
    #[must_use]
    pub fn forbidden(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    /// 501 NotImplemented.
    #[must_use]
    pub fn not_implemented(what: &str) -> Self {
        let message = format!("This service does not implement {what}.");
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    /// 500 InternalError. The reason belongs in the log.
    #[must_use]
    pub fn internal() -> Self {
        let message = "We encountered an internal error. Please try again.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// The same with another element.
    #[must_use]
    pub fn with(mut self, element: &'static str, text: impl Into<String>) -> Self {
        self.details.push((element, text.into()));
        self
    }
}

impl From<&PayloadError> for Refusal {
    fn from(error: &PayloadError) -> Self {
        let refusal = Self::new(error.status(), error.code(), error.to_string());
        match error {
            PayloadError::ChunkTooSmall { chunk, bad_len, .. } => refusal
                .with("Chunk", chunk.to_string())
                .with("BadChunkSize", bad_len.to_string()),
            PayloadError::Sha256Mismatch { declared, computed } => refusal
                .with("ClientComputedContentSHA256", declared)
                .with("S3ComputedContentSHA256", computed),
            _ => refusal,
        }
    }
}
