//! The body as the HTTP layer delivers it, with a limit on silence.

use super::PayloadError;
use bytes::Bytes;
use http_body::Body;
use s3s::StdError;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

type BoxedBody = Pin<Box<dyn Body<Data = Bytes, Error = StdError> + Send>>;

/// The bytes of a request body as they arrive. A connection that breaks, or that brings nothing
/// for `idle`, is an error: never an early end.
pub struct WireBody {
    inner: BoxedBody,
    idle: Duration,
    /// Runs only while bytes are awaited.
    deadline: Option<Pin<Box<Sleep>>>,
    state: Arc<WireState>,
}

/// How far a body got, for the front to see after the body has been given away.
#[derive(Debug, Default)]
pub struct WireState {
    whole: AtomicBool,
    failure: OnceLock<PayloadError>,
}

impl WireState {
    /// Whether the last byte has been read; true from the start for an empty body. While it is
    /// false, the connection cannot carry another request.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole.load(Ordering::Acquire)
    }

    /// What was wrong with the body, if anything was.
    #[must_use]
    pub fn failure(&self) -> Option<&PayloadError> {
        self.failure.get()
    }

    fn set_whole(&self) {
        self.whole.store(true, Ordering::Release);
    }
}

impl WireBody {
    /// Wraps a body of the HTTP layer. `idle` is the longest wait for its next bytes.
    #[must_use]
    pub fn new<B>(body: B, idle: Duration) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<StdError>,
    {
        let state = Arc::new(WireState::default());
        if body.is_end_stream() {
            state.set_whole();
        }
        let inner = Box::pin(http_body_util::BodyExt::map_err(body, Into::into));
        Self {
            inner,
            idle,
            deadline: None,
            state,
        }
    }

    /// How far the body got, now and later.
    #[must_use]
    pub fn state(&self) -> Arc<WireState> {
        Arc::clone(&self.state)
    }

    /// Remembers the first fault of the payload.
    pub(super) fn remember(&self, failure: &PayloadError) {
        let _ = self.state.failure.set(failure.clone());
    }

    /// The next bytes, never empty; `None` at the end.
    pub(super) fn poll_bytes(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, PayloadError>>> {
        loop {
            let Poll::Ready(frame) = self.inner.as_mut().poll_frame(cx) else {
                ready!(self.poll_deadline(cx));
                return Poll::Ready(Some(Err(PayloadError::IdleTimeout { idle: self.idle })));
            };
            self.deadline = None;
            if self.inner.is_end_stream() {
                self.state.set_whole();
            }
            match frame {
                None => {
                    self.state.set_whole();
                    return Poll::Ready(None);
                }
                Some(Err(error)) => {
                    let reason = error.to_string();
                    return Poll::Ready(Some(Err(PayloadError::Disconnected { reason })));
                }
                // HTTP trailers carry nothing that S3 uses.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => return Poll::Ready(Some(Ok(data))),
                    _ => {}
                },
            }
        }
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let idle = self.idle;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(idle)));
        deadline.as_mut().poll(cx)
    }
}

impl std::fmt::Debug for WireBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WireBody")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
