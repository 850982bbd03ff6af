//! Request bodies, from the connection to the operation.
//!
//! The front takes the body out of every object upload before s3s sees the request, because s3s
//! collects each declared aws-chunk whole, and leaves a [`TakenBody`] in the request's extensions.
//! The operation turns it into a [`PayloadStream`] with [`open_payload`] and reads until
//! `Ok(None)`. Only then has all been checked: the declared length, x-amz-content-sha256, the
//! signature of every chunk, the trailers. **Whatever was read before must stay invisible until
//! then.** Memory per body: what the HTTP layer hands over at once, and at most
//! [`aws_chunked::MAX_TRAILERS_LEN`] bytes of framing.

pub mod aws_chunked;
mod error;
mod stream;
mod text;
mod wire;

pub use aws_chunked::Trailers;
pub use error::PayloadError;
pub use stream::{ChunkedSpec, PayloadSpec, PayloadStream};
pub use wire::{WireBody, WireState};

use parking_lot::Mutex;
use std::sync::Arc;

/// The body of an upload on its way past s3s, in the extensions of the request. All clones share
/// one body, which can be taken once.
#[derive(Clone)]
pub struct TakenBody(Arc<Mutex<Option<(PayloadSpec, WireBody)>>>);

impl TakenBody {
    /// Wraps a body and what its headers say of it.
    #[must_use]
    pub fn new(spec: PayloadSpec, wire: WireBody) -> Self {
        Self(Arc::new(Mutex::new(Some((spec, wire)))))
    }

    /// Takes the body; `None` if it has been taken before.
    #[must_use]
    pub fn take(&self) -> Option<(PayloadSpec, WireBody)> {
        self.0.lock().take()
    }
}

/// Opens the body of an upload. `request` must come from s3s behind the front: its credentials are
/// those that signed it, and chunk signatures are checked against them.
///
/// # Errors
/// [`PayloadError::AlreadyTaken`] when the body has been opened before or the request is no upload,
/// [`PayloadError::Unauthenticated`] when chunks are signed and the request is not.
pub fn open_payload<T>(request: &s3s::S3Request<T>) -> Result<PayloadStream, PayloadError> {
    let taken = request
        .extensions
        .get::<TakenBody>()
        .and_then(TakenBody::take);
    let (spec, wire) = taken.ok_or(PayloadError::AlreadyTaken)?;
    let secret_key = request
        .credentials
        .as_ref()
        .map(|own| own.secret_key.expose());
    PayloadStream::open(spec, wire, secret_key)
}

/// What a Content-Encoding header says of the object itself: the value without `aws-chunked`,
/// which speaks of the upload. `None` when nothing else remains.
#[must_use]
pub fn stored_content_encoding(header: &str) -> Option<String> {
    let kept: Vec<&str> = header
        .split(',')
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("aws-chunked"))
        .collect();
    (!kept.is_empty()).then(|| kept.join(","))
}

#[cfg(test)]
mod tests;
