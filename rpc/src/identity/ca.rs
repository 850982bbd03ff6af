//! The cluster's certificate authority: made once for a region, kept as two PEM files, issues the
//! certificates of its nodes.

use super::{Certificate, IdentityError, NodeIdentity, NodeKey, files};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::CertificateSigningRequestDer;
use std::path::Path;
use std::time::Duration;
use time::OffsetDateTime;
use types::clock::Clock;
use types::entropy::Entropy;
use types::ids::{InstallationId, NodeId, RegionId};
use types::limits::{RPC_CA_VALIDITY, RPC_CLOCK_BACKDATE, RPC_NODE_VALIDITY};

/// How long an authority is valid unless it is told otherwise.
pub const CA_VALIDITY: Duration = RPC_CA_VALIDITY;
/// How long a node's certificate is valid unless it is told otherwise.
pub const NODE_VALIDITY: Duration = RPC_NODE_VALIDITY;

/// The certificate authority of the nodes of one region.
pub struct ClusterCa {
    installation: InstallationId,
    region: RegionId,
    certificate: Certificate,
    pub(super) key: NodeKey,
}

/// What a node's certificate is to say.
#[derive(Debug, Clone)]
pub struct NodeRequest<'a> {
    /// The node's request (DER). Only its public key is taken from it.
    pub request: &'a [u8],
    /// Which node it is.
    pub node: NodeId,
    /// DNS names and IP addresses of the node: for people and tools; our own code goes by the node id.
    pub names: &'a [String],
    /// How long the certificate is valid, at most as long as the authority.
    pub validity: Duration,
}

impl ClusterCa {
    /// A new authority, valid for [`CA_VALIDITY`]. Nothing is written.
    ///
    /// # Errors
    /// When the key cannot be made.
    pub fn create(
        installation: InstallationId,
        region: RegionId,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Self, IdentityError> {
        let key = NodeKey::generate()?;
        let serial = serial(entropy);
        let mut params = params(&authority_uri(installation, region), &serial)?;
        // Two authorities of a region have different names, so that a verifier need not try both.
        let name = format!("Cairn {installation} region {region} {serial}");
        params.distinguished_name = named(&name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        valid_from(&mut params, clock.now_ms(), CA_VALIDITY, u64::MAX)?;
        let signed = params.self_signed(&key.0).map_err(IdentityError::issue)?;
        Ok(Self {
            installation,
            region,
            certificate: Certificate::from_der(signed.der())?,
            key,
        })
    }

    /// Reads an authority from the two PEM texts.
    ///
    /// # Errors
    /// When one of them is not what it should be, or they do not belong together.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, IdentityError> {
        let certificate = Certificate::from_pem(certificate)?;
        let key = NodeKey::from_pem(key)?;
        if certificate.fingerprint() != key.fingerprint() {
            return Err(IdentityError::OtherKey);
        }
        let scope = match certificate.uris() {
            [uri] if certificate.is_authority() => parse_authority_uri(uri),
            _ => None,
        };
        let (installation, region) = scope.ok_or_else(|| {
            IdentityError::malformed("cluster authority", "its certificate does not say so")
        })?;
        Ok(Self {
            installation,
            region,
            certificate,
            key,
        })
    }

    /// Reads an authority from its two files.
    ///
    /// # Errors
    /// As for [`from_pem`](Self::from_pem), and when others than the owner can read the key.
    pub fn load(certificate: &Path, key: &Path) -> Result<Self, IdentityError> {
        let key = files::read_secret(key)?;
        Self::from_pem(&files::read_public(certificate)?, &key)
    }

    /// Writes the authority to two files, the key with mode 0600; durable on return. The key is written
    /// first: a certificate without a key would be trusted and could issue nothing.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn save(&self, certificate: &Path, key: &Path) -> Result<(), IdentityError> {
        self.key.save(key)?;
        files::write_public(certificate, &self.certificate.to_pem())
    }

    /// The authority's own certificate, which goes into trust bundles.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Issues a node's certificate.
    ///
    /// # Errors
    /// When the request is not signed with its own key or a name is none.
    pub fn issue(
        &self,
        wanted: &NodeRequest<'_>,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Certificate, IdentityError> {
        let der = CertificateSigningRequestDer::from(wanted.request);
        let request = CertificateSigningRequestParams::from_der(&der)
            .map_err(|error| IdentityError::malformed("certificate request", error))?;
        let identity = NodeIdentity {
            installation: self.installation,
            region: self.region,
            node: wanted.node,
        };
        let mut params = params(&identity.to_string(), &serial(entropy))?;
        for name in wanted.names {
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(ia5(name)?),
            });
        }
        params.distinguished_name = named(&format!("Cairn node {}", wanted.node));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let not_after_ms = self.certificate.not_after_ms();
        valid_from(&mut params, clock.now_ms(), wanted.validity, not_after_ms)?;
        let issuer = Issuer::from_ca_cert_der(self.certificate.der(), &self.key.0)
            .map_err(IdentityError::issue)?;
        let signed = params
            .signed_by(&request.public_key, &issuer)
            .map_err(IdentityError::issue)?;
        Certificate::from_der(signed.der())
    }
}

impl std::fmt::Debug for ClusterCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClusterCa({:?})", self.certificate)
    }
}

fn authority_uri(installation: InstallationId, region: RegionId) -> String {
    format!("cairn://{installation}/{region}/ca")
}

fn parse_authority_uri(uri: &str) -> Option<(InstallationId, RegionId)> {
    let rest = uri.strip_prefix("cairn://")?.strip_suffix("/ca")?;
    let (installation, region) = rest.split_once('/')?;
    let installation = InstallationId::parse(installation)?;
    let region = RegionId(region.parse().ok()?);
    (authority_uri(installation, region) == uri).then_some((installation, region))
}

/// 127 random bits: serial numbers are positive.
fn serial(entropy: &dyn Entropy) -> SerialNumber {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

fn params(uri: &str, serial: &SerialNumber) -> Result<CertificateParams, IdentityError> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![SanType::URI(ia5(uri)?)];
    params.serial_number = Some(serial.clone());
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn ia5(text: &str) -> Result<Ia5String, IdentityError> {
    Ia5String::try_from(text).map_err(|_| IdentityError::malformed("name of a node", text))
}

/// Valid from a little before now, so that a node whose clock is behind takes the certificate too.
fn valid_from(
    params: &mut CertificateParams,
    now_ms: u64,
    validity: Duration,
    not_after_ms: u64,
) -> Result<(), IdentityError> {
    let at = |ms: u64| {
        let seconds = i64::try_from(ms / 1000).unwrap_or(i64::MAX);
        OffsetDateTime::from_unix_timestamp(seconds).map_err(IdentityError::issue)
    };
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    params.not_before = at(now_ms.saturating_sub(ms(RPC_CLOCK_BACKDATE)))?;
    params.not_after = at(now_ms.saturating_add(ms(validity)).min(not_after_ms))?;
    Ok(())
}
