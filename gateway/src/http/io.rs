//! A client's connection, guarded against clients that stop reading and against answers that are
//! lost because the client is still sending.

use super::activity::Activity;
use crate::admission::MemoryBudget;
use bytes::{Buf, Bytes};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long, and over how many bytes, a closing connection still listens.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 32 * 1024 * 1024;
/// Room for more than this is made only for bodies.
const SMALL_READ_BYTES: usize = 16 * 1024;

/// How long a write may make no progress while downloads wait to be let in.
const CROWDED_STALL: Duration = Duration::from_secs(5);

/// How long writes may make no progress.
#[derive(Debug, Clone)]
pub(super) struct Stall {
    /// In any case.
    pub(super) longest: Duration,
    /// It says whether others wait for the memory that the connection keeps.
    pub(super) budget: Option<MemoryBudget>,
}

/// A TCP connection. A write that makes no progress for too long fails. After an answer to a request that was
/// not read, closing first sends the end of the stream and then reads and drops what the client still sends:
/// to close over unread bytes would reset the connection, and the client might never see the answer.
pub(super) struct ConnectionIo {
    stream: TcpStream,
    /// Has been read already.
    ahead: Bytes,
    stall: Stall,
    /// Runs only while a write waits: until the next look at it, which has waited so long then.
    stalled: Option<(Pin<Box<Sleep>>, Duration)>,
    activity: Arc<Activity>,
    closing: Closing,
}

enum Closing {
    No,
    Lingering {
        deadline: Pin<Box<Sleep>>,
        left: usize,
    },
}

impl ConnectionIo {
    /// `ahead` was read from `stream` before.
    pub(super) fn new(
        stream: TcpStream,
        ahead: Bytes,
        stall: Stall,
        activity: Arc<Activity>,
    ) -> Self {
        Self {
            stream,
            ahead,
            stall,
            stalled: None,
            activity,
            closing: Closing::No,
        }
    }

    /// The connection, and what was read of it and not given out.
    pub(super) fn into_parts(self) -> (TcpStream, Bytes) {
        (self.stream, self.ahead)
    }

    /// Passes the outcome of a write on, unless writes have waited too long.
    fn guard<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stall = &self.stall;
        let pause = stall.longest.min(CROWDED_STALL);
        loop {
            let (timer, waited) = self
                .stalled
                .get_or_insert_with(|| (Box::pin(sleep(pause)), pause));
            ready!(timer.as_mut().poll(cx));
            let is_crowded = stall
                .budget
                .as_ref()
                .is_some_and(MemoryBudget::downloads_wait);
            if *waited >= stall.longest || is_crowded {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client stopped reading",
                )));
            }
            *waited += pause;
            timer.set(sleep(pause));
        }
    }

    /// Reads and drops until the client closes, or it has been enough.
    fn linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Closing::Lingering { deadline, left } = &mut self.closing else {
            return Poll::Ready(());
        };
        let mut scratch = [0; 16 * 1024];
        while *left > 0 {
            if deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer));
            let dropped = buffer.filled().len();
            if read.is_err() || dropped == 0 {
                return Poll::Ready(());
            }
            *left = left.saturating_sub(dropped);
        }
        Poll::Ready(())
    }
}

impl AsyncRead for ConnectionIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() > SMALL_READ_BYTES {
            self.activity.set_grown();
        }
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..length]);
            self.ahead.advance(length);
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for ConnectionIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.activity.set_flushed(false);
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.guard(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.activity.set_flushed(false);
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.guard(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes only when it has written all that there is.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.activity.set_flushed(true);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.activity.set_closing();
        if matches!(self.closing, Closing::No) {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            if !self.activity.is_unread() {
                return Poll::Ready(Ok(()));
            }
            let deadline = Box::pin(sleep(LINGER));
            self.closing = Closing::Lingering {
                deadline,
                left: LINGER_BYTES,
            };
        }
        self.linger(cx).map(Ok)
    }
}
