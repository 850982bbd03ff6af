//! The one place where errors become S3 codes and HTTP statuses. No `match` here has a wildcard
//! arm: a new way to fail must be given its answer.

#![deny(clippy::wildcard_enum_match_arm)]

mod table;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use s3s::{S3Error, S3ErrorCode};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tracing::Span;

/// Seconds after which a client should come back when nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// An error answer: what the client is told, and what only the log is told.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: Cow<'static, str>,
    message: Cow<'static, str>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Elements that S3 puts beside Code and Message, in order.
    details: Vec<(&'static str, String)>,
    /// What happened inside, for the log.
    reason: Option<Box<str>>,
}

/// The details of an operation's error on their way to the front, past s3s, whose errors have no place
/// for them. The front leaves one with each request; all clones share one list.
#[derive(Debug, Clone, Default)]
pub(crate) struct ErrorDetails(Arc<Mutex<Vec<(&'static str, String)>>>);

impl ErrorDetails {
    /// Leaves the details of `error` for the front.
    pub(crate) fn leave(&self, error: &ApiError) {
        self.0.lock().clone_from(&error.details);
    }

    /// What an operation has left.
    pub(crate) fn take(&self) -> Vec<(&'static str, String)> {
        std::mem::take(&mut *self.0.lock())
    }
}

impl ApiError {
    /// An answer with S3's code for it.
    #[must_use]
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: Cow::Borrowed(code),
            message: message.into(),
            headers: Vec::new(),
            details: Vec::new(),
            reason: None,
        }
    }

    /// 400.
    #[must_use]
    pub fn bad(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 501: clients do not try again.
    #[must_use]
    pub fn not_implemented(what: std::fmt::Arguments<'_>) -> Self {
        let message = format!("This service does not implement {what}.");
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", message)
    }

    /// 500; the reason goes to the log.
    #[must_use]
    pub fn internal(reason: impl std::fmt::Display) -> Self {
        let message = "We encountered an internal error. Please try again.";
        let error = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message);
        error.because(reason)
    }

    /// 503: clients slow down and try again.
    #[must_use]
    pub fn slow_down(after: Duration) -> Self {
        let message = "Please reduce your request rate.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", message).retry_after(after)
    }

    /// 503: it cannot be done now; the reason goes to the log.
    #[must_use]
    pub fn unavailable(reason: impl std::fmt::Display) -> Self {
        let message = "Service is unable to handle request. Please try again.";
        let error = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            message,
        );
        error.retry_after(RETRY_AFTER).because(reason)
    }

    /// 507: reads and deletes go on; the reason goes to the log.
    #[must_use]
    pub fn full(reason: impl std::fmt::Display) -> Self {
        let message = "There is no room for more data. Delete objects, or ask for more disks.";
        let error = Self::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "InsufficientStorage",
            message,
        );
        error.because(reason)
    }

    /// The same with a header, unless the value cannot stand in one.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// The same with another element in its XML.
    #[must_use]
    pub fn with_detail(mut self, element: &'static str, text: impl ToString) -> Self {
        self.details.push((element, text.to_string()));
        self
    }

    /// What it says in this element.
    #[must_use]
    pub fn detail(&self, element: &str) -> Option<&str> {
        let found = self.details.iter().find(|(name, _)| *name == element);
        found.map(|(_, text)| text.as_str())
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// S3's code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// What the client is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    fn because(mut self, reason: impl std::fmt::Display) -> Self {
        self.reason = Some(reason.to_string().into());
        self
    }

    fn retry_after(self, after: Duration) -> Self {
        let seconds = after.as_millis().div_ceil(1000).max(1);
        self.with_header("retry-after", &seconds.to_string())
    }

    /// Logs what the client is not told, in the span of the operation, and makes the answer that
    /// s3s writes.
    pub(crate) fn log(self, span: &Span) -> S3Error {
        if self.status.is_server_error() {
            let reason = self.reason.as_deref().unwrap_or(&self.message);
            span.in_scope(|| {
                if self.status == StatusCode::INTERNAL_SERVER_ERROR {
                    tracing::error!(code = %self.code, reason, "the operation failed");
                } else {
                    tracing::warn!(code = %self.code, reason, "the operation was refused");
                }
            });
        }
        self.into()
    }
}

impl From<ApiError> for S3Error {
    fn from(error: ApiError) -> Self {
        let mut answer = Self::with_message(code(&error.code), error.message);
        answer.set_status_code(error.status);
        if !error.headers.is_empty() {
            let mut headers: HeaderMap = error.headers.into_iter().collect();
            // s3s puts these in the place of its own.
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/xml"),
            );
            answer.set_headers(headers);
        }
        answer
    }
}

/// What s3s itself refuses, and what [`crate::auth`] does.
impl From<S3Error> for ApiError {
    fn from(error: S3Error) -> Self {
        let status = error
            .status_code()
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = error.headers().into_iter().flatten();
        Self {
            status,
            code: Cow::Owned(error.code().as_str().to_owned()),
            message: Cow::Owned(error.message().unwrap_or_default().to_owned()),
            headers: headers
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            details: Vec::new(),
            reason: None,
        }
    }
}

fn code(name: &str) -> S3ErrorCode {
    match name.parse() {
        Ok(code) => code,
    }
}

/// 404 NoSuchBucket.
#[must_use]
pub fn no_such_bucket() -> ApiError {
    let message = "The specified bucket does not exist";
    ApiError::new(StatusCode::NOT_FOUND, "NoSuchBucket", message)
}

/// 404 NoSuchKey.
#[must_use]
pub fn no_such_key() -> ApiError {
    let message = "The specified key does not exist.";
    ApiError::new(StatusCode::NOT_FOUND, "NoSuchKey", message)
}

/// 404 NoSuchVersion.
#[must_use]
pub fn no_such_version() -> ApiError {
    let message = "The specified version does not exist.";
    ApiError::new(StatusCode::NOT_FOUND, "NoSuchVersion", message)
}

/// 404 NoSuchUpload.
#[must_use]
pub fn no_such_upload() -> ApiError {
    let message = "The specified upload does not exist. The upload ID may be invalid, or the \
                   upload may have been aborted or completed.";
    ApiError::new(StatusCode::NOT_FOUND, "NoSuchUpload", message)
}

/// 412 PreconditionFailed.
#[must_use]
pub fn precondition_failed() -> ApiError {
    let message = "At least one of the pre-conditions you specified did not hold";
    ApiError::new(
        StatusCode::PRECONDITION_FAILED,
        "PreconditionFailed",
        message,
    )
}

/// 400 MalformedXML.
#[must_use]
pub fn malformed_xml() -> ApiError {
    let message = "The XML you provided was not well-formed or did not validate against our \
                   published schema";
    ApiError::bad("MalformedXML", message)
}

#[cfg(test)]
mod tests;
