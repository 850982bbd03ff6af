use crate::harness::*;

/// Headers whose feature is not there: 501, and nothing is stored.
#[tokio::test]
async fn what_is_not_there_stores_nothing() {
    let server = Server::with_bucket().await;
    let fields = [
        ("x-amz-server-side-encryption", "AES256"),
        ("x-amz-server-side-encryption-customer-algorithm", "AES256"),
        ("x-amz-object-lock-mode", "COMPLIANCE"),
        ("x-amz-object-lock-legal-hold", "ON"),
        ("x-amz-write-offset-bytes", "0"),
        ("x-amz-storage-class", "GLACIER"),
        ("x-amz-checksum-sha512", "AAAA"),
        ("if-none-match", "\"etag\""),
    ];
    for (name, value) in fields {
        let refused = server
            .send(put("/bucket/key").body("x").header(name, value))
            .await;
        assert_eq!(refused.refusal(), (501, "NotImplemented".into()), "{name}");
        assert_eq!(server.send(head("/bucket/key")).await.status, 404, "{name}");
    }
    for (name, value) in &fields[..4] {
        let start = post("/bucket/key").query("uploads", "").header(name, value);
        assert_eq!(
            server.send(start).await.refusal(),
            (501, "NotImplemented".into()),
            "{name}"
        );
    }
    let uploads = server.send(get("/bucket").query("uploads", "")).await;
    assert!(uploads.elements("UploadId").is_empty());
}

#[tokio::test]
async fn empty_optional_headers_ask_for_nothing() {
    let server = Server::with_bucket().await;
    let upload = [
        "x-amz-server-side-encryption",
        "x-amz-tagging",
        "x-amz-acl",
        "x-amz-storage-class",
        "x-amz-object-lock-mode",
        "x-amz-checksum-crc32",
        "x-amz-website-redirect-location",
        "content-encoding",
    ]
    .into_iter()
    .fold(put("/bucket/key").body("x"), |upload, name| {
        upload.header(name, "")
    });
    assert_eq!(server.send(upload).await.status, 200);
    let shown = server.send(head("/bucket/key")).await;
    assert!(!shown.headers.contains_key("content-encoding"));
    assert!(
        !shown
            .headers
            .contains_key("x-amz-website-redirect-location")
    );
}

#[tokio::test]
async fn requests_that_no_object_could_fit() {
    let server = Server::with_bucket().await;
    let too_large = put("/bucket/key").length(5 * 1024 * 1024 * 1024 + 1);
    assert_eq!(
        server.send(too_large).await.refusal(),
        (400, "EntityTooLarge".into())
    );
    let metadata = put("/bucket/key")
        .body("x")
        .header("x-amz-meta-a", &"v".repeat(2048));
    assert_eq!(
        server.send(metadata).await.refusal(),
        (400, "MetadataTooLarge".into())
    );
    let class = put("/bucket/key")
        .body("x")
        .header("x-amz-storage-class", "COLD");
    assert_eq!(
        server.send(class).await.refusal(),
        (400, "InvalidStorageClass".into())
    );
    let both = put("/bucket/key")
        .body("x")
        .header("x-amz-checksum-crc32", "AAAAAA==")
        .header("x-amz-checksum-crc32c", "AAAAAA==");
    assert_eq!(
        server.send(both).await.refusal(),
        (400, "InvalidRequest".into())
    );
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
}

#[tokio::test]
async fn what_is_not_offered_says_so() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/key").body("x")).await.status, 200);
    for asked in [
        put("/bucket").query("policy", "").body("{}"),
        delete("/bucket").query("lifecycle", ""),
    ] {
        let refused = server.send(asked.clone()).await;
        assert_eq!(
            refused.refusal(),
            (501, "NotImplemented".into()),
            "{asked:?}"
        );
    }
    let null = server
        .send(get("/bucket/key").query("versionId", "null"))
        .await;
    assert_eq!(null.text(), "x");
}

#[tokio::test]
async fn the_bucket_must_be_there() {
    let server = Server::new();
    for asked in [
        get("/bucket/key"),
        put("/bucket/key").body("x"),
        get("/bucket"),
        get("/bucket").query("list-type", 2),
        delete("/bucket/key"),
        post("/bucket/key").query("uploads", ""),
    ] {
        let refused = server.send(asked.clone()).await;
        assert_eq!(refused.refusal(), (404, "NoSuchBucket".into()), "{asked:?}");
    }
}

#[tokio::test]
async fn parameters_that_mean_nothing_to_an_operation_are_refused() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/key").body("x")).await.status, 200);
    for refused in [
        put("/bucket/key").query("versionId", "null").body("y"),
        put("/bucket/key")
            .query("versionId", "null")
            .header("x-amz-copy-source", "bucket/key"),
        post("/bucket/key")
            .query("uploads", "")
            .query("versionId", "null"),
        delete("/bucket/key").query("partNumber", "1"),
        put("/bucket/key").query("partNumber", "1").body("y"),
    ] {
        let answer = server.send(refused.clone()).await;
        assert_eq!(
            answer.refusal(),
            (400, "InvalidArgument".into()),
            "{refused:?}"
        );
    }
    assert_eq!(server.send(get("/bucket/key")).await.text(), "x");
}
