//! The table of the module header, and hosts that name nothing.

use super::*;

fn hosts() -> Hosts {
    let domains = ["example.com", "S3.Example.com"].map(str::to_owned);
    Hosts::new(&domains, &["pek3".to_owned(), "gd2".to_owned()]).unwrap()
}

#[test]
fn hosts_name_buckets_and_regions() {
    let table: &[(&str, Option<&str>, Option<&str>)] = &[
        ("example.com", None, None),
        ("EXAMPLE.com:9000", None, None),
        ("s3.example.com", None, None),
        ("pek3.example.com", None, Some("pek3")),
        ("bucket.example.com", Some("bucket"), None),
        ("Bucket.s3.example.com:80", Some("bucket"), None),
        (
            "my.dotted.bucket.example.com",
            Some("my.dotted.bucket"),
            None,
        ),
        ("bucket.pek3.example.com", Some("bucket"), Some("pek3")),
        (
            "my.bucket.gd2.s3.example.com",
            Some("my.bucket"),
            Some("gd2"),
        ),
        ("bucketpek3.example.com", Some("bucketpek3"), None),
        ("pek3x.example.com", Some("pek3x"), None),
        ("badexample.com", None, None),
        ("cdn.customer.org", None, None),
        ("localhost:9000", None, None),
        ("127.0.0.1:9000", None, None),
        ("[::1]:9000", None, None),
        ("::1", None, None),
        ("", None, None),
    ];
    let hosts = hosts();
    for (host, bucket, region) in table {
        let target = hosts.target(host);
        assert_eq!(target.bucket.as_deref(), *bucket, "{host}");
        assert_eq!(target.region.as_deref(), *region, "{host}");
        let parsed = hosts.parse_host_header(host).unwrap();
        assert_eq!(
            (parsed.bucket(), parsed.region()),
            (*bucket, *region),
            "{host}"
        );
    }
}

#[test]
fn without_domains_everything_is_path_style() {
    assert_eq!(
        Hosts::default().target("bucket.example.com"),
        HostTarget::default()
    );
}

#[test]
fn domains_are_checked() {
    for wrong in [
        "",
        "https://example.com",
        "example.com:80",
        "a..b",
        ".a",
        "10.0.0.1",
        "a_b",
    ] {
        let error = Hosts::new(&[wrong.to_owned()], &[]).unwrap_err();
        assert_eq!(error.domain, wrong);
    }
}
