use crate::harness::*;

fn copy(to: &str, from: &str) -> Request {
    put(to).header("x-amz-copy-source", &encode(from, true))
}

#[tokio::test]
async fn a_copy_outlives_its_source() {
    let server = Server::with_bucket().await;
    for size in [0, 10, 100_000, 2_000_000] {
        let body = pattern(size, 3);
        let upload = put("/bucket/from me")
            .body(body.clone())
            .header("x-amz-meta-a", "1");
        let upload = upload.header("content-type", "text/css");
        assert_eq!(server.send(upload).await.status, 200);
        let before = server.cluster.shard_count();
        let copied = server.send(copy("/bucket/to", "bucket/from me")).await;
        assert_eq!(copied.status, 200, "{}", copied.text());
        assert!(copied.text().contains(etag(&body).trim_matches('"')));
        assert_eq!(server.cluster.shard_count(), before, "no bytes move");
        assert_eq!(server.send(delete("/bucket/from me")).await.status, 204);
        let read = server.send(get("/bucket/to")).await;
        assert!(*read.bytes() == body);
        assert_eq!(read.header("x-amz-meta-a"), "1");
        assert_eq!(read.header("content-type"), "text/css");
    }
}

#[tokio::test]
async fn metadata_is_copied_or_replaced() {
    let server = Server::with_bucket().await;
    let upload = put("/bucket/a").body("x").header("x-amz-meta-old", "1");
    assert_eq!(
        server
            .send(upload.header("cache-control", "no-cache"))
            .await
            .status,
        200
    );
    let ignored = copy("/bucket/b", "bucket/a").header("x-amz-meta-new", "2");
    assert_eq!(server.send(ignored).await.status, 200);
    let kept = server.send(head("/bucket/b")).await;
    assert_eq!(
        (kept.header("x-amz-meta-old"), kept.header("x-amz-meta-new")),
        ("1", "")
    );
    let replaced = copy("/bucket/b", "bucket/a")
        .header("x-amz-metadata-directive", "REPLACE")
        .header("x-amz-meta-new", "2");
    assert_eq!(server.send(replaced).await.status, 200);
    let shown = server.send(head("/bucket/b")).await;
    assert_eq!(
        (
            shown.header("x-amz-meta-old"),
            shown.header("x-amz-meta-new")
        ),
        ("", "2")
    );
    assert_eq!(shown.header("cache-control"), "");
    let unknown = copy("/bucket/b", "bucket/a").header("x-amz-metadata-directive", "MERGE");
    assert_eq!(
        server.send(unknown).await.refusal(),
        (400, "InvalidArgument".into())
    );
}

#[tokio::test]
async fn a_copy_onto_itself_must_change_something() {
    let server = Server::with_bucket().await;
    let body = pattern(200_000, 9);
    assert_eq!(
        server
            .send(put("/bucket/a").body(body.clone()))
            .await
            .status,
        200
    );
    let unchanged = server.send(copy("/bucket/a", "bucket/a")).await;
    assert_eq!(unchanged.refusal(), (400, "InvalidRequest".into()));
    let classed = copy("/bucket/a", "bucket/a").header("x-amz-storage-class", "STANDARD_IA");
    assert_eq!(server.send(classed).await.status, 200);
    let touched = copy("/bucket/a", "bucket/a")
        .header("x-amz-metadata-directive", "REPLACE")
        .header("x-amz-meta-touched", "yes");
    assert_eq!(server.send(touched).await.status, 200);
    let read = server.send(get("/bucket/a")).await;
    assert!(*read.bytes() == body);
    assert_eq!(read.header("x-amz-meta-touched"), "yes");
}

#[tokio::test]
async fn conditions_on_the_source_and_the_destination() {
    let server = Server::with_bucket().await;
    let tag = server
        .send(put("/bucket/a").body("x"))
        .await
        .header("etag")
        .to_owned();
    let table = [
        ("x-amz-copy-source-if-match", tag.as_str(), 200),
        ("x-amz-copy-source-if-match", "\"other\"", 412),
        ("x-amz-copy-source-if-none-match", tag.as_str(), 412),
        ("x-amz-copy-source-if-none-match", "\"other\"", 200),
        (
            // A date to come says nothing.
            "x-amz-copy-source-if-modified-since",
            "Fri, 01 Jan 2100 00:00:00 GMT",
            200,
        ),
        (
            "x-amz-copy-source-if-unmodified-since",
            "Sat, 01 Jan 2000 00:00:00 GMT",
            412,
        ),
        ("if-none-match", "*", 412),
        ("if-match", tag.as_str(), 200),
        ("if-match", "\"other\"", 412),
    ];
    assert_eq!(server.send(copy("/bucket/b", "bucket/a")).await.status, 200);
    for (name, value, status) in table {
        let answer = server
            .send(copy("/bucket/b", "bucket/a").header(name, value))
            .await;
        assert_eq!(answer.status, status, "{name}: {value}");
    }
    let fresh = copy("/bucket/c", "bucket/a").header("if-none-match", "*");
    assert_eq!(server.send(fresh).await.status, 200);
}

#[tokio::test]
async fn the_source_must_be_there_and_ones_own() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bobs").by(Who::Bob)).await.status, 200);
    assert_eq!(
        server
            .send(put("/bobs/key").by(Who::Bob).body("x"))
            .await
            .status,
        200
    );
    let refused = |from: &'static str| server.send(copy("/bucket/b", from));
    assert_eq!(
        refused("bucket/absent").await.refusal(),
        (404, "NoSuchKey".into())
    );
    assert_eq!(
        refused("absent/key").await.refusal(),
        (404, "NoSuchBucket".into())
    );
    assert_eq!(
        refused("bobs/key").await.refusal(),
        (403, "AccessDenied".into())
    );
    let empty = server.send(copy("/bucket/b", "bucket/")).await;
    assert_eq!(empty.refusal(), (400, "InvalidArgument".into()));
}

/// A copy may ask for a checksum that its source does not have; no bytes move for it.
#[tokio::test]
async fn a_copy_with_another_checksum() {
    let server = Server::with_bucket().await;
    for size in [9_usize, 100_000, 1_500_000] {
        let body = if size == 9 {
            "123456789".into()
        } else {
            pattern(size, 1)
        };
        let stored = server.send(put("/bucket/a").body(body.clone())).await;
        assert_eq!(stored.status, 200);
        for (algorithm, element) in [("SHA256", "ChecksumSHA256"), ("crc32", "ChecksumCRC32")] {
            let asked = copy("/bucket/b", "bucket/a").header("x-amz-checksum-algorithm", algorithm);
            let before = server.cluster.shard_count();
            let copied = server.send(asked).await;
            assert_eq!(copied.status, 200, "{}", copied.text());
            assert_eq!(server.cluster.shard_count(), before, "no bytes move");
            assert_eq!(copied.element("ChecksumType"), "FULL_OBJECT");
            let name = format!("x-amz-checksum-{}", algorithm.to_lowercase());
            let shown = head("/bucket/b").header("x-amz-checksum-mode", "ENABLED");
            let value = server.send(shown).await.header(&name).to_owned();
            assert_eq!(copied.element(element), value);
            // It is the checksum of the bytes: they are accepted with it.
            let again = put("/bucket/again")
                .body(body.clone())
                .header(&name, &value);
            assert_eq!(server.send(again).await.status, 200);
        }
        // Without a wish the source's is taken over.
        let plain = server.send(copy("/bucket/b", "bucket/a")).await;
        let expected = stored.header("x-amz-checksum-crc64nvme");
        assert_eq!(plain.element("ChecksumCRC64NVME"), expected);
    }
    let onto =
        |algorithm| copy("/bucket/a", "bucket/a").header("x-amz-checksum-algorithm", algorithm);
    assert_eq!(server.send(onto("SHA1")).await.status, 200);
    assert_eq!(
        server.send(onto("SHA1")).await.refusal(),
        (400, "InvalidRequest".into())
    );
    assert_eq!(
        server.send(onto("SHA3")).await.refusal(),
        (400, "InvalidRequest".into())
    );
}

/// The ways in which clients write the source.
#[tokio::test]
async fn sources_as_clients_write_them() {
    let server = Server::with_bucket().await;
    let keys = [
        "plain",
        "a b+c%d",
        "\u{43a}\u{43b}\u{44e}\u{447}/\u{9375}",
        "/lead",
        "a//b",
        "q?x=1",
        "v?versionId=1",
    ];
    for key in keys {
        let path = format!("/bucket/{key}");
        assert_eq!(server.send(put(&path).body(key)).await.status, 200, "{key}");
        for lead in ["", "/"] {
            for encoded in [encode(key, true), encode(key, false)] {
                for version in ["", "?versionId=null"] {
                    let from = format!("{lead}bucket/{encoded}{version}");
                    let asked = put("/bucket/to").header("x-amz-copy-source", &from);
                    let copied = server.send(asked).await;
                    assert_eq!(copied.status, 200, "{from}: {}", copied.text());
                    assert_eq!(server.send(get("/bucket/to")).await.text(), key);
                    assert_eq!(server.send(delete("/bucket/to")).await.status, 204);
                }
            }
        }
    }
    // As they are, where nothing has to be encoded.
    let raw = put("/bucket/to").header("x-amz-copy-source", "bucket/a b+c%25d");
    assert_eq!(server.send(raw).await.status, 200);
    assert_eq!(server.send(get("/bucket/to")).await.text(), "a b+c%d");
    for wrong in ["bucket", "bucket/%ZZ", "/"] {
        let asked = put("/bucket/to").header("x-amz-copy-source", wrong);
        let refused = server.send(asked).await;
        assert_eq!(
            refused.refusal(),
            (400, "InvalidArgument".into()),
            "{wrong}"
        );
    }
    let unknown = copy("/bucket/to", "bucket/plain");
    let unknown = unknown.header("x-amz-checksum-algorithm", "");
    assert_eq!(server.send(unknown).await.status, 200);
}

/// Tags go with the copy, unless it gets its own.
#[tokio::test]
async fn tags_are_copied_or_replaced() {
    let server = Server::with_bucket().await;
    let tagged = put("/bucket/a")
        .body("x")
        .header("x-amz-tagging", "a=1&b=2");
    assert_eq!(server.send(tagged).await.status, 200);
    type Fields = &'static [(&'static str, &'static str)];
    let table: [(Fields, &[&str]); 5] = [
        (&[], &["a", "b"]),
        (&[("x-amz-tagging", "c=3")], &["a", "b"]),
        (&[("x-amz-metadata-directive", "REPLACE")], &["a", "b"]),
        (
            &[
                ("x-amz-tagging", "c=3"),
                ("x-amz-tagging-directive", "REPLACE"),
            ],
            &["c"],
        ),
        (&[("x-amz-tagging-directive", "REPLACE")], &[]),
    ];
    for (fields, expected) in table {
        let request = fields
            .iter()
            .fold(copy("/bucket/b", "bucket/a"), |request, (name, value)| {
                request.header(name, value)
            });
        assert_eq!(server.send(request).await.status, 200, "{fields:?}");
        let tags = server.send(get("/bucket/b").query("tagging", "")).await;
        assert_eq!(tags.elements("Key"), expected, "{fields:?}");
    }
    let unknown = copy("/bucket/b", "bucket/a").header("x-amz-tagging-directive", "MERGE");
    assert_eq!(
        server.send(unknown).await.refusal(),
        (400, "InvalidArgument".into())
    );
}

/// The parts of an upload keep values of the source's checksum, which mean nothing under another name.
#[tokio::test]
async fn a_copy_with_another_checksum_has_no_parts() {
    let server = crate::multipart::server_of_small_parts().await;
    let upload = crate::multipart::start(&server, "a").await;
    let mut parts = Vec::new();
    for (number, body) in [(1, "first"), (2, "second")] {
        let tag = crate::multipart::send_part(&server, "a", &upload, number, body.into()).await;
        parts.push((number, tag));
    }
    let done = server
        .send(crate::multipart::complete("a", &upload, &parts))
        .await;
    assert_eq!(done.status, 200, "{}", done.text());
    let asked = copy("/bucket/b", "bucket/a").header("x-amz-checksum-algorithm", "CRC32");
    let copied = server.send(asked).await;
    assert_eq!(copied.status, 200, "{}", copied.text());
    let namespace = "<CopyObjectResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    assert!(copied.text().contains(namespace), "{}", copied.text());
    let part = |path: &str, number: &str| {
        get(path)
            .query("partNumber", number)
            .header("x-amz-checksum-mode", "ENABLED")
    };
    let of_source = server.send(part("/bucket/a", "2")).await;
    assert_eq!(
        (of_source.status, of_source.text().as_str()),
        (206, "second")
    );
    let of_copy = server.send(part("/bucket/b", "2")).await;
    assert_eq!(of_copy.status, 416);
    let whole = server.send(part("/bucket/b", "1")).await;
    assert_eq!((whole.status, whole.text().as_str()), (206, "firstsecond"));
    assert_eq!(whole.header("x-amz-checksum-crc64nvme"), "");
}
