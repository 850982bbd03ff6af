//! The text that an operator carries from the cluster to a new node.
//!
//! `cairn-join-1.` and then, in base 32 (digits and letters without i, l, o, u; either case), a record
//! of tagged fields with a check sum of four bytes behind it.

use crate::identity::Fingerprint;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use types::entropy::Entropy;
use types::record;

/// What every token begins with; the digit is its version.
const NAME: &str = "cairn-join-";
const VERSION: &str = "1";
/// Crockford's digits.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const CHECK_BYTES: usize = 4;
/// Characters of the longest token that is looked at.
const TEXT_MAX: usize = 4096;

record! {
    /// The content of a token.
    pub struct Content {
        /// SHA-256 of the authority's public key.
        1 => authority: [u8; 32],
        /// Which token it is.
        2 => id: [u8; 8],
        /// What proves it.
        3 => secret: [u8; 20],
        /// Where the cluster can be joined.
        4 => addresses: Vec<String>,
    }
}

/// Which token it is; not secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; 8]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// 160 random bits. Never printed.
#[derive(Clone)]
pub struct Secret(pub(super) [u8; 20]);

impl Secret {
    /// What the cluster keeps of it: the secret cannot be found from it, and needs no salt, as nobody can
    /// guess 160 bits.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        let mut hasher = Sha256::new();
        hasher.update(b"cairn join token");
        hasher.update(self.0);
        TokenHash(hasher.finalize().into())
    }

    /// Whether this is the secret of the token that was hashed, in constant time.
    #[must_use]
    pub fn is_of(&self, hash: &TokenHash) -> bool {
        self.hash().0.ct_eq(&hash.0).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What the cluster keeps of a token's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub [u8; 32]);

/// A one-time token. `Display` and `FromStr` are its text; `Debug` does not show the secret.
#[derive(Debug, Clone)]
pub struct JoinToken {
    /// The authority that the node is to trust.
    pub authority: Fingerprint,
    /// Which token it is.
    pub id: TokenId,
    /// What proves it.
    pub secret: Secret,
    /// Where the cluster can be joined (`host:port`); the operator may give the node others.
    pub addresses: Vec<String>,
}

/// Why a text is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not begin as tokens do.
    #[error("this is no token: a token begins with {NAME}{VERSION}.")]
    NotAToken,
    /// It is of another version.
    #[error(
        "this is a token of version {0}, and this binary reads version {VERSION}: use the cluster's version of Cairn on the node"
    )]
    Version(String),
    /// A character that tokens do not have.
    #[error("character {at} of the token is {found:?}, which no token has: copy it again")]
    Character {
        /// Its place, from 1.
        at: usize,
        /// The character.
        found: char,
    },
    /// It is not what was printed.
    #[error("the token is mistyped or cut off (its check sum does not fit): copy it again")]
    Checksum,
    /// It was not made by Cairn.
    #[error("the token's content cannot be read, though its check sum fits")]
    Content,
}

impl JoinToken {
    /// A new token for joining a cluster of this authority.
    #[must_use]
    pub fn new(authority: Fingerprint, addresses: Vec<String>, entropy: &dyn Entropy) -> Self {
        let (mut id, mut secret) = ([0; 8], [0; 20]);
        entropy.fill(&mut id);
        entropy.fill(&mut secret);
        Self {
            authority,
            id: TokenId(id),
            secret: Secret(secret),
            addresses,
        }
    }
}

impl fmt::Display for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = Content {
            authority: self.authority.0,
            id: self.id.0,
            secret: self.secret.0,
            addresses: self.addresses.clone(),
            ..Default::default()
        };
        let mut bytes = content.encode();
        bytes.extend(check_of(&bytes));
        write!(f, "{NAME}{VERSION}.{}", to_digits(&bytes))
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let beginning = text.get(..NAME.len()).ok_or(TokenError::NotAToken)?;
        if text.len() > TEXT_MAX || !beginning.eq_ignore_ascii_case(NAME) {
            return Err(TokenError::NotAToken);
        }
        let (version, digits) = text[NAME.len()..]
            .split_once('.')
            .ok_or(TokenError::NotAToken)?;
        if version != VERSION {
            let version = version.chars().take(10).collect();
            return Err(TokenError::Version(version));
        }
        let bytes = from_digits(digits, NAME.len() + VERSION.len() + 1)?;
        let at = bytes
            .len()
            .checked_sub(CHECK_BYTES)
            .ok_or(TokenError::Checksum)?;
        let (content, check) = bytes.split_at(at);
        if check_of(content) != check {
            return Err(TokenError::Checksum);
        }
        let content = Content::decode(Bytes::copy_from_slice(content));
        let content = content.map_err(|_| TokenError::Content)?;
        if content.secret == [0; 20] || content.authority == [0; 32] {
            return Err(TokenError::Content);
        }
        Ok(Self {
            authority: Fingerprint(content.authority),
            id: TokenId(content.id),
            secret: Secret(content.secret),
            addresses: content.addresses,
        })
    }
}

fn check_of(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let mut hasher = Sha256::new();
    hasher.update(NAME);
    hasher.update(VERSION);
    hasher.update(bytes);
    let hash: [u8; 32] = hasher.finalize().into();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// Five bits a digit, the highest first; the last digit is filled up with zeros.
fn to_digits(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut bits, mut count) = (0_u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(DIGITS[(bits >> count & 31) as usize] as char);
        }
    }
    if count > 0 {
        text.push(DIGITS[(bits << (5 - count) & 31) as usize] as char);
    }
    text
}

/// The inverse; white space, as of a wrapped line, is passed over. `before` characters stand in front.
fn from_digits(text: &str, before: usize) -> Result<Vec<u8>, TokenError> {
    let mut bytes = Vec::with_capacity(text.len() * 5 / 8);
    let (mut bits, mut count) = (0_u32, 0);
    for (at, found) in text.chars().enumerate() {
        if found.is_whitespace() {
            continue;
        }
        let digit = match found.to_ascii_lowercase() {
            'o' => Some(0),
            'i' | 'l' => Some(1),
            other => DIGITS.iter().position(|digit| *digit as char == other),
        };
        let at = before + at + 1;
        let digit = digit.ok_or(TokenError::Character { at, found })?;
        bits = bits << 5 | digit as u32;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    // What is left over is what to_digits filled up.
    if count >= 5 || bits & ((1 << count) - 1) != 0 {
        return Err(TokenError::Checksum);
    }
    Ok(bytes)
}
