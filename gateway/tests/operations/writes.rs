//! What writes say of the version that they made, the conditions on them, and their limits.

use crate::harness::*;
use crate::multipart::{complete, send_part, server_of_small_parts, start};
use index::key::bucket::Versioning;

async fn set_versioning(server: &Server, versioning: Versioning) {
    let bucket = server.index.bucket("bucket").await.unwrap().unwrap();
    let set = server.index.set_versioning(&bucket, versioning).await;
    set.unwrap();
}

fn copy(to: &str, from: &str) -> Request {
    put(to).header("x-amz-copy-source", from)
}

async fn put_version(server: &Server, body: &'static str) -> String {
    let stored = server.send(put("/bucket/key").body(body)).await;
    assert_eq!(stored.status, 200);
    stored.header("x-amz-version-id").to_owned()
}

#[tokio::test]
async fn writes_name_the_version_that_they_made() {
    let server = server_of_small_parts().await;
    assert_eq!(put_version(&server, "zero").await, "");
    set_versioning(&server, Versioning::Enabled).await;
    let one = put_version(&server, "one").await;
    let two = put_version(&server, "two").await;
    assert!(one.len() > 8 && two.len() > 8 && one != two);

    let copied = server
        .send(copy("/bucket/to", &format!("bucket/key?versionId={one}")))
        .await;
    assert_eq!(copied.status, 200, "{}", copied.text());
    assert_eq!(copied.header("x-amz-copy-source-version-id"), one);
    assert!(copied.header("x-amz-version-id").len() > 8);
    assert_eq!(server.send(get("/bucket/to")).await.text(), "one");
    let zero = server
        .send(copy("/bucket/to", "bucket/key?versionId=null"))
        .await;
    assert_eq!(zero.header("x-amz-copy-source-version-id"), "null");
    assert_eq!(server.send(get("/bucket/to")).await.text(), "zero");
    let current = server.send(copy("/bucket/to", "bucket/key")).await;
    assert_eq!(current.header("x-amz-copy-source-version-id"), two);

    let upload = start(&server, "key").await;
    let part = put("/bucket/key")
        .query("partNumber", 1)
        .query("uploadId", &upload)
        .header("x-amz-copy-source", &format!("/bucket/key?versionId={one}"));
    let part = server.send(part).await;
    assert_eq!(part.header("x-amz-copy-source-version-id"), one);
    let parts = [
        (1, part.element("ETag").replace("&quot;", "\"")),
        (2, send_part(&server, "key", &upload, 2, "+".into()).await),
    ];
    let done = server.send(complete("key", &upload, &parts)).await;
    let version = done.header("x-amz-version-id").to_owned();
    assert!(version.len() > 8, "{:?}", done.headers);
    assert_eq!(server.send(get("/bucket/key")).await.text(), "one+");
    let again = server.send(complete("key", &upload, &parts)).await;
    assert_eq!(again.header("x-amz-version-id"), version);
    assert_eq!(again.text(), done.text());

    set_versioning(&server, Versioning::Suspended).await;
    assert_eq!(put_version(&server, "three").await, "null");
}

#[tokio::test]
async fn an_old_version_becomes_the_current_one_by_a_copy() {
    let server = Server::with_bucket().await;
    set_versioning(&server, Versioning::Enabled).await;
    let one = put_version(&server, "one").await;
    put_version(&server, "two").await;
    let onto_itself = server.send(copy("/bucket/key", "bucket/key")).await;
    assert_eq!(onto_itself.refusal(), (400, "InvalidRequest".into()));
    let from = format!("bucket/key?versionId={one}");
    assert_eq!(server.send(copy("/bucket/key", &from)).await.status, 200);
    assert_eq!(server.send(get("/bucket/key")).await.text(), "one");
}

#[tokio::test]
async fn versions_that_cannot_be_copied() {
    let server = Server::with_bucket().await;
    set_versioning(&server, Versioning::Enabled).await;
    let one = put_version(&server, "one").await;
    let deleted = server.send(delete("/bucket/key")).await;
    let marker = deleted.header("x-amz-version-id").to_owned();
    let unknown = one.chars().rev().collect::<String>();
    let upload = start(&server, "to").await;
    let table = [
        ("bucket/key".to_owned(), (404, "NoSuchKey")),
        (
            format!("bucket/key?versionId={marker}"),
            (400, "InvalidRequest"),
        ),
        (
            format!("bucket/key?versionId={unknown}"),
            (404, "NoSuchVersion"),
        ),
        (
            "bucket/key?versionId=null".to_owned(),
            (404, "NoSuchVersion"),
        ),
        (
            "bucket/key?versionId=rubbish".to_owned(),
            (400, "InvalidArgument"),
        ),
    ];
    for (from, (status, code)) in table {
        let whole = copy("/bucket/to", &from);
        let part = whole
            .clone()
            .query("partNumber", 1)
            .query("uploadId", &upload);
        for asked in [whole, part] {
            let refused = server.send(asked).await;
            assert_eq!(refused.refusal(), (status, code.into()), "{from}");
        }
    }
    let kept = format!("bucket/key?versionId={one}");
    assert_eq!(server.send(copy("/bucket/to", &kept)).await.status, 200);
}

/// Behaviour row 30: what is not there, or only under a delete marker, is 404 for If-Match; another
/// ETag is 412.
#[tokio::test]
async fn conditions_where_there_is_no_current_version() {
    let server = Server::with_bucket().await;
    set_versioning(&server, Versioning::Enabled).await;
    let tag = etag(b"one");
    let upload = |name: &str, value: &str| put("/bucket/key").body("one").header(name, value);
    for under_a_marker in [false, true] {
        if under_a_marker {
            assert_eq!(server.send(delete("/bucket/key")).await.status, 204);
        }
        for value in [tag.as_str(), "*"] {
            let absent = server.send(upload("if-match", value)).await;
            assert_eq!(absent.refusal(), (404, "NoSuchKey".into()));
        }
        let id = start(&server, "key").await;
        let parts = [(1, send_part(&server, "key", &id, 1, "one".into()).await)];
        let done = complete("key", &id, &parts).header("if-match", &tag);
        assert_eq!(server.send(done).await.refusal(), (404, "NoSuchKey".into()));
        assert_eq!(server.send(upload("if-none-match", "*")).await.status, 200);
        let exists = server.send(upload("if-none-match", "*")).await;
        assert_eq!(exists.refusal(), (412, "PreconditionFailed".into()));
        assert_eq!(server.send(upload("if-match", &tag)).await.status, 200);
        assert_eq!(server.send(upload("if-match", "*")).await.status, 200);
        let bare = tag.trim_matches('"');
        assert_eq!(server.send(upload("if-match", bare)).await.status, 200);
        let other = server.send(upload("if-match", &etag(b"two"))).await;
        assert_eq!(other.refusal(), (412, "PreconditionFailed".into()));
    }
}

/// Conditions that S3 does not have for writes: 501, whatever the key holds.
#[tokio::test]
async fn conditions_that_are_not_offered() {
    let server = Server::with_bucket().await;
    let tag = etag(b"one");
    for exists in [false, true] {
        for fields in [
            vec![("if-none-match", tag.as_str())],
            vec![("if-match", "\"*\"")],
            vec![("if-match", tag.as_str()), ("if-none-match", "*")],
            vec![("if-match", tag.as_str()), ("if-none-match", tag.as_str())],
        ] {
            let asked = fields
                .iter()
                .fold(put("/bucket/key").body("two"), |asked, (name, value)| {
                    asked.header(name, value)
                });
            let refused = server.send(asked).await;
            assert_eq!(
                refused.refusal(),
                (501, "NotImplemented".into()),
                "{fields:?}"
            );
        }
        if !exists {
            assert_eq!(
                server.send(put("/bucket/key").body("one")).await.status,
                200
            );
        }
    }
    assert_eq!(server.send(get("/bucket/key")).await.text(), "one");
}

#[tokio::test]
async fn storage_classes() {
    let server = Server::with_bucket().await;
    for class in [
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER_IR",
    ] {
        let stored = put("/bucket/key")
            .body("x")
            .header("x-amz-storage-class", class);
        assert_eq!(server.send(stored).await.status, 200, "{class}");
        let shown = server.send(head("/bucket/key")).await;
        assert_eq!(shown.header("x-amz-storage-class"), class);
    }
    let standard = put("/bucket/key")
        .body("x")
        .header("x-amz-storage-class", "STANDARD");
    assert_eq!(server.send(standard).await.status, 200);
    let shown = server.send(head("/bucket/key")).await;
    assert!(!shown.headers.contains_key("x-amz-storage-class"));
    let table = [
        ("GLACIER", (501, "NotImplemented")),
        ("DEEP_ARCHIVE", (501, "NotImplemented")),
        ("OUTPOSTS", (400, "InvalidStorageClass")),
        ("EXPRESS_ONEZONE", (400, "InvalidStorageClass")),
        ("standard", (400, "InvalidStorageClass")),
    ];
    for (class, (status, code)) in table {
        let asked = put("/bucket/key")
            .body("y")
            .header("x-amz-storage-class", class);
        let refused = server.send(asked).await;
        assert_eq!(refused.refusal(), (status, code.into()), "{class}");
    }
    assert_eq!(server.send(get("/bucket/key")).await.text(), "x");
}

/// Limits whose errors say what they are.
#[tokio::test]
async fn what_is_too_large_is_told_how_large_it_may_be() {
    let server = Server::with_bucket().await;
    let length = 5 * 1024 * 1024 * 1024_u64 + 1;
    let refused = server.send(put("/bucket/key").length(length)).await;
    assert_eq!(refused.refusal(), (400, "EntityTooLarge".into()));
    assert_eq!(refused.element("ProposedSize"), length.to_string());
    assert_eq!(refused.element("MaxSizeAllowed"), (length - 1).to_string());
    let metadata = |bytes: usize| {
        let value = "v".repeat(bytes);
        put("/bucket/key").body("x").header("x-amz-meta-a", &value)
    };
    assert_eq!(server.send(metadata(2047)).await.status, 200);
    let refused = server.send(metadata(2048)).await;
    assert_eq!(refused.refusal(), (400, "MetadataTooLarge".into()));
    assert_eq!(refused.element("Size"), "2049");
    assert_eq!(refused.element("MaxSizeAllowed"), "2048");
}

/// aws-chunked speaks of the upload, everything else of the object (behaviour row 28).
#[tokio::test]
async fn content_encodings() {
    let server = Server::with_bucket().await;
    let table = [
        ("aws-chunked", None),
        ("gzip", Some("gzip")),
        ("aws-chunked,gzip", Some("gzip")),
        ("gzip, aws-chunked", Some("gzip")),
        ("AWS-Chunked, gzip ,br", Some("gzip,br")),
    ];
    for (sent, kept) in table {
        let upload = put("/bucket/key")
            .body("x")
            .header("content-encoding", sent);
        assert_eq!(server.send(upload).await.status, 200);
        let shown = server.send(head("/bucket/key")).await;
        let shown = shown.headers.get("content-encoding");
        assert_eq!(shown.map(|value| value.to_str().unwrap()), kept, "{sent}");
    }
}
