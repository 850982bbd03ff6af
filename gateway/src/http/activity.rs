//! What goes on on a connection: what decides whether it may sleep.

use super::S3Front;
use super::respond::FrontBody;
use bytes::Bytes;
use futures::task::AtomicWaker;
use http::{Request, Response, header};
use hyper::body::Incoming;
use hyper::service::Service;
use s3s::StdError;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

/// Several smaller pieces of an answer may be on their way at once.
const PIECE_BYTES_MIN: usize = 32 * 1024;

/// Notes of a connection's service and of its socket.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests that have begun.
    asked: AtomicUsize,
    /// Those whose answers have not been given out whole.
    in_flight: AtomicUsize,
    /// Those of them that wait for nothing but their client to read.
    answering: AtomicUsize,
    /// Pieces of answers that were given out.
    given: AtomicUsize,
    /// An answer was given before its request was read.
    unread: AtomicBool,
    /// The last thing done was to write; it may not be all.
    unflushed: AtomicBool,
    /// The connection is being closed.
    closing: AtomicBool,
    /// Much was read at once.
    grown: AtomicBool,
}

impl Activity {
    /// Requests that have begun.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Requests whose answers have not been given out whole.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Acquire)
    }

    /// What has been asked and answered so far: while requests are in flight and this stays the same, nothing goes on.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.asked(), self.given.load(Ordering::Relaxed))
    }

    /// Whether every request has its answer, and some client has not read all of his.
    pub(super) fn waits_for_readers(&self) -> bool {
        let in_flight = self.in_flight();
        in_flight > 0 && in_flight == self.answering.load(Ordering::Acquire)
    }

    /// Whether at least one request was made, and every one has been read and answered to its last byte.
    pub(super) fn is_between_requests(&self) -> bool {
        let any = [&self.unread, &self.unflushed, &self.closing];
        self.asked() > 0
            && self.in_flight() == 0
            && !any.iter().any(|flag| flag.load(Ordering::Acquire))
    }

    /// Whether the buffer for reading is larger than a request without a body makes it.
    pub(super) fn has_grown(&self) -> bool {
        self.grown.load(Ordering::Relaxed)
    }

    pub(super) fn set_grown(&self) {
        self.grown.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_unread(&self) -> bool {
        self.unread.load(Ordering::Acquire)
    }

    /// Bytes were written, or all that were to be written are with the kernel.
    pub(super) fn set_flushed(&self, flushed: bool) {
        self.unflushed.store(!flushed, Ordering::Release);
    }

    pub(super) fn set_closing(&self) {
        self.closing.store(true, Ordering::Release);
    }
}

/// A request that is being answered, for as long as it lives.
struct InFlight(Arc<Activity>);

impl InFlight {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.asked.fetch_add(1, Ordering::Relaxed);
        activity.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(activity))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An answer that is being given out, for as long as it lives.
struct Answering(Arc<Activity>);

impl Answering {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.answering.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(activity))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The front, as the service of one connection.
pub(super) struct Watched {
    pub(super) front: S3Front,
    pub(super) activity: Arc<Activity>,
}

impl Service<Request<Incoming>> for Watched {
    type Response = Response<WatchedBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (front, activity) = (self.front.clone(), Arc::clone(&self.activity));
        let in_flight = InFlight::begin(&activity);
        // Boxed, because hyper keeps room for the whole future while the connection is idle.
        Box::pin(async move {
            let response = front.handle(request).await;
            if response.headers().contains_key(header::CONNECTION) {
                activity.unread.store(true, Ordering::Release);
            }
            Ok(response.map(|inner| WatchedBody {
                inner,
                sending: Arc::default(),
                answering: Answering::begin(&activity),
                _in_flight: in_flight,
            }))
        })
    }
}

/// The body of an answer, which is in flight until it is dropped. It gives out a piece when the one before is with
/// the kernel: hyper would take as many as it has room for, and a piece takes memory to its last byte.
pub(super) struct WatchedBody {
    inner: FrontBody,
    sending: Arc<Sending>,
    answering: Answering,
    _in_flight: InFlight,
}

/// Whether a piece is being sent, and who waits for it.
#[derive(Default)]
struct Sending {
    is_held: AtomicBool,
    waker: AtomicWaker,
}

/// A piece that is being sent, for as long as it lives.
struct Piece {
    bytes: Bytes,
    sending: Arc<Sending>,
}

impl Sending {
    fn begin(self: &Arc<Self>, bytes: Bytes) -> Bytes {
        if bytes.len() < PIECE_BYTES_MIN {
            return bytes;
        }
        self.is_held.store(true, Ordering::Release);
        Bytes::from_owner(Piece {
            bytes,
            sending: Arc::clone(self),
        })
    }

    fn poll_sent(&self, cx: &Context<'_>) -> Poll<()> {
        if self.is_held.load(Ordering::Acquire) {
            self.waker.register(cx.waker());
            if self.is_held.load(Ordering::Acquire) {
                return Poll::Pending;
            }
        }
        Poll::Ready(())
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // Whoever is woken finds the memory free.
        self.bytes = Bytes::new();
        self.sending.is_held.store(false, Ordering::Release);
        self.sending.waker.wake();
    }
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, StdError>>> {
        ready!(self.sending.poll_sent(cx));
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        self.answering.0.given.fetch_add(1, Ordering::Relaxed);
        let sending = &self.sending;
        Poll::Ready(
            frame.map(|frame| frame.map(|frame| frame.map_data(|bytes| sending.begin(bytes)))),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.inner.size_hint()
    }
}
