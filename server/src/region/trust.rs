//! Whom the nodes trust, and who signs their certificates: kept in the control partition, taken over by every node
//! while it runs. Before the authority is first rotated nothing is kept, and the nodes' own files say the same.

use super::context::AdminContext;
use super::describe::hosts;
use anyhow::{Context, Result, anyhow, bail, ensure};
use bytes::Bytes;
use index::error::ReplaceError;
use rpc::client::Call;
use rpc::error::Failure;
use rpc::identity::{Certificate, ClusterCa, Fingerprint, NODE_VALIDITY, NodeRequest, TrustBundle};
use rpc::server::{Request, Response, Service};
use std::time::Duration;
use tracing::{info, warn};
use types::limits::RPC_NODE_VALIDITY;
use types::{NodeId, record};

/// Where it is kept.
const NAME: &str = "ca/trust";
/// How often a node looks whether it has changed.
const EVERY: Duration = Duration::from_secs(2);
/// A certificate is renewed when so much of its time is left: a month of failed renewals is seen in time.
const RENEW_BEFORE: Duration = RPC_NODE_VALIDITY.checked_div(3).expect("three is not zero");
/// Time between two attempts that only the end of the certificate asks for.
const RENEW_PAUSE: Duration = Duration::from_secs(3600);
/// Time for another node to issue a certificate.
const DEADLINE: Duration = Duration::from_secs(5);
/// The method that issues a certificate for the node that calls.
const METHOD: &str = "ca.renew";
/// The node does not hold the authority.
const NOT_HERE: u32 = 1;
/// The node gets no certificate.
const REFUSED: u32 = 2;

record! {
    /// The record.
    pub struct TrustRecord {
        /// The trusted authorities (PEM).
        1 => bundle: String,
        /// Fingerprint of the one that signs.
        2 => issuer: [u8; 32],
    }
}

record! {
    /// A message of `ca.renew`: the request for a certificate, and as the answer the certificate (DER).
    pub struct RenewMessage {
        1 => der: Bytes,
    }
}

/// Whom to trust.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The authorities.
    pub bundle: TrustBundle,
    /// The one of them that signs certificates.
    pub issuer: Fingerprint,
    /// The commit that wrote it; `None` while nothing is kept.
    pub(super) seq: Option<u64>,
}

/// What is in force.
///
/// # Errors
/// The index does not answer.
pub async fn load(context: &AdminContext) -> Result<Trust> {
    let kept = context.index.scheduler_state(NAME).await;
    let Some(kept) = kept.context("the trusted authorities cannot be read")? else {
        let held = context.home.credentials()?;
        let issuer = held.bundle().issuer_of(held.certificate());
        let issuer = issuer.context("this node's certificate is of no authority that it trusts")?;
        return Ok(Trust {
            bundle: held.bundle().clone(),
            issuer: issuer.fingerprint(),
            seq: None,
        });
    };
    let record = TrustRecord::decode(kept.value)?;
    Ok(Trust {
        bundle: TrustBundle::from_pem(&record.bundle)?,
        issuer: Fingerprint(record.issuer),
        seq: Some(kept.seq),
    })
}

/// Replaces what was loaded; durable on return.
///
/// # Errors
/// It was changed meanwhile, or the index does not answer.
pub async fn store(context: &AdminContext, trust: &Trust) -> Result<()> {
    let record = TrustRecord {
        bundle: trust.bundle.to_pem(),
        issuer: trust.issuer.0,
        ..Default::default()
    };
    let value = Bytes::from(record.encode());
    match context
        .index
        .replace_scheduler_state(NAME, trust.seq, value)
        .await
    {
        Ok(_) => Ok(()),
        Err(ReplaceError::Changed) => {
            bail!("somebody else changed the authorities just now: look at `cairn ca status`")
        }
        Err(error) => Err(error).context("the trusted authorities cannot be kept"),
    }
}

/// Signs with the authority in force.
///
/// # Errors
/// It is not kept here.
pub fn issue(
    context: &AdminContext,
    trust: &Trust,
    request: &NodeRequest<'_>,
) -> Result<Certificate> {
    let authority = require_held(context, trust)?;
    Ok(authority.issue(request, &*context.clock, &*context.entropy)?)
}

/// The authority in force.
///
/// # Errors
/// It is not kept here.
pub fn require_held(context: &AdminContext, trust: &Trust) -> Result<ClusterCa> {
    held(context, trust)?.with_context(|| {
        format!(
            "node {} does not hold the authority that signs certificates now: `cairn ca status` says which node does",
            context.home.name()
        )
    })
}

/// The authority in force, if it is kept here.
fn held(context: &AdminContext, trust: &Trust) -> Result<Option<ClusterCa>> {
    let mut found = context.home.authorities()?.into_iter();
    let is_issuer = |authority: &ClusterCa| authority.certificate().fingerprint() == trust.issuer;
    Ok(found.find(is_issuer))
}

/// Takes over whom to trust, and has the node's certificate renewed in time, for as long as the process runs.
pub async fn follow(context: AdminContext) {
    let mut follower = Follower {
        context,
        tried: None,
    };
    let mut is_failing = false;
    loop {
        tokio::time::sleep(EVERY).await;
        if follower.context.is_starting() {
            continue;
        }
        match follower.step().await {
            Ok(()) => is_failing = false,
            // Once, and not every two seconds; what is left of the certificate is in `cairn admin status`.
            Err(error) if !is_failing => {
                is_failing = true;
                warn!("the node's credentials cannot be brought up to date: {error:#}");
            }
            Err(_) => {}
        }
    }
}

struct Follower {
    context: AdminContext,
    /// When a renewal was tried last that only the end of the certificate asked for.
    tried: Option<Duration>,
}

impl Follower {
    async fn step(&mut self) -> Result<()> {
        let trust = load(&self.context).await?;
        let held = self.context.home.credentials()?;
        if *held.bundle() != trust.bundle {
            keep(&self.context, held.certificate(), &trust.bundle)?;
            let count = trust.bundle.authorities().len();
            info!(count, "the trusted authorities have changed");
        }
        let signed_by = trust.bundle.issuer_of(held.certificate());
        let is_of_issuer = signed_by.is_some_and(|found| found.fingerprint() == trust.issuer);
        if is_of_issuer && !self.is_due(held.certificate()) {
            return Ok(());
        }
        let renewed = renew(&self.context, &trust).await?;
        keep(&self.context, &renewed, &trust.bundle)?;
        info!(
            ends_ms = renewed.not_after_ms(),
            "the node's certificate was renewed"
        );
        Ok(())
    }

    /// Whether the certificate ends soon, and an attempt is not just over.
    fn is_due(&mut self, certificate: &Certificate) -> bool {
        let left = certificate
            .not_after_ms()
            .saturating_sub(self.context.clock.now_ms());
        let now = self.context.clock.monotonic();
        let waited = self
            .tried
            .is_none_or(|tried| now.saturating_sub(tried) >= RENEW_PAUSE);
        if Duration::from_millis(left) > RENEW_BEFORE || !waited {
            return false;
        }
        self.tried = Some(now);
        true
    }
}

/// Uses new credentials, and keeps them for the next start.
fn keep(context: &AdminContext, certificate: &Certificate, bundle: &TrustBundle) -> Result<()> {
    let credentials = context
        .home
        .credentials_of(certificate.clone(), bundle.clone())?;
    context.network.node().identity.reload(credentials)?;
    context.home.save_credentials(certificate, bundle)
}

/// A new certificate for the node's key: signed here, or by the node that holds the authority.
async fn renew(context: &AdminContext, trust: &Trust) -> Result<Certificate> {
    let request = context.home.key()?.certificate_request()?;
    if held(context, trust)?.is_some() {
        return issue_for(context, trust, context.me(), &request).await;
    }
    let message = RenewMessage {
        der: request.into(),
        ..Default::default()
    };
    let message = Bytes::from(message.encode());
    let mut failed = Vec::new();
    for peer in context.network.peers() {
        if peer.id() == context.me() {
            continue;
        }
        match peer
            .call(Call::new(METHOD, message.clone(), DEADLINE))
            .await
        {
            Ok(response) => {
                let answer = RenewMessage::decode(response.message)?;
                let certificate = Certificate::from_der(&answer.der)?;
                ensure!(
                    certificate.node() == Some(context.home.identity()),
                    "node {} issued a certificate of another node",
                    peer.id()
                );
                return Ok(certificate);
            }
            Err(error) => failed.push(error.to_string()),
        }
    }
    bail!(
        "no node issues a new certificate for this one: {}",
        failed.join("; ")
    )
}

/// Signs a certificate for a node of the region.
async fn issue_for(
    context: &AdminContext,
    trust: &Trust,
    node: NodeId,
    request: &[u8],
) -> Result<Certificate> {
    let view = context.stored_view().await?;
    let info = view.map.node(node).filter(|info| !info.is_removed);
    let info =
        info.with_context(|| format!("node {node} is not in the cluster map, or was removed"))?;
    let wanted = NodeRequest {
        request,
        node,
        names: &hosts(&info.addresses),
        validity: NODE_VALIDITY,
    };
    issue(context, trust, &wanted)
}

/// Adds the method by which nodes get new certificates.
pub fn add_method(service: Service, context: AdminContext) -> Service {
    service.unary(
        METHOD,
        0,
        move |call: rpc::server::Context, request: Request| {
            let context = context.clone();
            async move {
                if !context.home.has_authority() {
                    return Err(Failure::new(NOT_HERE, "the authority is not kept here"));
                }
                let answer = async {
                    let trust = load(&context).await?;
                    let message =
                        RenewMessage::decode(request.message).map_err(|error| anyhow!(error))?;
                    issue_for(&context, &trust, call.peer.node, &message.der).await
                };
                let certificate = answer
                    .await
                    .map_err(|error: anyhow::Error| Failure::new(REFUSED, format!("{error:#}")))?;
                info!(node = %call.peer.node, "a node's certificate was renewed");
                let message = RenewMessage {
                    der: certificate.der().to_vec().into(),
                    ..Default::default()
                };
                Ok(Response::of(message.encode()))
            }
        },
    )
}

#[cfg(test)]
mod tests;
