//! The lists of uploads and parts.

use crate::harness::*;
use crate::multipart::{complete, send_part, server_of_small_parts, start};

/// Behaviour rows 11 and 12: SDKs for Java take a missing field for a null, and fail on it.
#[tokio::test]
async fn a_fresh_upload_lists_every_mandatory_field() {
    let server = Server::with_bucket().await;
    let started = post("/bucket/key")
        .query("uploads", "")
        .header("x-amz-checksum-algorithm", "CRC32C");
    let upload = server.send(started).await.element("UploadId");
    let fresh = get("/bucket/key").query("uploadId", &upload);
    let fresh = server.send(fresh).await;
    assert_eq!(fresh.status, 200);
    for (name, value) in [
        ("Bucket", "bucket"),
        ("Key", "key"),
        ("UploadId", &upload),
        ("StorageClass", "STANDARD"),
        ("PartNumberMarker", "0"),
        ("NextPartNumberMarker", "0"),
        ("MaxParts", "1000"),
        ("IsTruncated", "false"),
        ("ChecksumAlgorithm", "CRC32C"),
        ("ChecksumType", "COMPOSITE"),
    ] {
        assert_eq!(fresh.element(name), value, "{name}: {}", fresh.text());
    }
    assert_eq!(fresh.elements("ID"), ["ann-id", "ann-id"]);
    let listed = server.send(get("/bucket").query("uploads", "")).await;
    for name in [
        "Initiated",
        "Initiator",
        "Owner",
        "StorageClass",
        "KeyMarker",
    ] {
        assert_eq!(listed.elements(name).len(), 1, "{name}: {}", listed.text());
    }
}

/// Behaviour rows 15 and 16: uploads by prefix, as they are at this moment.
#[tokio::test]
async fn uploads_come_and_go_in_lists_at_once() {
    let server = Server::with_bucket().await;
    let of_prefix = async |prefix: &str| {
        let asked = get("/bucket").query("uploads", "").query("prefix", prefix);
        server.send(asked).await.elements("UploadId")
    };
    let path = "/bucket/dir/key";
    for _ in 0..20 {
        let upload = start(&server, "dir/key").await;
        for prefix in ["", "d", "dir/", "dir/key"] {
            assert_eq!(of_prefix(prefix).await, [upload.as_str()], "{prefix}");
        }
        assert!(of_prefix("dir/key/").await.is_empty());
        let aborted = server.send(delete(path).query("uploadId", &upload)).await;
        assert_eq!(aborted.status, 204);
        assert!(of_prefix("dir/").await.is_empty());
    }
}

/// Behaviour row 14: nothing is as good a body as any.
#[tokio::test]
async fn empty_objects_and_empty_parts() {
    const EMPTY: &str = "\"d41d8cd98f00b204e9800998ecf8427e\"";
    let server = server_of_small_parts().await;
    let stored = server.send(put("/bucket/whole").body("")).await;
    assert_eq!((stored.status, stored.header("etag")), (200, EMPTY));

    for (key, bodies) in [("only", &[""][..]), ("last", &["first", ""][..])] {
        let upload = start(&server, key).await;
        let mut parts = Vec::new();
        for (n, body) in (1..).zip(bodies) {
            parts.push((n, send_part(&server, key, &upload, n, (*body).into()).await));
        }
        assert_eq!(parts.last().unwrap().1, EMPTY);
        let listed = server
            .send(get(&format!("/bucket/{key}")).query("uploadId", &upload))
            .await;
        let sizes: Vec<String> = bodies.iter().map(|body| body.len().to_string()).collect();
        assert_eq!(listed.elements("Size"), sizes);
        let done = server.send(complete(key, &upload, &parts)).await;
        assert_eq!(done.status, 200, "{}", done.text());
    }
    for (key, body) in [("whole", ""), ("only", ""), ("last", "first")] {
        let path = format!("/bucket/{key}");
        let read = server.send(get(&path)).await;
        assert_eq!((read.status, read.text().as_str()), (200, body), "{key}");
        let length = body.len().to_string();
        assert_eq!(read.header("content-length"), length);
        assert_eq!(
            server.send(head(&path)).await.header("content-length"),
            length
        );
    }
    let listed = server.send(get("/bucket")).await;
    assert_eq!(listed.elements("Size"), ["5", "0", "0"]);
    let copied = server
        .send(put("/bucket/copy").header("x-amz-copy-source", "bucket/only"))
        .await;
    assert_eq!(copied.status, 200, "{}", copied.text());
    assert_eq!(server.send(get("/bucket/copy")).await.text(), "");
}
