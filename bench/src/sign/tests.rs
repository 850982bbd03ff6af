use super::*;
use aws_credential_types::Credentials as AwsCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use types::clock::{ManualClock, SystemClock};

const NOW_MS: u64 = 1_767_225_599_999; // 2025-12-31T23:59:59.999Z

fn credentials() -> Credentials {
    Credentials {
        access_key: "AKEXAMPLE".to_owned(),
        secret_key: "a secret".to_owned(),
        region: "eu-central-1".to_owned(),
    }
}

/// The signature that the crate's general interface makes.
fn reference(now_ms: u64, method: &str, path_and_query: &str, payload: SignableBody<'_>) -> String {
    let credentials = credentials();
    let identity = AwsCredentials::new(
        credentials.access_key,
        credentials.secret_key,
        None,
        None,
        "tests",
    )
    .into();
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name("s3")
        .time(UNIX_EPOCH + Duration::from_millis(now_ms))
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let uri = format!("http://127.0.0.1:9000{path_and_query}");
    let none = std::iter::empty();
    let request = SignableRequest::new(method, uri, none, payload).unwrap();
    let (instructions, _) = sign(request, &params).unwrap().into_parts();
    let authorization = instructions
        .headers()
        .find(|(name, _)| *name == "authorization");
    authorization.unwrap().1.to_owned()
}

fn signer(clock: Arc<dyn Clock>) -> Signer {
    Signer::new(credentials(), "127.0.0.1:9000".to_owned(), clock)
}

#[test]
fn signs_as_the_crate_does() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let mut signer = signer(clock.clone());
    let hash = hex::encode(sha256(b"body"));
    // The second round is on another day, with another key.
    for now_ms in [NOW_MS, NOW_MS + 1] {
        clock.set_wall_ms(now_ms);
        let unsigned = signer.sign("PUT", "/bucket/a/b-1.x", "", UNSIGNED_PAYLOAD);
        let expected = reference(
            now_ms,
            "PUT",
            "/bucket/a/b-1.x",
            SignableBody::UnsignedPayload,
        );
        assert_eq!(unsigned.authorization, expected);

        let query = "continuation-token=a%2Bb%3D&list-type=2";
        let hashed = signer.sign("GET", "/bucket", query, &hash);
        let expected = reference(
            now_ms,
            "GET",
            &format!("/bucket?{query}"),
            SignableBody::Bytes(b"body"),
        );
        assert_eq!(hashed.authorization, expected);
    }
    assert_eq!(
        signer.sign("GET", "/", "", UNSIGNED_PAYLOAD).date,
        "20260101T000000Z"
    );
}

/// Run with `--release -- --ignored --nocapture` to see why the key is kept.
#[test]
#[ignore = "prints times, checks nothing"]
fn cost_of_a_signature() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut signer = signer(clock.clone());
    let began = clock.monotonic();
    for _ in 0..10_000 {
        signer.sign("PUT", "/bucket/a/b-1.x", "", UNSIGNED_PAYLOAD);
    }
    let ours = clock.monotonic() - began;
    for _ in 0..10_000 {
        reference(
            NOW_MS,
            "PUT",
            "/bucket/a/b-1.x",
            SignableBody::UnsignedPayload,
        );
    }
    let general = clock.monotonic() - began - ours;
    println!(
        "a signature: {:?} ours, {:?} by the general interface",
        ours / 10_000,
        general / 10_000
    );
}
