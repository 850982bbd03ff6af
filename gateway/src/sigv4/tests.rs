//! AWS's published vectors, and parsing.

use super::*;

fn scope() -> CredentialScope {
    let credential = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request";
    CredentialScope::parse(credential).unwrap().1
}

#[test]
fn the_signing_key_of_aws_documentation() {
    let scope = CredentialScope {
        date: "20150830".into(),
        region: "us-east-1".into(),
        service: "iam".into(),
    };
    let key = signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", &scope);
    assert_eq!(
        hex::encode(key),
        "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"
    );
}

#[test]
fn the_seed_signature_of_aws_documentation() {
    let key = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", &scope());
    let request = "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n\
                   cee3fed04b70f867d036f722359b0b1f2f0e5dc0efadbc082b76c4c60e316455";
    assert_eq!(
        hex::encode(hmac(&key, request.as_bytes())),
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    );
}

#[test]
fn a_wrong_signature_does_not_move_the_chain() {
    let seed = Seed {
        signature: [1; 32],
        timestamp: "20130524T000000Z".into(),
        scope: scope(),
    };
    let mut signer = ChunkSigner::new("secret", seed.clone());
    assert!(!signer.accept_chunk(&[0; 32], &[0; 32]));
    assert_eq!(signer.previous, seed.signature);
    assert!(
        !format!("{signer:?}").contains("key"),
        "the key is not shown"
    );
}

#[test]
fn credentials_have_five_parts() {
    assert_eq!(scope().to_string(), "20130524/us-east-1/s3/aws4_request");
    for wrong in [
        "",
        "AK/20130524/us-east-1/s3",
        "AK/20130524/us-east-1/s3/aws5_request",
        "AK/20130524/us-east-1/s3/aws4_request/",
        "AK/2013052/us-east-1/s3/aws4_request",
        "AK/2013052x/us-east-1/s3/aws4_request",
        "AK/more/20130524/us-east-1/s3/aws4_request",
    ] {
        assert_eq!(CredentialScope::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn authorization_fields_stand_once_in_any_order() {
    let expected = Some(Authorization {
        credential: "a/b",
        signed_headers: "host;x",
        signature: "f",
    });
    for right in [
        "Credential=a/b,SignedHeaders=host;x,Signature=f",
        "Credential=a/b, SignedHeaders=host;x, Signature=f",
        " Signature=f ,\n Credential=a/b,  SignedHeaders=host;x",
    ] {
        assert_eq!(Authorization::parse(right), expected, "{right}");
    }
    for wrong in [
        "",
        "Credential=a/b,SignedHeaders=host;x",
        "Credential=a/b,SignedHeaders=host;x,Signature=f,Signature=f",
        "Credential=a/b,SignedHeaders=host;x,Signature=f,Other=1",
        "Credential=a/b SignedHeaders=host;x Signature=f",
    ] {
        assert_eq!(Authorization::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn digests_are_64_hexadecimal_digits() {
    assert_eq!(parse_digest("aB".repeat(32).as_bytes()), Some([0xab; 32]));
    assert_eq!(parse_digest("ab".repeat(31).as_bytes()), None);
    assert_eq!(parse_digest("ag".repeat(32).as_bytes()), None);
}
