//! Tests of the record encoding: fixed bytes, round trips, unknown fields, and hostile input.

use super::*;
use proptest::prelude::*;

record! {
    /// A record as an older binary knows it.
    pub struct Old {
        1 => number: u64,
        3 => text: String,
    }
}

record! {
    /// The same record as a newer binary knows it.
    pub struct New {
        1 => number: u64,
        2 => items: Vec<u16>,
        3 => text: String,
        200 => flag: bool,
        201 => maybe: Option<u32>,
        202 => map: BTreeMap<String, Bytes>,
    }
}

fn sample() -> New {
    New {
        number: 300,
        items: vec![1, 500],
        text: "ab".into(),
        flag: true,
        maybe: Some(0),
        map: BTreeMap::from([("k".to_owned(), Bytes::from_static(b"v"))]),
        ..Default::default()
    }
}

#[test]
fn bytes_are_pinned() {
    assert_eq!(
        sample().encode(),
        [
            1, 2, 0xac, 2, // number
            2, 5, 1, 1, 2, 0xf4, 3, // items
            3, 2, b'a', b'b', // text
            200, 1, 1, 1, // flag
            201, 1, 1, 0, // maybe
            202, 1, 4, 1, b'k', 1, b'v', // map
        ]
    );
}

#[test]
fn an_older_binary_keeps_what_it_does_not_know() {
    let mut old = Old::decode(sample().encode().into()).unwrap();
    old.number = 7;
    let new = New::decode(old.encode().into()).unwrap();
    assert_eq!(
        new,
        New {
            number: 7,
            ..sample()
        }
    );
}

#[test]
fn defaults_take_no_bytes() {
    assert!(New::default().encode().is_empty());
    assert_eq!(New::decode(Bytes::new()).unwrap(), New::default());
}

#[test]
fn repeated_and_unordered_fields_are_refused() {
    assert_eq!(
        Old::decode(Bytes::from_static(&[1, 1, 5, 1, 1, 6])),
        Err(DecodeError::FieldOrder(1))
    );
    assert_eq!(
        Old::decode(Bytes::from_static(&[3, 0, 1, 1, 6])),
        Err(DecodeError::FieldOrder(1))
    );
}

#[test]
fn truncation_anywhere_is_an_error_or_a_shorter_record() {
    let whole = sample().encode();
    for cut in 0..whole.len() {
        if let Ok(record) = New::decode(Bytes::copy_from_slice(&whole[..cut])) {
            assert_eq!(
                record.encode(),
                whole[..cut],
                "a cut at {cut} is on a field's edge"
            );
        }
    }
}

proptest! {
    #[test]
    fn numbers_round_trip(number: u64) {
        let mut out = Vec::new();
        put_number(&mut out, number);
        let bytes = Bytes::from(out);
        let mut input = Input::of(&bytes);
        prop_assert_eq!(input.take_number(), Ok(number));
        prop_assert!(input.is_empty());
    }

    #[test]
    fn lengths_of_any_size_stand_before_what_they_count(length in 0_usize..40_000, before in 0_usize..9) {
        let (mut sized, body) = (vec![1; before], vec![7; length]);
        let mut plain = sized.clone();
        put_sized(&mut sized, |out| out.extend_from_slice(&body));
        put_bytes(&mut plain, &body);
        prop_assert_eq!(sized, plain);
    }

    #[test]
    fn any_bytes_decode_or_fail_cleanly(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(record) = New::decode(bytes.into()) {
            prop_assert_eq!(New::decode(record.encode().into()), Ok(record));
        }
    }

    #[test]
    fn unknown_fields_survive_in_order(
        fields in prop::collection::btree_map(4_u32..2000, prop::collection::vec(any::<u8>(), 1..9), 0..6),
        number: u64,
    ) {
        let unknown: UnknownFields = fields.into_iter().map(|(tag, body)| (tag, body.into())).collect();
        let old = Old { number, text: "t".into(), unknown };
        prop_assert_eq!(Old::decode(old.encode().into()), Ok(old));
    }
}
