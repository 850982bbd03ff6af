//! One call, from the caller's side: sent once, and classified by what may have become of it.

use super::connect::{Link, request_to};
use super::peer::Peer;
use crate::body::{Body, EndWith, Incoming, Inner};
use crate::counters::{self, Side};
use crate::error::CallError;
use crate::message::{CallHeader, ReplyHeader, header_bytes};
use crate::server::Response;
use crate::transport::{read_header, send_body, send_head};
use bytes::Bytes;
use h2::{Reason, SendStream};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use types::limits::{RPC_BULK_BYTES, RPC_HEADER_BYTES_MAX, RPC_JOINED_BYTES};

/// What is to be called.
#[derive(Debug)]
pub struct Call {
    /// The method.
    pub method: &'static str,
    /// Its own record.
    pub message: Bytes,
    /// The bytes behind it.
    pub body: Body,
    /// How long the caller waits for the answer: of [`Peer::call`] all of it, of [`Peer::open`] its
    /// beginning.
    pub deadline: Duration,
    /// The longest body of an answer that [`Peer::call`] takes.
    pub answer_bytes: usize,
    /// Send it over a connection for bodies, because the answer is long. A long request goes there by
    /// itself.
    pub is_bulk: bool,
}

impl Call {
    /// A small call: no body either way.
    #[must_use]
    pub fn new(method: &'static str, message: impl Into<Bytes>, deadline: Duration) -> Self {
        Self {
            method,
            message: message.into(),
            body: Body::empty(),
            deadline,
            answer_bytes: RPC_BULK_BYTES,
            is_bulk: false,
        }
    }

    /// With a body.
    #[must_use]
    pub fn with_body(self, body: impl Into<Body>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    /// With an answer whose body has up to `max_bytes`.
    #[must_use]
    pub fn answered_by(self, max_bytes: usize) -> Self {
        Self {
            answer_bytes: max_bytes,
            is_bulk: self.is_bulk || max_bytes > RPC_BULK_BYTES,
            ..self
        }
    }

    fn needs_bulk(&self) -> bool {
        let length = self.body.length();
        self.is_bulk || length.is_none_or(|length| length > RPC_BULK_BYTES as u64)
    }
}

/// How far a call has come, for the case that its deadline passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing can have left this process.
    Waiting,
    /// The peer may have all of it.
    Sent,
}

impl Peer {
    /// Calls, and waits for the whole answer; its body is in one piece. Dropping the future cancels the
    /// call, at the peer too.
    ///
    /// # Errors
    /// [`CallError`] says whether the call may have been executed.
    pub async fn call(&self, call: Call) -> Result<Response, CallError> {
        let max_bytes = call.answer_bytes;
        self.timed(call, |response| async move {
            let Response { message, body } = response;
            let bytes = body.collect(max_bytes).await;
            let bytes = bytes.map_err(|error| {
                CallError::unknown(self.id(), format!("the answer did not come whole: {error}"))
            })?;
            Ok(Response {
                message,
                body: bytes.into(),
            })
        })
        .await
    }

    /// Calls, and returns when the answer begins. Its body is a stream that is read as fast as the
    /// caller takes it; the request's body may still be on its way. Dropping the answer cancels the rest.
    ///
    /// # Errors
    /// [`CallError`] says whether the call may have been executed.
    pub async fn open(&self, call: Call) -> Result<Response, CallError> {
        let call = Call {
            is_bulk: true,
            ..call
        };
        self.timed(call, |response| async { Ok(response) }).await
    }

    async fn timed<F>(
        &self,
        call: Call,
        finish: impl FnOnce(Response) -> F,
    ) -> Result<Response, CallError>
    where
        F: Future<Output = Result<Response, CallError>>,
    {
        let clock = &self.shared.node.clock;
        let (method, deadline) = (call.method, call.deadline);
        let began = clock.monotonic();
        let mut stage = Stage::Waiting;
        let outcome = tokio::time::timeout(deadline, async {
            let response = self.exchange(call, began, &mut stage).await?;
            finish(response).await
        });
        let outcome = outcome.await.unwrap_or_else(|_| {
            let why = format!("{method} had no answer within {deadline:?}");
            Err(match stage {
                Stage::Waiting => CallError::not_sent(self.id(), why),
                Stage::Sent => CallError::unknown(self.id(), why),
            })
        });
        let word = outcome.as_ref().map_or_else(CallError::word, |_| "done");
        let took = clock.monotonic().saturating_sub(began);
        counters::call(Side::Client, method, word, took);
        outcome
    }

    async fn exchange(
        &self,
        call: Call,
        began: Duration,
        stage: &mut Stage,
    ) -> Result<Response, CallError> {
        let id = self.id();
        if header_bytes(call.method, call.message.len()) > RPC_HEADER_BYTES_MAX {
            let why =
                "the method's record is longer than a header may be: it belongs into the body";
            return Err(CallError::not_sent(id, why));
        }
        let (link, place) = self.place(call.needs_bulk()).await?;
        let mut send = link.send;
        let request = request_to("https://cairn/call");
        // h2 has the request or gives an error; there is no await between that and the stage.
        let sent = send.send_request(request, false);
        let (response, mut stream) =
            sent.map_err(|error| CallError::not_sent(id, error.to_string()))?;
        *stage = Stage::Sent;

        let unknown = |error: h2::Error| classify(self, &error);
        let sender = self.send(&mut stream, call, link.version, began).await?;
        let sender = sender
            .start(stream, self.shared.node.limits.stream_idle)
            .await;
        let mut answer = response.await.map_err(unknown)?.into_body();
        let collected = read_header(&mut answer)
            .await
            .map_err(|error| match error {
                crate::transport::ReadError::Stream(error) => classify(self, &error),
                crate::transport::ReadError::Header(error) => {
                    CallError::unknown(id, error.to_string())
                }
            })?;
        let reply = ReplyHeader::decode(collected.header)
            .map_err(|error| CallError::unknown(id, format!("its answer: {error}")))?;
        self.shared.learn_epoch(reply.epoch);
        if let Some(error) = CallError::from_reply(id, &reply) {
            return Err(error);
        }
        let idle = self.shared.node.limits.stream_idle;
        let incoming = Incoming::new(collected.rest, answer, reply.body_bytes, idle);
        Ok(Response {
            message: reply.message,
            body: incoming.holding(sender, place).into_body(),
        })
    }

    /// A connection with a place for one more call.
    async fn place(&self, is_bulk: bool) -> Result<(Link, OwnedSemaphorePermit), CallError> {
        let not_sent = |why: String| CallError::not_sent(self.id(), why);
        let lane = self.lane(is_bulk);
        // A connection may end between being found and being used; one that was just made does not.
        for _ in 0..2 {
            self.shared.is_open().map_err(not_sent)?;
            let mut link = lane.link(&self.shared).await.map_err(not_sent)?;
            let place = match link.places.clone().try_acquire_owned() {
                Ok(place) => place,
                Err(_) => {
                    let _waits = self.shared.wait().map_err(not_sent)?;
                    let places = link.places.clone();
                    tokio::select! {
                        () = link.ended.cancelled() => continue,
                        place = places.acquire_owned() => {
                            place.map_err(|error| not_sent(error.to_string()))?
                        }
                    }
                }
            };
            match link.send.clone().ready().await {
                Ok(send) => {
                    link.send = send;
                    return Ok((link, place));
                }
                Err(_) => link.ended.cancel(),
            }
        }
        Err(not_sent(
            "its connections end as soon as they are made".into(),
        ))
    }

    /// Sends the header, with the body if that is short; gives back what is still to be sent.
    async fn send(
        &self,
        stream: &mut SendStream<Bytes>,
        call: Call,
        version: u32,
        began: Duration,
    ) -> Result<Rest, CallError> {
        let node = &self.shared.node;
        let own = node.id();
        let spent = node.clock.monotonic().saturating_sub(began);
        let remaining = call.deadline.saturating_sub(spent).as_millis();
        let mut body = call.body;
        let length = body.length();
        let header = CallHeader {
            version,
            installation: own.installation,
            region: own.region,
            epoch: node.epoch(),
            remaining_ms: u64::try_from(remaining).unwrap_or(u64::MAX),
            method: call.method.to_owned(),
            message: call.message,
            body_bytes: length,
            ..Default::default()
        };
        let mut short = Bytes::new();
        if matches!(&body.0, Inner::Whole(bytes) if bytes.len() <= RPC_JOINED_BYTES) {
            short = match body.next().await {
                Some(Ok(bytes)) => bytes,
                _ => Bytes::new(),
            };
        }
        let is_whole = length == Some(short.len() as u64);
        send_head(stream, &header.encode(), &short, is_whole)
            .map_err(|error| classify(self, &error))?;
        Ok(if is_whole {
            Rest::Nothing
        } else {
            Rest::Body(body)
        })
    }
}

/// What is still to be sent of a request when its head has been.
enum Rest {
    Nothing,
    Body(Body),
}

impl Rest {
    /// Sends a body that is here; one that is still being made is sent beside the call.
    async fn start(self, mut stream: SendStream<Bytes>, idle: Duration) -> Option<EndWith> {
        match self {
            Self::Nothing => None,
            // If the peer wants no more of it, its answer says why.
            Self::Body(body) if matches!(body.0, Inner::Whole(_)) => {
                send_body(&mut stream, body, idle).await;
                None
            }
            Self::Body(body) => {
                let sending = async move { send_body(&mut stream, body, idle).await };
                Some(EndWith(tokio::spawn(sending).abort_handle()))
            }
        }
    }
}

/// What an error of the stream says about a call that was handed over. Only two things prove that the
/// peer has not begun: it says so for this stream, or it says, going away, that it took none so late.
fn classify(peer: &Peer, error: &h2::Error) -> CallError {
    let is_refused =
        error.is_remote() && error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    let is_too_late =
        error.is_remote() && error.is_go_away() && error.reason() == Some(Reason::NO_ERROR);
    if is_refused || is_too_late {
        return CallError::not_sent(peer.id(), error.to_string());
    }
    CallError::unknown(peer.id(), error.to_string())
}
