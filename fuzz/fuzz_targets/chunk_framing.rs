//! The aws-chunked decoder: it never panics, never gives out more than was declared, and does not care
//! how the bytes are cut.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| gateway::body::aws_chunked::fuzz::decode_any(input));
