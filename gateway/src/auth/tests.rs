//! Users: look-up, and lists that cannot be used.

use super::*;
use s3s::S3ErrorCode;

fn user(name: &str, canonical_id: &str, access_key: &str, secret_key: &str) -> User {
    let [name, canonical_id, access_key] = [name, canonical_id, access_key].map(str::to_owned);
    User {
        name,
        canonical_id,
        access_key,
        secret_key: secret_key.into(),
    }
}

fn users() -> Users {
    Users::new([
        user("ann", "id-a", "AKA", "sa"),
        user("bob", "id-b", "AKB", "sb"),
    ])
    .unwrap()
}

#[tokio::test]
async fn secrets_are_found_by_access_key() {
    assert_eq!(users().get_secret_key("AKB").await.unwrap().expose(), "sb");
    let error = users().get_secret_key("AKC").await.unwrap_err();
    assert_eq!(error.code(), &S3ErrorCode::InvalidAccessKeyId);
}

#[test]
fn identities_hold_no_secret() {
    let users = users();
    assert_eq!(users.identity("AKA").unwrap().name, "ann");
    assert_eq!(users.by_canonical_id("id-b").unwrap().name, "bob");
    assert_eq!(users.by_canonical_id("id-c"), None);
    assert!(!format!("{users:?}").contains("sa"));
}

#[test]
fn an_anonymous_request_has_no_signer() {
    let users = users();
    let credentials = Credentials {
        access_key: "AKA".into(),
        secret_key: "sa".into(),
    };
    assert_eq!(
        users.signer(Some(&credentials)).unwrap().canonical_id,
        "id-a"
    );
    assert_eq!(
        users.signer(None).unwrap_err().code(),
        &S3ErrorCode::AccessDenied
    );
}

#[test]
fn unusable_lists_are_refused() {
    let ann = || user("ann", "id-a", "AKA", "sa");
    let table = [
        (
            user("bob", "id-a", "AKB", "sb"),
            "user `bob`: canonical_id is another user's too",
        ),
        (
            user("bob", "id-b", "AKA", "sb"),
            "user `bob`: access_key is another user's too",
        ),
        (
            user("bob", "id-b", "AKB", ""),
            "user `bob`: secret_key is empty",
        ),
        (
            user("bob", "", "AKB", "sb"),
            "user `bob`: canonical_id is empty",
        ),
        (
            user("bob", "id-b", "AK/B", "sb"),
            "user `bob`: an access key holds only letters, digits, `-`, `_` and `.`",
        ),
    ];
    for (second, message) in table {
        assert_eq!(
            Users::new([ann(), second]).unwrap_err().to_string(),
            message
        );
    }
}
