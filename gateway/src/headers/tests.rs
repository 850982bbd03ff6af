use super::*;

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.insert(
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    map
}

#[test]
fn what_a_get_gives_back_is_kept() {
    let sent = headers(&[
        ("cache-control", "max-age=3"),
        ("content-disposition", "attachment; filename=\"a b\""),
        ("content-encoding", "aws-chunked,br"),
        ("content-language", "de"),
        ("content-type", "text/plain"),
        ("expires", "Thu, 01 Jan 2032 00:00:00 GMT"),
        ("x-amz-website-redirect-location", "/there"),
        ("x-other", "not kept"),
        ("content-length", "3"),
    ]);
    let stored = StoredHeaders::read(&sent, None).unwrap();
    assert_eq!(stored.headers.len(), 7);
    assert_eq!(stored.headers["content-encoding"], "br");
    assert_eq!(stored.headers["x-amz-website-redirect-location"], "/there");
}

#[test]
fn lines_of_one_name_are_one_list() {
    for order in [["gzip", "aws-chunked"], ["aws-chunked", "gzip"]] {
        let mut sent = headers(&[("cache-control", "no-cache")]);
        for value in order {
            sent.append(header::CONTENT_ENCODING, HeaderValue::from_static(value));
        }
        sent.append(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        let stored = StoredHeaders::read(&sent, None).unwrap();
        assert_eq!(stored.headers["content-encoding"], "gzip");
        assert_eq!(stored.headers["cache-control"], "no-cache,private");
    }
}

#[test]
fn empty_headers_and_the_framing_are_not_kept() {
    let sent = headers(&[("content-type", ""), ("content-encoding", "aws-chunked")]);
    assert!(StoredHeaders::read(&sent, None).unwrap().is_empty());
}

#[test]
fn user_metadata_is_bounded() {
    let none = HeaderMap::new();
    let mut metadata = Metadata::new();
    metadata.insert("Name".to_owned(), "v".repeat(USER_METADATA_BYTES_MAX - 4));
    let stored = StoredHeaders::read(&none, Some(&metadata)).unwrap();
    assert!(stored.user_metadata.contains_key("name"));
    metadata.insert("x".to_owned(), String::new());
    assert_eq!(
        StoredHeaders::read(&none, Some(&metadata)),
        Err(HeaderError::MetadataTooLarge {
            bytes: USER_METADATA_BYTES_MAX + 1,
            max: USER_METADATA_BYTES_MAX
        })
    );
}

#[test]
fn storage_classes() {
    let class = |name: &str| storage_class(&headers(&[("x-amz-storage-class", name)]));
    assert_eq!(storage_class(&HeaderMap::new()), Ok(String::new()));
    assert_eq!(class(""), Ok(String::new()));
    assert_eq!(class("STANDARD"), Ok(String::new()));
    assert_eq!(class("STANDARD_IA"), Ok("STANDARD_IA".to_owned()));
    assert_eq!(class("standard"), Err(HeaderError::InvalidStorageClass));
    assert!(matches!(
        class("GLACIER"),
        Err(HeaderError::UnsupportedStorageClass { .. })
    ));
    assert_eq!(shown_class(""), "STANDARD");
    assert_eq!(class_header(""), None);
}

#[test]
fn times() {
    assert_eq!(http_date(784_111_777_999), "Sun, 06 Nov 1994 08:49:37 GMT");
}
