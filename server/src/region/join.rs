//! Who joins the region, and as which node: the cluster's side of `rpc::join`.

use super::change;
use super::context::AdminContext;
use super::describe::{JoinAnswer, NodeDescription, PeerRecord};
use super::tokens::{self, TokenUse};
use super::trust;
use crate::format;
use anyhow::{Context, Result, anyhow, bail};
use async_trait::async_trait;
use index::error::ReplaceError;
use rpc::identity::{NODE_VALIDITY, NodeRequest};
use rpc::join::{Decision, Grant, JoinRefused, TokenHash, Wanted};
use types::cluster_map::check_map;
use types::{ClusterView, DiskId, Entropy, NodeId};

/// What is said of every token that is not good: nobody learns which there are.
const NOT_GOOD: &str = "the token is not known here, has been used or has ended: have a new one made with `cairn node token`";

/// Decides on the nodes that want to join.
#[must_use]
pub fn decision(context: AdminContext) -> impl Decision {
    Joining { context }
}

struct Joining {
    context: AdminContext,
}

#[async_trait]
impl Decision for Joining {
    async fn decide(&self, wanted: Wanted) -> Result<Grant, JoinRefused> {
        let usage = self.usage(&wanted).await?;
        let granted = self.grant(&wanted, &usage).await;
        granted.map_err(|error| JoinRefused(format!("{error:#}")))
    }
}

impl Joining {
    /// Holds the token against what is kept of it, and notes who uses it.
    async fn usage(&self, wanted: &Wanted) -> Result<TokenUse, JoinRefused> {
        let not_good = || JoinRefused(NOT_GOOD.to_owned());
        let no_answer = |error: anyhow::Error| {
            tracing::warn!(%error, "a token cannot be looked up");
            JoinRefused(
                "the region does not answer just now: try again with the same token".to_owned(),
            )
        };
        let found = tokens::load(&self.context, wanted.token)
            .await
            .map_err(no_answer)?;
        let (record, seq) = found.ok_or_else(not_good)?;
        if !wanted.secret.is_of(&TokenHash(record.hash)) {
            return Err(not_good());
        }
        // From here on it is somebody with a token of ours.
        let told = |error: anyhow::Error| JoinRefused(format!("{error:#}"));
        if let Some(usage) = &record.used {
            if usage.key != wanted.key.0 {
                return Err(not_good());
            }
            if usage.description != wanted.description {
                let text = "this token has been used from here with other settings: repeat the command as it was, or \
                            empty the node's directory and have a new token made";
                return Err(JoinRefused(text.to_owned()));
            }
            return Ok(usage.clone());
        }
        if self.context.clock.now_ms() > record.expires_ms {
            return Err(not_good());
        }
        let usage = self.new_usage(wanted).await.map_err(told)?;
        match tokens::claim(&self.context, wanted.token, (record, seq), &usage).await {
            Ok(()) => Ok(usage),
            Err(ReplaceError::Changed) => Err(not_good()),
            Err(error) => Err(no_answer(error.into())),
        }
    }

    /// The node that it would be; refused before the token is used up where it cannot be.
    async fn new_usage(&self, wanted: &Wanted) -> Result<TokenUse> {
        let description = NodeDescription::decode(wanted.description.clone())
            .context("what the node says of itself cannot be read")?;
        description.check().map_err(|why| anyhow!(why))?;
        self.require_known(&description).await?;
        trust::require_held(&self.context, &trust::load(&self.context).await?)?;
        let view = self.context.stored_view().await?;
        let disks: Vec<DiskId> = (0..description.disks)
            .map(|_| random_disk(&*self.context.entropy))
            .collect();
        check_map(&change::with_node(
            &view,
            NodeId(u32::MAX),
            &description,
            &disks,
        ))?;
        let node = tokens::next_node(&self.context, &view).await?;
        Ok(TokenUse {
            key: wanted.key.0,
            node,
            disks,
            description: wanted.description.clone(),
            ..Default::default()
        })
    }

    /// Refuses a node whose binary does not know the format that has been finalised.
    async fn require_known(&self, description: &NodeDescription) -> Result<()> {
        let kept = format::load(&self.context.index).await;
        let kept = kept.context("the finalised format cannot be read")?;
        let checked = description.formats.check(kept.finalised);
        checked.context("another version of Cairn is needed to join")
    }

    /// Puts the node into the map, if it is not there yet, and issues its certificate.
    async fn grant(&self, wanted: &Wanted, usage: &TokenUse) -> Result<Grant> {
        let description = NodeDescription::decode(usage.description.clone())?;
        self.require_known(&description).await?;
        let add = |view: &ClusterView| match view.map.node(usage.node) {
            Some(node) if node.is_removed => {
                bail!("the node of this token was removed: have a new token made")
            }
            Some(_) => Ok((view.clone(), ())),
            None => {
                let next = change::with_node(view, usage.node, &description, &usage.disks);
                Ok((next, ()))
            }
        };
        let (view, ()) = self.context.change(add).await?;
        let trust = trust::load(&self.context).await?;
        let request = NodeRequest {
            request: &wanted.certificate_request,
            node: usage.node,
            names: &description.hosts(),
            validity: NODE_VALIDITY,
        };
        let certificate = trust::issue(&self.context, &trust, &request)?;
        let root = self.context.home.root_key()?;
        let peers = change::peers_of(&view.map);
        let answer = JoinAnswer {
            disks: usage.disks.clone(),
            peers: peers.iter().map(PeerRecord::from).collect(),
            root_access_key: root.access_key,
            root_secret_key: root.secret_key,
            root_canonical_id: root.canonical_id,
            ..Default::default()
        };
        Ok(Grant {
            certificate,
            bundle: trust.bundle,
            answer: answer.encode().into(),
        })
    }
}

fn random_disk(entropy: &dyn Entropy) -> DiskId {
    DiskId((u128::from(entropy.next_u64()) << 64) | u128::from(entropy.next_u64()))
}

#[cfg(test)]
mod tests;
