use super::*;

#[test]
fn only_the_owner_has_rights() {
    let signer = Identity {
        name: "Ann".to_owned(),
        canonical_id: "a1".to_owned(),
    };
    let table = [
        ("a1", None, true),
        ("a1", Some("a1"), true),
        ("a1", Some(""), true),
        ("a1", Some("b2"), false),
        ("b2", None, false),
        ("b2", Some("b2"), false),
        ("b2", Some("a1"), false),
        ("", None, false),
    ];
    for (owner, expected, allowed) in table {
        assert_eq!(
            check_owner(&signer, owner, expected).is_ok(),
            allowed,
            "{owner} {expected:?}"
        );
    }
}
