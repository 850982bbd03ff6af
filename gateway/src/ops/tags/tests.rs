use super::*;
use http::HeaderValue;

fn header(text: &str) -> Result<Vec<(String, String)>, (String, String)> {
    let mut headers = HeaderMap::new();
    headers.insert(HEADER, HeaderValue::from_bytes(text.as_bytes()).unwrap());
    told(parse_header(&headers))
}

fn set(of: Of, tags: &[(&str, &str)]) -> Result<Vec<(String, String)>, (String, String)> {
    let tag = |(key, value): &(&str, &str)| Tag {
        key: Some((*key).to_owned()),
        value: Some((*value).to_owned()),
    };
    told(parse_set(of, tags.iter().map(tag).collect()))
}

fn told(
    tags: Result<BTreeMap<String, String>, ApiError>,
) -> Result<Vec<(String, String)>, (String, String)> {
    tags.map(|tags| tags.into_iter().collect())
        .map_err(|error| (error.code().to_owned(), error.message().to_owned()))
}

fn pairs(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_header_is_a_query_string() {
    for (text, tags) in [
        ("", &[][..]),
        ("a=b", &[("a", "b")]),
        ("foo=bar&bar", &[("bar", ""), ("foo", "bar")]),
        ("b=2&a=1&", &[("a", "1"), ("b", "2")]),
        ("a=b=c", &[("a", "b=c")]),
        ("a%20b=c+d%2B", &[("a b", "c d+")]),
        ("%C3%A4=%E6%97%A5", &[("\u{e4}", "\u{65e5}")]),
    ] {
        assert_eq!(header(text), Ok(pairs(tags)), "{text}");
    }
    assert_eq!(told(parse_header(&HeaderMap::new())), Ok(Vec::new()));
}

#[test]
fn a_header_that_is_no_list_of_tags_is_refused() {
    for text in [
        "a=1&a=2", "a=1&a=1", "=x", "a=%zz", "a=%4", "a=%FF", "a={}", "a,b=c", "a=\u{e4}",
    ] {
        assert_eq!(header(text).unwrap_err().0, "InvalidArgument", "{text}");
    }
    let tags = |count: usize| {
        let tags: Vec<String> = (0..count).map(|number| format!("k{number}=v")).collect();
        header(&tags.join("&"))
    };
    assert_eq!(tags(10).unwrap().len(), 10);
    let too_many = "Object tags cannot be greater than 10".to_owned();
    assert_eq!(tags(11), Err(("BadRequest".to_owned(), too_many)));
    let long = "k".repeat(129);
    assert_eq!(header(&long).unwrap_err().0, "InvalidTag");
    assert_eq!(header("aws:x=1").unwrap_err().0, "InvalidTag");
}

#[test]
fn limits_are_inclusive() {
    let (key, value) = ("k".repeat(128), "v".repeat(256));
    let longest = pairs(&[(&key, &value)]);
    assert_eq!(set(Of::Object, &[(&key, &value)]), Ok(longest));
    // A character outside the basic plane counts twice.
    let wide = |count: usize| "\u{20000}".repeat(count);
    assert!(set(Of::Object, &[(&wide(64), &wide(128))]).is_ok());
    let key_fault = Err((
        "InvalidTag".to_owned(),
        "The TagKey you have provided is invalid".to_owned(),
    ));
    let value_fault = Err((
        "InvalidTag".to_owned(),
        "The TagValue you have provided is invalid".to_owned(),
    ));
    for key in ["k".repeat(129), wide(65), String::new(), "a?".to_owned()] {
        assert_eq!(set(Of::Object, &[(&key, "v")]), key_fault, "{key}");
    }
    for value in ["v".repeat(257), wide(129), "<".to_owned()] {
        assert_eq!(set(Of::Bucket, &[("k", &value)]), value_fault, "{value}");
    }
    assert!(set(Of::Object, &[("+-=._:/@ \t9\u{65e5}", "")]).is_ok());
}

#[test]
fn a_set_has_each_key_once_and_none_of_s3s_own() {
    let refused = |of, tags: &[(&str, &str)]| set(of, tags).unwrap_err();
    for of in [Of::Object, Of::Bucket] {
        let twice = refused(of, &[("k", "1"), ("k", "1")]);
        assert_eq!(twice.0, "InvalidTag");
        assert_eq!(twice.1, "Cannot provide multiple Tags with the same key");
        assert_eq!(refused(of, &[("aws:k", "1")]).0, "InvalidTag");
        assert!(set(of, &[("awsk", "aws:v"), ("K", "1"), ("k", "1")]).is_ok());
    }
    let many: Vec<String> = (0..51).map(|number| number.to_string()).collect();
    let tags: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
    assert!(set(Of::Bucket, &tags[..50]).is_ok());
    assert_eq!(refused(Of::Bucket, &tags).0, "BadRequest");
    assert_eq!(refused(Of::Object, &tags[..11]).0, "BadRequest");
    assert_eq!(set(Of::Object, &[]), Ok(Vec::new()));
}

#[test]
fn a_tag_has_a_key_and_a_value() {
    let tag = |key: Option<&str>, value: Option<&str>| Tag {
        key: key.map(str::to_owned),
        value: value.map(str::to_owned),
    };
    for tag in [tag(None, Some("v")), tag(Some("k"), None), tag(None, None)] {
        let refused = told(parse_set(Of::Object, vec![tag]));
        assert_eq!(refused.unwrap_err().0, "MalformedXML");
    }
}
