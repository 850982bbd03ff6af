//! Reads as real clients send them: what s3s alone would refuse, parts, attributes, headers.

use crate::harness::*;
use crate::multipart::{complete, send_part, start};
use gateway::config::GatewayConfig;

const PAST: &str = "Sat, 01 Jan 2000 00:00:00 GMT";

/// Each of the requests as a GET and as a HEAD.
async fn both(server: &Server, asked: impl Fn(Request) -> Request) -> [Answer; 2] {
    [
        server.send(asked(get("/bucket/key"))).await,
        server.send(asked(head("/bucket/key"))).await,
    ]
}

#[tokio::test]
async fn conditions_as_clients_write_them() {
    let server = Server::with_bucket().await;
    let stored = server.send(put("/bucket/key").body("hello")).await;
    let tag = stored.header("etag").to_owned();
    let bare = tag.trim_matches('"');
    let modified = server.send(head("/bucket/key")).await;
    let modified = modified.header("last-modified").to_owned();
    let (list, weak) = (format!("\"x\" , {tag}"), format!("W/{tag}"));
    let (weak_list, bare_list) = (format!("W/\"x\",{weak}"), format!("x, {bare}"));
    let table: &[(&[(&str, &str)], u16)] = &[
        (&[("if-match", bare)], 200),
        (&[("if-match", &list)], 200),
        (&[("if-match", &weak)], 412),
        (&[("if-match", "\"x\", \"y\"")], 412),
        (&[("if-match", "\"x")], 412),
        (&[("if-match", "")], 200),
        (&[("if-none-match", bare)], 304),
        (&[("if-none-match", &list)], 304),
        (&[("if-none-match", &weak_list)], 304),
        (&[("if-none-match", &bare_list)], 304),
        (&[("if-none-match", "x,y")], 200),
        (&[("if-modified-since", "yesterday")], 200),
        (
            &[("if-modified-since", "Saturday, 01-Jan-00 00:00:00 GMT")],
            200,
        ),
        (&[("if-unmodified-since", "never")], 200),
        (&[("if-unmodified-since", "2000-01-01T00:00:00Z")], 412),
        (
            &[("if-unmodified-since", "Saturday, 01-Jan-00 00:00:00 GMT")],
            412,
        ),
        (&[("if-match", &tag), ("if-unmodified-since", PAST)], 200),
        (
            &[("if-none-match", "\"x\""), ("if-modified-since", &modified)],
            200,
        ),
        (&[("if-none-match", &tag), ("if-modified-since", PAST)], 304),
        (&[("if-match", "x"), ("if-none-match", &tag)], 412),
        // The condition is judged before the range.
        (&[("if-none-match", &tag), ("range", "bytes=99-")], 304),
    ];
    for (fields, status) in table {
        let asked = |request| {
            fields
                .iter()
                .fold(request, |r: Request, (n, v)| r.header(n, v))
        };
        for answer in both(&server, asked).await {
            assert_eq!(answer.status, *status, "{fields:?}");
        }
    }
}

/// Row 25 of the behaviours: what is no single range of bytes asks for the whole object.
#[tokio::test]
async fn ranges_that_are_none_are_passed_over() {
    let server = Server::with_bucket().await;
    server.send(put("/bucket/key").body("0123456789")).await;
    for range in [
        "bytes=3-1",
        "bytes=0-1,4-5",
        "items=0-1",
        "bytes=x",
        "bytes",
        "0-3",
        "bytes=-",
    ] {
        for answer in both(&server, |r| r.header("range", range)).await {
            assert_eq!(
                (answer.status, answer.header("content-range")),
                (200, ""),
                "{range}"
            );
            assert_eq!(answer.header("content-length"), "10", "{range}");
        }
    }
    for (range, status) in [("bytes=-0", 416), ("bytes=99999999999999999999-", 416)] {
        let [read, asked] = both(&server, |r| r.header("range", range)).await;
        assert_eq!(read.refusal(), (status, "InvalidRange".into()), "{range}");
        assert_eq!((asked.status, asked.bytes().len()), (status, 0));
        assert_eq!(asked.header("content-range"), "bytes */10");
    }
    let long = "bytes=2-99999999999999999999";
    let [read, _] = both(&server, |r| r.header("range", long)).await;
    assert_eq!((read.status, read.text()), (206, "23456789".into()));
    let stale = both(&server, |r| {
        r.header("range", "bytes=0-0").header("if-range", PAST)
    })
    .await;
    assert_eq!(stale[0].text(), "0123456789");
}

/// The key "key" of two parts, numbered 2 and 5.
async fn in_parts(server: &Server, headers: &[(&str, &str)]) -> bytes::Bytes {
    let begin = post("/bucket/key").query("uploads", "");
    let begin = headers
        .iter()
        .fold(begin, |r, (name, value)| r.header(name, value));
    let upload = server.send(begin).await.element("UploadId");
    let bodies = [pattern(100_000, 1), pattern(70_000, 2)];
    let mut parts = Vec::new();
    for (number, body) in [2, 5].into_iter().zip(&bodies) {
        let etag = send_part(server, "key", &upload, number, body.clone()).await;
        parts.push((number, etag));
    }
    let done = server.send(complete("key", &upload, &parts)).await;
    assert_eq!(done.status, 200, "{}", done.text());
    bodies.concat().into()
}

async fn server_of_small_parts() -> Server {
    let config = GatewayConfig {
        part_bytes_min: 1,
        ..small_config()
    };
    let server = Server::with(config, None);
    server.make_bucket().await;
    server
}

#[tokio::test]
async fn parts_are_read_by_number() {
    let server = server_of_small_parts().await;
    let whole = in_parts(&server, &[]).await;
    for (number, range) in [(2, 0..100_000), (5, 100_000..170_000)] {
        let [read, asked] = both(&server, |r| r.query("partNumber", number)).await;
        assert!(read.bytes()[..] == whole[range.clone()], "{number}");
        for answer in [read, asked] {
            let shown = format!("bytes {}-{}/170000", range.start, range.end - 1);
            assert_eq!(
                (answer.status, answer.header("content-range")),
                (206, &*shown)
            );
            assert_eq!(answer.header("content-length"), range.len().to_string());
            assert_eq!(answer.header("x-amz-mp-parts-count"), "2");
        }
    }
    for number in ["1", "3", "6", "10000"] {
        let [read, asked] = both(&server, |r| r.query("partNumber", number)).await;
        assert_eq!(
            read.refusal(),
            (416, "InvalidPartNumber".into()),
            "{number}"
        );
        assert_eq!(asked.status, 416);
    }
    for number in ["0", "10001", "-1", "x", "", "1.5"] {
        let [read, asked] = both(&server, |r| r.query("partNumber", number)).await;
        assert_eq!(read.refusal(), (400, "InvalidArgument".into()), "{number}");
        assert_eq!(asked.status, 400);
    }
    let with_range = |r: Request| r.query("partNumber", 2).header("range", "bytes=0-1");
    let [read, _] = both(&server, with_range).await;
    assert_eq!(read.refusal(), (400, "InvalidRequest".into()));
}

#[tokio::test]
async fn an_object_that_was_put_whole_is_its_first_part() {
    let server = Server::with_bucket().await;
    server.send(put("/bucket/key").body("0123456789")).await;
    for answer in both(&server, |r| r.query("partNumber", 1)).await {
        assert_eq!(
            (answer.status, answer.header("content-range")),
            (206, "bytes 0-9/10")
        );
        assert_eq!(answer.header("x-amz-mp-parts-count"), "");
    }
    let [read, _] = both(&server, |r| r.query("partNumber", 2)).await;
    assert_eq!(read.refusal(), (416, "InvalidPartNumber".into()));
    server.send(put("/bucket/key")).await;
    for answer in both(&server, |r| r.query("partNumber", 1)).await {
        assert_eq!((answer.status, answer.header("content-length")), (200, "0"));
    }
}

fn attributes(names: &str) -> Request {
    get("/bucket/key")
        .query("attributes", "")
        .header("x-amz-object-attributes", names)
}

#[tokio::test]
async fn attributes_of_an_object() {
    let server = Server::with_bucket().await;
    let crc32 = ("x-amz-checksum-crc32", "y/Q5Jg==");
    let stored = put("/bucket/key")
        .body("123456789")
        .header(crc32.0, crc32.1);
    let stored = server.send(stored).await;
    let all = "ETag,Checksum, ObjectParts ,StorageClass,ObjectSize";
    let told = server.send(attributes(all)).await;
    assert_eq!(told.status, 200, "{}", told.text());
    assert!(
        told.text().contains("<GetObjectAttributesResponse"),
        "{}",
        told.text()
    );
    assert_eq!(
        told.element("ETag"),
        stored.header("etag").trim_matches('"')
    );
    assert_eq!(told.element("ChecksumCRC32"), crc32.1);
    assert_eq!(told.element("ChecksumType"), "FULL_OBJECT");
    assert_eq!(told.element("StorageClass"), "STANDARD");
    assert_eq!(told.element("ObjectSize"), "9");
    assert!(!told.text().contains("ObjectParts"));
    let asked = server.send(head("/bucket/key")).await;
    assert_eq!(told.header("last-modified"), asked.header("last-modified"));

    let one = server.send(attributes("ObjectSize")).await;
    assert_eq!(one.element("ObjectSize"), "9");
    assert!(!one.text().contains("ETag"), "{}", one.text());

    for (names, code) in [("ETags", "InvalidArgument"), ("ETag,x", "InvalidArgument")] {
        let refused = server.send(attributes(names)).await;
        assert_eq!(refused.refusal(), (400, code.into()), "{names}");
    }
    for asked in [attributes(""), get("/bucket/key").query("attributes", "")] {
        assert_eq!(
            server.send(asked).await.refusal(),
            (400, "InvalidRequest".into())
        );
    }
    let absent = get("/bucket/absent").query("attributes", "");
    let absent = absent.header("x-amz-object-attributes", "ETag");
    assert_eq!(
        server.send(absent).await.refusal(),
        (404, "NoSuchKey".into())
    );
}

#[tokio::test]
async fn attributes_tell_of_parts() {
    let server = server_of_small_parts().await;
    let algorithm = ("x-amz-checksum-algorithm", "CRC64NVME");
    in_parts(&server, &[algorithm]).await;
    let told = server.send(attributes("ObjectParts,Checksum")).await;
    assert_eq!(told.element("PartsCount"), "2", "{}", told.text());
    assert_eq!(told.elements("PartNumber"), ["2", "5"]);
    assert_eq!(told.elements("Size"), ["100000", "70000"]);
    assert_eq!(told.element("IsTruncated"), "false");
    assert!(!told.element("ChecksumCRC64NVME").contains('-'));
    for (max, after, numbers, truncated) in [
        ("1", "0", vec!["2"], "true"),
        ("1", "2", vec!["5"], "false"),
        ("x", "5", vec![], "false"),
    ] {
        let page = attributes("ObjectParts").header("x-amz-max-parts", max);
        let page = server
            .send(page.header("x-amz-part-number-marker", after))
            .await;
        assert_eq!(page.elements("PartNumber"), numbers, "{}", page.text());
        assert_eq!(page.element("IsTruncated"), truncated);
        assert_eq!(page.element("PartNumberMarker"), after);
        assert_eq!(page.element("PartsCount"), "2");
    }
}

/// Row 28 of the behaviours: headers come back as they were sent, whatever they mean.
#[tokio::test]
async fn headers_are_kept_byte_for_byte() {
    let server = Server::with_bucket().await;
    let fields = [
        ("cache-control", "max-age=7, must-revalidate"),
        (
            "content-disposition",
            "attachment; filename*=UTF-8''%e2%82%ac",
        ),
        ("content-language", "de, en-GB;q=0.5"),
        ("content-type", "nonsense"),
        ("expires", "0"),
        ("x-amz-website-redirect-location", "https://elsewhere/"),
    ];
    let upload = fields
        .iter()
        .fold(put("/bucket/key"), |r, (name, value)| r.header(name, value));
    let upload = upload.header("content-encoding", "aws-chunked, gzip");
    assert_eq!(server.send(upload.body("x")).await.status, 200);
    for answer in both(&server, |r| r).await {
        for (name, value) in fields {
            assert_eq!(answer.header(name), value, "{name}");
        }
        assert_eq!(answer.header("content-encoding"), "gzip");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert!(!answer.headers.contains_key("x-amz-storage-class"));
    }
    let [revalidated, _] = both(&server, |r| r.header("if-none-match", "*")).await;
    assert_eq!(
        (revalidated.status, revalidated.header("expires")),
        (304, "0")
    );
}

/// S3 gives metadata that is not ASCII back in the form of RFC 2047, and reads that form.
#[tokio::test]
async fn metadata_beyond_ascii() {
    let server = Server::with_bucket().await;
    let encoded = "=?UTF-8?B?R3LDvMOfZSDigqw=?=";
    for sent in ["Grüße €", encoded] {
        let upload = put("/bucket/key").body("x").header("x-amz-meta-text", sent);
        assert_eq!(server.send(upload).await.status, 200, "{sent}");
        for answer in both(&server, |r| r).await {
            assert_eq!(answer.header("x-amz-meta-text"), encoded, "{sent}");
        }
    }
}

#[tokio::test]
async fn answers_are_overridden_as_asked() {
    let server = Server::with_bucket().await;
    let stored = put("/bucket/key").body("x").header("expires", PAST);
    assert_eq!(server.send(stored).await.status, 200);
    let asked = |r: Request| {
        r.query("response-expires", "whenever")
            .query("response-content-language", "fr")
            .query("response-content-encoding", "x-none")
            .query("response-content-type", "text/plain; charset=utf-8")
            .header("range", "bytes=0-0")
    };
    for answer in both(&server, asked).await {
        assert_eq!(answer.status, 206);
        assert_eq!(answer.header("expires"), "whenever");
        assert_eq!(answer.header("content-language"), "fr");
        assert_eq!(answer.header("content-encoding"), "x-none");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
    let broken = |r: Request| r.query("response-content-type", "a\r\nx-injected: 1");
    let [refused, _] = both(&server, broken).await;
    assert_eq!(refused.refusal(), (400, "InvalidArgument".into()));
    let other = |r: Request| r.query("response-etag", "x");
    let [refused, _] = both(&server, other).await;
    assert_eq!(refused.refusal(), (400, "InvalidArgument".into()));
    let nobody = get("/bucket/key")
        .query("response-expires", "x")
        .by(Who::Nobody);
    assert_eq!(
        server.send(nobody).await.refusal(),
        (400, "InvalidRequest".into())
    );
}

/// s3s collects XML bodies; they count against the memory for bodies, and wait as others do.
#[tokio::test]
async fn xml_bodies_are_admitted_like_others() {
    let server = Server::with_bucket().await;
    let held = server.budget.everything();
    let asked = || {
        post("/bucket")
            .query("delete", "")
            .body("<Delete><Object><Key>k</Key></Object></Delete>")
    };
    let md5 = |r: Request| r.header("content-md5", "");
    let refused = server.send(md5(asked())).await;
    assert_eq!(refused.refusal(), (503, "SlowDown".into()));
    assert_eq!(refused.header("retry-after"), "1");
    drop(held);
    let free = server.budget.free_bytes();
    let upload = start(&server, "key").await;
    let etag = send_part(&server, "key", &upload, 1, pattern(10, 1)).await;
    let done = server.send(complete("key", &upload, &[(1, etag)])).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(server.budget.free_bytes(), free);
}
