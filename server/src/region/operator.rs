//! The operator's side of a running node: the admin socket, and where the authority is kept, the join listener.

use super::context::AdminContext;
use super::{join, socket};
use anyhow::{Context, Result};
use rpc::join::{JoinLimits, JoinServer};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// It ends when this is dropped.
pub struct Operator {
    task: JoinHandle<()>,
    _join: Option<JoinServer>,
}

impl Operator {
    /// Answers the commands from now on, and nodes that want to join.
    ///
    /// # Errors
    /// The socket or the listener cannot be made.
    pub async fn start(context: AdminContext, join_listen: SocketAddr) -> Result<Self> {
        let join = if context.home.has_authority() {
            let listener = TcpListener::bind(join_listen).await;
            let listener = listener
                .with_context(|| format!("cannot listen on {join_listen} for nodes that join"))?;
            let node = Arc::clone(context.network.node());
            let decision = Arc::new(join::decision(context.clone()));
            let limits = JoinLimits::default();
            Some(JoinServer::start(node, listener, limits, decision)?)
        } else {
            None
        };
        Ok(Self {
            task: socket::start(context).await?,
            _join: join,
        })
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.task.abort();
    }
}
