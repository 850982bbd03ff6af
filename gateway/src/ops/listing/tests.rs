use super::*;
use proptest::prelude::*;

#[test]
fn limits_are_clamped_and_negative_ones_refused() {
    assert_eq!(page_limit(None, "max-keys").unwrap(), 1000);
    assert_eq!(page_limit(Some(0), "max-keys").unwrap(), 0);
    assert_eq!(page_limit(Some(7), "max-keys").unwrap(), 7);
    assert_eq!(page_limit(Some(1001), "max-keys").unwrap(), 1000);
    assert_eq!(page_limit(Some(i32::MAX), "max-keys").unwrap(), 1000);
    assert_eq!(
        page_limit(Some(-1), "max-keys").unwrap_err().code(),
        "InvalidArgument"
    );
}

#[test]
fn a_token_of_another_make_is_refused() {
    assert_eq!(decode_token(None).unwrap(), None);
    for token in ["", "AAAA", "a", "%%", "some/key"] {
        assert_eq!(
            decode_token(Some(token)).unwrap_err().code(),
            "InvalidArgument",
            "{token}"
        );
    }
    let long = encode_token(&"k".repeat(OBJECT_KEY_BYTES_MAX + 1));
    assert!(decode_token(Some(&long)).is_err());
}

#[test]
fn url_encoding() {
    let encoding = Encoding::of(Some(&EncodingType::from_static("url"))).unwrap();
    assert_eq!(
        encoding.text("a/b c+d%(é)\u{1}"),
        "a/b%20c%2Bd%25%28%C3%A9%29%01"
    );
    let plain = Encoding::of(None).unwrap();
    assert_eq!(plain.text("a b"), "a b");
    assert!(plain.shown().is_none());
    assert!(Encoding::of(Some(&EncodingType::from_static("base64"))).is_err());
}

proptest! {
    #[test]
    fn tokens_come_back(last in "\\PC{0,40}") {
        prop_assert_eq!(decode_token(Some(&encode_token(&last))).unwrap(), Some(last));
    }
}
