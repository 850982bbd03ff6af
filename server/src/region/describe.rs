//! What a new node says of itself, and what the cluster answers: the content of an exchange of `rpc::join`.

use super::home::PeerEntry;
use crate::config::parse_address;
use crate::root_key::RootKey;
use types::format::FormatRange;
use types::{DiskId, NodeId, Role, Roles, record};

/// Disks of one node at the most: their ids fit the answer.
const DISKS_MAX: u32 = 256;
/// Characters of a name at the most.
const NAME_MAX: usize = 64;

record! {
    /// What a node says of itself. The cluster decides which number it gets and which its disks get.
    pub struct NodeDescription {
        /// What operators call it.
        1 => name: String,
        /// The name of its zone, which is made if there is none of this name.
        2 => zone: String,
        /// See `types::NodeInfo::rack`.
        3 => rack: String,
        /// Where others reach it, `host:port`.
        4 => addresses: Vec<String>,
        5 => roles: Roles,
        /// How many disks it has.
        6 => disks: u32,
        /// The formats that its binary knows.
        7 => formats: FormatRange,
    }
}

record! {
    /// What a new node is told, beside its certificate.
    pub struct JoinAnswer {
        /// The ids of its disks.
        1 => disks: Vec<DiskId>,
        /// The nodes of the region, the new one among them.
        2 => peers: Vec<PeerRecord>,
        3 => root_access_key: String,
        4 => root_secret_key: String,
        5 => root_canonical_id: String,
    }
}

record! {
    /// A [`PeerEntry`].
    pub struct PeerRecord {
        1 => node: NodeId,
        2 => addresses: Vec<String>,
        3 => is_index: bool,
    }
}

impl NodeDescription {
    /// Whether a node can be so; other nodes are not looked at.
    ///
    /// # Errors
    /// What is wrong, for people.
    pub fn check(&self) -> Result<(), String> {
        check_name("node", &self.name)?;
        check_name("zone", &self.zone)?;
        if !self.rack.is_empty() {
            check_name("rack", &self.rack)?;
        }
        if self.addresses.is_empty() {
            return Err("the node says no address at which others reach it".to_owned());
        }
        for address in &self.addresses {
            parse_address(address)?;
        }
        if self.roles.iter().next().is_none() {
            return Err("the node has no role".to_owned());
        }
        match (self.roles.has(Role::Chunkstore), self.disks) {
            (true, 0) => Err(
                "the node has the role chunkstore and no disk: name directories with --data, or other roles with \
                 --roles"
                    .to_owned(),
            ),
            (false, 1..) => Err(
                "the node has disks and not the role chunkstore: leave --data away, or add the role".to_owned(),
            ),
            (true, DISKS_MAX..) => Err(format!("a node has fewer than {DISKS_MAX} disks")),
            (true, _) | (false, 0) => Ok(()),
        }
    }

    /// The hosts of its addresses, for its certificate.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        hosts(&self.addresses)
    }
}

/// The hosts of `host:port`s.
#[must_use]
pub fn hosts(addresses: &[String]) -> Vec<String> {
    let host = |address: &String| {
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host);
        host.trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned()
    };
    addresses.iter().map(host).collect()
}

/// Refuses what is no name of a `what`.
fn check_name(what: &str, name: &str) -> Result<(), String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let begins_well = name
        .bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphanumeric());
    if begins_well && name.len() <= NAME_MAX && name.bytes().all(good) {
        return Ok(());
    }
    Err(format!(
        "{name:?} is no name of a {what}: at most {NAME_MAX} letters, digits, `-`, `_` and `.`, a letter or digit first"
    ))
}

impl JoinAnswer {
    /// The root user's keys.
    #[must_use]
    pub fn root(&self) -> RootKey {
        RootKey {
            access_key: self.root_access_key.clone(),
            secret_key: self.root_secret_key.clone(),
            canonical_id: self.root_canonical_id.clone(),
        }
    }

    /// The nodes of the region.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerEntry> {
        let entry = |peer: &PeerRecord| PeerEntry {
            node: peer.node,
            addresses: peer.addresses.clone(),
            is_index: peer.is_index,
        };
        self.peers.iter().map(entry).collect()
    }
}

impl From<&PeerEntry> for PeerRecord {
    fn from(peer: &PeerEntry) -> Self {
        Self {
            node: peer.node,
            addresses: peer.addresses.clone(),
            is_index: peer.is_index,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeDescription {
        NodeDescription {
            name: "n1".to_owned(),
            zone: "pek3-a".to_owned(),
            addresses: vec!["10.0.0.1:9002".to_owned(), "[fd00::1]:9002".to_owned()],
            roles: Roles::all(),
            disks: 3,
            ..Default::default()
        }
    }

    #[test]
    fn what_no_node_can_be_is_refused_with_the_reason() {
        assert_eq!(node().check(), Ok(()));
        let refused = |change: fn(&mut NodeDescription)| {
            let mut node = node();
            change(&mut node);
            node.check().unwrap_err()
        };
        assert!(refused(|node| node.name.clear()).contains("name of a node"));
        assert!(refused(|node| node.name = "a/b".to_owned()).contains("a/b"));
        assert!(refused(|node| node.zone = "-a".to_owned()).contains("zone"));
        assert!(refused(|node| node.rack = "x".repeat(65)).contains("rack"));
        assert!(refused(|node| node.addresses.clear()).contains("address"));
        assert!(refused(|node| node.addresses[0] = "0.0.0.0:1".to_owned()).contains("0.0.0.0"));
        assert!(refused(|node| node.roles = Roles::default()).contains("role"));
        assert!(refused(|node| node.disks = 0).contains("--data"));
        assert!(
            refused(|node| node.roles = [Role::Gateway].into_iter().collect()).contains("disks")
        );
        assert!(refused(|node| node.disks = 1000).contains("256"));
    }

    #[test]
    fn hosts_have_no_ports_and_brackets() {
        assert_eq!(node().hosts(), ["10.0.0.1", "fd00::1"]);
    }
}
