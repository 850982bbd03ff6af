//! How fast one core hashes.

use super::best;
use anyhow::Result;
use openssl::hash::{MessageDigest, hash};
use std::hint::black_box;
use std::time::Duration;
use types::clock::Clock;

/// In the processor's second cache, so that hashing is measured and not memory.
const BYTES: usize = 256 << 10;

/// Short enough that some pass without another process on the core.
const SLICE: Duration = Duration::from_millis(2);

/// In 10^9 bytes a second.
pub struct Hashes {
    pub md5: f64,
    pub sha256: f64,
    pub blake3: f64,
}

/// Measures each for a third of the time.
pub fn measure(each: Duration, clock: &dyn Clock) -> Result<Hashes> {
    let bytes = vec![7; BYTES];
    let (each, units) = (each / 3, BYTES as f64 / 1e9);
    let openssl = |digest: MessageDigest| {
        best(each, SLICE, clock, units, || {
            black_box(hash(digest, black_box(&bytes))?);
            Ok(())
        })
    };
    Ok(Hashes {
        md5: openssl(MessageDigest::md5())?,
        sha256: openssl(MessageDigest::sha256())?,
        blake3: best(each, SLICE, clock, units, || {
            black_box(blake3::hash(black_box(&bytes)));
            Ok(())
        })?,
    })
}
