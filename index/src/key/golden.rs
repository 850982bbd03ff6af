//! The check that every record's golden test makes.

use bytes::Bytes;
use std::fmt::Debug;
use types::wire::{Field, Input, put_field};

/// A tag that no record has.
const LATER_TAG: u32 = 1000;

/// Checks that `record` has these bytes and is read from them, and that a field which a later binary
/// added is kept when this one rewrites the record.
#[track_caller]
pub fn check<T: Field + PartialEq + Debug>(record: &T, golden: &str) {
    let mut bytes = Vec::new();
    record.put(&mut bytes);
    assert_eq!(
        super::hexadecimal(&bytes),
        golden,
        "persisted bytes changed"
    );
    assert_eq!(
        T::take(Input::of(&bytes.clone().into())).as_ref(),
        Ok(record)
    );
    put_field(&mut bytes, LATER_TAG, &7_u64);
    let later = T::take(Input::of(&bytes.clone().into())).unwrap();
    assert_ne!(&later, record);
    let mut rewritten = Vec::new();
    later.put(&mut rewritten);
    assert_eq!(rewritten, bytes, "a later binary's field was lost");
    for end in 0..bytes.len() {
        // Damaged bytes are an error or another record, never a panic.
        let _ = T::take(Input::of(&Bytes::copy_from_slice(&bytes[..end])));
    }
}
