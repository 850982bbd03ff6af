use crate::harness::*;
use bytes::Bytes;
use gateway::config::GatewayConfig;
use gateway::digest;

const MIB: usize = 1 << 20;

pub async fn start(server: &Server, key: &str) -> String {
    start_with(server, key, &[]).await
}

/// Starts an upload with these headers.
pub async fn start_with(server: &Server, key: &str, fields: &[(&str, &str)]) -> String {
    let request = post(&format!("/bucket/{key}")).query("uploads", "");
    let request = fields.iter().fold(request, |request, (name, value)| {
        request.header(name, value)
    });
    let started = server.send(request).await;
    assert_eq!(started.status, 200, "{}", started.text());
    started.element("UploadId")
}

pub fn part(key: &str, upload: &str, number: usize, body: Bytes) -> Request {
    let path = format!("/bucket/{key}");
    put(&path)
        .query("partNumber", number)
        .query("uploadId", upload)
        .body(body)
}

pub async fn send_part(
    server: &Server,
    key: &str,
    upload: &str,
    number: usize,
    body: Bytes,
) -> String {
    let stored = server.send(part(key, upload, number, body)).await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    stored.header("etag").to_owned()
}

pub fn list(parts: &[(usize, String)]) -> String {
    let parts: String = parts
        .iter()
        .map(|(number, etag)| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
        })
        .collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

pub fn complete(key: &str, upload: &str, parts: &[(usize, String)]) -> Request {
    post(&format!("/bucket/{key}"))
        .query("uploadId", upload)
        .body(list(parts))
}

fn multipart_etag(bodies: &[Bytes]) -> String {
    let md5 = |body: &Bytes| digest::etag_md5(etag(body).trim_matches('"')).unwrap();
    let md5s: Vec<[u8; 16]> = bodies.iter().map(md5).collect();
    format!("\"{}\"", digest::multipart_etag(&md5s))
}

/// Parts may be as small as a test likes.
pub async fn server_of_small_parts() -> Server {
    let config = GatewayConfig {
        part_bytes_min: 1,
        ..small_config()
    };
    let server = Server::with(config, None);
    server.make_bucket().await;
    server
}

#[tokio::test]
async fn parts_become_an_object() {
    let server = Server::with_bucket().await;
    let started = post("/bucket/key")
        .query("uploads", "")
        .header("x-amz-meta-a", "1");
    let started = server
        .send(started.header("content-type", "text/css"))
        .await;
    let upload = started.element("UploadId");
    assert_eq!(started.element("Key"), "key");
    let bodies = [
        pattern(5 * MIB, 1),
        pattern(5 * MIB + 7, 2),
        pattern(100, 3),
    ];
    let mut parts = Vec::new();
    // Uploaded in any order, and one of them twice.
    for number in [3, 1, 2] {
        send_part(&server, "key", &upload, number, pattern(10, 9)).await;
        let etag = send_part(&server, "key", &upload, number, bodies[number - 1].clone()).await;
        parts.push((number, etag));
    }
    parts.sort();
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
    let done = server.send(complete("key", &upload, &parts)).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let expected = multipart_etag(&bodies);
    assert_eq!(done.element("ETag").replace("&quot;", "\""), expected);

    let whole = bodies.concat();
    let read = server.send(get("/bucket/key")).await;
    assert!(*read.bytes() == whole);
    assert_eq!(read.header("etag"), expected);
    assert_eq!(
        (read.header("x-amz-meta-a"), read.header("content-type")),
        ("1", "text/css")
    );
    let (from, to) = (5 * MIB - 3, 10 * MIB + 20);
    let across = get("/bucket/key").header("range", &format!("bytes={from}-{to}"));
    assert!(server.send(across).await.bytes()[..] == whole[from..=to]);

    // The same completion again says the same, and other parts are another upload.
    let again = server.send(complete("key", &upload, &parts)).await;
    assert_eq!((again.status, again.text()), (200, done.text()));
    assert!(
        done.text().contains("<ChecksumCRC64NVME>"),
        "{}",
        done.text()
    );
    let fewer = server.send(complete("key", &upload, &parts[..2])).await;
    assert_eq!(fewer.refusal(), (404, "NoSuchUpload".into()));
    let gone = server.send(part("key", &upload, 1, Bytes::new())).await;
    assert_eq!(gone.refusal(), (404, "NoSuchUpload".into()));
    assert!(
        server
            .send(get("/bucket").query("uploads", ""))
            .await
            .elements("UploadId")
            .is_empty()
    );
}

/// Behaviour row 10.
#[tokio::test]
async fn ten_thousand_parts() {
    let server = server_of_small_parts().await;
    let upload = start(&server, "key").await;
    let bodies: Vec<Bytes> = (1..=10_000)
        .map(|n: u32| Bytes::from(n.to_string()))
        .collect();
    let mut parts = Vec::new();
    for batch in (1..=10_000).collect::<Vec<usize>>().chunks(100) {
        let sent = batch
            .iter()
            .map(|n| send_part(&server, "key", &upload, *n, bodies[n - 1].clone()));
        let etags = futures::future::join_all(sent).await;
        parts.extend(batch.iter().copied().zip(etags));
    }
    let done = server.send(complete("key", &upload, &parts)).await;
    assert_eq!(done.status, 200, "{}", done.text());
    let expected = multipart_etag(&bodies);
    assert!(expected.ends_with("-10000\""));
    let shown = server.send(head("/bucket/key")).await;
    assert_eq!(shown.header("etag"), expected);
    let whole = bodies.concat();
    assert_eq!(shown.header("content-length"), whole.len().to_string());
    for (from, to) in [
        (0, 50),
        (20_000, 20_100),
        (whole.len() - 7, whole.len() - 1),
    ] {
        let read = get("/bucket/key").header("range", &format!("bytes={from}-{to}"));
        assert!(
            server.send(read).await.bytes()[..] == whole[from..=to],
            "{from}"
        );
    }
}

#[tokio::test]
async fn completions_that_cannot_be() {
    let server = Server::with_bucket().await;
    let upload = start(&server, "key").await;
    let one = send_part(&server, "key", &upload, 1, pattern(1000, 1)).await;
    let two = send_part(&server, "key", &upload, 2, pattern(1000, 2)).await;
    let other = etag(b"other");
    let refused = |parts: Vec<(usize, String)>| {
        let request = complete("key", &upload, &parts);
        let server = &server;
        async move { server.send(request).await.refusal() }
    };
    let small = complete("key", &upload, &[(1, one.clone()), (2, two.clone())]);
    let small = server.send(small).await;
    assert_eq!(small.refusal(), (400, "EntityTooSmall".into()));
    let told =
        ["ProposedSize", "MinSizeAllowed", "PartNumber", "ETag"].map(|name| small.element(name));
    let etag_of_one = one.trim_matches('"');
    assert_eq!(told, ["1000", "5242880", "1", etag_of_one]);
    let other_part = complete("key", &upload, &[(7, one.clone())]);
    let other_part = server.send(other_part).await;
    assert_eq!(other_part.refusal(), (400, "InvalidPart".into()));
    let told = ["UploadId", "PartNumber", "ETag"].map(|name| other_part.element(name));
    assert_eq!(told, [upload.as_str(), "7", etag_of_one]);
    let order = refused(vec![(2, two.clone()), (1, one.clone())]).await;
    assert_eq!(order, (400, "InvalidPartOrder".into()));
    let absent = refused(vec![(3, two.clone())]).await;
    assert_eq!(absent, (400, "InvalidPart".into()));
    assert_eq!(refused(vec![(1, other)]).await, (400, "InvalidPart".into()));
    assert_eq!(refused(vec![]).await, (400, "MalformedXML".into()));
    let unknown = complete("key", &"0".repeat(32), &[(1, one.clone())]);
    assert_eq!(
        server.send(unknown).await.refusal(),
        (404, "NoSuchUpload".into())
    );
    let elsewhere = complete("other", &upload, &[(1, one.clone())]);
    assert_eq!(
        server.send(elsewhere).await.refusal(),
        (404, "NoSuchUpload".into())
    );
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
    // What was refused can still be completed.
    assert_eq!(
        server
            .send(complete("key", &upload, &[(2, two)]))
            .await
            .status,
        200
    );
    assert!(*server.send(get("/bucket/key")).await.bytes() == pattern(1000, 2));
}

#[tokio::test]
async fn empty_parts() {
    let server = server_of_small_parts().await;
    let upload = start(&server, "empty").await;
    let only = send_part(&server, "empty", &upload, 1, Bytes::new()).await;
    assert_eq!(
        server
            .send(complete("empty", &upload, &[(1, only)]))
            .await
            .status,
        200
    );
    let read = server.send(get("/bucket/empty")).await;
    assert_eq!((read.status, read.bytes().len()), (200, 0));

    let upload = start(&server, "key").await;
    let body = pattern(300_000, 4);
    let first = send_part(&server, "key", &upload, 1, body.clone()).await;
    let last = send_part(&server, "key", &upload, 2, Bytes::new()).await;
    assert_eq!(
        server
            .send(complete("key", &upload, &[(1, first), (2, last)]))
            .await
            .status,
        200
    );
    assert!(*server.send(get("/bucket/key")).await.bytes() == body);
}

#[tokio::test]
async fn an_aborted_upload_is_gone() {
    let server = Server::with_bucket().await;
    let upload = start(&server, "key").await;
    let one = send_part(&server, "key", &upload, 1, pattern(1000, 1)).await;
    let abort = delete("/bucket/key").query("uploadId", &upload);
    assert_eq!(server.send(abort.clone()).await.status, 204);
    assert_eq!(
        server.send(abort).await.refusal(),
        (404, "NoSuchUpload".into())
    );
    let late = server
        .send(part("key", &upload, 2, pattern(500_000, 2)))
        .await;
    assert_eq!(late.refusal(), (404, "NoSuchUpload".into()));
    let done = server.send(complete("key", &upload, &[(1, one)])).await;
    assert_eq!(done.refusal(), (404, "NoSuchUpload".into()));
    let parts = server
        .send(get("/bucket/key").query("uploadId", &upload))
        .await;
    assert_eq!(parts.refusal(), (404, "NoSuchUpload".into()));
}

#[tokio::test]
async fn part_numbers_have_bounds() {
    let server = Server::with_bucket().await;
    let upload = start(&server, "key").await;
    for number in ["0", "10001", "-1"] {
        let asked = put("/bucket/key")
            .query("partNumber", number)
            .query("uploadId", &upload);
        let refused = server.send(asked.body("x")).await;
        assert_eq!(
            refused.refusal(),
            (400, "InvalidArgument".into()),
            "{number}"
        );
    }
}

#[tokio::test]
async fn lists_of_parts() {
    let server = Server::with_bucket().await;
    let upload = start(&server, "key").await;
    let parts = |max: usize, after: usize| {
        let asked = get("/bucket/key")
            .query("uploadId", &upload)
            .query("max-parts", max);
        asked.query("part-number-marker", after)
    };
    let fresh = server
        .send(get("/bucket/key").query("uploadId", &upload))
        .await;
    assert_eq!(
        (fresh.status, fresh.element("IsTruncated")),
        (200, "false".into())
    );
    assert_eq!(fresh.element("MaxParts"), "1000");
    assert!(fresh.elements("Part").is_empty());
    for number in [1, 5, 9] {
        send_part(&server, "key", &upload, number, pattern(number * 10, 1)).await;
    }
    let page = server.send(parts(2, 0)).await;
    assert_eq!(page.elements("PartNumber"), ["1", "5"]);
    assert_eq!(page.elements("Size"), ["10", "50"]);
    assert_eq!(page.element("IsTruncated"), "true");
    assert_eq!(page.element("NextPartNumberMarker"), "5");
    let page = server.send(parts(2, 5)).await;
    assert_eq!(page.elements("PartNumber"), ["9"]);
    assert_eq!(page.element("IsTruncated"), "false");
}

#[tokio::test]
async fn lists_of_uploads() {
    let server = Server::with_bucket().await;
    let mut uploads = Vec::new();
    for key in ["a/1", "a/1", "a/2", "b"] {
        uploads.push((key, start(&server, key).await));
    }
    uploads.sort();
    let all = server.send(get("/bucket").query("uploads", "")).await;
    let expected: Vec<&str> = uploads.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(all.elements("UploadId"), expected);
    let grouped = get("/bucket").query("uploads", "").query("delimiter", "/");
    let grouped = server.send(grouped).await;
    assert_eq!(grouped.elements("Key"), ["b"]);
    assert_eq!(grouped.elements("CommonPrefixes"), ["<Prefix>a/</Prefix>"]);
    let prefixed = get("/bucket").query("uploads", "").query("prefix", "a/1");
    assert_eq!(server.send(prefixed).await.elements("Key"), ["a/1", "a/1"]);
    let (mut seen, mut key, mut id) = (Vec::new(), String::new(), String::new());
    for _ in 0..10 {
        let asked = get("/bucket").query("uploads", "").query("max-uploads", 1);
        let asked = asked
            .query("key-marker", &key)
            .query("upload-id-marker", &id);
        let page = server.send(asked).await;
        seen.extend(page.elements("UploadId"));
        (key, id) = (
            page.element("NextKeyMarker"),
            page.element("NextUploadIdMarker"),
        );
        if page.element("IsTruncated") == "false" {
            break;
        }
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn conditions_on_completion() {
    let server = Server::with_bucket().await;
    let tag = server
        .send(put("/bucket/key").body("first"))
        .await
        .header("etag")
        .to_owned();
    let upload = start(&server, "key").await;
    let parts = [(
        1,
        send_part(&server, "key", &upload, 1, pattern(1000, 1)).await,
    )];
    let asked = || complete("key", &upload, &parts);
    let exists = server.send(asked().header("if-none-match", "*")).await;
    assert_eq!(exists.refusal(), (412, "PreconditionFailed".into()));
    let other = server.send(asked().header("if-match", "\"other\"")).await;
    assert_eq!(other.refusal(), (412, "PreconditionFailed".into()));
    assert_eq!(server.send(get("/bucket/key")).await.text(), "first");
    assert_eq!(
        server.send(asked().header("if-match", &tag)).await.status,
        200
    );
    assert_eq!(
        server.send(asked().header("if-match", &tag)).await.status,
        200,
        "repeated"
    );

    let upload = start(&server, "fresh").await;
    let parts = [(
        1,
        send_part(&server, "fresh", &upload, 1, pattern(1000, 1)).await,
    )];
    let absent = complete("fresh", &upload, &parts).header("if-match", &tag);
    assert_eq!(
        server.send(absent).await.refusal(),
        (404, "NoSuchKey".into())
    );
    let fresh = complete("fresh", &upload, &parts).header("if-none-match", "*");
    assert_eq!(server.send(fresh).await.status, 200);
}

#[tokio::test]
async fn a_bucket_with_only_an_upload_can_go() {
    let server = Server::with_bucket().await;
    let upload = start(&server, "key").await;
    assert_eq!(server.send(delete("/bucket")).await.status, 204);
    let late = server
        .send(part("key", &upload, 1, Bytes::from_static(b"x")))
        .await;
    assert_eq!(late.refusal(), (404, "NoSuchBucket".into()));
}
