//! Who is who: the cluster's certificate authority, the certificates of nodes, and what a process trusts.
//!
//! A node is known by the URI in its certificate, `cairn://<installation>/<region>/node/<node id>`, not by
//! its name or address: those may change, and a certificate of another node, region or installation is
//! worth nothing here, whoever signed it. A node's private key is made where the node runs and never
//! leaves it.
//!
//! Rotating the authority without a stop: put the new one into every node's bundle, issue new node
//! certificates from it, take the old one out of every bundle. Each step is a
//! [`reload`](Identity::reload).

mod bundle;
mod ca;
mod certificate;
mod credentials;
mod files;
mod key;
mod verify;

pub use bundle::{Fingerprint, TrustBundle};
pub use ca::{CA_VALIDITY, ClusterCa, NODE_VALIDITY, NodeRequest};
pub use certificate::Certificate;
pub(crate) use certificate::chain_of;
pub use credentials::{Credentials, Identity};
pub use key::NodeKey;
pub(crate) use key::key_of_request;
pub(crate) use verify::{ClusterTime, ClusterVerifier, provider, verify_issued_by, with_claim};

use std::fmt;
use std::path::PathBuf;
use types::ids::{InstallationId, NodeId, RegionId};

/// What a node's certificate says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeIdentity {
    /// The installation that the node is a part of.
    pub installation: InstallationId,
    /// Its region.
    pub region: RegionId,
    /// Its number.
    pub node: NodeId,
}

impl NodeIdentity {
    /// Reads what `Display` writes; `None` for anything else.
    #[must_use]
    pub fn parse(uri: &str) -> Option<Self> {
        let (installation, rest) = uri.strip_prefix("cairn://")?.split_once('/')?;
        let (region, node) = rest.split_once("/node/")?;
        let identity = Self {
            installation: InstallationId::parse(installation)?,
            region: RegionId(region.parse().ok()?),
            node: NodeId(node.parse().ok()?),
        };
        // One spelling only: `+7`, `007` and capitals are not what we write.
        (identity.to_string() == uri).then_some(identity)
    }
}

impl fmt::Display for NodeIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            installation,
            region,
            node,
        } = self;
        write!(f, "cairn://{installation}/{region}/node/{node}")
    }
}

/// Why something about identities failed.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A key file can be read by others.
    #[error("{}: others than its owner may read this private key (mode {mode:o}); chmod 600 it, and replace the key if they did", path.display())]
    KeyIsOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Text or bytes are not what they should be.
    #[error("this is no {what}: {why}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A certificate was not issued for this key.
    #[error("the certificate is not for this private key: issue one for a request of this node")]
    OtherKey,
    /// A certificate is not trusted by the bundle that was given with it.
    #[error(
        "the node's own certificate is not valid under its trust bundle ({0}): issue one from an authority in the bundle before an authority is taken out of it"
    )]
    NotTrusted(String),
    /// A reload would make the process another node.
    #[error(
        "this process is {is}, and the new certificate is of {becomes}: restart the process to change that"
    )]
    OtherNode {
        /// What the process is.
        is: NodeIdentity,
        /// What the new certificate says.
        becomes: NodeIdentity,
    },
    /// A certificate could not be made.
    #[error("the certificate cannot be issued: {0}")]
    Issue(String),
}

impl IdentityError {
    fn malformed(what: &'static str, why: impl fmt::Display) -> Self {
        Self::Malformed {
            what,
            why: why.to_string(),
        }
    }

    fn issue(why: impl fmt::Display) -> Self {
        Self::Issue(why.to_string())
    }
}

#[cfg(test)]
mod tests;
