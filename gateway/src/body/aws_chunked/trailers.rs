//! The trailers after the last chunk: parsed, compared with what x-amz-trailer announced, and
//! verified where they are signed.

use crate::body::PayloadError;
use crate::sigv4::{ChunkSigner, parse_digest};
use sha2::{Digest, Sha256};

/// The name of the line that signs the trailers. It is not itself a trailer.
pub const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// The most trailers of one body. Clients send one.
const MAX_TRAILERS: usize = 16;

/// The trailers of a body: lower-case names and trimmed values, sorted by name, each name once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trailers(Vec<(String, String)>);

impl Trailers {
    /// The value of the trailer with this lower-case name, for instance `x-amz-checksum-crc32`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(own, _)| *own == name)
            .map(|(_, value)| value)
    }

    /// All names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What the trailer signature covers.
    fn canonical(&self) -> String {
        self.iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect()
    }
}

/// Parses all that followed the last chunk. Lines end with CR LF; a bare LF and empty lines are
/// let pass, because minio-go sends `name:value LF CR LF signature`.
pub(super) fn parse(
    held: &[u8],
    announced: &[String],
    signer: Option<&mut ChunkSigner>,
) -> Result<Trailers, PayloadError> {
    let malformed = |what| PayloadError::MalformedTrailers { what };
    let text = std::str::from_utf8(held).map_err(|_| malformed("they are not text"))?;
    let mut lines = Vec::new();
    let mut signature = None;
    for line in text.split('\n').map(|line| line.trim_end_matches('\r')) {
        if line.is_empty() {
            continue;
        }
        let (name, value) = parse_line(line).ok_or_else(|| malformed("a line is malformed"))?;
        if name == TRAILER_SIGNATURE && signer.is_some() && signature.is_none() {
            signature = Some(value);
        } else if lines.len() == MAX_TRAILERS {
            return Err(malformed("there are too many"));
        } else {
            lines.push((name, value));
        }
    }
    lines.sort();
    check_announced(&lines, announced)?;
    let trailers = Trailers(lines);
    if let Some(signer) = signer {
        let signature = signature.ok_or_else(|| malformed("x-amz-trailer-signature is missing"))?;
        let sha256 = Sha256::digest(trailers.canonical()).into();
        let right = parse_digest(signature.as_bytes())
            .is_some_and(|signature| signer.accept_trailers(&sha256, &signature));
        if !right {
            return Err(PayloadError::TrailerSignature);
        }
    }
    Ok(trailers)
}

fn parse_line(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let name = http::HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
    let value = value.trim();
    let printable = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    printable.then(|| (name.as_str().to_owned(), value.to_owned()))
}

/// The trailers that came must be exactly those announced, each once.
fn check_announced(lines: &[(String, String)], announced: &[String]) -> Result<(), PayloadError> {
    let mut announced: Vec<&str> = announced.iter().map(String::as_str).collect();
    announced.sort_unstable();
    if lines.iter().map(|(name, _)| name.as_str()).eq(announced) {
        return Ok(());
    }
    Err(PayloadError::MalformedTrailers {
        what: "they are not those that x-amz-trailer names",
    })
}
