use super::*;

fn uri(method: Method, sent: &str) -> String {
    parsed_uri(&sent.parse().unwrap(), &method)
        .unwrap()
        .to_string()
}

#[test]
fn the_signature_is_not_parsed_again() {
    let sent = "/b/k?X-Amz-Signature=00&x-amz-date=1&X%2DAmz-Expires=5&versionId=3&a";
    assert_eq!(uri(Method::GET, sent), "/b/k?versionId=3&a");
    assert_eq!(uri(Method::GET, "/b/%2F%20k"), "/b/%2F%20k");
    assert_eq!(
        uri(Method::GET, "//b//k?x-id=GetObject"),
        "//b//k?x-id=GetObject"
    );
}

#[test]
fn only_reads_keep_their_parameters_from_s3s() {
    let sent = "/b/k?partNumber=x&uploadId=3&response-expires=never";
    assert_eq!(uri(Method::HEAD, sent), "/b/k?uploadId=3");
    assert_eq!(uri(Method::PUT, sent), sent);
}

#[test]
fn repeated_metadata_is_one_value() {
    let mut sent = HeaderMap::new();
    for (name, value) in [
        ("x-amz-meta-a", "1"),
        ("x-amz-meta-a", "2"),
        ("x-amz-meta-b", "3"),
        ("content-encoding", "gzip"),
        ("content-encoding", "aws-chunked"),
        ("expires", "0"),
        ("if-match", "\"x\""),
        ("authorization", "secret"),
    ] {
        sent.append(name, HeaderValue::from_static(value));
    }
    let parsed = parsed_headers(&sent, &Method::PUT);
    assert_eq!(parsed["x-amz-meta-a"], "1,2");
    assert_eq!(parsed["x-amz-meta-b"], "3");
    assert_eq!(parsed.len(), 2, "operations read the others themselves");
}
