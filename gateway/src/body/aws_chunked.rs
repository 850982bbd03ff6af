//! The aws-chunked framing, decoded without I/O: bytes go in, payload comes out.
//!
//! ```text
//! body     = 1*chunk last-chunk [trailers] [CRLF]
//! chunk    = size-hex [";chunk-signature=" 64 hex] CRLF size*OCTET CRLF
//! last     = the same with size 0 and no data, its CRLF before the trailers left out
//! trailers = *(name ":" value CRLF) ["x-amz-trailer-signature:" 64 hex CRLF]
//! ```
//!
//! Payload is passed on as it comes, without copying, whatever size a chunk announces; at most
//! [`MAX_TRAILERS_LEN`] bytes are ever held. A chunk's signature can only be checked when its last
//! byte has come, so **nothing of the payload may become visible before
//! [`Decoder::finish`] has returned `Ok`**.

mod trailers;

pub use trailers::{TRAILER_SIGNATURE, Trailers};

use super::PayloadError;
use crate::sigv4::{ChunkSigner, Digest32, parse_digest};
use bytes::Bytes;
use sha2::{Digest, Sha256};

/// The longest chunk header, CRLF included, in bytes: 16 digits and a signature fit in 100.
pub const MAX_CHUNK_HEADER_LEN: usize = 256;
/// The most bytes that may follow the last chunk. The trailers in use have less than 200.
pub const MAX_TRAILERS_LEN: usize = 16 * 1024;
/// S3's least size of a chunk that is not the last one, in bytes.
pub const MIN_CHUNK_LEN: u64 = 8 * 1024;

const SIGNATURE_EXTENSION: &[u8] = b";chunk-signature=";

const _: () = assert!(MAX_CHUNK_HEADER_LEN <= MAX_TRAILERS_LEN);
const _: () = assert!(16 + SIGNATURE_EXTENSION.len() + 64 + 2 <= MAX_CHUNK_HEADER_LEN);

/// Which of the framings a body uses. The names are the values of x-amz-content-sha256.
#[derive(Debug)]
pub enum Framing {
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD`: signed chunks, no trailers.
    Signed(ChunkSigner),
    /// `STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER`: signed chunks, then the announced trailers
    /// (lower-case names), signed.
    SignedWithTrailers(ChunkSigner, Vec<String>),
    /// `STREAMING-UNSIGNED-PAYLOAD-TRAILER`: bare chunks, then the announced trailers (lower-case
    /// names).
    UnsignedWithTrailers(Vec<String>),
}

/// Decodes one body. After an error it must not be used again.
#[derive(Debug)]
pub struct Decoder {
    state: State,
    signer: Option<ChunkSigner>,
    /// The names that x-amz-trailer announced; `None` where the framing has no trailers.
    announced: Option<Vec<String>>,
    declared_len: u64,
    decoded_len: u64,
    /// The chunk at hand, counted from 1; 0 before the first.
    chunk: u64,
    previous_chunk_len: Option<u64>,
    /// The incomplete chunk header, or the trailers so far.
    held: Vec<u8>,
    hash: Sha256,
    signature: Digest32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Header,
    Data {
        left: u64,
    },
    /// The CRLF after a chunk's data; `\r` is still to come, or only `\n`.
    DataCr,
    DataLf,
    Trailers,
}

impl Decoder {
    /// A decoder of a body whose payload has `declared_len` bytes (x-amz-decoded-content-length).
    #[must_use]
    pub fn new(framing: Framing, declared_len: u64) -> Self {
        let (signer, announced) = match framing {
            Framing::Signed(signer) => (Some(signer), None),
            Framing::SignedWithTrailers(signer, names) => (Some(signer), Some(names)),
            Framing::UnsignedWithTrailers(names) => (None, Some(names)),
        };
        Self {
            state: State::Header,
            signer,
            announced,
            declared_len,
            decoded_len: 0,
            chunk: 0,
            previous_chunk_len: None,
            held: Vec::new(),
            hash: Sha256::new(),
            signature: [0; 32],
        }
    }

    /// Consumes bytes from the front of `input` and returns the next piece of payload, a slice of
    /// `input` that is not empty, or `None` when `input` is used up. Call it until `None`.
    ///
    /// # Errors
    /// The body is not what it declares: framing, sizes, a chunk's signature.
    pub fn push(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, PayloadError> {
        while !input.is_empty() {
            match self.state {
                State::Header => self.take_header(input)?,
                State::Data { left } => return self.take_data(input, left).map(Some),
                State::DataCr => self.take_byte(input, b'\r', State::DataLf)?,
                State::DataLf => self.take_byte(input, b'\n', State::Header)?,
                State::Trailers => self.take_trailers(input)?,
            }
        }
        Ok(None)
    }

    /// Ends the body: to be called when no more bytes will come. Returns the trailers.
    ///
    /// # Errors
    /// The body is not whole, or its trailers are not what was announced or signed.
    pub fn finish(mut self) -> Result<Trailers, PayloadError> {
        if self.state != State::Trailers {
            return Err(PayloadError::Truncated {
                declared: self.declared_len,
                received: self.decoded_len,
            });
        }
        let Some(announced) = &self.announced else {
            return match self.held.as_slice() {
                b"" | b"\r\n" => Ok(Trailers::default()),
                _ => Err(self.malformed("bytes after the last chunk")),
            };
        };
        trailers::parse(&self.held, announced, self.signer.as_mut())
    }

    /// How many bytes are held back at the moment; never more than [`MAX_TRAILERS_LEN`].
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.held.len()
    }

    fn take_header(&mut self, input: &mut Bytes) -> Result<(), PayloadError> {
        let newline = input.iter().position(|&byte| byte == b'\n');
        let taken = newline.map_or(input.len(), |at| at + 1);
        if self.held.len() + taken > MAX_CHUNK_HEADER_LEN {
            self.chunk += 1;
            return Err(self.malformed("the chunk header is too long"));
        }
        self.held.extend_from_slice(&input.split_to(taken));
        if newline.is_some() {
            let header = std::mem::take(&mut self.held);
            self.chunk += 1;
            self.begin_chunk(&header)?;
        }
        Ok(())
    }

    fn begin_chunk(&mut self, header: &[u8]) -> Result<(), PayloadError> {
        let line = header
            .strip_suffix(b"\r\n")
            .ok_or_else(|| self.malformed("the chunk header does not end with CR LF"))?;
        let digits = line
            .iter()
            .take_while(|byte| byte.is_ascii_hexdigit())
            .count();
        let (size, extension) = line.split_at(digits);
        let size = parse_size(size).ok_or_else(|| self.malformed("the chunk size"))?;
        self.read_extension(extension)?;
        if size == 0 {
            return self.begin_trailers();
        }
        if let Some(bad_len) = self.previous_chunk_len.filter(|&len| len < MIN_CHUNK_LEN) {
            let (chunk, min) = (self.chunk, MIN_CHUNK_LEN);
            return Err(PayloadError::ChunkTooSmall {
                chunk,
                bad_len,
                min,
            });
        }
        if size > self.declared_len - self.decoded_len {
            return Err(PayloadError::TooLong {
                declared: self.declared_len,
            });
        }
        self.previous_chunk_len = Some(size);
        self.state = State::Data { left: size };
        Ok(())
    }

    fn read_extension(&mut self, extension: &[u8]) -> Result<(), PayloadError> {
        if self.signer.is_none() {
            return match extension {
                b"" => Ok(()),
                _ => Err(self.malformed("the chunk header has more than a size")),
            };
        }
        self.signature = extension
            .strip_prefix(SIGNATURE_EXTENSION)
            .and_then(parse_digest)
            .ok_or_else(|| self.malformed("the chunk header has no chunk-signature"))?;
        Ok(())
    }

    fn begin_trailers(&mut self) -> Result<(), PayloadError> {
        if self.decoded_len != self.declared_len {
            return Err(PayloadError::Truncated {
                declared: self.declared_len,
                received: self.decoded_len,
            });
        }
        self.check_signature()?;
        self.state = State::Trailers;
        Ok(())
    }

    fn take_data(&mut self, input: &mut Bytes, left: u64) -> Result<Bytes, PayloadError> {
        let taken = usize::try_from(left).map_or(input.len(), |left| left.min(input.len()));
        let data = input.split_to(taken);
        if self.signer.is_some() {
            self.hash.update(&data);
        }
        let left = left - taken as u64;
        self.decoded_len += taken as u64;
        assert!(
            self.decoded_len <= self.declared_len,
            "begin_chunk admits no more than declared"
        );
        self.state = State::Data { left };
        if left == 0 {
            self.check_signature()?;
            self.state = State::DataCr;
        }
        Ok(data)
    }

    fn check_signature(&mut self) -> Result<(), PayloadError> {
        let Some(signer) = &mut self.signer else {
            return Ok(());
        };
        let sha256 = self.hash.finalize_reset().into();
        if signer.accept_chunk(&sha256, &self.signature) {
            return Ok(());
        }
        Err(PayloadError::ChunkSignature { chunk: self.chunk })
    }

    fn take_byte(
        &mut self,
        input: &mut Bytes,
        expected: u8,
        next: State,
    ) -> Result<(), PayloadError> {
        if input[0] != expected {
            return Err(self.malformed("no CR LF after its data"));
        }
        let _ = input.split_to(1);
        self.state = next;
        Ok(())
    }

    fn take_trailers(&mut self, input: &mut Bytes) -> Result<(), PayloadError> {
        if self.held.len() + input.len() > MAX_TRAILERS_LEN {
            return Err(PayloadError::MalformedTrailers {
                what: "they are too long",
            });
        }
        self.held.extend_from_slice(&input.split_to(input.len()));
        Ok(())
    }

    fn malformed(&self, what: &'static str) -> PayloadError {
        PayloadError::MalformedChunk {
            chunk: self.chunk,
            what,
        }
    }
}

/// At most 16 hexadecimal digits, as many as a `u64` has.
fn parse_size(digits: &[u8]) -> Option<u64> {
    if digits.len() > 16 {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

pub mod fuzz;

#[cfg(test)]
mod tests;
