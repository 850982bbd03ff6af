use super::*;

const MODIFIED_MS: u64 = 1_000_000_500;
const MODIFIED_S: i64 = 1_000_000;

fn tag(text: &str) -> Option<ETagCondition> {
    Some(text.parse().unwrap())
}

fn verdict(
    if_match: &str,
    if_none_match: &str,
    modified_since: Option<i64>,
    unmodified_since: Option<i64>,
) -> Verdict {
    let parse = |text: &str| if text.is_empty() { None } else { tag(text) };
    let conditions = ReadConditions {
        if_match: parse(if_match),
        if_none_match: parse(if_none_match),
        if_modified_since_s: modified_since,
        if_unmodified_since_s: unmodified_since,
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
    let of = |a: &str, b: &str| {
        let parse = |text: &str| if text.is_empty() { None } else { tag(text) };
        of_write(parse(a).as_ref(), parse(b).as_ref())
    };
    assert_eq!(of("", ""), Ok(WriteCondition::None));
    assert_eq!(of("", "*"), Ok(WriteCondition::IfNoneMatch));
    assert_eq!(
        of("\"abc\"", ""),
        Ok(WriteCondition::IfMatch("abc".to_owned()))
    );
    assert_eq!(of("abc", ""), Ok(WriteCondition::IfMatch("abc".to_owned())));
    assert_eq!(of("", "\"abc\"").unwrap_err().header, "If-None-Match");
    assert_eq!(of("*", ""), Ok(WriteCondition::IfMatch("*".to_owned())));
    assert_eq!(of("W/\"abc\"", "").unwrap_err().header, "If-Match");
    assert_eq!(of("\"abc\"", "*").unwrap_err().header, "If-Match");
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
    assert!(of(Some("Wed, 21 Oct 2015 07:28:00 GMT")));
    for other in [
        "\"abd\"",
        "W/\"abc\"",
        "\"abc",
        "abc",
        "",
        "Wed, 21 Oct 2015 07:28:01 GMT",
    ] {
        assert!(!of(Some(other)), "{other}");
    }
}
