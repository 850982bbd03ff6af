use super::*;

const MODIFIED_MS: u64 = 1_000_000_500;
const MODIFIED_S: i64 = 1_000_000;

fn verdict(
    if_match: &str,
    if_none_match: &str,
    modified_since: Option<i64>,
    unmodified_since: Option<i64>,
) -> Verdict {
    let mut headers = http::HeaderMap::new();
    for (name, value) in [("if-match", if_match), ("if-none-match", if_none_match)] {
        headers.insert(name, value.parse().unwrap());
    }
    let conditions = ReadConditions {
        if_modified_since_s: modified_since,
        if_unmodified_since_s: unmodified_since,
        ..ReadConditions::of_read(&headers, MODIFIED_MS)
    };
    conditions.evaluate("abc", MODIFIED_MS)
}

#[test]
fn reads_follow_rfc_9110() {
    use Verdict::{Failed, NotModified, Proceed};
    let (before, at, after) = (Some(MODIFIED_S - 1), Some(MODIFIED_S), Some(MODIFIED_S + 1));
    let table = [
        (verdict("", "", None, None), Proceed),
        (verdict("\"abc\"", "", None, None), Proceed),
        (verdict("*", "", None, None), Proceed),
        (verdict("\"other\"", "", None, None), Failed("If-Match")),
        (verdict("W/\"abc\"", "", None, None), Failed("If-Match")),
        (verdict("", "\"abc\"", None, None), NotModified),
        (verdict("", "W/\"abc\"", None, None), NotModified),
        (verdict("", "*", None, None), NotModified),
        (verdict("abc", "", None, None), Proceed),
        (verdict("\"x\", \"abc\"", "", None, None), Proceed),
        (verdict("\"x\",\"y\"", "", None, None), Failed("If-Match")),
        (verdict("", "\"a,b\" , W/\"abc\"", None, None), NotModified),
        (verdict("", "x,abc", None, None), NotModified),
        (verdict("", "\"abc", None, None), Proceed),
        (verdict("", "\"other\"", None, None), Proceed),
        (verdict("", "", before, None), Proceed),
        (verdict("", "", at, None), NotModified),
        (verdict("", "", after, None), NotModified),
        (verdict("", "", None, before), Failed("If-Unmodified-Since")),
        (verdict("", "", None, at), Proceed),
        // An ETag condition takes the place of the time.
        (verdict("\"abc\"", "", None, before), Proceed),
        (verdict("", "\"other\"", after, None), Proceed),
        // If-Match is judged first.
        (
            verdict("\"other\"", "\"abc\"", None, None),
            Failed("If-Match"),
        ),
    ];
    for (row, (found, expected)) in table.into_iter().enumerate() {
        assert_eq!(found, expected, "row {row}");
    }
}

#[test]
fn writes_take_what_s3_offers() {
    let condition = |fields: &[(HeaderName, &str)]| {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.clone(), value.parse().unwrap());
        }
        of_write(&headers)
    };
    let (some, none) = (header::IF_MATCH, header::IF_NONE_MATCH);
    let is = |etag: &str| Ok(WriteCondition::IfMatch(etag.to_owned()));
    assert_eq!(condition(&[]), Ok(WriteCondition::None));
    assert_eq!(condition(&[(some.clone(), "")]), Ok(WriteCondition::None));
    assert_eq!(condition(&[(some.clone(), "\"abc\"")]), is("abc"));
    assert_eq!(condition(&[(some.clone(), "abc")]), is("abc"));
    assert_eq!(condition(&[(some.clone(), "*")]), is("*"));
    let absent = condition(&[(none.clone(), "*")]);
    assert_eq!(absent, Ok(WriteCondition::IfNoneMatch));
    for (name, value) in [
        (&some, "\"*\""),
        (&some, "W/\"abc\""),
        (&some, "\"abc\", \"def\""),
        (&none, "\"abc\""),
        (&none, "\"*\""),
    ] {
        assert!(
            condition(&[(name.clone(), value)]).is_err(),
            "{name}: {value}"
        );
    }
    assert!(condition(&[(some, "abc"), (none, "*")]).is_err());
}

#[test]
fn a_range_applies_only_to_the_version_that_if_range_names() {
    let of = |value: Option<&'static str>| {
        let mut headers = http::HeaderMap::new();
        if let Some(value) = value {
            headers.insert(
                http::header::IF_RANGE,
                http::HeaderValue::from_static(value),
            );
        }
        range_applies(&headers, "abc", 1_445_412_480_999)
    };
    assert!(of(None));
    assert!(of(Some("\"abc\"")));
    assert!(of(Some("abc")));
    assert!(of(Some("Wednesday, 21-Oct-15 07:28:00 GMT")));
    assert!(of(Some("Wed, 21 Oct 2015 07:28:00 GMT")));
    for other in [
        "\"abd\"",
        "W/\"abc\"",
        "\"abc",
        "",
        "Wed, 21 Oct 2015 07:28:01 GMT",
    ] {
        assert!(!of(Some(other)), "{other}");
    }
}

#[test]
fn dates_have_four_forms_and_others_say_nothing() {
    let of = |value: &'static str| {
        let mut headers = http::HeaderMap::new();
        for name in OF_READ.iter().chain(&OF_SOURCE).skip(2) {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        let read = ReadConditions::of_read(&headers, 784_111_778_000);
        let source = ReadConditions::of_source(&headers, 784_111_778_000);
        assert_eq!(read.if_modified_since_s, source.if_modified_since_s);
        (read.if_modified_since_s, read.if_unmodified_since_s)
    };
    let at = Some(784_111_777);
    assert_eq!(of("Sun, 06 Nov 1994 08:49:37 GMT"), (at, at));
    assert_eq!(of("Sunday, 06-Nov-94 08:49:37 GMT"), (at, at));
    assert_eq!(of("Sun Nov  6 08:49:37 1994"), (at, at));
    assert_eq!(of("1994-11-06T08:49:37Z"), (at, at));
    // A date to come is no time of which the client can have a copy.
    let later = Some(784_111_779);
    assert_eq!(of("Sun, 06 Nov 1994 08:49:39 GMT"), (None, later));
    for other in ["", "yesterday", "784111777", "Sun, 06 Nov 1994"] {
        assert_eq!(of(other), (None, None), "{other}");
    }
}
