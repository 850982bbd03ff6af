use super::*;

#[test]
fn names() {
    let good = [
        "abc",
        "a-b",
        "a.b",
        "1ab",
        "my.bucket-1",
        "0.0.0",
        &"a".repeat(63),
    ];
    let bad = [
        "",
        "ab",
        &"a".repeat(64),
        "Abc",
        "a_b",
        "-abc",
        "abc-",
        ".abc",
        "abc.",
        "a..b",
        "a.-b",
        "a-.b",
        "192.168.5.4",
        "xn--abc",
        "sthree-abc",
        "abc-s3alias",
        "abc--ols-s3",
        "é.abc",
    ];
    for name in good {
        assert!(is_bucket_name(name), "{name}");
    }
    for name in bad {
        assert!(!is_bucket_name(name), "{name}");
    }
}

#[test]
fn locations() {
    let config = GatewayConfig {
        region: "pek3".to_owned(),
        region_aliases: vec!["cn-north-1".to_owned()],
        ..GatewayConfig::default()
    };
    let check = |place: &str| {
        let constraint = BucketLocationConstraint::from(place.to_owned());
        check_configuration(
            &config,
            &CreateBucketConfiguration {
                location_constraint: Some(constraint),
                ..CreateBucketConfiguration::default()
            },
        )
    };
    for own in ["", "pek3", "cn-north-1"] {
        assert!(check(own).is_ok(), "{own}");
    }
    for other in ["us-east-1", "EU", "pek"] {
        assert_eq!(
            check(other).unwrap_err().code(),
            "InvalidLocationConstraint",
            "{other}"
        );
    }
    assert!(check_configuration(&config, &CreateBucketConfiguration::default()).is_ok());
}
