//! MD5 of many bodies side by side. One MD5 is a chain in which every step waits for the one before,
//! so a core hashes one body at a fixed pace, however wide it is; but the lanes of a vector register
//! can each hold another body, and sixteen take hardly longer than one.
//!
//! [`Md5`] is the state of one body, to which bytes are added as they come. [`Lanes`] advances many
//! of them together, of any lengths and in pieces of any size. Which kernel does it is found at run
//! time: AVX-512, AVX2, or plain Rust.
//!
//! MD5 protects against no attacker. It is here because the ETag of S3 is one.

#[macro_use]
mod rounds;

#[cfg(target_arch = "x86_64")]
#[macro_use]
mod vector;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod body;
mod lanes;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod single;

pub use body::{Digest, Md5, digest};
pub use lanes::{Feed, Kernel, Lanes};

/// MD5 works on blocks of this many bytes.
const BLOCK_BYTES: usize = 64;

type Block = [u8; BLOCK_BYTES];

/// The chaining value: A, B, C and D of RFC 1321.
type State = [u32; 4];

#[cfg(test)]
mod tests;
