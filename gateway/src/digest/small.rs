//! Small bodies, which s3s reads itself (XML): hashed as they pass, and judged before the operation
//! begins.

use super::hasher::Sums;
use super::{Declared, DigestError, HashFailed};
use crate::body::Trailers;
use bytes::Bytes;
use http::Extensions;
use http::request::Parts;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Why a small body must not be acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyFault {
    /// It is not what its headers declare.
    Digest(DigestError),
    /// It could not be hashed.
    Hash(HashFailed),
}

/// What is known of a body, shared between the body and the request that it belongs to.
#[derive(Debug, Clone, Default)]
struct Verdict(Arc<Mutex<Option<BodyFault>>>);

/// A body that is hashed as it is read.
pub struct CheckedBody<B> {
    inner: B,
    /// `None` when nothing was declared, or all has been judged.
    open: Option<(Declared, Sums)>,
    verdict: Verdict,
}

/// Puts what `parts` declare of a small body between the body and s3s. Operations learn of a fault
/// by [`small_body_fault`].
pub fn check_small_body<B>(parts: &mut Parts, body: B) -> CheckedBody<B> {
    let completes = parts
        .uri
        .query()
        .is_some_and(|query| query.contains("uploadId="));
    let declared = if completes {
        Declared::md5_of_headers(&parts.headers)
    } else {
        Declared::from_headers(&parts.headers)
    };
    let verdict = Verdict::default();
    let open = match declared {
        Ok(declared) if declared.is_empty() => None,
        Ok(declared) => match Sums::new(declared.algorithm()) {
            Ok(sums) => Some((declared, sums)),
            Err(failed) => verdict.fault(BodyFault::Hash(failed)),
        },
        Err(error) => verdict.fault(BodyFault::Digest(error)),
    };
    parts.extensions.insert(verdict.clone());
    CheckedBody {
        inner: body,
        open,
        verdict,
    }
}

/// What is wrong with the small body of a request, once s3s has read it.
#[must_use]
pub fn small_body_fault(extensions: &Extensions) -> Option<BodyFault> {
    extensions
        .get::<Verdict>()
        .and_then(|verdict| verdict.0.lock().clone())
}

impl Verdict {
    /// Sets the fault; nothing more is to be hashed then.
    fn fault<T>(&self, fault: BodyFault) -> Option<T> {
        *self.0.lock() = Some(fault);
        None
    }
}

impl<B> CheckedBody<B> {
    fn hash(&mut self, bytes: &[u8]) {
        if let Some((_, sums)) = &mut self.open
            && let Err(failed) = sums.update(bytes)
        {
            self.open = self.verdict.fault(BodyFault::Hash(failed));
        }
    }

    fn judge(&mut self) {
        let Some((declared, sums)) = self.open.take() else {
            return;
        };
        let judged = match sums.finish() {
            Ok(digests) => declared
                .verify(&digests, &Trailers::default())
                .map_err(BodyFault::Digest),
            Err(failed) => Err(BodyFault::Hash(failed)),
        };
        if let Err(fault) = judged {
            self.verdict.fault::<()>(fault);
        }
    }
}

impl<B> Body for CheckedBody<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(bytes) = frame.data_ref() {
                    self.hash(bytes);
                }
            }
            Some(Err(_)) => self.open = None,
            None => self.judge(),
        }
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
