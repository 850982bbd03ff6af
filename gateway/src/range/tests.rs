use super::*;

fn of(header: &str) -> Option<Header> {
    let mut headers = HeaderMap::new();
    headers.insert(header::RANGE, header.parse().unwrap());
    asked(&headers)
}

#[test]
fn what_is_no_single_range_of_bytes_is_passed_over() {
    for header in [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-x",
        "bytes=5-4",
        "bytes=0-0,2-3",
        "bytes=+1-2",
        "bytes=1 -2",
        "bytes=1--2",
        "chars=0-1",
        "0-1",
        "bytes: 0-1",
    ] {
        assert_eq!(of(header), None, "{header}");
    }
    let mut twice = HeaderMap::new();
    for value in ["bytes=0-1", "bytes=2-3"] {
        twice.append(header::RANGE, value.parse().unwrap());
    }
    assert_eq!(asked(&twice), None);
}

#[test]
fn ranges_resolve_as_s3_does() {
    let table: &[(&str, u64, Option<Range<u64>>)] = &[
        ("bytes=0-0", 10, Some(0..1)),
        ("bytes=0-9", 10, Some(0..10)),
        ("bytes=0-100", 10, Some(0..10)),
        ("bytes=4-6", 10, Some(4..7)),
        ("bytes=9-9", 10, Some(9..10)),
        ("bytes=9-", 10, Some(9..10)),
        ("bytes=0-", 10, Some(0..10)),
        ("bytes=10-", 10, None),
        ("bytes=10-20", 10, None),
        ("bytes=-3", 10, Some(7..10)),
        ("bytes=-10", 10, Some(0..10)),
        ("bytes=-11", 10, Some(0..10)),
        ("bytes=-0", 10, None),
        ("bytes=0-", 0, None),
        ("bytes=0-0", 0, None),
        ("bytes=-1", 0, None),
        ("bytes=0-9223372036854775807", 5, Some(0..5)),
        ("bytes=0-99999999999999999999999", 5, Some(0..5)),
        ("bytes=99999999999999999999999-", 5, None),
        ("bytes=-99999999999999999999999", 5, Some(0..5)),
        ("Bytes = 1-2 ", 5, Some(1..3)),
    ];
    for (header, length, expected) in table {
        let parsed = of(header).unwrap();
        let resolved = resolve(parsed, *length);
        assert_eq!(resolved.clone().ok(), *expected, "{header} of {length}");
        if expected.is_none() {
            assert_eq!(resolved, Err(Unsatisfiable { length: *length }));
        }
    }
}

#[test]
fn content_range_counts_the_last_byte() {
    assert_eq!(content_range(&(7..10), 10), "bytes 7-9/10");
    assert_eq!(unsatisfied_range(10), "bytes */10");
}
