//! AWS Signature Version 4, as far as the gateway needs it beside s3s: s3s verifies the signature
//! of the request; this module reads the credential scope before that, and continues the chain of
//! chunk signatures that begins with the request's (the *seed* signature).

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The only signing algorithm that is verified.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// The asymmetric algorithm (SigV4A), which is recognised in order to be refused by name.
pub const ALGORITHM_ECDSA: &str = "AWS4-ECDSA-P256-SHA256";
/// The service every credential scope must name.
pub const SERVICE: &str = "s3";

const TERMINATOR: &str = "aws4_request";

/// A SHA-256 digest or an HMAC-SHA-256 signature, in binary.
pub type Digest32 = [u8; 32];

/// What a secret key is narrowed to: one day, one region, one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialScope {
    /// The day, `YYYYMMDD`.
    pub date: String,
    /// The region the client signed for.
    pub region: String,
    /// The service the client signed for.
    pub service: String,
}

impl CredentialScope {
    /// Splits `access-key/date/region/service/aws4_request` into the access key and the scope.
    /// `None` when it has another shape.
    #[must_use]
    pub fn parse(credential: &str) -> Option<(&str, Self)> {
        let mut parts = credential.split('/');
        let access_key = parts.next()?;
        let (date, region, service) = (parts.next()?, parts.next()?, parts.next()?);
        let whole = parts.next()? == TERMINATOR && parts.next().is_none();
        let dated = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        (whole && dated).then(|| {
            let [date, region, service] = [date, region, service].map(str::to_owned);
            (
                access_key,
                Self {
                    date,
                    region,
                    service,
                },
            )
        })
    }
}

impl std::fmt::Display for CredentialScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}/{}/{}/{TERMINATOR}",
            self.date, self.region, self.service
        )
    }
}

/// An `Authorization` header of Signature Version 4, taken apart but not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorization<'a> {
    /// `access-key/scope`, see [`CredentialScope::parse`].
    pub credential: &'a str,
    /// The names of the signed headers, `;` between them.
    pub signed_headers: &'a str,
    /// The signature in hexadecimal.
    pub signature: &'a str,
}

impl<'a> Authorization<'a> {
    /// Parses what follows the algorithm in the header. `None` when a field is missing or doubled.
    #[must_use]
    pub fn parse(fields: &'a str) -> Option<Self> {
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for field in fields.split(',') {
            let (name, value) = field.trim().split_once('=')?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return None,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        Some(Self {
            credential: credential?,
            signed_headers: signed_headers?,
            signature: signature?,
        })
    }
}

/// The request signature that a chain of chunk signatures begins with, and what it was made for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seed {
    /// The request's signature. It is to be trusted only after s3s has verified it.
    pub signature: Digest32,
    /// `x-amz-date`, as sent.
    pub timestamp: String,
    /// The scope of the credential.
    pub scope: CredentialScope,
}

/// Continues the chain of chunk signatures: every signature covers the one before it, so chunks
/// can be neither changed, dropped, repeated nor reordered.
pub struct ChunkSigner {
    key: Digest32,
    timestamp: String,
    scope: String,
    previous: Digest32,
}

impl ChunkSigner {
    /// A chain that begins at `seed`, for the owner of `secret_key`.
    #[must_use]
    pub fn new(secret_key: &str, seed: Seed) -> Self {
        Self {
            key: signing_key(secret_key, &seed.scope),
            timestamp: seed.timestamp,
            scope: seed.scope.to_string(),
            previous: seed.signature,
        }
    }

    /// Whether `signature` is right for the next chunk, whose bytes have this SHA-256. The chain
    /// moves on only if it is. Takes the same time wherever the signatures differ.
    #[must_use]
    pub fn accept_chunk(&mut self, sha256: &Digest32, signature: &Digest32) -> bool {
        let empty = hex::encode(Sha256::digest(b""));
        let covered = format!("{empty}\n{}", hex::encode(sha256));
        self.accept("AWS4-HMAC-SHA256-PAYLOAD", &covered, signature)
    }

    /// The same for the trailers: `sha256` is that of their canonical form.
    #[must_use]
    pub fn accept_trailers(&mut self, sha256: &Digest32, signature: &Digest32) -> bool {
        self.accept("AWS4-HMAC-SHA256-TRAILER", &hex::encode(sha256), signature)
    }

    fn accept(&mut self, kind: &str, covered: &str, signature: &Digest32) -> bool {
        let previous = hex::encode(self.previous);
        let Self {
            timestamp, scope, ..
        } = self;
        let signed = format!("{kind}\n{timestamp}\n{scope}\n{previous}\n{covered}");
        let computed = hmac(&self.key, signed.as_bytes());
        let right = bool::from(computed.ct_eq(signature));
        if right {
            self.previous = computed;
        }
        right
    }
}

impl std::fmt::Debug for ChunkSigner {
    /// Leaves the key out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChunkSigner")
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Parses 64 hexadecimal digits of either case.
#[must_use]
pub fn parse_digest(text: &[u8]) -> Option<Digest32> {
    let mut digest = [0; 32];
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}

/// The key that signs within `scope`, derived from `secret_key`.
#[must_use]
pub fn signing_key(secret_key: &str, scope: &CredentialScope) -> Digest32 {
    let secret = format!("AWS4{secret_key}");
    [
        scope.date.as_str(),
        &scope.region,
        &scope.service,
        TERMINATOR,
    ]
    .iter()
    .fold(secret.into_bytes(), |key, part| {
        hmac(&key, part.as_bytes()).to_vec()
    })
    .try_into()
    .expect("an HMAC-SHA-256 has 32 bytes")
}

/// HMAC-SHA-256 of `message`.
#[must_use]
pub fn hmac(key: &[u8], message: &[u8]) -> Digest32 {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
