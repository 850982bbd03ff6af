//! The bytes behind a message: none, one piece, or a stream that is read only as fast as it is used.

use crate::counters;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use h2::RecvStream;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::AbortHandle;

/// Why a body did not come whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The other side or the connection went away.
    #[error("the body was cut off: {0}")]
    Cut(String),
    /// It is longer than was asked for.
    #[error("the body is longer than {max} bytes")]
    TooLong {
        /// What was asked for.
        max: u64,
    },
    /// It has not the length that was announced.
    #[error("the body has {got} bytes and {announced} were announced")]
    Length {
        /// What came.
        got: u64,
        /// What was announced.
        announced: u64,
    },
    /// Nothing moved for too long.
    #[error("the body stood still for {0:?}")]
    Idle(Duration),
    /// Who makes the body could not go on.
    #[error("{0}")]
    Source(String),
}

/// A body, to send or received.
#[derive(Debug, Default)]
pub struct Body(pub(crate) Inner);

#[derive(Default)]
pub(crate) enum Inner {
    #[default]
    Empty,
    Whole(Bytes),
    Stream(BoxStream<'static, Result<Bytes, BodyError>>),
    Incoming(Box<Incoming>),
}

impl Body {
    /// No body.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// A stream of pieces. The receiver takes them as fast as it can use them; after an error it sees a
    /// body that was cut off.
    pub fn stream<S>(pieces: S) -> Self
    where
        S: futures::Stream<Item = Result<Bytes, BodyError>> + Send + 'static,
    {
        Self(Inner::Stream(pieces.boxed()))
    }

    /// Its length, if that is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            Inner::Empty => Some(0),
            Inner::Whole(bytes) => Some(bytes.len() as u64),
            Inner::Stream(_) => None,
            Inner::Incoming(incoming) => incoming.announced,
        }
    }

    /// The next piece, never an empty one; `None` at the end. Nothing follows an error.
    pub async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        let piece = match &mut self.0 {
            Inner::Empty => return None,
            Inner::Whole(bytes) if bytes.is_empty() => None,
            Inner::Whole(bytes) => return Some(Ok(std::mem::take(bytes))),
            Inner::Stream(pieces) => loop {
                match pieces.next().await {
                    Some(Ok(piece)) if piece.is_empty() => {}
                    other => break other,
                }
            },
            Inner::Incoming(incoming) => incoming.next().await,
        };
        if !matches!(piece, Some(Ok(_))) {
            self.0 = Inner::Empty;
        }
        piece
    }

    /// All of it in one piece. A body that came in one piece is not copied.
    ///
    /// # Errors
    /// When it does not come whole, or is longer than `max_bytes`.
    pub async fn collect(mut self, max_bytes: usize) -> Result<Bytes, BodyError> {
        let max = max_bytes as u64;
        if self.length().is_some_and(|length| length > max) {
            return Err(BodyError::TooLong { max });
        }
        let Some(first) = self.next().await.transpose()? else {
            return Ok(Bytes::new());
        };
        let Some(second) = self.next().await.transpose()? else {
            return within(first, max);
        };
        let expected = self.length().unwrap_or(0).min(max) as usize;
        let mut all = BytesMut::with_capacity(expected.max(first.len() + second.len()));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(piece) = self.next().await.transpose()? {
            if all.len() + piece.len() > max_bytes {
                return Err(BodyError::TooLong { max });
            }
            all.extend_from_slice(&piece);
        }
        within(all.freeze(), max)
    }
}

fn within(bytes: Bytes, max: u64) -> Result<Bytes, BodyError> {
    if bytes.len() as u64 > max {
        return Err(BodyError::TooLong { max });
    }
    Ok(bytes)
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        Self(Inner::Whole(bytes))
    }
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("Stream"),
            Self::Incoming(incoming) => write!(f, "Incoming({:?} bytes)", incoming.announced),
        }
    }
}

/// A body on its way here.
pub(crate) struct Incoming {
    /// What came with the header.
    first: Bytes,
    stream: RecvStream,
    announced: Option<u64>,
    got: u64,
    idle: Duration,
    is_ended: bool,
    /// What sends the other direction of the call; it ends with this.
    _sender: Option<EndWith>,
    /// The call's place on its connection.
    _place: Option<OwnedSemaphorePermit>,
}

/// A task that ends when this is dropped.
pub(crate) struct EndWith(pub AbortHandle);

impl Drop for EndWith {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Incoming {
    pub fn new(first: Bytes, stream: RecvStream, announced: Option<u64>, idle: Duration) -> Self {
        Self {
            first,
            stream,
            announced,
            got: 0,
            idle,
            is_ended: false,
            _sender: None,
            _place: None,
        }
    }

    pub fn holding(mut self, sender: Option<EndWith>, place: OwnedSemaphorePermit) -> Self {
        self._sender = sender;
        self._place = Some(place);
        self
    }

    pub fn into_body(self) -> Body {
        if self.announced == Some(0) && self.first.is_empty() {
            return Body::empty();
        }
        Body(Inner::Incoming(Box::new(self)))
    }

    async fn next(&mut self) -> Option<Result<Bytes, BodyError>> {
        if !self.first.is_empty() {
            let first = std::mem::take(&mut self.first);
            return Some(self.count(first));
        }
        if self.is_ended || self.announced == Some(self.got) {
            return None;
        }
        loop {
            let piece = match tokio::time::timeout(self.idle, self.stream.data()).await {
                Err(_) => return Some(Err(BodyError::Idle(self.idle))),
                Ok(None) => break,
                Ok(Some(Err(error))) => return Some(Err(BodyError::Cut(error.to_string()))),
                Ok(Some(Ok(piece))) => piece,
            };
            release(&mut self.stream, piece.len());
            if !piece.is_empty() {
                return Some(self.count(piece));
            }
        }
        self.is_ended = true;
        match self.announced {
            Some(announced) if announced != self.got => Some(Err(BodyError::Length {
                got: self.got,
                announced,
            })),
            _ => None,
        }
    }

    fn count(&mut self, piece: Bytes) -> Result<Bytes, BodyError> {
        self.got += piece.len() as u64;
        match self.announced {
            Some(announced) if self.got > announced => Err(BodyError::Length {
                got: self.got,
                announced,
            }),
            _ => Ok(piece),
        }
    }
}

/// Lets the peer send as much again. A stream that has ended takes no more, which is no fault.
pub(crate) fn release(stream: &mut RecvStream, bytes: usize) {
    counters::received(bytes);
    let _ = stream.flow_control().release_capacity(bytes);
}

#[cfg(test)]
mod tests;
