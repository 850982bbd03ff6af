use super::*;
use http::HeaderName;

fn refused(name: &'static str, value: &'static str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(
        HeaderName::from_static(name),
        HeaderValue::from_static(value),
    );
    check(&headers).is_err()
}

#[test]
fn what_is_not_there_is_refused_unless_empty() {
    for name in [
        "x-amz-server-side-encryption",
        "x-amz-server-side-encryption-customer-key",
        "x-amz-server-side-encryption-aws-kms-key-id",
        "x-amz-copy-source-server-side-encryption-customer-algorithm",
        "x-amz-object-lock-mode",
        "x-amz-object-lock-legal-hold",
        "x-amz-write-offset-bytes",
    ] {
        assert!(refused(name, "something"), "{name}");
        assert!(!refused(name, ""), "{name}, empty");
    }
    for (name, value) in [("x-amz-acl", "public-read"), ("x-amz-grant-read", "id=b")] {
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )]);
        let error = check(&headers).unwrap_err();
        assert_eq!(error.code(), "AccessControlListNotSupported");
        assert!(!refused(name, ""));
    }
    assert!(refused("x-amz-bucket-object-lock-enabled", "true"));
    assert!(refused("x-amz-bucket-namespace", "account-regional"));
    assert!(!refused("x-amz-bucket-namespace", "global"));
}

#[test]
fn what_asks_for_nothing_new_passes() {
    assert!(!refused("x-amz-acl", "private"));
    assert!(!refused("x-amz-acl", "bucket-owner-full-control"));
    assert!(!refused("x-amz-acl", ""));
    assert!(!refused("x-amz-bucket-object-lock-enabled", "False"));
    assert!(!refused("x-amz-website-redirect-location", "/elsewhere"));
    assert!(!refused("x-amz-tagging", "a=b"));
    assert!(!refused("x-amz-tagging-directive", "COPY"));
}

#[test]
fn what_has_no_conditions_refuses_them() {
    for (name, value, taken) in [
        ("if-none-match", "*", false),
        ("if-match", "\"etag\"", false),
        ("if-match", "", true),
        ("if-modified-since", "now", true),
    ] {
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )]);
        assert_eq!(
            check_unconditional(&headers).is_ok(),
            taken,
            "{name}: {value}"
        );
    }
}
