//! The two messages of joining, and how they go over a connection.

use super::token::{Secret, TokenId};
use crate::identity::{Certificate, Fingerprint, IdentityError, TrustBundle, key_of_request};
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use types::limits::RPC_JOIN_BYTES_MAX;
use types::record;

/// The version of the exchange.
pub const VERSION: u32 = 1;

record! {
    /// What a new node sends.
    pub struct JoinRequest {
        /// The version of the exchange.
        1 => version: u32,
        /// Which token it has.
        2 => token: [u8; 8],
        /// What proves it.
        3 => secret: [u8; 20],
        /// Its request for a certificate (DER).
        4 => certificate_request: Bytes,
        /// What the node says of itself; the decision knows how to read it.
        5 => description: Bytes,
    }
}

record! {
    /// What it gets.
    pub struct JoinReply {
        /// Why not; empty if it was let in.
        1 => refused: String,
        /// Its certificate (DER).
        2 => certificate: Bytes,
        /// Whom to trust (PEM).
        3 => bundle: String,
        /// What the cluster says to it.
        4 => answer: Bytes,
    }
}

/// A node that wants to join.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Which token it has. The proof must be held against what is kept of this token.
    pub token: TokenId,
    /// What proves it: [`Secret::is_of`].
    pub secret: Secret,
    /// Its request for a certificate (DER), for [`ClusterCa::issue`](crate::identity::ClusterCa::issue).
    pub certificate_request: Bytes,
    /// The key in it. An answer may be lost on its way: a token that was used with the same key may be
    /// answered again, as only who has the key can use the certificate.
    pub key: Fingerprint,
    /// What the node says of itself.
    pub description: Bytes,
    /// Where it calls from.
    pub address: SocketAddr,
}

impl Wanted {
    pub(super) fn of(request: JoinRequest, address: SocketAddr) -> Result<Self, IdentityError> {
        Ok(Self {
            token: TokenId(request.token),
            secret: Secret(request.secret),
            key: key_of_request(&request.certificate_request)?,
            certificate_request: request.certificate_request,
            description: request.description,
            address,
        })
    }
}

/// What a node gets that may join.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Its certificate.
    pub certificate: Certificate,
    /// Whom to trust.
    pub bundle: TrustBundle,
    /// What the cluster says to it.
    pub answer: Bytes,
}

/// Why a node may not join, as it is told. Of a token that does not exist, has been used or has ended the
/// same should be said: nobody learns which there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JoinRefused(pub String);

/// Sends a message with its length in front.
pub async fn write(io: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len()).map_err(io::Error::other)?;
    if message.len() > RPC_JOIN_BYTES_MAX {
        let text = format!("a message of {length} bytes, more than {RPC_JOIN_BYTES_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(message).await?;
    io.flush().await
}

/// Reads what `write` sends.
pub async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Bytes> {
    let length = io.read_u32().await? as usize;
    if length > RPC_JOIN_BYTES_MAX {
        let text = format!("a message of {length} bytes, more than {RPC_JOIN_BYTES_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    let mut message = vec![0; length];
    io.read_exact(&mut message).await?;
    Ok(message.into())
}
