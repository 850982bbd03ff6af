//! Tokens to join with, as the control partition keeps them: a hash of the secret, until when it is good, and who
//! has used it. And the numbers of nodes, which are never given twice.

use super::context::AdminContext;
use super::trust;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use index::error::ReplaceError;
use rpc::join::{JoinToken, TokenId};
use std::time::Duration;
use types::{ClusterView, DiskId, NodeId, record};

/// Where the last number is kept.
const NUMBERS: &str = "join/last-node";
/// How often a number is asked for that others take first.
const ATTEMPTS: usize = 20;

record! {
    /// A token.
    pub struct TokenRecord {
        /// Hash of its secret.
        1 => hash: [u8; 32],
        /// When it ends, in milliseconds since the Unix epoch.
        2 => expires_ms: u64,
        /// Who has used it.
        3 => used: Option<TokenUse>,
    }
}

record! {
    /// The node that used a token. Kept before the node is put into the map: the same key asks again when the answer
    /// was lost, and gets the same number.
    pub struct TokenUse {
        /// Fingerprint of the node's key.
        1 => key: [u8; 32],
        2 => node: NodeId,
        3 => disks: Vec<DiskId>,
        /// What the node said of itself.
        4 => description: Bytes,
    }
}

record! {
    /// The last number that was given to a node.
    pub struct LastNode {
        1 => node: NodeId,
    }
}

fn name(token: TokenId) -> String {
    format!("join/{token}")
}

/// Makes a token that is good for `ttl` and names this node's join listener. It is kept on return.
///
/// # Errors
/// This node does not hold the authority, or the index does not answer.
pub async fn make(context: &AdminContext, ttl: Duration) -> Result<JoinToken> {
    // Nobody can join through a node that cannot sign.
    trust::require_held(context, &trust::load(context).await?)?;
    let view = context.stored_view().await?;
    let me = view
        .map
        .node(context.me())
        .context("this node is not in the cluster map")?;
    let address = |address: &String| {
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host);
        format!("{host}:{}", context.join_port)
    };
    let addresses = me.addresses.iter().map(address).collect();
    // The join listener shows this node's certificate: the token names who has signed it.
    let credentials = context.home.credentials()?;
    let issuer = credentials.bundle().issuer_of(credentials.certificate());
    let issuer = issuer.context("this node's certificate is of no authority that it trusts")?;
    let token = JoinToken::new(issuer.fingerprint(), addresses, &*context.entropy);
    let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
    let record = TokenRecord {
        hash: token.secret.hash().0,
        expires_ms: context.clock.now_ms().saturating_add(ttl_ms),
        ..Default::default()
    };
    let value = Bytes::from(record.encode());
    context
        .index
        .replace_scheduler_state(&name(token.id), None, value)
        .await
        .context("the token cannot be kept")?;
    Ok(token)
}

/// What is kept of a token, with the sequence for changing it.
///
/// # Errors
/// The index does not answer, or the record cannot be read.
pub async fn load(context: &AdminContext, token: TokenId) -> Result<Option<(TokenRecord, u64)>> {
    let kept = context.index.scheduler_state(&name(token)).await?;
    let read = kept.map(|kept| anyhow::Ok((TokenRecord::decode(kept.value)?, kept.seq)));
    read.transpose()
}

/// Notes who uses the token that was read at `seq`; durable on return.
///
/// # Errors
/// [`ReplaceError::Changed`] when another was first.
pub async fn claim(
    context: &AdminContext,
    token: TokenId,
    (record, seq): (TokenRecord, u64),
    usage: &TokenUse,
) -> Result<(), ReplaceError> {
    let used = TokenRecord {
        used: Some(usage.clone()),
        ..record
    };
    let value = Bytes::from(used.encode());
    let name = name(token);
    let replaced = context
        .index
        .replace_scheduler_state(&name, Some(seq), value);
    replaced.await.map(drop)
}

/// A number that no node has or had: it is taken on return, whatever becomes of it.
///
/// # Errors
/// The index does not answer.
pub async fn next_node(context: &AdminContext, view: &ClusterView) -> Result<NodeId> {
    let known = view
        .map
        .nodes
        .iter()
        .map(|node| node.id.0)
        .max()
        .unwrap_or(0);
    for _ in 0..ATTEMPTS {
        let kept = context.index.scheduler_state(NUMBERS).await?;
        let (last, seq) = match kept {
            Some(kept) => (LastNode::decode(kept.value)?.node.0, Some(kept.seq)),
            None => (0, None),
        };
        let node = NodeId(last.max(known) + 1);
        let value = LastNode {
            node,
            ..Default::default()
        };
        let value = Bytes::from(value.encode());
        match context
            .index
            .replace_scheduler_state(NUMBERS, seq, value)
            .await
        {
            Ok(_) => return Ok(node),
            Err(ReplaceError::Changed) => {}
            Err(error) => return Err(error).context("a number for the node cannot be kept"),
        }
    }
    bail!("many nodes join at once: try again")
}
