use crate::harness::*;
use bytes::Bytes;

/// Inline, the limit of it, small, striped, several stripes.
const SIZES: [usize; 8] = [
    0,
    1,
    16 * 1024,
    16 * 1024 + 1,
    128 * 1024,
    128 * 1024 + 1,
    1 << 20,
    3_500_000,
];

#[tokio::test]
async fn what_is_put_is_read_back() {
    let server = Server::with_bucket().await;
    for size in SIZES {
        let body = pattern(size, size as u64);
        let stored = server.send(put("/bucket/key").body(body.clone())).await;
        assert_eq!(
            (stored.status, stored.header("etag")),
            (200, etag(&body).as_str()),
            "{size}"
        );
        let read = server.send(get("/bucket/key")).await;
        assert_eq!(read.status, 200);
        assert!(*read.bytes() == body, "{size}");
        assert_eq!(read.header("content-length"), size.to_string());
        assert_eq!(read.header("etag"), etag(&body));
        assert_eq!(read.header("accept-ranges"), "bytes");
        assert_eq!(read.header("content-type"), "binary/octet-stream");
        let asked = server.send(head("/bucket/key")).await;
        assert_eq!(asked.header("content-length"), size.to_string());
        assert_eq!(asked.header("last-modified"), read.header("last-modified"));
        assert!(asked.bytes().is_empty());
    }
}

#[tokio::test]
async fn ranges_of_every_kind_of_object() {
    let server = Server::with_bucket().await;
    for size in [5_usize, 100_000, 2_500_000] {
        let body = pattern(size, 1);
        assert_eq!(
            server
                .send(put("/bucket/key").body(body.clone()))
                .await
                .status,
            200
        );
        let last = size - 1;
        let table = [
            ("bytes=0-0".to_owned(), 0..1),
            ("bytes=1-3".to_owned(), 1..4),
            (format!("bytes={last}-"), last..size),
            ("bytes=-2".to_owned(), size - 2..size),
            (format!("bytes=2-{}", size * 2), 2..size),
            (
                format!("bytes={}-{}", size / 3, size / 2),
                size / 3..size / 2 + 1,
            ),
        ];
        for (header, range) in table {
            let read = server
                .send(get("/bucket/key").header("range", &header))
                .await;
            assert_eq!(read.status, 206, "{header}");
            let expected = format!("bytes {}-{}/{size}", range.start, range.end - 1);
            assert_eq!(read.header("content-range"), expected);
            assert_eq!(read.header("content-length"), range.len().to_string());
            assert!(read.bytes()[..] == body[range], "{header} of {size}");
            let asked = server
                .send(head("/bucket/key").header("range", &header))
                .await;
            assert_eq!(
                (asked.status, asked.header("content-range")),
                (206, expected.as_str())
            );
        }
        let past = server
            .send(get("/bucket/key").header("range", &format!("bytes={size}-")))
            .await;
        assert_eq!(past.refusal(), (416, "InvalidRange".into()));
        assert_eq!(past.header("content-range"), format!("bytes */{size}"));
    }
}

#[tokio::test]
async fn an_empty_object_has_no_range() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/empty")).await.status, 200);
    for range in ["bytes=0-", "bytes=-1", "bytes=0-0"] {
        let read = server
            .send(get("/bucket/empty").header("range", range))
            .await;
        assert_eq!(read.refusal(), (416, "InvalidRange".into()), "{range}");
    }
    assert!(server.send(get("/bucket/empty")).await.bytes().is_empty());
}

#[tokio::test]
async fn conditions_on_reads() {
    let server = Server::with_bucket().await;
    let stored = server.send(
        put("/bucket/key")
            .body("hello")
            .header("cache-control", "no-cache"),
    );
    let tag = stored.await.header("etag").to_owned();
    let modified = server
        .send(head("/bucket/key"))
        .await
        .header("last-modified")
        .to_owned();
    let (before, after) = (
        "Sat, 01 Jan 2000 00:00:00 GMT",
        "Fri, 01 Jan 2100 00:00:00 GMT",
    );
    let table = [
        ("if-match", tag.as_str(), 200),
        ("if-match", "\"other\"", 412),
        ("if-none-match", tag.as_str(), 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"other\"", 200),
        ("if-modified-since", before, 200),
        ("if-modified-since", modified.as_str(), 304),
        ("if-modified-since", after, 200),
        ("if-unmodified-since", before, 412),
        ("if-unmodified-since", modified.as_str(), 200),
    ];
    for (name, value, status) in table {
        for asked in [get("/bucket/key"), head("/bucket/key")] {
            let answer = server.send(asked.header(name, value)).await;
            assert_eq!(answer.status, status, "{name}: {value}");
            if status == 304 {
                assert!(answer.bytes().is_empty());
                assert_eq!(answer.header("etag"), tag);
                assert_eq!(answer.header("last-modified"), modified);
                assert_eq!(answer.header("cache-control"), "no-cache");
            }
        }
    }
    let absent = server
        .send(get("/bucket/absent").header("if-none-match", "*"))
        .await;
    assert_eq!(absent.refusal(), (404, "NoSuchKey".into()));
}

#[tokio::test]
async fn headers_and_metadata_come_back() {
    let server = Server::with_bucket().await;
    let fields = [
        ("cache-control", "max-age=7"),
        ("content-disposition", "attachment; filename=\"x y\""),
        ("content-encoding", "br"),
        ("content-language", "de"),
        ("content-type", "text/css"),
        ("expires", "Thu, 01 Jan 2032 00:00:00 GMT"),
        ("x-amz-meta-colour", "blue"),
        ("x-amz-meta-empty", ""),
        ("x-amz-storage-class", "STANDARD_IA"),
        ("x-amz-website-redirect-location", "/there"),
    ];
    let upload = fields
        .iter()
        .fold(put("/bucket/key"), |r, (name, value)| r.header(name, value));
    assert_eq!(server.send(upload.body("x")).await.status, 200);
    for asked in [get("/bucket/key"), head("/bucket/key")] {
        let answer = server.send(asked).await;
        for (name, value) in fields {
            assert_eq!(answer.header(name), value, "{name}");
        }
    }
    let listed = server.send(get("/bucket").query("list-type", 2)).await;
    assert_eq!(listed.element("StorageClass"), "STANDARD_IA");
}

#[tokio::test]
async fn response_parameters_override() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/key").body("x")).await.status, 200);
    for asked in [get("/bucket/key"), head("/bucket/key")] {
        let asked = asked
            .query("response-content-type", "text/plain")
            .query("response-cache-control", "no-store")
            .query("response-content-disposition", "inline");
        let answer = server.send(asked).await;
        assert_eq!(answer.header("content-type"), "text/plain");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("content-disposition"), "inline");
    }
}

#[tokio::test]
async fn keys_of_every_kind() {
    let server = Server::with_bucket().await;
    let long = "k".repeat(1024);
    let keys = [
        "a/b",
        "a/b/c",
        "a//b",
        "/leading",
        "dir/",
        "..",
        "./x",
        "a b+c%d",
        "ключ/鍵",
        "'()*!~",
        "a&b<c>\"d",
        &long,
    ];
    for (at, key) in keys.iter().enumerate() {
        let path = format!("/bucket/{key}");
        assert_eq!(
            server.send(put(&path).body(at.to_string())).await.status,
            200,
            "{key}"
        );
    }
    for (at, key) in keys.iter().enumerate() {
        let path = format!("/bucket/{key}");
        assert_eq!(
            server.send(get(&path)).await.text(),
            at.to_string(),
            "{key}"
        );
    }
    let too_long = server
        .send(put(&format!("/bucket/{long}k")).body("x"))
        .await;
    assert_eq!(too_long.refusal(), (400, "KeyTooLongError".into()));
}

#[tokio::test]
async fn checksums_are_verified_kept_and_shown() {
    let server = Server::with_bucket().await;
    let table = [
        ("x-amz-checksum-crc32", "y/Q5Jg=="),
        ("x-amz-checksum-crc32c", "4waSgw=="),
        ("x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
        ("x-amz-checksum-sha1", "98O8HYCOBHMq32eZZczDTKeuNEE="),
        (
            "x-amz-checksum-sha256",
            "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        ),
    ];
    for (name, value) in table {
        let upload = put("/bucket/key").body("123456789").header(name, value);
        let stored = server.send(upload).await;
        assert_eq!((stored.status, stored.header(name)), (200, value), "{name}");
        assert_eq!(stored.header("x-amz-checksum-type"), "FULL_OBJECT");
        let silent = server.send(head("/bucket/key")).await;
        assert_eq!(silent.header(name), "");
        let shown = server
            .send(get("/bucket/key").header("x-amz-checksum-mode", "ENABLED"))
            .await;
        assert_eq!(shown.header(name), value);
        let wrong = put("/bucket/wrong").body("12345678").header(name, value);
        assert_eq!(
            server.send(wrong).await.refusal(),
            (400, "BadDigest".into()),
            "{name}"
        );
    }
    assert_eq!(server.send(head("/bucket/wrong")).await.status, 404);
}

#[tokio::test]
async fn content_md5_is_verified() {
    let server = Server::with_bucket().await;
    let upload = |md5: &str| {
        put("/bucket/key")
            .body("123456789")
            .header("content-md5", md5)
    };
    assert_eq!(
        server.send(upload("JfnnlDI7RTiF9RgfG2JNCw==")).await.status,
        200
    );
    let wrong = server.send(upload("JfnnlDI7RTiF9RgfG2JNDA==")).await;
    assert_eq!(wrong.refusal(), (400, "BadDigest".into()));
    let malformed = server.send(upload("rubbish")).await;
    assert_eq!(malformed.refusal(), (400, "InvalidDigest".into()));
}

#[tokio::test]
async fn a_body_that_fails_its_checksum_leaves_no_shard() {
    let server = Server::with_bucket().await;
    let body = pattern(2_000_000, 5);
    let wrong = put("/bucket/key")
        .body(body)
        .header("x-amz-checksum-crc32", "AAAAAA==");
    assert_eq!(
        server.send(wrong).await.refusal(),
        (400, "BadDigest".into())
    );
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
    assert!(shards_gone(&server).await);
}

#[tokio::test]
async fn an_object_is_replaced_whole() {
    let server = Server::with_bucket().await;
    for (round, size) in [100_000_usize, 10, 2_000_000, 0, 50_000]
        .into_iter()
        .enumerate()
    {
        let body = pattern(size, round as u64);
        assert_eq!(
            server
                .send(put("/bucket/key").body(body.clone()))
                .await
                .status,
            200
        );
        assert!(*server.send(get("/bucket/key")).await.bytes() == body);
    }
    assert_eq!(server.send(delete("/bucket/key")).await.status, 204);
    assert_eq!(
        server.send(get("/bucket/key")).await.refusal(),
        (404, "NoSuchKey".into())
    );
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
}

#[tokio::test]
async fn leases_are_given_back() {
    let server = Server::with_bucket().await;
    let free = server.budget.free_bytes();
    for body in [Bytes::new(), pattern(3_000_000, 1)] {
        assert_eq!(server.send(put("/bucket/key").body(body)).await.status, 200);
        assert_eq!(server.send(get("/bucket/key")).await.status, 200);
    }
    assert_eq!(server.budget.free_bytes(), free);
}

/// What SDKs send by default.
#[tokio::test]
async fn checksums_in_trailers() {
    let server = Server::with_bucket().await;
    let (name, value) = ("x-amz-checksum-crc32", "y/Q5Jg==");
    let upload = || put("/bucket/key").header("content-encoding", "aws-chunked");
    let sent = upload().body("123456789").with_trailer(name, value);
    let stored = server
        .send(sent.header("x-amz-sdk-checksum-algorithm", "CRC32"))
        .await;
    assert_eq!((stored.status, stored.header(name)), (200, value));
    let read = server
        .send(get("/bucket/key").header("x-amz-checksum-mode", "ENABLED"))
        .await;
    assert_eq!(
        (read.text(), read.header(name)),
        ("123456789".into(), value)
    );
    assert!(!read.headers.contains_key("content-encoding"));

    let wrong = upload().body("12345678").with_trailer(name, value);
    assert_eq!(
        server.send(wrong).await.refusal(),
        (400, "BadDigest".into())
    );
    let both = upload()
        .body("123456789")
        .with_trailer(name, value)
        .header(name, value);
    assert_eq!(
        server.send(both).await.refusal(),
        (400, "InvalidRequest".into())
    );
    assert_eq!(server.send(get("/bucket/key")).await.text(), "123456789");

    let large = pattern(2_000_000, 1);
    let bad = upload().body(large).with_trailer(name, value);
    assert_eq!(server.send(bad).await.refusal(), (400, "BadDigest".into()));
    assert!(shards_gone(&server).await);
}
