//! The directory of a node: who it is, what proves it, and whom it knows.
//!
//! ```text
//! node.toml        installation, region, node id and name; written last when the directory is made, never changed
//! node.key         private key; node.pem its certificate; trust.pem the authorities that the node trusts
//! ca.key ca.pem    the cluster's authority, only where it is kept; ca-<fingerprint>.key and .pem are its successors
//! root-key.json    the root user's key pair, the same on all nodes
//! peers.toml       the nodes and addresses that were known last: what a start begins with
//! disks.toml       the disks that the node had at its last start: what is missing when it is stopped
//! first-map.bin    the first cluster map, only on the first node and until it is stored
//! admin.sock       what the `cairn` commands talk to while the server runs
//! ```

use crate::root_key::{self, RootKey};
use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use rpc::identity::{
    Certificate, ClusterCa, Credentials, Fingerprint, NodeIdentity, NodeKey, TrustBundle,
};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use types::{ClusterMap, ClusterView, DiskId, InstallationId, NodeId, RegionId, envelope};

const NODE_FILE: &str = "node.toml";
const KEY_FILE: &str = "node.key";
const CERTIFICATE_FILE: &str = "node.pem";
const TRUST_FILE: &str = "trust.pem";
const AUTHORITY_KEY_FILE: &str = "ca.key";
const AUTHORITY_FILE: &str = "ca.pem";
const FURTHER_AUTHORITY: &str = "ca-";
const PEERS_FILE: &str = "peers.toml";
const DISKS_FILE: &str = "disks.toml";
const FIRST_MAP_FILE: &str = "first-map.bin";
const SOCKET_FILE: &str = "admin.sock";

/// What an attempt to make or join a region may leave behind.
const LEFT_OVER: [&str; 8] = [
    KEY_FILE,
    CERTIFICATE_FILE,
    TRUST_FILE,
    PEERS_FILE,
    "root-key.json",
    "node.key.new",
    "node.new",
    "trust.pem.new",
];

/// A node as it was known last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerEntry {
    /// The node.
    pub node: NodeId,
    /// Where it is reached, `host:port`, the preferred one first.
    pub addresses: Vec<String>,
    /// Whether it keeps partitions of the index.
    pub is_index: bool,
}

/// The directory of a node that belongs to a region.
#[derive(Debug, Clone)]
pub struct NodeHome {
    dir: PathBuf,
    identity: NodeIdentity,
    name: String,
}

/// What a new directory is to hold.
pub struct NewHome<'a> {
    /// The node's name.
    pub name: &'a str,
    /// The certificate for its key, and the authorities that it trusts.
    pub certificate: &'a Certificate,
    /// See `certificate`.
    pub bundle: &'a TrustBundle,
    /// The root user.
    pub root: &'a RootKey,
    /// The nodes to begin with.
    pub peers: &'a [PeerEntry],
    /// On the first node: the authority and the first view, which has no placement groups.
    pub first: Option<(&'a ClusterCa, &'a ClusterView)>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeFile {
    installation: String,
    region: u16,
    node: u32,
    name: String,
}

#[derive(Default, Serialize, Deserialize)]
struct PeersFile {
    #[serde(default)]
    peers: Vec<PeerLine>,
}

#[derive(Serialize, Deserialize)]
struct DisksFile {
    disks: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct PeerLine {
    node: u32,
    addresses: Vec<String>,
    is_index: bool,
}

impl NodeHome {
    /// Opens the directory of a node.
    ///
    /// # Errors
    /// It is none, or its `node.toml` cannot be read.
    pub fn open(dir: &Path) -> Result<Self> {
        let path = dir.join(NODE_FILE);
        let shown = path.display();
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "{} is not the directory of a node: make the first node of a region with `cairn cluster create`, \
                 or join one with `cairn node join`",
                dir.display()
            ),
            read => read.with_context(|| format!("cannot read {shown}"))?,
        };
        let file: NodeFile = toml::from_str(&text)
            .with_context(|| format!("{shown} does not say which node this is"))?;
        let installation = InstallationId::parse(&file.installation)
            .with_context(|| format!("{shown}: `installation` is no id of an installation"))?;
        Ok(Self {
            dir: dir.to_owned(),
            identity: NodeIdentity {
                installation,
                region: RegionId(file.region),
                node: NodeId(file.node),
            },
            name: file.name,
        })
    }

    /// Says why `dir` cannot be made the directory of a new node, if it cannot. Its `data` may lie in it, and what an
    /// earlier attempt left behind, but for an authority's key: nothing writes over one.
    ///
    /// # Errors
    /// It is a node's already, or holds something else.
    pub fn check_new(dir: &Path, data: &[PathBuf]) -> Result<()> {
        let shown = dir.display();
        if dir.join(NODE_FILE).exists() {
            let home = Self::open(dir)?;
            bail!(
                "{shown} is the directory of node {} ({}) already: start it with `cairn server`, or name another \
                 directory with --node-dir",
                home.name,
                home.identity
            );
        }
        let entries = match std::fs::read_dir(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            read => read.with_context(|| format!("cannot read {shown}"))?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            ensure!(
                LEFT_OVER.iter().any(|known| name == *known)
                    || data.iter().any(|data| data.starts_with(entry.path())),
                "{shown} holds {name:?}, so it is not made the directory of a node: name an empty directory with \
                 --node-dir"
            );
        }
        Ok(())
    }

    /// Whether an earlier attempt to join got as far as a key.
    #[must_use]
    pub fn was_prepared(dir: &Path) -> bool {
        dir.join(KEY_FILE).exists()
    }

    /// Makes the directory, readable by its owner only, and the node's key in it, or reads the key that an earlier
    /// attempt made: the answer to it may have been lost. Durable on return.
    ///
    /// # Errors
    /// See [`check_new`](Self::check_new); the directory cannot be written.
    pub fn prepare(dir: &Path, data: &[PathBuf]) -> Result<NodeKey> {
        use std::os::unix::fs::DirBuilderExt;
        Self::check_new(dir, data)?;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .with_context(|| format!("cannot make {}", dir.display()))?;
        if Self::was_prepared(dir) {
            return Ok(NodeKey::load(&dir.join(KEY_FILE))?);
        }
        let key = NodeKey::generate()?;
        key.save(&dir.join(KEY_FILE))?;
        Ok(key)
    }

    /// Fills a directory that was [prepared](Self::prepare); durable on return, and no node's before.
    ///
    /// # Errors
    /// A file cannot be written; the certificate is not of the key.
    pub fn create(dir: &Path, new: &NewHome<'_>) -> Result<Self> {
        let key = NodeKey::load(&dir.join(KEY_FILE))?;
        let credentials = Credentials::new(key, new.certificate.clone(), new.bundle.clone())?;
        let home = Self {
            dir: dir.to_owned(),
            identity: credentials.node(),
            name: new.name.to_owned(),
        };
        home.save_credentials(new.certificate, new.bundle)?;
        root_key::save(dir, new.root)?;
        home.save_peers(new.peers)?;
        if let Some((authority, view)) = new.first {
            authority.save(&dir.join(AUTHORITY_FILE), &dir.join(AUTHORITY_KEY_FILE))?;
            assert!(view.groups.is_empty(), "a first map has no groups");
            let sealed = envelope::seal(FIRST_MAP_FILE.as_bytes(), 0, &view.map.encode());
            home.write(FIRST_MAP_FILE, &sealed)?;
        }
        let file = NodeFile {
            installation: home.identity.installation.to_string(),
            region: home.identity.region.0,
            node: home.identity.node.0,
            name: home.name.clone(),
        };
        home.write(NODE_FILE, toml::to_string(&file)?.as_bytes())?;
        Ok(home)
    }

    /// Where it is.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Which node of which region it is.
    #[must_use]
    pub fn identity(&self) -> NodeIdentity {
        self.identity
    }

    /// The node's number.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.identity.node
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The socket for the `cairn` commands.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket_in(&self.dir)
    }

    /// Whether a server of this node answers the `cairn` commands.
    #[must_use]
    pub fn is_running(&self) -> bool {
        std::os::unix::net::UnixStream::connect(self.socket()).is_ok()
    }

    /// Key, certificate and trusted authorities.
    ///
    /// # Errors
    /// A file is missing or cannot be used, or the certificate is of another node.
    pub fn credentials(&self) -> Result<Credentials> {
        let key = NodeKey::load(&self.dir.join(KEY_FILE))?;
        let path = self.dir.join(CERTIFICATE_FILE);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let bundle = TrustBundle::load(&self.dir.join(TRUST_FILE))?;
        let credentials = Credentials::new(key, Certificate::from_pem(&text)?, bundle)?;
        ensure!(
            credentials.node() == self.identity,
            "{} is the certificate of {}, and this is {}: put the node's own back",
            path.display(),
            credentials.node(),
            self.identity
        );
        Ok(credentials)
    }

    /// Keeps a new certificate for the node's key and the authorities to trust. Durable on return. The authorities
    /// come first: a certificate that none of them has signed could not be used.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save_credentials(&self, certificate: &Certificate, bundle: &TrustBundle) -> Result<()> {
        bundle.save(&self.dir.join(TRUST_FILE))?;
        self.write(CERTIFICATE_FILE, certificate.to_pem().as_bytes())
    }

    /// The node's key.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn key(&self) -> Result<NodeKey> {
        Ok(NodeKey::load(&self.dir.join(KEY_FILE))?)
    }

    /// The node's key with another certificate and other authorities. Nothing is written.
    ///
    /// # Errors
    /// The certificate is not for the key.
    pub fn credentials_of(
        &self,
        certificate: Certificate,
        bundle: TrustBundle,
    ) -> Result<Credentials> {
        Ok(Credentials::new(self.key()?, certificate, bundle)?)
    }

    /// Whether an authority of the cluster is kept here.
    #[must_use]
    pub fn has_authority(&self) -> bool {
        self.authority_files().is_ok_and(|found| !found.is_empty())
    }

    /// The authorities of the cluster that are kept here: one, or two while they are rotated.
    ///
    /// # Errors
    /// The files of one cannot be used.
    pub fn authorities(&self) -> Result<Vec<ClusterCa>> {
        let load = |certificate: &PathBuf| {
            Ok(ClusterCa::load(
                certificate,
                &certificate.with_extension("key"),
            )?)
        };
        self.authority_files()?.iter().map(load).collect()
    }

    /// The certificates of authorities that have their key beside them.
    fn authority_files(&self) -> std::io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_authority = name == AUTHORITY_FILE || name.starts_with(FURTHER_AUTHORITY);
            if is_authority && name.ends_with(".pem") && path.with_extension("key").exists() {
                found.push(path);
            }
        }
        found.sort();
        Ok(found)
    }

    /// Keeps one authority more, in files that have its fingerprint in their names. Durable on return.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn add_authority(&self, authority: &ClusterCa) -> Result<()> {
        let fingerprint = authority.certificate().fingerprint().to_string();
        let certificate = self
            .dir
            .join(format!("{FURTHER_AUTHORITY}{}.pem", &fingerprint[..16]));
        Ok(authority.save(&certificate, &certificate.with_extension("key"))?)
    }

    /// Removes an authority that nobody trusts any more, its certificate first: a key alone is passed over.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn remove_authority(&self, fingerprint: Fingerprint) -> Result<()> {
        for path in self.authority_files()? {
            let key = path.with_extension("key");
            if ClusterCa::load(&path, &key)?.certificate().fingerprint() == fingerprint {
                std::fs::remove_file(&path)?;
                std::fs::remove_file(&key)?;
            }
        }
        Ok(())
    }

    /// The root user's key pair.
    ///
    /// # Errors
    /// The file is missing or holds none.
    pub fn root_key(&self) -> Result<RootKey> {
        root_key::load(&self.dir)
    }

    /// The nodes that were known last, this one among them.
    ///
    /// # Errors
    /// The file is missing or cannot be read.
    pub fn peers(&self) -> Result<Vec<PeerEntry>> {
        let path = self.dir.join(PEERS_FILE);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let file: PeersFile = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let peers = file.peers.into_iter().map(|line| PeerEntry {
            node: NodeId(line.node),
            addresses: line.addresses,
            is_index: line.is_index,
        });
        Ok(peers.collect())
    }

    /// Keeps the nodes that are known, for the next start. Durable on return.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_peers(&self, peers: &[PeerEntry]) -> Result<()> {
        let lines = peers.iter().map(|peer| PeerLine {
            node: peer.node.0,
            addresses: peer.addresses.clone(),
            is_index: peer.is_index,
        });
        let file = PeersFile {
            peers: lines.collect(),
        };
        self.write(PEERS_FILE, toml::to_string(&file)?.as_bytes())
    }

    /// The disks of the node in the map at its last start.
    ///
    /// # Errors
    /// It was never started by this version; the file cannot be read.
    pub fn disks(&self) -> Result<Vec<DiskId>> {
        let path = self.dir.join(DISKS_FILE);
        let text = std::fs::read_to_string(&path).with_context(|| {
            format!(
                "cannot read {}, which a start of the node writes: start it once",
                path.display()
            )
        })?;
        let file: DisksFile = toml::from_str(&text).with_context(|| path.display().to_string())?;
        let parse = |text: &String| {
            DiskId::parse(text)
                .with_context(|| format!("{}: `{text}` is no disk id", path.display()))
        };
        file.disks.iter().map(parse).collect()
    }

    /// Keeps which disks the node has. Durable on return.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save_disks(&self, disks: &[DiskId]) -> Result<()> {
        let file = DisksFile {
            disks: disks.iter().map(ToString::to_string).collect(),
        };
        self.write(DISKS_FILE, toml::to_string(&file)?.as_bytes())
    }

    /// The first view of the region, if it still has to be stored.
    ///
    /// # Errors
    /// The file is damaged.
    pub fn first_view(&self) -> Result<Option<ClusterView>> {
        let path = self.dir.join(FIRST_MAP_FILE);
        let sealed = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let opened = envelope::open(FIRST_MAP_FILE.as_bytes(), &Bytes::from(sealed))
            .with_context(|| format!("{} is damaged", path.display()))?;
        let map = ClusterMap::decode(opened.payload)
            .with_context(|| format!("{} is damaged", path.display()))?;
        Ok(Some(ClusterView {
            map,
            ..Default::default()
        }))
    }

    /// Forgets the first view: the index has it.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub fn forget_first_view(&self) -> Result<()> {
        match std::fs::remove_file(self.dir.join(FIRST_MAP_FILE)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.dir.join(name);
        root_key::write_private(&path, bytes)
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Where the server of a node directory listens for the `cairn` commands.
#[must_use]
pub fn socket_in(dir: &Path) -> PathBuf {
    dir.join(SOCKET_FILE)
}

#[cfg(test)]
mod tests;
