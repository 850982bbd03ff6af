//! One certificate: its bytes, and what can be read in it.

use super::{Fingerprint, IdentityError, NodeIdentity};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate, of a node or of an authority.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// The URIs among its names.
    uris: Vec<String>,
    is_authority: bool,
    not_after_ms: u64,
    fingerprint: Fingerprint,
    /// The names of whom it is of and of who signed it (DER).
    subject: Vec<u8>,
    issuer: Vec<u8>,
}

impl Certificate {
    /// Reads the bytes of a certificate. Nothing is verified.
    ///
    /// # Errors
    /// When they are no certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, IdentityError> {
        let what = "certificate";
        let (rest, parsed) = X509Certificate::from_der(der)
            .map_err(|error| IdentityError::malformed(what, error))?;
        if !rest.is_empty() {
            return Err(IdentityError::malformed(what, "bytes follow it"));
        }
        let names = parsed
            .subject_alternative_name()
            .map_err(|error| IdentityError::malformed(what, error))?;
        let names = names.iter().flat_map(|names| &names.value.general_names);
        let uris = names.filter_map(|name| match name {
            GeneralName::URI(uri) => Some((*uri).to_owned()),
            _ => None,
        });
        let not_after_s = u64::try_from(parsed.validity().not_after.timestamp()).unwrap_or(0);
        Ok(Self {
            uris: uris.collect(),
            is_authority: parsed.is_ca(),
            not_after_ms: not_after_s.saturating_mul(1000),
            fingerprint: Fingerprint(Sha256::digest(parsed.public_key().raw).into()),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
            der: CertificateDer::from(der.to_vec()),
        })
    }

    /// Reads one certificate from PEM text.
    ///
    /// # Errors
    /// When the text holds none, or several.
    pub fn from_pem(text: &str) -> Result<Self, IdentityError> {
        let mut found = Self::all_from_pem(text)?;
        match (found.pop(), found.len()) {
            (Some(certificate), 0) => Ok(certificate),
            (_, others) => {
                let why = format!("one is wanted, and there are {}", others + 1);
                Err(IdentityError::malformed("PEM text of a certificate", why))
            }
        }
    }

    /// Reads certificates, at least one, from PEM text.
    ///
    /// # Errors
    /// When the text holds none, or anything that is no certificate.
    pub fn all_from_pem(text: &str) -> Result<Vec<Self>, IdentityError> {
        let what = "PEM text of certificates";
        let found: Vec<Self> = CertificateDer::pem_slice_iter(text.as_bytes())
            .map(|der| Self::from_der(&der.map_err(|error| IdentityError::malformed(what, error))?))
            .collect::<Result<_, _>>()?;
        if found.is_empty() {
            return Err(IdentityError::malformed(what, "there is none in it"));
        }
        Ok(found)
    }

    /// The certificate as PEM text.
    #[must_use]
    pub fn to_pem(&self) -> String {
        super::key::pem("CERTIFICATE", &self.der)
    }

    /// Its bytes.
    #[must_use]
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The node that it names; `None` if it names none, or more than one.
    #[must_use]
    pub fn node(&self) -> Option<NodeIdentity> {
        match self.uris.as_slice() {
            [uri] => NodeIdentity::parse(uri),
            _ => None,
        }
    }

    /// The URIs that it names.
    #[must_use]
    pub fn uris(&self) -> &[String] {
        &self.uris
    }

    /// Whether it may issue certificates.
    #[must_use]
    pub fn is_authority(&self) -> bool {
        self.is_authority
    }

    /// Whether it says that `authority` signed it. Two authorities of a region have different names. The signature is
    /// not verified: that is for whoever is shown the certificate.
    #[must_use]
    pub fn names_as_issuer(&self, authority: &Self) -> bool {
        self.issuer == authority.subject
    }

    /// When it ends, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn not_after_ms(&self) -> u64 {
        self.not_after_ms
    }

    /// SHA-256 of its public key, with the key's algorithm (SPKI). It stays the same when a certificate
    /// for the same key is issued again.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Certificate({}, {})",
            self.uris.join(" "),
            self.fingerprint
        )
    }
}

/// The certificate that a peer showed, as it is written in logs: what it claims to be.
pub fn chain_of(certificates: &[CertificateDer<'_>]) -> String {
    match certificates
        .first()
        .map(|first| Certificate::from_der(first))
    {
        Some(Ok(certificate)) if certificate.uris.is_empty() => {
            "a certificate without a URI".into()
        }
        Some(Ok(certificate)) => certificate.uris.join(" "),
        Some(Err(_)) => "an unreadable certificate".into(),
        None => "no certificate".into(),
    }
}
