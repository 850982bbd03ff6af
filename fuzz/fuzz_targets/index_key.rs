//! Index keys: any bytes decode or fail cleanly, and a key that decodes has one encoding.
#![no_main]

use index::Key;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Ok(key) = Key::decode(input) {
        assert_eq!(key.encode(), input, "a key has one encoding");
    }
});
