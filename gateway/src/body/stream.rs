//! The payload of a request: decoded, counted and verified as it passes.

use super::aws_chunked::{Decoder, Framing, Trailers};
use super::text::Text;
use super::{PayloadError, WireBody};
use crate::sigv4::{ChunkSigner, Digest32, Seed};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::task::{Context, Poll, ready};

/// What the headers of a request say of its body.
#[derive(Debug, Clone)]
pub enum PayloadSpec {
    /// The body is the payload.
    Plain {
        /// Content-Length in bytes, where there is one.
        len: Option<u64>,
        /// The digest in x-amz-content-sha256, unless that says UNSIGNED-PAYLOAD.
        sha256: Option<Digest32>,
    },
    /// The payload is wrapped in aws-chunked framing.
    Chunked(ChunkedSpec),
}

impl PayloadSpec {
    /// The length of the payload in bytes, where the headers tell.
    #[must_use]
    pub fn declared_len(&self) -> Option<u64> {
        match self {
            Self::Plain { len, .. } => *len,
            Self::Chunked(spec) => Some(spec.decoded_len),
        }
    }
}

/// What the headers say of an aws-chunked body.
#[derive(Debug, Clone)]
pub struct ChunkedSpec {
    /// x-amz-decoded-content-length, in bytes.
    pub decoded_len: u64,
    /// Where the chunks are signed: the signature their chain begins with.
    pub seed: Option<Seed>,
    /// The lower-case names in x-amz-trailer; `None` where the framing has no trailers.
    pub trailers: Option<Vec<String>>,
}

/// A payload being read. See [`super`] for when it may be trusted.
#[derive(Debug)]
pub struct PayloadStream {
    wire: WireBody,
    /// What the HTTP layer delivered and the decoder has not seen yet.
    pending: Bytes,
    decode: Decode,
    declared_len: Option<u64>,
    trailers: Trailers,
    /// Present where the body must be text.
    text: Option<Text>,
}

#[derive(Debug)]
enum Decode {
    Plain {
        received: u64,
        sha256: Option<(Sha256, Digest32)>,
    },
    Chunked(Decoder),
    Finished,
    Failed,
}

impl PayloadStream {
    /// Begins to read `wire` as `spec` says. `secret_key` is that of the verified signer.
    ///
    /// # Errors
    /// [`PayloadError::Unauthenticated`] when chunks are signed and there is no signer.
    pub fn open(
        spec: PayloadSpec,
        wire: WireBody,
        secret_key: Option<&str>,
    ) -> Result<Self, PayloadError> {
        let declared_len = spec.declared_len();
        let decode = match spec {
            PayloadSpec::Plain { sha256, .. } => Decode::Plain {
                received: 0,
                sha256: sha256.map(|sha256| (Sha256::new(), sha256)),
            },
            PayloadSpec::Chunked(spec) => {
                let decoded_len = spec.decoded_len;
                Decode::Chunked(Decoder::new(framing(spec, secret_key)?, decoded_len))
            }
        };
        let (pending, trailers) = (Bytes::new(), Trailers::default());
        Ok(Self {
            wire,
            pending,
            decode,
            declared_len,
            trailers,
            text: None,
        })
    }

    /// The same, to be UTF-8 and of at most `bytes_max` bytes: anything else is an error of the body.
    #[must_use]
    pub fn of_text(mut self, bytes_max: u64) -> Self {
        self.text = Some(Text::new(bytes_max));
        self
    }

    /// The length that the headers declare, in bytes: of the payload, without framing. `None` only
    /// for a plain body without Content-Length, which the front does not let an upload have.
    #[must_use]
    pub fn declared_len(&self) -> Option<u64> {
        self.declared_len
    }

    /// The next bytes of payload, never empty. `None` once the body is whole and every check has
    /// passed, and from then on.
    ///
    /// Dropping the returned future loses nothing; dropping the stream leaves the rest of the body
    /// unread.
    ///
    /// # Errors
    /// The body is not what it declared, or did not arrive. The stream is over then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, PayloadError> {
        std::future::poll_fn(|cx| self.poll_next(cx))
            .await
            .transpose()
    }

    /// The trailers, for instance `x-amz-checksum-crc64nvme`. They are known, and where the
    /// chunks are signed verified, once [`Self::next`] has returned `None`; before, there are none.
    #[must_use]
    pub fn trailers(&self) -> &Trailers {
        &self.trailers
    }

    /// [`Self::next`] as a poll.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, PayloadError>>> {
        let next = ready!(self.poll_unguarded(cx));
        if let Some(Err(error)) = &next {
            self.wire.remember(error);
            self.decode = Decode::Failed;
        }
        Poll::Ready(next)
    }

    fn poll_unguarded(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, PayloadError>>> {
        loop {
            match self.decode {
                Decode::Finished => return Poll::Ready(None),
                Decode::Failed => return Poll::Ready(Some(Err(PayloadError::AlreadyFailed))),
                Decode::Plain { .. } | Decode::Chunked(_) => {}
            }
            if let Some(data) = self.decode_pending().transpose() {
                return Poll::Ready(Some(data.and_then(|data| self.checked_text(data))));
            }
            match ready!(self.wire.poll_bytes(cx)) {
                Some(Ok(bytes)) => self.pending = bytes,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(self.finish().err().map(Err)),
            }
        }
    }

    fn checked_text(&mut self, data: Bytes) -> Result<Bytes, PayloadError> {
        if let Some(text) = &mut self.text {
            text.push(&data, self.declared_len)?;
        }
        Ok(data)
    }

    fn decode_pending(&mut self) -> Result<Option<Bytes>, PayloadError> {
        match &mut self.decode {
            Decode::Chunked(decoder) => decoder.push(&mut self.pending),
            Decode::Plain { received, sha256 } => {
                let data = std::mem::take(&mut self.pending);
                *received += data.len() as u64;
                if let Some(declared) = self.declared_len.filter(|&declared| *received > declared) {
                    return Err(PayloadError::TooLong { declared });
                }
                if let Some((hash, _)) = sha256 {
                    hash.update(&data);
                }
                // As early as possible: s3s does not read on after the last byte.
                if self.declared_len == Some(*received) {
                    check_sha256(sha256.take())?;
                }
                Ok((!data.is_empty()).then_some(data))
            }
            Decode::Finished | Decode::Failed => unreachable!("only a live stream decodes"),
        }
    }

    fn finish(&mut self) -> Result<(), PayloadError> {
        match std::mem::replace(&mut self.decode, Decode::Finished) {
            Decode::Chunked(decoder) => self.trailers = decoder.finish()?,
            Decode::Plain { received, sha256 } => {
                if let Some(declared) = self.declared_len.filter(|&declared| received < declared) {
                    return Err(PayloadError::Truncated { declared, received });
                }
                check_sha256(sha256)?;
            }
            Decode::Finished | Decode::Failed => unreachable!("only a live stream finishes"),
        }
        Ok(())
    }
}

/// Compares a finished hash with the digest it should have.
fn check_sha256(hash: Option<(Sha256, Digest32)>) -> Result<(), PayloadError> {
    let Some((hash, declared)) = hash else {
        return Ok(());
    };
    let computed: Digest32 = hash.finalize().into();
    if computed == declared {
        return Ok(());
    }
    let [declared, computed] = [declared, computed].map(hex::encode);
    Err(PayloadError::Sha256Mismatch { declared, computed })
}

fn framing(spec: ChunkedSpec, secret_key: Option<&str>) -> Result<Framing, PayloadError> {
    let Some(seed) = spec.seed else {
        return Ok(Framing::UnsignedWithTrailers(
            spec.trailers.unwrap_or_default(),
        ));
    };
    let signer = ChunkSigner::new(secret_key.ok_or(PayloadError::Unauthenticated)?, seed);
    Ok(match spec.trailers {
        None => Framing::Signed(signer),
        Some(names) => Framing::SignedWithTrailers(signer, names),
    })
}
