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
    let checksum = copy("/bucket/b", "bucket/absent").header("x-amz-checksum-algorithm", "SHA256");
    assert_eq!(
        server.send(checksum).await.refusal(),
        (501, "NotImplemented".into())
    );
}
