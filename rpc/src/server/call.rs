//! One call: read, checked, handed to its handler, answered.

use super::connection::{Peer, refusal, reply, same_cluster};
use super::service::{Intake, Method};
use super::{Context, Request, Response};
use crate::body::{Body, BodyError, Incoming};
use crate::counters::{self, Side};
use crate::error::{Failure, Refusal, Refused};
use crate::message::{CallHeader, Collected, ReplyHeader, header_bytes, status};
use crate::transport::{Sent, read_header, send_body, send_head};
use bytes::Bytes;
use futures::future::poll_fn;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use types::limits::{RPC_HEADER_BYTES_MAX, RPC_JOINED_BYTES};

/// How a call ended that was not answered by its handler.
enum Ended {
    Refused(Refused),
    Interrupted(String),
    /// The caller has gone away.
    Unheard,
}

impl From<Refused> for Ended {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// What is known of a call before it has ended.
#[derive(Default)]
struct Progress {
    method: Option<&'static str>,
    /// Its place in the server's budget: kept until the answer has been sent, which may be made of the
    /// request's bytes.
    budget: Option<OwnedSemaphorePermit>,
}

/// Serves one call. `version` is what the hello agreed on.
pub async fn run(
    peer: Arc<Peer>,
    version: Option<u32>,
    stream: RecvStream,
    mut respond: SendResponse<Bytes>,
) {
    let clock = &peer.shared.node.clock;
    let began = clock.monotonic();
    let mut progress = Progress::default();
    // Polled first: a caller that has gone away ends its handler at the next occasion.
    let outcome = tokio::select! {
        biased;
        _ = poll_fn(|context| respond.poll_reset(context)) => Err(Ended::Unheard),
        outcome = execute(&peer, version, stream, &mut progress) => outcome,
    };
    let word = match outcome {
        Ok(Ok(response)) => answer(&peer, respond, response).await,
        Ok(Err(failure)) => {
            reply(respond, &failed(&peer, failure));
            "failed"
        }
        Err(Ended::Refused(refused)) => {
            debug!(peer = %peer.node, reason = refused.reason.word(), why = %refused.text, "refused a call");
            reply(respond, &refusal(&peer, &refused));
            "refused"
        }
        Err(Ended::Interrupted(why)) => {
            let header = ReplyHeader {
                status: status::INTERRUPTED,
                text: why,
                epoch: peer.shared.node.epoch(),
                body_bytes: Some(0),
                ..Default::default()
            };
            reply(respond, &header);
            "interrupted"
        }
        Err(Ended::Unheard) => "cancelled",
    };
    let took = clock.monotonic().saturating_sub(began);
    counters::call(Side::Server, progress.method.unwrap_or("none"), word, took);
}

async fn execute(
    peer: &Arc<Peer>,
    version: Option<u32>,
    mut stream: RecvStream,
    progress: &mut Progress,
) -> Result<Result<Response, Failure>, Ended> {
    let limits = &peer.shared.node.limits;
    let version = version
        .ok_or_else(|| Refused::new(Refusal::NotGreeted, "a connection begins with a hello"))?;
    let collected = tokio::time::timeout(limits.handshake_time, read_header(&mut stream)).await;
    let collected = match collected {
        Ok(Ok(collected)) => collected,
        Ok(Err(error)) => return Err(Refused::new(Refusal::Malformed, error.to_string()).into()),
        Err(_) => return Err(Refused::new(Refusal::Late, "the header came too slowly").into()),
    };
    let Collected { header, rest } = collected;
    let header = CallHeader::decode(header)
        .map_err(|error| Refused::new(Refusal::Malformed, format!("the header: {error}")))?;
    let method = check(peer, version, &header)?;
    progress.method = Some(method.name);
    let length = expected_bytes(method.intake, &header)?;
    progress.budget = Some(lease(peer, length + header.message.len())?);
    let incoming = Incoming::new(rest, stream, header.body_bytes, limits.stream_idle);
    let remaining = Duration::from_millis(header.remaining_ms);

    let cancelled = CancellationToken::new();
    let _cancels = cancelled.clone().drop_guard();
    let context = Context {
        peer: peer.node,
        epoch: header.epoch,
        remaining,
        cancelled,
    };
    // Until the handler is called nothing has been executed, whatever goes wrong.
    let mut is_called = false;
    let handled = tokio::time::timeout(remaining, async {
        let body = take_in(method.intake, incoming).await?;
        is_called = true;
        let request = Request {
            message: header.message,
            body,
        };
        Ok((method.handler)(context, request).await)
    });
    match handled.await {
        Ok(outcome) => outcome,
        Err(_) if is_called => {
            let text = format!(
                "{} was ended at its deadline, after {remaining:?}",
                method.name
            );
            Err(Ended::Interrupted(text))
        }
        Err(_) => Err(Refused::new(
            Refusal::Late,
            "the deadline passed before the body was here",
        )
        .into()),
    }
}

fn check<'a>(peer: &'a Peer, version: u32, header: &CallHeader) -> Result<&'a Method, Refused> {
    same_cluster(peer.shared.node.id(), header.installation, header.region)?;
    if header.version != version {
        let text = format!(
            "the call is of protocol {}, and {version} was agreed on: connect again",
            header.version
        );
        return Err(Refused::new(Refusal::Version, text));
    }
    if header.remaining_ms == 0 {
        return Err(Refused::new(
            Refusal::Late,
            "the deadline had passed on arrival",
        ));
    }
    peer.shared.service.find(&header.method).ok_or_else(|| {
        // The name is the caller's: it must not fill the log.
        let name: String = header.method.chars().take(64).collect();
        let text = format!(
            "there is no method {name:?} here: this node runs another role, or an older version ({})",
            peer.shared.node.product
        );
        Refused::new(Refusal::UnknownMethod, text)
    })
}

/// Bytes of the body that must be here before the handler is called.
fn expected_bytes(intake: Intake, header: &CallHeader) -> Result<usize, Refused> {
    let Intake::Unary { max_bytes } = intake else {
        return Ok(0);
    };
    let length = header.body_bytes.ok_or_else(|| {
        let text = "this method takes no stream: say how long the body is";
        Refused::new(Refusal::Malformed, text)
    })?;
    let fits = usize::try_from(length)
        .ok()
        .filter(|length| *length <= max_bytes);
    fits.ok_or_else(|| {
        let text = format!("a body of {length} bytes, and the method takes {max_bytes}");
        Refused::new(Refusal::TooLarge, text)
    })
}

/// Makes the body ready for the handler.
async fn take_in(intake: Intake, incoming: Incoming) -> Result<Body, Refused> {
    let Intake::Unary { max_bytes } = intake else {
        return Ok(incoming.into_body());
    };
    let collected = incoming.into_body().collect(max_bytes).await;
    let bytes = collected.map_err(|error| match error {
        BodyError::TooLong { .. } => Refused::new(Refusal::TooLarge, error.to_string()),
        _ => Refused::new(Refusal::Malformed, error.to_string()),
    })?;
    Ok(bytes.into())
}

/// Waiting for others' requests to end while one's own bytes fill the connection's window could go in
/// circles: so nobody waits, and the caller is told to come again.
fn lease(peer: &Peer, bytes: usize) -> Result<OwnedSemaphorePermit, Refused> {
    let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
    let leased = peer.shared.budget.clone().try_acquire_many_owned(permits);
    leased.map_err(|_| {
        let text =
            "the node holds as many bytes of requests as its limits allow: try again shortly";
        Refused::new(Refusal::Busy, text)
    })
}

fn failed(peer: &Peer, failure: Failure) -> ReplyHeader {
    ReplyHeader {
        status: status::FAILED,
        code: failure.code,
        text: failure.message,
        epoch: peer.shared.node.epoch(),
        message: failure.detail,
        body_bytes: Some(0),
        ..Default::default()
    }
}

/// Sends the handler's answer, and says how that went.
async fn answer(peer: &Peer, mut respond: SendResponse<Bytes>, response: Response) -> &'static str {
    let Response { message, mut body } = response;
    if header_bytes("", message.len()) > RPC_HEADER_BYTES_MAX {
        let text = "the handler's record is longer than a header may be: it belongs into the body";
        let header = ReplyHeader {
            status: status::INTERRUPTED,
            text: text.into(),
            epoch: peer.shared.node.epoch(),
            body_bytes: Some(0),
            ..Default::default()
        };
        reply(respond, &header);
        return "interrupted";
    }
    let length = body.length();
    let header = ReplyHeader {
        epoch: peer.shared.node.epoch(),
        message,
        body_bytes: length,
        ..Default::default()
    };
    let Ok(mut stream) = respond.send_response(http::Response::new(()), false) else {
        return "unheard";
    };
    let short = match length {
        Some(length) if length <= RPC_JOINED_BYTES as u64 => body.next().await,
        _ => None,
    };
    let is_whole = length == Some(0) || short.is_some();
    let short = match short.transpose() {
        Ok(short) => short.unwrap_or_default(),
        Err(_) => {
            stream.send_reset(Reason::INTERNAL_ERROR);
            return "interrupted";
        }
    };
    // An incoming body that is passed on may come in several pieces: then this was only the first.
    let is_whole = is_whole && length == Some(short.len() as u64);
    if send_head(&mut stream, &header.encode(), &short, is_whole).is_err() {
        return "unheard";
    }
    if is_whole {
        return "done";
    }
    match send_body(&mut stream, body, peer.shared.node.limits.stream_idle).await {
        Sent::Whole => "done",
        Sent::Unwanted => "unheard",
        Sent::Broken(_) => "interrupted",
    }
}
