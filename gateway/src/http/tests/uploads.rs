//! Uploads of every kind reach the operation decoded and verified, or do not reach it.

use super::harness::{Call, Server};
use sha2::{Digest, Sha256};

const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const CRC: &str = "x-amz-checksum-crc64nvme";

#[tokio::test]
async fn plain_uploads_are_verified() {
    let server = Server::start().await;
    let mut call = Call::put("/bucket/key", b"hello");
    server.send(&call).await.expect(200, "");
    assert_eq!(server.seen.lock().payload, b"hello");
    call.content_sha256 = hex::encode(Sha256::digest(b"hello"));
    server.send(&call).await.expect(200, "");
    call.body = b"hallo".to_vec();
    let answer = server.send(&call).await;
    answer.expect(400, "XAmzContentSHA256Mismatch");
    assert_eq!(
        answer.element("ClientComputedContentSHA256"),
        call.content_sha256
    );
    let empty = Call::put("/bucket/key", b"").unsigned_header("content-length", "0");
    server.send(&empty).await.expect(200, "");
    let part = Call::put("/bucket/key", b"x")
        .query("partNumber", "1")
        .query("uploadId", "u");
    server.send(&part).await.expect(200, "");
    assert_eq!(server.seen.lock().calls.last(), Some(&"UploadPart"));
}

#[tokio::test]
async fn virtual_hosts_and_dotted_buckets_upload() {
    let server = Server::start().await;
    for (host, path) in [
        ("bucket.s3.test", "/key"),
        ("my.bucket.pek3.s3.test", "/a//b"),
        ("s3.test", "/bucket/k"),
    ] {
        let mut call = Call::put(path, b"hello");
        call.host = host.into();
        server.send(&call).await.expect(200, "");
    }
    assert_eq!(server.seen.lock().calls.len(), 3);
}

#[tokio::test]
async fn an_upload_must_say_its_length() {
    let server = Server::start().await;
    let mut call = Call::put("/bucket/key", b"5\r\nhello\r\n0\r\n\r\n")
        .unsigned_header("transfer-encoding", "chunked");
    server.send(&call).await.expect(411, "MissingContentLength");
    call.content_sha256 = UNSIGNED_TRAILER.into();
    server
        .send(&call.header("x-amz-trailer", CRC))
        .await
        .expect(411, "MissingContentLength");
    assert!(server.seen.lock().calls.is_empty());
}

#[tokio::test]
async fn signed_chunks_are_verified_against_the_seed() {
    let server = Server::start().await;
    let data = vec![b'x'; 20_000];
    let body = |chain: &mut super::harness::Chain| {
        [
            chain.chunk(&data[..10_000]),
            chain.chunk(&data[10_000..]),
            chain.chunk(b""),
            b"\r\n".to_vec(),
        ]
        .concat()
    };
    let wire = Call::put("/bucket/key", b"").chunked(SIGNED, data.len(), body);
    server.raw(&wire).await.expect(200, "");
    assert_eq!(server.seen.lock().payload, data);
    let mut changed = wire.clone();
    let at = changed.len() - 5000;
    changed[at] = b'y';
    server
        .raw(&changed)
        .await
        .expect(403, "SignatureDoesNotMatch");
    let part = Call::put("/bucket/key", b"")
        .query("partNumber", "2")
        .query("uploadId", "u");
    server
        .raw(&part.chunked(SIGNED, data.len(), body))
        .await
        .expect(200, "");
    let short = Call::put("/bucket/key", b"").chunked(SIGNED, data.len() + 1, body);
    server.raw(&short).await.expect(400, "IncompleteBody");
    let long = Call::put("/bucket/key", b"").chunked(SIGNED, data.len() - 1, body);
    server.raw(&long).await.expect(400, "IncompleteBody");
}

/// Behaviour rows 1, 4, 5: the length is the decoded one, and an unsigned trailer needs no signature.
#[tokio::test]
async fn trailers_reach_the_operation() {
    let server = Server::start().await;
    let trailer = format!("{CRC}:AAAAAAAAAAA=");
    let call = || Call::put("/bucket/key", b"").header("x-amz-trailer", CRC);
    let signed = call().chunked(SIGNED_TRAILER, 5, |chain| {
        [
            chain.chunk(b"hello"),
            chain.chunk(b""),
            chain.trailer(&trailer),
        ]
        .concat()
    });
    let unsigned = call().chunked(UNSIGNED_TRAILER, 5, |_| {
        format!("5\r\nhello\r\n0\r\n{trailer}\r\n\r\n").into_bytes()
    });
    for wire in [&signed, &unsigned] {
        server.raw(wire).await.expect(200, "");
        let mut seen = server.seen.lock();
        assert_eq!(std::mem::take(&mut seen.payload), b"hello");
        let trailers = std::mem::take(&mut seen.trailers);
        assert_eq!(trailers, [(CRC.to_owned(), "AAAAAAAAAAA=".to_owned())]);
    }
    let text = String::from_utf8(signed).unwrap();
    let changed = text.replace("AAAAAAAAAAA=", "BAAAAAAAAAA=");
    server
        .raw(changed.as_bytes())
        .await
        .expect(403, "SignatureDoesNotMatch");
    let nowhere = call().chunked(SIGNED, 5, |chain| {
        [chain.chunk(b"hello"), chain.chunk(b"")].concat()
    });
    server
        .raw(&nowhere)
        .await
        .expect(400, "MalformedTrailerError");
    let mut plain = call();
    plain.body = b"hello".to_vec();
    server
        .send(&plain)
        .await
        .expect(400, "MalformedTrailerError");
    let missing = call().chunked(UNSIGNED_TRAILER, 5, |_| b"5\r\nhello\r\n0\r\n\r\n".to_vec());
    server
        .raw(&missing)
        .await
        .expect(400, "MalformedTrailerError");
}

#[tokio::test]
async fn framing_errors_are_named_in_full() {
    let server = Server::start().await;
    let call = Call::put("/bucket/key", b"").header("x-amz-trailer", CRC);
    let wire = call.chunked(UNSIGNED_TRAILER, 5, |_| {
        b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n".to_vec()
    });
    let answer = server.raw(&wire).await;
    answer.expect(400, "InvalidChunkSizeError");
    assert_eq!(
        (answer.element("Chunk"), answer.element("BadChunkSize")),
        ("2", "3")
    );
    assert_eq!(answer.element("Resource"), "/bucket/key");
}

#[tokio::test]
async fn a_chunked_body_may_come_without_content_length() {
    let server = Server::start().await;
    let body = format!("5\r\nhello\r\n0\r\n{CRC}:AA==\r\n\r\n");
    let wire = Call::put("/bucket/key", b"")
        .header("x-amz-trailer", CRC)
        .unsigned_header("transfer-encoding", "chunked")
        .chunked(UNSIGNED_TRAILER, 5, |_| {
            format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes()
        });
    server.raw(&wire).await.expect(200, "");
    assert_eq!(server.seen.lock().payload, b"hello");
}

/// Behaviour row 3: a framing that is not known is refused, never stored.
#[tokio::test]
async fn other_framings_are_refused_by_name() {
    let server = Server::start().await;
    for (framing, status, code) in [
        (
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD",
            501,
            "NotImplemented",
        ),
        (
            "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
            501,
            "NotImplemented",
        ),
        ("STREAMING-SOMETHING-NEW", 400, "InvalidArgument"),
        ("nonsense", 400, "InvalidArgument"),
    ] {
        let wire = Call::put("/bucket/key", b"")
            .chunked(framing, 5, |_| b"5\r\nhello\r\n0\r\n\r\n".to_vec());
        server.raw(&wire).await.expect(status, code);
    }
    let wire = Call::new("POST", "/bucket")
        .query("delete", "")
        .header("x-amz-trailer", CRC)
        .chunked(UNSIGNED_TRAILER, 0, |_| b"0\r\n\r\n".to_vec());
    server.raw(&wire).await.expect(501, "NotImplemented");
    assert!(server.seen.lock().calls.is_empty());
}

#[tokio::test]
async fn xml_bodies_are_verified_too() {
    let server = Server::start().await;
    let xml = b"<Delete><Object><Key>k</Key></Object></Delete>";
    let mut call = Call::new("POST", "/bucket").query("delete", "");
    call.body = xml.to_vec();
    call.content_sha256 = hex::encode(Sha256::digest(xml));
    server.send(&call).await.expect(200, "");
    call.body[0] = b'[';
    server
        .send(&call)
        .await
        .expect(400, "XAmzContentSHA256Mismatch");
    call.body.clear();
    let answer = server
        .send(&call.unsigned_header("content-length", "0"))
        .await;
    answer.expect(400, "XAmzContentSHA256Mismatch");
    assert_eq!(server.seen.lock().calls, ["DeleteObjects"]);
}
