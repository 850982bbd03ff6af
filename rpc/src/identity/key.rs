//! A node's private key, and the request for a certificate that it signs.

use super::{Fingerprint, IdentityError, files};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, CertificateSigningRequestParams, KeyPair, PublicKeyData};
use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest, Sha256};
use std::path::Path;

/// The private key of a node (ECDSA, P-256). It is made where the node runs and stays there.
pub struct NodeKey(pub(super) KeyPair);

impl NodeKey {
    /// A new key.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn generate() -> Result<Self, IdentityError> {
        KeyPair::generate().map(Self).map_err(IdentityError::issue)
    }

    /// Reads a key from PEM text.
    ///
    /// # Errors
    /// When the text holds no private key that can be used here.
    pub fn from_pem(text: &str) -> Result<Self, IdentityError> {
        KeyPair::from_pem(text)
            .map(Self)
            .map_err(|error| IdentityError::malformed("private key", error))
    }

    /// Reads the key from a file.
    ///
    /// # Errors
    /// When there is no key in it, or others than the owner can read it.
    pub fn load(path: &Path) -> Result<Self, IdentityError> {
        Self::from_pem(&files::read_secret(path)?)
    }

    /// Writes the key to a file with mode 0600, durable on return.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), IdentityError> {
        files::write_secret(path, &self.0.serialize_pem())
    }

    /// The request for a certificate (CSR, DER): the public key, signed with the private one. What the
    /// certificate will say is decided by who issues it.
    ///
    /// # Errors
    /// When signing fails.
    pub fn certificate_request(&self) -> Result<Vec<u8>, IdentityError> {
        let request = CertificateParams::default()
            .serialize_request(&self.0)
            .map_err(IdentityError::issue)?;
        Ok(request.der().to_vec())
    }

    /// SHA-256 of the public key with its algorithm (SPKI): what certificates for this key have too.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(self.0.subject_public_key_info()).into())
    }

    pub(super) fn to_rustls(&self) -> Result<PrivateKeyDer<'static>, IdentityError> {
        PrivateKeyDer::try_from(self.0.serialize_der())
            .map_err(|error| IdentityError::malformed("private key", error))
    }
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeKey(secret)")
    }
}

/// The fingerprint of the key in a request for a certificate, whose signature is verified.
pub fn key_of_request(der: &[u8]) -> Result<Fingerprint, IdentityError> {
    let request = CertificateSigningRequestParams::from_der(&der.into())
        .map_err(|error| IdentityError::malformed("certificate request", error))?;
    let key = request.public_key.subject_public_key_info();
    Ok(Fingerprint(Sha256::digest(key).into()))
}

/// Base64 in lines of 64 between a BEGIN and an END line.
pub fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        text.push_str(&STANDARD.encode(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}
