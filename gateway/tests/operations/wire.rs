//! What stands between the wire and the operations: XML as clients write it, headers in presigned URLs, and the
//! elements of errors.

use crate::deletes::delete_many;
use crate::harness::*;
use crate::versions::versioning;

async fn store(server: &Server, key: &str) {
    let path = format!("/bucket/{key}");
    assert_eq!(server.send(put(&path).body("x")).await.status, 200);
}

async fn is_there(server: &Server, key: &str) -> bool {
    server.send(head(&format!("/bucket/{key}"))).await.status == 200
}

fn deletion(key: &str) -> String {
    format!("<Delete><Object><Key>{key}</Key></Object></Delete>")
}

#[tokio::test]
async fn keys_in_xml_are_any_characters() {
    let server = Server::with_bucket().await;
    let table = [
        ("a\u{1}b", "a&#x1;b"),
        ("a\u{1}b", "a&#01;b"),
        ("a\u{1}b", "a\u{1}b"),
        ("a\u{1f}", "a&#x1F;"),
        ("a\rb", "a&#13;b"),
        ("a\rb", "a&#xD;b"),
        ("a\nb", "a&#10;b"),
        ("a\nb", "a\nb"),
        ("a\tb ", "a&#x9;b&#32;"),
        ("a😀b", "a&#x1F600;b"),
        ("a😀b", "a&#128512;b"),
        ("a😀b", "a😀b"),
        ("a\u{fffe}\u{10ffff}", "a&#xFFFE;&#x10FFFF;"),
        ("a<b>&\"'", "a&lt;b&gt;&amp;&quot;&apos;"),
        ("a<b>&", "a&#60;b&#x3e;&#38;"),
        ("a<b>&#1;", "<![CDATA[a<b>&#1;]]>"),
        ("ab", "a<!-- &#1; -->b"),
    ];
    for (key, written) in table {
        store(&server, key).await;
        let answer = delete_many(&server, deletion(written)).await;
        assert_eq!(answer.status, 200, "{written}: {}", answer.text());
        assert!(answer.elements("Error").is_empty(), "{}", answer.text());
        assert!(!is_there(&server, key).await, "{written:?}");
    }
}

#[tokio::test]
async fn xml_with_what_is_no_character_is_malformed() {
    let server = Server::with_bucket().await;
    store(&server, "a").await;
    for wrong in [
        "&#0;",
        "&#x110000;",
        "&#xD800;",
        "&#x;",
        "&#;",
        "&#1",
        "&nbsp;",
        "<![CDATA[a",
    ] {
        let answer = delete_many(&server, deletion(&format!("a{wrong}"))).await;
        assert_eq!(answer.refusal(), (400, "MalformedXML".into()), "{wrong}");
    }
    assert!(is_there(&server, "a").await);
}

fn create(name: &str, configuration: &str) -> Request {
    let xml = format!("<CreateBucketConfiguration>{configuration}</CreateBucketConfiguration>");
    put(name).body(xml)
}

#[tokio::test]
async fn buckets_are_created_with_tags() {
    let server = Server::new();
    let place = format!("<LocationConstraint>{REGION}</LocationConstraint>");
    let tag = |key: &str, value: &str| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>");
    let two = format!(
        "{place}<Tags>{}{}</Tags>",
        tag("a", "1"),
        tag("b&#x2F;", "")
    );
    assert_eq!(server.send(create("/tagged", &two)).await.status, 200);
    let tags = server.send(get("/tagged").query("tagging", "")).await;
    assert_eq!(tags.elements("Key"), ["a", "b/"]);
    assert_eq!(tags.elements("Value"), ["1", ""]);
    for none in [String::new(), "<Tags/>".to_owned(), place.clone()] {
        assert_eq!(
            server.send(create("/plain", &none)).await.status,
            200,
            "{none}"
        );
        let tags = server.send(get("/plain").query("tagging", "")).await;
        assert_eq!(tags.refusal(), (404, "NoSuchTagSet".into()));
        assert_eq!(tags.element("BucketName"), "plain");
        assert_eq!(server.send(delete("/plain")).await.status, 204);
    }
    let one = format!("<Tags>{}</Tags>", tag("a", "1"));
    let table = [
        (format!("<Tags>{}</Tags>", tag("aws:a", "1")), "InvalidTag"),
        (format!("<Tags>{0}{0}</Tags>", tag("a", "1")), "InvalidTag"),
        (format!("{one}{one}"), "MalformedXML"),
        (
            "<Tags><Tag><Key>a</Key></Tag></Tags>".to_owned(),
            "MalformedXML",
        ),
        (
            format!("<Tags>{}</Tags>", tag("a", "1").repeat(51)),
            "BadRequest",
        ),
    ];
    for (wrong, code) in table {
        let refused = server.send(create("/refused", &wrong)).await;
        assert_eq!(refused.refusal(), (400, code.into()), "{wrong}");
        assert_eq!(server.send(head("/refused")).await.status, 404);
    }
}

/// In us-east-1 a bucket may be made again, which never changes it.
#[tokio::test]
async fn a_bucket_that_is_made_again_has_the_tags_or_is_refused() {
    let config = gateway::config::GatewayConfig {
        region: "us-east-1".to_owned(),
        ..small_config()
    };
    let server = Server::with(config, None);
    let tags = |value: &str| format!("<Tags><Tag><Key>a</Key><Value>{value}</Value></Tag></Tags>");
    for (configuration, status) in [
        (tags("1"), 200),
        (tags("1"), 200),
        (tags("2"), 409),
        (String::new(), 200),
    ] {
        let answer = server.send(create("/bucket", &configuration)).await;
        assert_eq!(answer.status, status, "{configuration}");
    }
    let left = server.send(get("/bucket").query("tagging", "")).await;
    assert_eq!(left.elements("Value"), ["1"]);
}

#[tokio::test]
async fn headers_in_a_presigned_url_are_headers() {
    let server = Server::with_bucket().await;
    let upload = put("/bucket/key")
        .query("X-Amz-Meta-Colour", "dark blue")
        .query("x-amz-acl", "private")
        .query("x-amz-tagging", "a=1&b=2")
        .query("x-amz-storage-class", "STANDARD")
        .query("x-amz-checksum-crc32", "AAAAAA==")
        .query("x-amz-sdk-checksum-algorithm", "CRC32")
        .presigned()
        .body("hello");
    let stored = server.send(upload).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    let found = server.send(get("/bucket/key").presigned()).await;
    assert_eq!(found.text(), "hello");
    assert_eq!(found.header("x-amz-meta-colour"), "dark blue");
    assert_eq!(found.header("x-amz-tagging-count"), "2");

    let copy = put("/bucket/copy")
        .query("x-amz-copy-source", "/bucket/key")
        .query("x-amz-metadata-directive", "REPLACE")
        .query("x-amz-meta-colour", "red")
        .presigned();
    let copied = server.send(copy).await;
    assert_eq!(copied.status, 200, "{}", copied.text());
    let found = server.send(get("/bucket/copy")).await;
    assert_eq!(found.text(), "hello");
    assert_eq!(found.header("x-amz-meta-colour"), "red");
}

#[tokio::test]
async fn headers_in_a_presigned_url_are_refused_as_headers_are() {
    let server = Server::with_bucket().await;
    let table = [
        (
            "x-amz-server-side-encryption",
            "aws:kms",
            501,
            "NotImplemented",
        ),
        (
            "X-Amz-Server-Side-Encryption",
            "AES256",
            501,
            "NotImplemented",
        ),
        (
            "x-amz-acl",
            "public-read",
            400,
            "AccessControlListNotSupported",
        ),
        ("x-amz-tagging", "a=1&a=2", 400, "InvalidArgument"),
        ("x-amz-meta-a", "1\n2", 400, "InvalidArgument"),
        ("x-amz-expected-bucket-owner", "nobody", 403, "AccessDenied"),
    ];
    for (name, value, status, code) in table {
        let upload = put("/bucket/key").query(name, value).presigned().body("x");
        let refused = server.send(upload).await;
        assert_eq!(refused.refusal(), (status, code.into()), "{name}: {value}");
    }
    assert!(!is_there(&server, "key").await);
    let changed = put("/bucket/key").presigned().query("x-amz-meta-a", "1");
    let refused = server.send(changed.body("x")).await;
    assert_eq!(refused.refusal(), (403, "SignatureDoesNotMatch".into()));
}

#[tokio::test]
async fn an_empty_version_id_is_refused() {
    let server = Server::with_bucket().await;
    store(&server, "key").await;
    let object = |request: Request| request.query("versionId", "");
    let attributes = get("/bucket/key").query("attributes", "");
    let tagging = |request: Request| request.query("tagging", "");
    let table = [
        get("/bucket/key"),
        delete("/bucket/key"),
        attributes.header("x-amz-object-attributes", "ETag"),
        tagging(get("/bucket/key")),
        tagging(delete("/bucket/key")),
        get("/bucket/key").query("acl", ""),
    ];
    let source = "/bucket/key?versionId=";
    let copy = put("/bucket/copy").header("x-amz-copy-source", source);
    for request in table.map(object).into_iter().chain([copy]) {
        let described = format!("{request:?}");
        let refused = server.send(request).await;
        assert_eq!(
            refused.refusal(),
            (400, "InvalidArgument".into()),
            "{described}"
        );
        assert_eq!(
            refused.element("Message"),
            "Version id cannot be the empty string"
        );
    }
    assert!(is_there(&server, "key").await);
}

/// Sends `request`; the error is this code, and has these elements.
async fn tells(server: &Server, request: Request, code: &str, elements: &[(&str, &str)]) {
    let described = format!("{request:?}");
    let answer = server.send(request).await;
    for (element, text) in [("Code", code)].iter().chain(elements) {
        let found = answer.elements(element);
        assert_eq!(found, [*text], "{described}: {}", answer.text());
    }
}

/// The elements that SDKs read beside the code.
#[tokio::test]
async fn errors_tell_what_they_are_about() {
    let server = Server::with_bucket().await;
    store(&server, "key").await;
    let (bucket, version) = (("BucketName", "bucket"), ("VersionId", "null"));
    let upload = get("/bucket/k").query("uploadId", "x&y");
    let part = get("/bucket/key").query("partNumber", 2);
    let parts = [("PartNumberRequested", "2"), ("ActualPartCount", "1")];
    let old = get("/bucket/k").query("versionId", "null");
    let none = [("BucketName", "none")];
    tells(&server, get("/none/key"), "NoSuchBucket", &none).await;
    let key = [("Key", "a b&lt;&#x1;")];
    tells(&server, get("/bucket/a b<\u{1}"), "NoSuchKey", &key).await;
    tells(&server, old, "NoSuchVersion", &[("Key", "k"), version]).await;
    tells(&server, upload, "NoSuchUpload", &[("UploadId", "x&amp;y")]).await;
    tells(&server, part, "InvalidPartNumber", &parts).await;
    tells(&server, delete("/bucket"), "BucketNotEmpty", &[bucket]).await;
}

#[tokio::test]
async fn errors_tell_the_condition_that_failed() {
    let server = Server::with_bucket().await;
    store(&server, "key").await;
    let path = "/bucket/key";
    let copy = put("/bucket/k").header("x-amz-copy-source", path);
    let table = [
        (get(path).header("if-match", "x"), "If-Match"),
        (put(path).header("if-none-match", "*"), "If-None-Match"),
        (put(path).header("if-match", "x"), "If-Match"),
        (delete(path).header("if-match", "x"), "If-Match"),
        (
            copy.header("x-amz-copy-source-if-none-match", "*"),
            "x-amz-copy-source-If-None-Match",
        ),
    ];
    for (request, condition) in table {
        let condition = [("Condition", condition)];
        tells(&server, request, "PreconditionFailed", &condition).await;
    }
    assert!(is_there(&server, "key").await);
}

#[tokio::test]
async fn errors_of_a_copy_are_about_its_source() {
    let server = Server::with_bucket().await;
    let copy = |source: &str| put("/bucket/k").header("x-amz-copy-source", source);
    let none = [("BucketName", "none")];
    tells(&server, copy("/none/key"), "NoSuchBucket", &none).await;
    let key = [("Key", "source")];
    tells(&server, copy("/bucket/source"), "NoSuchKey", &key).await;
}

#[tokio::test]
async fn errors_tell_of_delete_markers() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(versioning("Enabled")).await.status, 200);
    let marker = server.send(delete("/bucket/key")).await;
    let marker = marker.header("x-amz-version-id").to_owned();
    let told = [("Method", "GET"), ("ResourceType", "DeleteMarker")];
    for sub in ["", "tagging", "acl"] {
        let mut request = get("/bucket/key").query("versionId", &marker);
        if !sub.is_empty() {
            request = request.query(sub, "");
        }
        tells(&server, request, "MethodNotAllowed", &told).await;
    }
}
