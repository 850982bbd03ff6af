//! UploadPartCopy.

use crate::harness::*;
use crate::multipart::{complete, send_part, server_of_small_parts, start, start_with};
use bytes::Bytes;

fn copy_part(key: &str, upload: &str, number: usize, from: &str) -> Request {
    put(&format!("/bucket/{key}"))
        .query("partNumber", number)
        .query("uploadId", upload)
        .header("x-amz-copy-source", &encode(from, true))
}

fn range(first: usize, last: usize) -> String {
    format!("bytes={first}-{last}")
}

/// Copies a part, checks its ETag, and returns it.
async fn copied(server: &Server, request: Request, expected: &[u8]) -> String {
    let answer = server.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let shown = answer.element("ETag").replace("&quot;", "\"");
    assert_eq!(shown, etag(expected));
    assert!(answer.element("LastModified").ends_with('Z'));
    shown
}

#[tokio::test]
async fn parts_come_from_objects_of_every_kind() {
    let server = server_of_small_parts().await;
    // Inline, small, striped.
    for size in [10_usize, 100_000, 2_500_000] {
        let body = pattern(size, size as u64);
        let stored = server.send(put("/bucket/from me").body(body.clone())).await;
        assert_eq!(stored.status, 200);
        let upload = start(&server, "to").await;
        let whole = copy_part("to", &upload, 1, "bucket/from me");
        let (first, last) = (size / 3, size - 2);
        let piece = copy_part("to", &upload, 2, "/bucket/from me")
            .header("x-amz-copy-source-range", &range(first, last));
        let parts = [
            (1, copied(&server, whole, &body).await),
            (2, copied(&server, piece, &body[first..=last]).await),
            (3, send_part(&server, "to", &upload, 3, pattern(7, 1)).await),
        ];
        let listed = server
            .send(get("/bucket/to").query("uploadId", &upload))
            .await;
        let sizes = [size, last + 1 - first, 7].map(|size| size.to_string());
        assert_eq!(listed.elements("Size"), sizes);
        // What was copied does not need its source any more.
        assert_eq!(server.send(delete("/bucket/from me")).await.status, 204);
        let done = server.send(complete("to", &upload, &parts)).await;
        assert_eq!(done.status, 200, "{}", done.text());
        let expected = [&body, &body[first..=last], &pattern(7, 1)].concat();
        assert!(
            server.send(get("/bucket/to")).await.bytes()[..] == expected,
            "{size}"
        );
    }
}

#[tokio::test]
async fn parts_of_parts_and_of_nothing() {
    let server = server_of_small_parts().await;
    let upload = start(&server, "multi").await;
    let bodies = [pattern(300_000, 1), pattern(200_001, 2), pattern(5, 3)];
    let mut parts = Vec::new();
    for (at, body) in bodies.iter().enumerate() {
        let etag = send_part(&server, "multi", &upload, at + 1, body.clone()).await;
        parts.push((at + 1, etag));
    }
    let done = server.send(complete("multi", &upload, &parts)).await;
    assert_eq!(done.status, 200);
    assert_eq!(server.send(put("/bucket/empty")).await.status, 200);

    let source = bodies.concat();
    let upload = start(&server, "to").await;
    let across = copy_part("to", &upload, 1, "bucket/multi")
        .header("x-amz-copy-source-range", &range(299_990, 500_003));
    let nothing = copy_part("to", &upload, 2, "bucket/empty");
    let parts = [
        (1, copied(&server, across, &source[299_990..=500_003]).await),
        (2, copied(&server, nothing, b"").await),
    ];
    let done = server.send(complete("to", &upload, &parts)).await;
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(server.send(get("/bucket/to")).await.bytes()[..] == source[299_990..=500_003]);
}

#[tokio::test]
async fn what_cannot_be_copied_leaves_no_part() {
    let server = Server::with_bucket().await;
    assert_eq!(
        server.send(put("/bucket/a").body("12345")).await.status,
        200
    );
    assert_eq!(server.send(put("/bobs").by(Who::Bob)).await.status, 200);
    let upload = start(&server, "to").await;
    let part = |from| copy_part("to", &upload, 1, from);
    let ranges = [
        "0-2",
        "bytes=0",
        "bytes=-2",
        "bytes=1-",
        "bytes=a-b",
        "bytes=0-b",
        "bytes=0-2,3-4",
        "bytes=3-2",
        "bytes=+1-2",
        "bytes= 0-2",
    ];
    for value in ranges {
        let asked = part("bucket/a").header("x-amz-copy-source-range", value);
        let refused = server.send(asked).await;
        assert_eq!(
            refused.refusal(),
            (400, "InvalidArgument".into()),
            "{value}"
        );
    }
    for value in ["bytes=0-5", "bytes=5-5", "bytes=7-9"] {
        let asked = part("bucket/a").header("x-amz-copy-source-range", value);
        let refused = server.send(asked).await;
        assert_eq!(refused.refusal(), (416, "InvalidRange".into()), "{value}");
    }
    let table = [
        (part("bucket/absent"), (404, "NoSuchKey")),
        (part("absent/key"), (404, "NoSuchBucket")),
        (part("bobs/key"), (403, "AccessDenied")),
        (part("bucket/"), (400, "InvalidArgument")),
        (
            copy_part("to", &"0".repeat(32), 1, "bucket/a"),
            (404, "NoSuchUpload"),
        ),
        (
            copy_part("to", &upload, 10_001, "bucket/a"),
            (400, "InvalidArgument"),
        ),
        (
            part("bucket/a").header("x-amz-copy-source-if-match", "\"other\""),
            (412, "PreconditionFailed"),
        ),
        (
            part("bucket/a").header("x-amz-copy-source-if-none-match", etag(b"12345").as_str()),
            (412, "PreconditionFailed"),
        ),
    ];
    for (asked, (status, code)) in table {
        let refused = server.send(asked.clone()).await;
        assert_eq!(refused.refusal(), (status, code.into()), "{asked:?}");
    }
    let listed = server
        .send(get("/bucket/to").query("uploadId", &upload))
        .await;
    assert!(listed.elements("PartNumber").is_empty());
}

/// Behaviour row 9: the checksum of a copied part, where the upload has an algorithm.
#[tokio::test]
async fn a_copied_part_has_the_checksum_of_its_upload() {
    let server = server_of_small_parts().await;
    let stored = server.send(put("/bucket/a").body("123456789")).await;
    assert_eq!(stored.status, 200);
    let table = [
        ("CRC32", "ChecksumCRC32", "y/Q5Jg=="),
        ("CRC64NVME", "ChecksumCRC64NVME", "rosUhgp5mIg="),
        (
            "SHA256",
            "ChecksumSHA256",
            "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
        ),
    ];
    for (algorithm, element, value) in table {
        let upload = start_with(&server, "to", &[("x-amz-checksum-algorithm", algorithm)]).await;
        let answer = server.send(copy_part("to", &upload, 1, "bucket/a")).await;
        assert_eq!(answer.element(element), value, "{}", answer.text());
    }
    let upload = start(&server, "to").await;
    let answer = server.send(copy_part("to", &upload, 1, "bucket/a")).await;
    assert!(!answer.text().contains("Checksum"), "{}", answer.text());
}

/// The bytes of a part are those of one version, even if the source is replaced meanwhile.
#[tokio::test]
async fn a_source_that_changes_is_copied_whole() {
    let server = server_of_small_parts().await;
    for size in [5_000_usize, 1_500_000] {
        let bodies = [pattern(size, 1), pattern(size, 2)];
        let first = put("/bucket/a").body(bodies[0].clone());
        assert_eq!(server.send(first).await.status, 200);
        let upload = start(&server, "to").await;
        let replacing = async {
            for at in 0..20 {
                let again = put("/bucket/a").body(bodies[at % 2].clone());
                assert_eq!(server.send(again).await.status, 200);
            }
        };
        let copying = async {
            let mut etags = Vec::new();
            for number in 1..=8 {
                let answer = server
                    .send(copy_part("to", &upload, number, "bucket/a"))
                    .await;
                assert_eq!(answer.status, 200, "{}", answer.text());
                etags.push(answer.element("ETag").replace("&quot;", "\""));
            }
            etags
        };
        let ((), etags) = futures::join!(replacing, copying);
        let known = bodies.each_ref().map(|body| etag(body));
        let mut expected: Vec<Bytes> = Vec::new();
        for etag in &etags {
            let at = known.iter().position(|known| known == etag);
            expected.push(bodies[at.unwrap()].clone());
        }
        let parts: Vec<(usize, String)> = (1..=8).zip(etags).collect();
        let done = server.send(complete("to", &upload, &parts)).await;
        assert_eq!(done.status, 200, "{}", done.text());
        assert!(server.send(get("/bucket/to")).await.bytes()[..] == expected.concat());
    }
}
