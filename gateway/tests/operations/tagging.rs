//! Tags of objects and buckets.

use crate::harness::*;
use crate::versions::versioning;

fn tagging(path: &str) -> Request {
    put(path).query("tagging", "")
}

/// The XML of a set of tags.
fn xml(tags: &[(&str, &str)]) -> String {
    let tags: String = tags
        .iter()
        .map(|(key, value)| format!("<Tag><Key>{key}</Key><Value>{value}</Value></Tag>"))
        .collect();
    format!("<Tagging><TagSet>{tags}</TagSet></Tagging>")
}

/// With the Content-MD5 that S3 wants.
fn with_md5(request: Request, body: String) -> Request {
    let hex = etag(body.as_bytes());
    let raw = hex::decode(hex.trim_matches('"')).unwrap();
    let md5 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, raw);
    request.header("content-md5", &md5).body(body)
}

fn set(path: &str, tags: &[(&str, &str)]) -> Request {
    with_md5(tagging(path), xml(tags))
}

/// The tags that an answer lists.
fn listed(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let keys = answer.elements("Key").into_iter();
    keys.zip(answer.elements("Value")).collect()
}

async fn tags(server: &Server, path: &str) -> Vec<(String, String)> {
    listed(&server.send(get(path).query("tagging", "")).await)
}

fn pairs(tags: &[(&str, &str)]) -> Vec<(String, String)> {
    tags.iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// What a GET shows besides its tags.
async fn object(server: &Server, path: &str) -> (String, String, String) {
    let found = server.send(get(path)).await;
    let header = |name: &str| found.header(name).to_owned();
    (found.text(), header("etag"), header("last-modified"))
}

#[tokio::test]
async fn tags_of_an_object_are_set_replaced_and_removed() {
    let server = Server::with_bucket().await;
    let path = "/bucket/some key";
    assert_eq!(server.send(put(path).body("body")).await.status, 200);
    assert_eq!(tags(&server, path).await, []);
    let before = object(&server, path).await;
    for wanted in [
        &[("team", "a"), ("cost centre", "+-=._:/@ 9")][..],
        &[("gr\u{fc}n", "\u{65e5}\u{672c}"), ("empty", "")],
        &[],
        &[("last", "one")],
    ] {
        let done = server.send(set(path, wanted)).await;
        assert_eq!(
            (done.status, done.header("x-amz-version-id")),
            (200, ""),
            "{}",
            done.text()
        );
        let mut sorted = pairs(wanted);
        sorted.sort();
        assert_eq!(tags(&server, path).await, sorted);
    }
    let removed = server.send(delete(path).query("tagging", "")).await;
    assert_eq!((removed.status, removed.text().as_str()), (204, ""));
    assert_eq!(tags(&server, path).await, []);
    assert_eq!(
        object(&server, path).await,
        before,
        "nothing else has changed"
    );
}

#[tokio::test]
async fn an_upload_brings_its_tags() {
    let server = Server::with_bucket().await;
    let tagged = |request: Request, tags: &str| request.header("x-amz-tagging", tags);
    let path = "/bucket/key";
    for (header, wanted) in [
        ("foo=bar&bar", &[("bar", ""), ("foo", "bar")][..]),
        ("a%20b=c%2Fd", &[("a b", "c/d")]),
        ("", &[]),
    ] {
        let done = server.send(tagged(put(path).body("x"), header)).await;
        assert_eq!(done.status, 200, "{}", done.text());
        assert_eq!(tags(&server, path).await, pairs(wanted), "{header}");
    }

    let started = server
        .send(tagged(post(path).query("uploads", ""), "part=whole"))
        .await;
    let upload = started.element("UploadId");
    let part = put(path)
        .query("partNumber", 1)
        .query("uploadId", &upload)
        .body("body");
    let etag = server.send(part).await.header("etag").to_owned();
    let parts = format!(
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>\
         </CompleteMultipartUpload>"
    );
    let done = server
        .send(post(path).query("uploadId", &upload).body(parts))
        .await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert_eq!(tags(&server, path).await, pairs(&[("part", "whole")]));
}

#[tokio::test]
async fn an_upload_with_tags_that_are_none_leaves_nothing() {
    let server = Server::with_bucket().await;
    let eleven: Vec<String> = (0..11).map(|number| format!("k{number}=v")).collect();
    for (header, code) in [
        ("a=1&a=2", "InvalidArgument"),
        ("a=%zz", "InvalidArgument"),
        ("aws:a=1", "InvalidTag"),
        (eleven.join("&").as_str(), "BadRequest"),
    ] {
        let put = put("/bucket/key").header("x-amz-tagging", header).body("x");
        assert_eq!(
            server.send(put).await.refusal(),
            (400, code.into()),
            "{header}"
        );
        let start = post("/bucket/key")
            .query("uploads", "")
            .header("x-amz-tagging", header);
        assert_eq!(
            server.send(start).await.refusal(),
            (400, code.into()),
            "{header}"
        );
    }
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
    let uploads = server.send(get("/bucket").query("uploads", "")).await;
    assert!(uploads.elements("UploadId").is_empty());
}

#[tokio::test]
async fn tags_that_s3_refuses_change_nothing() {
    let server = Server::with_bucket().await;
    let path = "/bucket/key";
    assert_eq!(server.send(put(path).body("x")).await.status, 200);
    assert_eq!(server.send(set(path, &[("kept", "1")])).await.status, 200);
    let numbers: Vec<String> = (0..11).map(|number| number.to_string()).collect();
    let eleven: Vec<(&str, &str)> = numbers.iter().map(|key| (key.as_str(), "")).collect();
    let (key, value) = ("k".repeat(129), "v".repeat(257));
    for (body, code) in [
        (xml(&eleven), "BadRequest"),
        (xml(&[("k", "1"), ("k", "2")]), "InvalidTag"),
        (xml(&[(&key, "")]), "InvalidTag"),
        (xml(&[("k", &value)]), "InvalidTag"),
        (xml(&[("", "v")]), "InvalidTag"),
        (xml(&[("aws:k", "v")]), "InvalidTag"),
        (xml(&[("k", "a,b")]), "InvalidTag"),
        (
            "<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>".into(),
            "MalformedXML",
        ),
        ("<Tagging><TagSet><Tag>".into(), "MalformedXML"),
        ("<Other/>".into(), "MalformedXML"),
        (String::new(), "MissingRequestBodyError"),
    ] {
        for path in [path, "/bucket"] {
            if path == "/bucket" && code == "BadRequest" {
                continue;
            }
            let refused = server.send(with_md5(tagging(path), body.clone())).await;
            assert_eq!(refused.refusal(), (400, code.into()), "{path} {body}");
        }
    }
    assert_eq!(tags(&server, path).await, pairs(&[("kept", "1")]));
    let unset = server.send(get("/bucket").query("tagging", "")).await;
    assert_eq!(unset.refusal(), (404, "NoSuchTagSet".into()));
}

#[tokio::test]
async fn a_set_of_tags_must_come_with_its_checksum() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/key").body("x")).await.status, 200);
    let body = xml(&[("k", "v")]);
    for path in ["/bucket", "/bucket/key"] {
        let plain = server.send(tagging(path).body(body.clone())).await;
        assert_eq!(plain.refusal(), (400, "InvalidRequest".into()), "{path}");
        let other = with_md5(tagging(path), xml(&[])).body(body.clone());
        assert_eq!(
            server.send(other).await.refusal(),
            (400, "BadDigest".into()),
            "{path}"
        );
        let checked = tagging(path)
            .header("x-amz-checksum-crc32", "AAAAAA==")
            .body(body.clone());
        assert_eq!(server.send(checked).await.status, 400, "{path}");
    }
    assert_eq!(tags(&server, "/bucket/key").await, []);
}

#[tokio::test]
async fn tags_of_what_is_not_there() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/key").body("x")).await.status, 200);
    let asks = |path: &str| {
        [
            get(path).query("tagging", ""),
            set(path, &[("k", "v")]),
            delete(path).query("tagging", ""),
        ]
    };
    for request in asks("/bucket/absent") {
        assert_eq!(
            server.send(request).await.refusal(),
            (404, "NoSuchKey".into())
        );
    }
    for request in asks("/absent/key").into_iter().chain(asks("/absent")) {
        assert_eq!(
            server.send(request).await.refusal(),
            (404, "NoSuchBucket".into())
        );
    }
    for request in asks("/bucket/key") {
        let gone = request
            .clone()
            .query("versionId", "0123456789abcdef0123456789abcdef");
        assert_eq!(
            server.send(gone).await.refusal(),
            (404, "NoSuchVersion".into())
        );
        let wrong = request.query("versionId", "none");
        assert_eq!(
            server.send(wrong).await.refusal(),
            (400, "InvalidArgument".into())
        );
    }
    for who in [Who::Bob, Who::Nobody] {
        for request in asks("/bucket/key").into_iter().chain(asks("/bucket")) {
            let refused = server.send(request.by(who)).await;
            assert_eq!(refused.refusal(), (403, "AccessDenied".into()));
        }
    }
}

#[tokio::test]
async fn tags_of_a_bucket_are_set_replaced_and_removed() {
    let server = Server::with_bucket().await;
    let unset = || async {
        let answer = server.send(get("/bucket").query("tagging", "")).await;
        assert_eq!(answer.refusal(), (404, "NoSuchTagSet".into()));
    };
    unset().await;
    let numbers: Vec<String> = (10..60).map(|number| number.to_string()).collect();
    let fifty: Vec<(&str, &str)> = numbers.iter().map(|key| (key.as_str(), "v")).collect();
    for wanted in [&[("team", "a"), ("cost", "")][..], &fifty, &[("team", "b")]] {
        let done = server.send(set("/bucket", wanted)).await;
        assert_eq!((done.status, done.text().as_str()), (204, ""));
        let mut sorted = pairs(wanted);
        sorted.sort();
        assert_eq!(tags(&server, "/bucket").await, sorted);
    }
    let many: Vec<(&str, &str)> = fifty.iter().copied().chain([("more", "")]).collect();
    let refused = server.send(set("/bucket", &many)).await;
    assert_eq!(refused.refusal(), (400, "BadRequest".into()));
    assert_eq!(
        server
            .send(delete("/bucket").query("tagging", ""))
            .await
            .status,
        204
    );
    unset().await;
    assert_eq!(
        server.send(head("/bucket")).await.status,
        200,
        "the bucket is there"
    );
    assert_eq!(server.send(set("/bucket", &[("k", "v")])).await.status, 204);
    assert_eq!(server.send(set("/bucket", &[])).await.status, 204);
    unset().await;
    assert_eq!(server.send(delete("/bucket")).await.status, 204);
    server.make_bucket().await;
    unset().await;
}

#[tokio::test]
async fn each_version_has_its_tags() {
    let server = Server::with_bucket().await;
    let path = "/bucket/key";
    let tagged =
        |body: &'static str, tags: &str| put(path).body(body).header("x-amz-tagging", tags);
    assert_eq!(server.send(tagged("old", "v=old")).await.status, 200);
    assert_eq!(server.send(versioning("Enabled")).await.status, 200);
    assert_eq!(server.send(tagged("new", "v=new")).await.status, 200);
    let ids = server.send(get("/bucket").query("versions", "")).await;
    let ids = ids.elements("VersionId");
    let [new, old] = &ids[..] else {
        panic!("two versions, not {ids:?}")
    };
    assert_eq!(old, "null");
    let of = |id: &str| get(path).query("tagging", "").query("versionId", id);
    let shows = |answer: &Answer, id: &str, tag: &str| {
        assert_eq!(answer.header("x-amz-version-id"), id);
        assert_eq!(listed(answer), pairs(&[("v", tag)]));
    };
    shows(&server.send(of(old)).await, old, "old");
    shows(&server.send(of(new)).await, new, "new");
    shows(
        &server.send(get(path).query("tagging", "")).await,
        new,
        "new",
    );

    let changed = server
        .send(set(path, &[("v", "changed")]).query("versionId", old))
        .await;
    assert_eq!(
        (changed.status, changed.header("x-amz-version-id")),
        (200, "null")
    );
    shows(&server.send(of(old)).await, old, "changed");
    shows(&server.send(of(new)).await, new, "new");
    let removed = server.send(delete(path).query("tagging", "")).await;
    assert_eq!(
        (removed.status, removed.header("x-amz-version-id")),
        (204, new.as_str())
    );
    assert_eq!(listed(&server.send(of(new)).await), []);

    let marker = server.send(delete(path)).await;
    let marker = marker.header("x-amz-version-id");
    for request in [
        get(path).query("tagging", ""),
        set(path, &[("v", "x")]),
        delete(path).query("tagging", ""),
    ] {
        let under = server.send(request.clone()).await;
        assert_eq!(under.refusal(), (404, "NoSuchKey".into()));
        let named = server.send(request.query("versionId", marker)).await;
        assert_eq!(named.refusal(), (405, "MethodNotAllowed".into()));
        assert_eq!(named.header("x-amz-delete-marker"), "true");
    }
    shows(&server.send(of(old)).await, old, "changed");
}
