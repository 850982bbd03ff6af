//! The certificate authorities that a process trusts, and the short names that people compare.

use super::{Certificate, IdentityError, files};
use rustls::RootCertStore;
use std::fmt;
use std::path::Path;

/// SHA-256 of a public key with its algorithm (SPKI).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

/// The authorities that a process trusts: one, or several while they are rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustBundle {
    authorities: Vec<Certificate>,
}

impl TrustBundle {
    /// A bundle of these authorities.
    ///
    /// # Errors
    /// When there is none, or one of them is not an authority's certificate.
    pub fn new(authorities: Vec<Certificate>) -> Result<Self, IdentityError> {
        let what = "trust bundle";
        if authorities.is_empty() {
            return Err(IdentityError::malformed(what, "it names no authority"));
        }
        if let Some(other) = authorities.iter().find(|found| !found.is_authority()) {
            let why = format!("{other:?} may not issue certificates");
            return Err(IdentityError::malformed(what, why));
        }
        Ok(Self { authorities })
    }

    /// Reads what `to_pem` writes.
    ///
    /// # Errors
    /// As for [`new`](Self::new), and when the text is not PEM.
    pub fn from_pem(text: &str) -> Result<Self, IdentityError> {
        Self::new(Certificate::all_from_pem(text)?)
    }

    /// The bundle as PEM text, one certificate behind the other.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.authorities.iter().map(Certificate::to_pem).collect()
    }

    /// Reads a bundle from a file.
    ///
    /// # Errors
    /// When it cannot be read or is no bundle.
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        Self::from_pem(&files::read_public(path)?)
    }

    /// Writes the bundle to a file; durable on return.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        files::write_public(path, &self.to_pem())
    }

    /// The bundle with one more authority; the same one twice changes nothing.
    #[must_use]
    pub fn with(mut self, authority: Certificate) -> Self {
        if !self.authorities.contains(&authority) {
            self.authorities.push(authority);
        }
        self
    }

    /// The bundle without the authorities of this key.
    ///
    /// # Errors
    /// When none would be left.
    pub fn without(self, fingerprint: Fingerprint) -> Result<Self, IdentityError> {
        let keeps = |found: &Certificate| found.fingerprint() != fingerprint;
        Self::new(self.authorities.into_iter().filter(keeps).collect())
    }

    /// The authority that `certificate` says has signed it, if it is one of these.
    #[must_use]
    pub fn issuer_of(&self, certificate: &Certificate) -> Option<&Certificate> {
        let mut authorities = self.authorities.iter();
        authorities.find(|authority| certificate.names_as_issuer(authority))
    }

    /// The authorities.
    #[must_use]
    pub fn authorities(&self) -> &[Certificate] {
        &self.authorities
    }

    pub(crate) fn roots(&self) -> Result<RootCertStore, IdentityError> {
        let mut roots = RootCertStore::empty();
        for authority in &self.authorities {
            roots
                .add(authority.der().clone())
                .map_err(|error| IdentityError::malformed("authority's certificate", error))?;
        }
        Ok(roots)
    }
}
