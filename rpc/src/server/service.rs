//! A service: a table from method names to handlers.

use crate::body::Body;
use crate::error::Failure;
use crate::identity::NodeIdentity;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What a handler knows about a call beside its content.
#[derive(Debug, Clone)]
pub struct Context {
    /// Who calls, as its certificate says.
    pub peer: NodeIdentity,
    /// The epoch of the cluster map that the caller goes by.
    pub epoch: u64,
    /// Time that was left for an answer when the handler was called. The handler is dropped when it has
    /// passed.
    pub remaining: Duration,
    pub(super) cancelled: CancellationToken,
}

impl Context {
    /// Ends when the caller has gone away, the deadline has passed, or the handler has returned: work
    /// that the handler started elsewhere can watch it. (The handler itself is dropped; what must not
    /// be left half done belongs into a task of its own.)
    #[must_use]
    pub fn cancelled(&self) -> CancellationToken {
        self.cancelled.clone()
    }
}

/// A request as a handler gets it.
#[derive(Debug)]
pub struct Request {
    /// The method's own record.
    pub message: Bytes,
    /// The bytes behind it. Of a unary method they are here already, in one piece.
    pub body: Body,
}

/// What a handler answers, and what a caller gets.
#[derive(Debug, Default)]
pub struct Response {
    /// The method's own record.
    pub message: Bytes,
    /// The bytes behind it.
    pub body: Body,
}

impl Response {
    /// An answer without a body.
    #[must_use]
    pub fn of(message: impl Into<Bytes>) -> Self {
        Self {
            message: message.into(),
            body: Body::empty(),
        }
    }
}

/// How the body of a request comes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Intake {
    /// Whole, before the handler is called; at most so many bytes.
    Unary { max_bytes: usize },
    /// While the handler runs, as fast as it reads.
    Streaming,
}

type Handler =
    Box<dyn Fn(Context, Request) -> BoxFuture<'static, Result<Response, Failure>> + Send + Sync>;

pub(super) struct Method {
    pub name: &'static str,
    pub intake: Intake,
    pub handler: Handler,
}

/// The methods that a node offers to its peers.
#[derive(Default)]
pub struct Service {
    methods: HashMap<&'static str, Method>,
}

impl Service {
    /// No methods yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a method whose request has a body of at most `max_bytes`, which is there when the handler
    /// is called. Until the answer has been sent it counts against the server's budget.
    ///
    /// # Panics
    /// When there is a method of this name.
    #[must_use]
    pub fn unary<F, R>(self, name: &'static str, max_bytes: usize, handler: F) -> Self
    where
        F: Fn(Context, Request) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response, Failure>> + Send + 'static,
    {
        self.with(name, Intake::Unary { max_bytes }, handler)
    }

    /// Adds a method that reads its request's body itself, as a stream, to its end: a body that is not
    /// read to its end may cut off the answer's stream.
    ///
    /// # Panics
    /// When there is a method of this name.
    #[must_use]
    pub fn streaming<F, R>(self, name: &'static str, handler: F) -> Self
    where
        F: Fn(Context, Request) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response, Failure>> + Send + 'static,
    {
        self.with(name, Intake::Streaming, handler)
    }

    fn with<F, R>(mut self, name: &'static str, intake: Intake, handler: F) -> Self
    where
        F: Fn(Context, Request) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Response, Failure>> + Send + 'static,
    {
        let method = Method {
            name,
            intake,
            handler: Box::new(move |context, request| Box::pin(handler(context, request))),
        };
        let before = self.methods.insert(name, method);
        assert!(before.is_none(), "the method {name} is there twice");
        self
    }

    pub(super) fn find(&self, name: &str) -> Option<&Method> {
        self.methods.get(name)
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.methods.keys()).finish()
    }
}
