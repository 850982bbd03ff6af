use super::*;

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
    ];
    for (header, length, expected) in table {
        let parsed = Header::parse(header).unwrap();
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
