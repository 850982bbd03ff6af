//! Rotating the cluster's authority without a stop: a new one is made and trusted beside the old one, then every node
//! gets a certificate of the new one, then the old one is trusted no more. Each step is an operator's, and is refused
//! until the one before it has reached every node.

use super::context::AdminContext;
use super::status::{NodeStatus, ask_all};
use super::trust::{self, Trust};
use anyhow::{Context, Result, bail, ensure};
use rpc::identity::{ClusterCa, Fingerprint};
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, UNIX_EPOCH};
use types::NodeInfo;

/// How long a step waits for all nodes to take it over, and the pause between two looks.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(500);

/// `cairn ca status`.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuthorityReport {
    /// The trusted authorities.
    pub authorities: Vec<AuthorityLine>,
    /// The nodes.
    pub nodes: Vec<CertificateLine>,
    /// What to do next.
    pub next: String,
}

/// A trusted authority.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuthorityLine {
    /// SHA-256 of its key.
    pub fingerprint: String,
    /// Whether it signs.
    pub signs: bool,
    /// When it ends, in milliseconds since the Unix epoch.
    pub ends_ms: u64,
    /// The nodes that hold its key.
    pub held_by: Vec<String>,
}

/// The certificate of a node.
#[derive(Debug, Serialize, Deserialize)]
pub struct CertificateLine {
    /// The node.
    pub node: String,
    /// Why it cannot be told; the rest is empty then.
    pub error: Option<String>,
    /// Who signed it.
    pub issuer: String,
    /// Whom the node trusts.
    pub trusts: Vec<String>,
    /// When it ends, in milliseconds since the Unix epoch.
    pub ends_ms: u64,
}

impl Display for AuthorityReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for authority in &self.authorities {
            let signs = if authority.signs {
                "signs"
            } else {
                "is trusted"
            };
            let held_by = match authority.held_by.as_slice() {
                [] => "nobody who answers".to_owned(),
                names => names.join(", "),
            };
            let ends = date(authority.ends_ms);
            writeln!(
                f,
                "authority {} {signs}, ends {ends}, held by {held_by}",
                authority.fingerprint
            )?;
        }
        for node in &self.nodes {
            match &node.error {
                Some(why) => writeln!(f, "node {}: not known ({why})", node.node)?,
                None => writeln!(
                    f,
                    "node {}: certificate of {}, ends {}; trusts {}",
                    node.node,
                    short(&node.issuer),
                    date(node.ends_ms),
                    node.trusts
                        .iter()
                        .map(|one| short(one))
                        .collect::<Vec<_>>()
                        .join(" and ")
                )?,
            }
        }
        writeln!(f, "next: {}", self.next)
    }
}

fn short(fingerprint: &str) -> &str {
    fingerprint.get(..16).unwrap_or(fingerprint)
}

fn date(ms: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

type Asked = Vec<(NodeInfo, Result<NodeStatus, String>)>;

/// What there is.
///
/// # Errors
/// The index does not answer.
pub async fn status(context: &AdminContext) -> Result<AuthorityReport> {
    let trust = trust::load(context).await?;
    let asked = ask_all(context, &context.stored_view().await?).await;
    let hex = |bytes: &[u8; 32]| Fingerprint(*bytes).to_string();
    let authorities = trust.bundle.authorities().iter().map(|authority| {
        let fingerprint = authority.fingerprint();
        let holds = |status: &NodeStatus| status.holds.contains(&fingerprint.0);
        let holder = |(node, status): &(NodeInfo, Result<NodeStatus, String>)| {
            status.as_ref().is_ok_and(holds).then(|| node.name.clone())
        };
        AuthorityLine {
            fingerprint: fingerprint.to_string(),
            signs: fingerprint == trust.issuer,
            ends_ms: authority.not_after_ms(),
            held_by: asked.iter().filter_map(holder).collect(),
        }
    });
    let nodes = asked.iter().map(|(node, status)| match status {
        Ok(status) => CertificateLine {
            node: node.name.clone(),
            error: None,
            issuer: hex(&status.issuer),
            trusts: status.trusts.iter().map(hex).collect(),
            ends_ms: status.certificate_ends_ms,
        },
        Err(why) => CertificateLine {
            node: node.name.clone(),
            error: Some(why.clone()),
            issuer: String::new(),
            trusts: Vec::new(),
            ends_ms: 0,
        },
    });
    Ok(AuthorityReport {
        authorities: authorities.collect(),
        nodes: nodes.collect(),
        next: next_step(&trust, &asked),
    })
}

/// What an operator does next.
fn next_step(trust: &Trust, asked: &Asked) -> String {
    let newest = trust
        .bundle
        .authorities()
        .last()
        .map(|authority| authority.fingerprint());
    let step = match (
        trust.bundle.authorities().len(),
        newest == Some(trust.issuer),
    ) {
        (1, _) => {
            return "nothing: one authority is trusted (`cairn ca new` begins its replacement)"
                .to_owned();
        }
        (_, false) => match lagging(asked, |status| {
            newest.is_none_or(|new| status.trusts.contains(&new.0))
        }) {
            None => "`cairn ca renew`: every node trusts the new authority",
            Some(_) => "wait until every node trusts the new authority, then `cairn ca renew`",
        },
        (_, true) => match lagging(asked, |status| status.issuer == trust.issuer.0) {
            None => "`cairn ca retire`: every node has a certificate of the new authority",
            Some(_) => {
                "wait until every node has a certificate of the new authority, then `cairn ca retire`"
            }
        },
    };
    step.to_owned()
}

/// The nodes for which `is_so` does not hold, or is not known, with the reason; `None` when there are none.
fn lagging(asked: &Asked, is_so: impl Fn(&NodeStatus) -> bool) -> Option<String> {
    let fault = |(node, status): &(NodeInfo, Result<NodeStatus, String>)| match status {
        Ok(status) if is_so(status) => None,
        Ok(_) => Some(node.name.clone()),
        Err(why) => Some(format!("{} ({why})", node.name)),
    };
    let faults: Vec<String> = asked.iter().filter_map(fault).collect();
    (!faults.is_empty()).then(|| faults.join(", "))
}

/// Waits until `is_so` holds of every node; the nodes of which it does not in the end.
async fn wait(context: &AdminContext, is_so: impl Fn(&NodeStatus) -> bool) -> Option<String> {
    let began = context.clock.monotonic();
    loop {
        let asked = ask_all(context, &context.newest_view().await).await;
        let lagging = lagging(&asked, &is_so)?;
        if context.clock.monotonic().saturating_sub(began) > PATIENCE {
            return Some(lagging);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Makes a new authority, keeps it here, and has it trusted beside the one that signs.
///
/// # Errors
/// A replacement is under way already, or this node does not hold the authority that signs.
pub async fn begin(context: &AdminContext) -> Result<String> {
    let trust = trust::load(context).await?;
    require_held(context, trust.issuer)?;
    if trust.bundle.authorities().len() > 1 {
        bail!("a replacement is under way already: `cairn ca status` says what is next");
    }
    // One that was made and not yet trusted when an earlier attempt ended.
    let mut kept = context.home.authorities()?.into_iter();
    let left_over = kept.find(|one| one.certificate().fingerprint() != trust.issuer);
    let authority = match left_over {
        Some(authority) => authority,
        None => {
            let of = context.home.identity();
            let (clock, entropy) = (&*context.clock, &*context.entropy);
            let made = ClusterCa::create(of.installation, of.region, clock, entropy)?;
            context.home.add_authority(&made)?;
            made
        }
    };
    let fingerprint = authority.certificate().fingerprint();
    let next = Trust {
        bundle: trust.bundle.clone().with(authority.certificate().clone()),
        ..trust
    };
    trust::store(context, &next).await?;
    let rest = wait(context, |status| status.trusts.contains(&fingerprint.0)).await;
    Ok(match rest {
        None => {
            format!("Authority {fingerprint} is trusted by every node. Next: `cairn ca renew`.")
        }
        Some(rest) => format!(
            "Authority {fingerprint} is made. These nodes do not trust it yet: {rest}. When `cairn ca status` shows \
             that they do: `cairn ca renew`."
        ),
    })
}

/// Has every node get a certificate of the new authority.
///
/// # Errors
/// There is no new one, or a node does not trust it yet.
pub async fn renew(context: &AdminContext) -> Result<String> {
    let trust = trust::load(context).await?;
    let newest = trust
        .bundle
        .authorities()
        .last()
        .context("no authority is trusted")?
        .fingerprint();
    ensure!(
        trust.bundle.authorities().len() > 1,
        "there is no new authority: make one with `cairn ca new`. Certificates are renewed by themselves before they end"
    );
    require_held(context, newest)?;
    if newest != trust.issuer {
        let asked = ask_all(context, &context.stored_view().await?).await;
        if let Some(rest) = lagging(&asked, |status| status.trusts.contains(&newest.0)) {
            bail!(
                "these nodes do not trust the new authority yet, and would be cut off from those that have a certificate \
                 of it: {rest}. Start them, or remove them (`cairn node remove`)"
            );
        }
        let next = Trust {
            issuer: newest,
            ..trust
        };
        trust::store(context, &next).await?;
    }
    Ok(
        match wait(context, |status| status.issuer == newest.0).await {
            None => "Every node has a certificate of the new authority. Next: `cairn ca retire`."
                .to_owned(),
            Some(rest) => format!(
                "These nodes have no certificate of the new authority yet: {rest}. When `cairn ca status` shows that they \
             have: `cairn ca retire`."
            ),
        },
    )
}

/// Has the old authority not trusted any more, and forgets its key.
///
/// # Errors
/// A node still has a certificate of it, or cannot be asked.
pub async fn retire(context: &AdminContext) -> Result<String> {
    let trust = trust::load(context).await?;
    let issuer = trust.issuer;
    let others = trust
        .bundle
        .authorities()
        .iter()
        .map(|authority| authority.fingerprint());
    let old: Vec<Fingerprint> = others.filter(|found| *found != issuer).collect();
    ensure!(
        !old.is_empty(),
        "one authority is trusted, and it signs: there is none to retire"
    );
    let newest = trust
        .bundle
        .authorities()
        .last()
        .map(|authority| authority.fingerprint());
    ensure!(
        newest == Some(issuer),
        "the new authority signs nothing yet: `cairn ca renew` first"
    );
    let asked = ask_all(context, &context.stored_view().await?).await;
    if let Some(rest) = lagging(&asked, |status| status.issuer == issuer.0) {
        bail!(
            "these nodes would be cut off, since they have no certificate of the new authority: {rest}. Start them, or \
             remove them (`cairn node remove`)"
        );
    }
    let mut bundle = trust.bundle.clone();
    for fingerprint in &old {
        bundle = bundle.without(*fingerprint)?;
    }
    trust::store(context, &Trust { bundle, ..trust }).await?;
    let still = |status: &NodeStatus| {
        !status
            .trusts
            .iter()
            .any(|found| old.contains(&Fingerprint(*found)))
    };
    let rest = wait(context, still).await;
    for fingerprint in &old {
        context.home.remove_authority(*fingerprint)?;
    }
    let rest = rest.map(|rest| format!(" These nodes have not been told yet: {rest}."));
    Ok(format!(
        "Authority {issuer} alone is trusted now.{}",
        rest.unwrap_or_default()
    ))
}

fn require_held(context: &AdminContext, fingerprint: Fingerprint) -> Result<()> {
    let kept = context.home.authorities()?;
    ensure!(
        kept.iter()
            .any(|one| one.certificate().fingerprint() == fingerprint),
        "node {} does not hold authority {fingerprint}: ask the node that does (`cairn ca status`)",
        context.home.name()
    );
    Ok(())
}
