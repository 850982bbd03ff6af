use super::*;
use crate::admission::{BUDGET_BYTES_MIN, MemoryBudget};
use crate::headers::timestamp;
use crate::xml::XmlBody;
use proptest::prelude::*;
use s3s::dto::{ETag, ListObjectsV2Output, Object, ObjectStorageClass};
use std::time::Duration;

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

/// An entry as s3s would write it.
fn of_s3s(listed: &ListedObject, encoding: Encoding, owner: Option<Owner>) -> Object {
    let checksum = listed.checksum.as_ref();
    let (checksum_algorithm, checksum_type) =
        shown_checksum(checksum.map(|(name, kind)| (name.as_str(), *kind)));
    Object {
        checksum_algorithm,
        checksum_type,
        e_tag: Some(ETag::Strong(listed.etag.clone())),
        key: Some(encoding.text(&listed.key)),
        last_modified: Some(timestamp(listed.last_modified_ms)),
        owner,
        size: i64::try_from(listed.size).ok(),
        storage_class: Some(ObjectStorageClass::from(
            shown_class(&listed.storage_class).to_owned(),
        )),
        ..Object::default()
    }
}

#[tokio::test]
async fn entries_are_written_as_by_s3s() {
    let budget = MemoryBudget::new(BUDGET_BYTES_MIN, Duration::ZERO);
    let plain = ListedObject {
        key: "a&b/<c>\"'é.txt".to_owned(),
        size: 4096,
        etag: "0cc175b9c0f1b6a831c399e269772661-2".to_owned(),
        last_modified_ms: 1_700_000_000_123,
        storage_class: String::new(),
        checksum: None,
    };
    let rich = ListedObject {
        storage_class: "STANDARD_IA".to_owned(),
        checksum: Some(("SHA256".to_owned(), StoredType::Composite)),
        ..plain.clone()
    };
    let owner = Owner {
        display_name: Some("al&ice".to_owned()),
        id: Some("123".to_owned()),
    };
    for (listed, owner, url) in [(plain, None, false), (rich, Some(owner), true)] {
        let encoding = Encoding { url };
        let theirs = ListObjectsV2Output {
            contents: Some(vec![of_s3s(&listed, encoding, owner.clone())]),
            common_prefixes: Some(encoding.prefixes(&["p&/".to_owned()])),
            ..ListObjectsV2Output::default()
        };
        let page = ObjectPage {
            objects: vec![listed],
            common_prefixes: vec!["p&/".to_owned()],
            next: None,
        };
        let head = ListObjectsV2Output::default();
        let lease = async || budget.answer(1).await.unwrap();
        let ours = encoding.answer(&head, &page, owner.as_ref(), lease().await);
        let ours = ours.unwrap();
        let theirs = xml::answer::<()>(&theirs, lease().await).unwrap();
        let body = |response: &http::Extensions| response.get::<XmlBody>().unwrap().0.clone();
        assert_eq!(body(&ours.extensions), body(&theirs.extensions));
    }
}

proptest! {
    #[test]
    fn tokens_come_back(last in "\\PC{0,40}") {
        prop_assert_eq!(decode_token(Some(&encode_token(&last))).unwrap(), Some(last));
    }
}
