//! Tests of identities: texts, files, and what may not be put together.

use super::*;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use types::clock::{Clock, ManualClock, SystemClock};
use types::entropy::OsEntropy;

const INSTALLATION: InstallationId = InstallationId(0xca17);

fn authority(clock: &dyn Clock) -> ClusterCa {
    ClusterCa::create(INSTALLATION, RegionId(1), clock, &OsEntropy).unwrap()
}

fn issue(ca: &ClusterCa, key: &NodeKey, names: &[String]) -> Result<Certificate, IdentityError> {
    let wanted = NodeRequest {
        request: &key.certificate_request().unwrap(),
        node: NodeId(7),
        names,
        validity: NODE_VALIDITY,
    };
    ca.issue(&wanted, &SystemClock::new(), &OsEntropy)
}

#[test]
fn an_authority_survives_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("ca.pem"), folder.path().join("ca.key"));
    let ca = authority(&SystemClock::new());
    // What a crash left behind is neither read nor written into.
    std::fs::write(folder.path().join("ca.key.new"), "half a key").unwrap();
    ca.save(&certificate, &key).unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&key), mode(&certificate)), (0o600, 0o644));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);

    let again = ClusterCa::load(&certificate, &key).unwrap();
    assert_eq!(again.certificate(), ca.certificate());
    let node = issue(&again, &NodeKey::generate().unwrap(), &[])
        .unwrap()
        .node()
        .unwrap();
    assert_eq!(
        node.to_string(),
        "cairn://0000000000000000000000000000ca17/1/node/7"
    );

    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let error = ClusterCa::load(&certificate, &key).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    let other = authority(&SystemClock::new());
    other.key.save(&key).unwrap();
    let error = ClusterCa::load(&certificate, &key).unwrap_err();
    assert!(matches!(error, IdentityError::OtherKey), "{error}");
}

#[test]
fn certificates_end_when_they_should() {
    let now_ms = SystemClock::new().now_ms();
    let near = |ms: u64, other: u64| ms.abs_diff(other) < 10_000;
    let ca = authority(&SystemClock::new());
    let key = NodeKey::generate().unwrap();
    let of_node = issue(&ca, &key, &[]).unwrap();
    assert!(near(of_node.not_after_ms(), now_ms + 90 * 24 * 3_600_000));
    assert!(near(
        ca.certificate().not_after_ms(),
        now_ms + 10 * 365 * 24 * 3_600_000
    ));
    // No longer than the authority.
    let almost_over = ManualClock::at(ca.certificate().not_after_ms() - 1000);
    let wanted = NodeRequest {
        request: &key.certificate_request().unwrap(),
        node: NodeId(7),
        names: &[],
        validity: NODE_VALIDITY,
    };
    let short = ca.issue(&wanted, &almost_over, &OsEntropy).unwrap();
    assert_eq!(short.not_after_ms(), ca.certificate().not_after_ms());
}

#[test]
fn only_the_public_key_is_taken_from_a_request() {
    let ca = authority(&SystemClock::new());
    let key = NodeKey::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let uri = format!("cairn://{INSTALLATION}/1/node/1");
    params.subject_alt_names = vec![rcgen::SanType::URI(uri.as_str().try_into().unwrap())];
    let greedy = params.serialize_request(&key.0).unwrap();
    let wanted = NodeRequest {
        request: greedy.der(),
        node: NodeId(7),
        names: &["10.0.0.1".into(), "a.example.com".into()],
        validity: NODE_VALIDITY,
    };
    let issued = ca.issue(&wanted, &SystemClock::new(), &OsEntropy).unwrap();
    assert!(!issued.is_authority());
    assert_eq!(issued.node().unwrap().node, NodeId(7));

    let mut forged = greedy.der().to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let wanted = NodeRequest {
        request: &forged,
        ..wanted
    };
    let error = ca
        .issue(&wanted, &SystemClock::new(), &OsEntropy)
        .unwrap_err();
    assert!(error.to_string().contains("certificate request"), "{error}");
    let error = issue(&ca, &key, &["ü".into()]).unwrap_err();
    assert!(error.to_string().contains("name of a node"), "{error}");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let clock: std::sync::Arc<dyn Clock> = std::sync::Arc::new(SystemClock::new());
    let (ca, other) = (authority(&*clock), authority(&*clock));
    let key = NodeKey::generate().unwrap();
    let certificate = issue(&ca, &key, &[]).unwrap();
    let bundle = |ca: &ClusterCa| TrustBundle::new(vec![ca.certificate().clone()]).unwrap();
    let error = Credentials::new(
        NodeKey::generate().unwrap(),
        certificate.clone(),
        bundle(&ca),
    );
    assert!(matches!(error, Err(IdentityError::OtherKey)));
    let credentials = Credentials::new(key, certificate.clone(), bundle(&other)).unwrap();
    let error = Identity::new(credentials, clock).unwrap_err();
    assert!(matches!(error, IdentityError::NotTrusted(_)), "{error}");
    assert!(TrustBundle::new(vec![]).is_err());
    assert!(TrustBundle::new(vec![certificate]).is_err());
    assert!(bundle(&ca).without(ca.certificate().fingerprint()).is_err());
}

#[test]
fn bundles_survive_their_text() {
    let clock = SystemClock::new();
    let (one, two) = (authority(&clock), authority(&clock));
    let first = TrustBundle::new(vec![one.certificate().clone()]).unwrap();
    let both = first
        .clone()
        .with(two.certificate().clone())
        .with(one.certificate().clone());
    assert_eq!(both.authorities().len(), 2);
    assert_eq!(TrustBundle::from_pem(&both.to_pem()).unwrap(), both);
    assert_eq!(
        both.without(two.certificate().fingerprint()).unwrap(),
        first
    );
    for text in [
        "",
        "nothing",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        assert!(TrustBundle::from_pem(text).is_err(), "{text}");
    }
}

#[test]
fn secrets_are_not_printed() {
    let key = NodeKey::generate().unwrap();
    assert_eq!(format!("{key:?}"), "NodeKey(secret)");
    let ca = authority(&SystemClock::new());
    assert!(!format!("{ca:?}").contains("PRIVATE"));
}

#[test]
fn an_open_connection_is_not_trusted_beyond_its_certificate() {
    let now_ms = SystemClock::new().now_ms();
    let clock = std::sync::Arc::new(ManualClock::at(now_ms));
    let ca = authority(&*clock);
    let key = NodeKey::generate().unwrap();
    let certificate = issue(&ca, &key, &[]).unwrap();
    let chain = [certificate.der().clone()];
    let bundle = TrustBundle::new(vec![ca.certificate().clone()]).unwrap();
    let credentials = Credentials::new(key, certificate, bundle).unwrap();
    let identity = Identity::new(credentials, clock.clone()).unwrap();
    let minute_ms = 60_000;
    for (at_ms, is_trusted) in [
        (now_ms, true),
        (identity.not_after_ms() + 4 * minute_ms, true),
        (identity.not_after_ms() + 6 * minute_ms, false),
        (now_ms - 59 * minute_ms, true),
        (now_ms - 61 * minute_ms, false),
    ] {
        clock.set_wall_ms(at_ms);
        assert_eq!(identity.still_trusts(&chain).is_ok(), is_trusted, "{at_ms}");
    }
    assert!(identity.still_trusts(&[]).is_err());
}

proptest! {
    #[test]
    fn identities_survive_their_text(installation: u128, region: u16, node: u32) {
        let identity = NodeIdentity {
            installation: InstallationId(installation),
            region: RegionId(region),
            node: NodeId(node),
        };
        prop_assert_eq!(NodeIdentity::parse(&identity.to_string()), Some(identity));
    }

    #[test]
    fn other_texts_are_no_identities(text in "(cairn://)?[0-9a-fA-F]{0,33}/[+0-9]{0,6}(/node/)?[+0-9]{0,11}") {
        if let Some(identity) = NodeIdentity::parse(&text) {
            prop_assert_eq!(identity.to_string(), text);
        }
    }

    #[test]
    fn bytes_are_read_as_certificates_without_a_panic(bytes: Vec<u8>) {
        let _ = Certificate::from_der(&bytes);
    }
}
