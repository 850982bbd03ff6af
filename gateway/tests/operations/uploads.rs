//! The lists of uploads and parts.

use crate::harness::*;
use crate::multipart::start;

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
