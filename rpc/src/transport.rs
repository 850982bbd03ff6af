//! What both ends of a connection do alike: pings, headers, bodies within the peer's windows.

use crate::body::{Body, BodyError, Inner, release};
use crate::counters;
use crate::message::{Collected, Collector, HeaderError};
use crate::node::Limits;
use bytes::Bytes;
use futures::future::poll_fn;
use h2::{Ping, PingPong, Reason, RecvStream, SendStream};
use std::time::Duration;
use types::limits::RPC_HEADER_BYTES_MAX;

/// Pings the peer as long as it answers; returns when it has not. The connection must be polled beside.
pub async fn until_dead(mut pings: PingPong, every: Duration, wait: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if pings.send_ping(Ping::opaque()).is_err() {
            return;
        }
        let pong = tokio::time::timeout(wait, poll_fn(|context| pings.poll_pong(context))).await;
        if !matches!(pong, Ok(Ok(_))) {
            return;
        }
    }
}

/// Why a header did not come.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It cannot be one.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The stream failed.
    #[error("{0}")]
    Stream(#[from] h2::Error),
}

/// Reads the header of a call or an answer. What was read is given back to the peer's window only when
/// it is whole, so that halves of headers are never held beyond it.
pub async fn read_header(stream: &mut RecvStream) -> Result<Collected, ReadError> {
    let mut collector = Collector::default();
    let mut taken = 0;
    while let Some(piece) = stream.data().await.transpose()? {
        taken += piece.len();
        if let Some(collected) = collector.push(piece)? {
            release(stream, taken);
            return Ok(collected);
        }
    }
    Err(HeaderError::Truncated.into())
}

/// What became of a body that was to be sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was handed over whole.
    Whole,
    /// The peer wants no more of it, or is gone.
    Unwanted,
    /// It stood still for too long, or whoever makes it failed; the stream was reset.
    Broken(BodyError),
}

/// Sends a body as fast as the peer's windows allow, and ends the stream.
pub async fn send_body(stream: &mut SendStream<Bytes>, mut body: Body, idle: Duration) -> Sent {
    let is_whole = matches!(body.0, Inner::Whole(_));
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => match send_piece(stream, piece, is_whole, idle).await {
                Sent::Whole if is_whole => return Sent::Whole,
                Sent::Whole => {}
                other => return other,
            },
            Err(error) => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Sent::Broken(error);
            }
        }
    }
    match stream.send_data(Bytes::new(), true) {
        Ok(()) => Sent::Whole,
        Err(_) => Sent::Unwanted,
    }
}

/// Sends one piece, without a copy; at the end of the stream if it `is_last`.
async fn send_piece(
    stream: &mut SendStream<Bytes>,
    mut piece: Bytes,
    is_last: bool,
    idle: Duration,
) -> Sent {
    while !piece.is_empty() {
        stream.reserve_capacity(piece.len());
        let capacity = match stream.capacity() {
            0 => match tokio::time::timeout(idle, poll_fn(|cx| stream.poll_capacity(cx))).await {
                Ok(Some(Ok(capacity))) => capacity,
                Ok(_) => return Sent::Unwanted,
                Err(_) => {
                    stream.send_reset(Reason::CANCEL);
                    return Sent::Broken(BodyError::Idle(idle));
                }
            },
            capacity => capacity,
        };
        let part = piece.split_to(capacity.min(piece.len()));
        counters::sent(part.len());
        if stream.send_data(part, is_last && piece.is_empty()).is_err() {
            return Sent::Unwanted;
        }
    }
    Sent::Whole
}

/// Sends a header with its length, and `short_body` in the same piece.
pub fn send_head(
    stream: &mut SendStream<Bytes>,
    header: &[u8],
    short_body: &[u8],
    is_last: bool,
) -> Result<(), h2::Error> {
    let frame = crate::message::frame(header, short_body);
    counters::sent(frame.len());
    stream.send_data(frame, is_last)
}

/// The settings of both ends.
macro_rules! settings {
    ($builder:expr, $limits:expr) => {
        $builder
            .initial_window_size($limits.call_window_bytes)
            .initial_connection_window_size($limits.connection_window_bytes)
            .max_frame_size($limits.frame_bytes)
            .max_header_list_size(1024)
            .max_concurrent_streams(u32::try_from($limits.calls_per_connection).unwrap_or(u32::MAX))
            .max_send_buffer_size($limits.connection_window_bytes as usize)
    };
}

/// What a server asks of its peers.
pub fn server_settings(limits: &Limits) -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    settings!(builder, limits);
    builder
}

/// What a client asks of its peers.
pub fn client_settings(limits: &Limits) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    settings!(builder, limits).enable_push(false);
    builder
}

const _: () = assert!(RPC_HEADER_BYTES_MAX < 512 * 1024);
