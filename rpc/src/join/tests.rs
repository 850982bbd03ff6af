//! Tests of tokens: their text, mistakes in it, and what is kept of them.

use super::*;
use crate::identity::Fingerprint;
use proptest::prelude::*;
use types::entropy::{OsEntropy, SeededEntropy};

fn token() -> JoinToken {
    let addresses = vec!["10.0.0.1:7480".into(), "a.example.com:7480".into()];
    JoinToken::new(Fingerprint([7; 32]), addresses, &SeededEntropy::new(1))
}

#[test]
fn the_text_is_pinned() {
    let text = token().to_string();
    let expected = "cairn-join-1.04g0e1r70w3ge1r70w3ge1r70w3ge1r70w3ge1r70w3ge1r70w3ge1r2128gmbfch415sg832\
                    jzeq3d1cp7erszrjehexysjanf73gc6j022239h60q30bhg5rrkmdsm70r14r9ecnw62vbgdhjjwrvfdmx3ed1r63vts7p0";
    assert_eq!(text, expected);
    let read: JoinToken = text.parse().unwrap();
    assert_eq!(read.to_string(), text);
    assert_eq!(read.addresses, token().addresses);
}

#[test]
fn every_single_mistake_is_found() {
    let text = token().to_string();
    for at in 0..text.len() {
        for other in ['0', '7', 'q', 'Z', 'u', '.', 'ä'] {
            let mut mistyped: Vec<char> = text.chars().collect();
            let same = mistyped[at].eq_ignore_ascii_case(&other);
            mistyped[at] = other;
            let mistyped: String = mistyped.into_iter().collect();
            let read = mistyped.parse::<JoinToken>();
            assert!(same || read.is_err(), "{other:?} at {at}");
        }
        assert!(text[..at].parse::<JoinToken>().is_err(), "cut at {at}");
    }
}

#[test]
fn it_may_be_copied_by_hand() {
    let text = token().to_string();
    let (before, digits) = text.split_once('.').unwrap();
    let shouted = digits.to_uppercase().replace('0', "O").replace('1', "l");
    let wrapped = format!("  {before}.{}\n   {}\r\n", &shouted[..30], &shouted[30..]);
    assert_eq!(wrapped.parse::<JoinToken>().unwrap().to_string(), text);
}

#[test]
fn errors_say_what_is_wrong() {
    let error = |text: &str| text.parse::<JoinToken>().unwrap_err();
    assert_eq!(error("hello"), TokenError::NotAToken);
    assert_eq!(error(""), TokenError::NotAToken);
    assert_eq!(error("cairn-join-2.abc"), TokenError::Version("2".into()));
    let at_14 = TokenError::Character { at: 14, found: '*' };
    assert_eq!(error("cairn-join-1.*"), at_14);
    assert_eq!(error("cairn-join-1."), TokenError::Checksum);
}

#[test]
fn the_hash_fits_its_own_secret_only() {
    let (one, two) = (
        token(),
        JoinToken::new(Fingerprint([7; 32]), vec![], &OsEntropy),
    );
    let hash = one.secret.hash();
    assert!(one.secret.is_of(&hash));
    assert!(!two.secret.is_of(&hash));
    assert_ne!(one.id, two.id);
}

#[test]
fn the_secret_is_not_in_the_debug_text() {
    let token = JoinToken {
        secret: Secret([0xab; 20]),
        ..token()
    };
    let text = format!("{token:?}").to_lowercase();
    assert!(!text.contains("171") && !text.contains("abab"), "{text}");
}

proptest! {
    #[test]
    fn tokens_survive_their_text(authority in any::<[u8; 32]>(), seed: u64, addresses in prop::collection::vec("[a-z0-9.:]{1,30}", 0..4)) {
        prop_assume!(authority != [0; 32]);
        let token = JoinToken::new(Fingerprint(authority), addresses, &SeededEntropy::new(seed));
        let read: JoinToken = token.to_string().parse().unwrap();
        prop_assert_eq!(read.authority, token.authority);
        prop_assert_eq!(read.id, token.id);
        prop_assert!(read.secret.is_of(&token.secret.hash()));
        prop_assert_eq!(read.addresses, token.addresses);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "(cairn-join-1\\.)?.{0,120}") {
        let _ = text.parse::<JoinToken>();
    }

    #[test]
    fn any_digits_are_read_without_a_panic(text in "[0-9a-z]{0,200}") {
        let _ = format!("cairn-join-1.{text}").parse::<JoinToken>();
    }
}
