//! Presigned requests that are right, and requests in the form of HTTP/2.

use super::harness::{ACCESS_KEY, Answer, Call, SECRET_KEY, Server, front, now};
use crate::sigv4::{CredentialScope, hmac, signing_key};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// `METHOD path?query` signed for the host `h`.
fn presign(method: &str, path: &str) -> String {
    let date = now();
    let scope = CredentialScope {
        date: date[..8].into(),
        region: "pek3".into(),
        service: "s3".into(),
    };
    let credential = format!("{ACCESS_KEY}/{scope}").replace('/', "%2F");
    let query = format!(
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={date}&\
         X-Amz-Expires=60&X-Amz-SignedHeaders=host"
    );
    let request = format!("{method}\n{path}\n{query}\nhost:h\n\nhost\nUNSIGNED-PAYLOAD");
    let sha256 = hex::encode(Sha256::digest(request));
    let signed = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{sha256}");
    let signature = hmac(&signing_key(SECRET_KEY, &scope), signed.as_bytes());
    format!(
        "{method} {path}?{query}&X-Amz-Signature={}",
        hex::encode(signature)
    )
}

async fn send(server: &Server, method: &str, headers: &str, body: &str) -> Answer {
    let line = presign(method, "/bucket/key");
    let len = body.len();
    let wire = format!(
        "{line} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {len}\r\n{headers}\r\n\
         {body}"
    );
    server.raw(wire.as_bytes()).await
}

#[tokio::test]
async fn presigned_requests_are_served() {
    let server = Server::start().await;
    send(&server, "GET", "", "").await.expect(404, "NoSuchKey");
    send(&server, "PUT", "", "hello").await.expect(200, "");
    assert_eq!(server.seen.lock().payload, b"hello");
    let sha256 = format!(
        "x-amz-content-sha256: {}\r\n",
        hex::encode(Sha256::digest("hello"))
    );
    send(&server, "PUT", &sha256, "hello").await.expect(200, "");
    send(&server, "PUT", &sha256, "hallo")
        .await
        .expect(400, "XAmzContentSHA256Mismatch");
}

#[tokio::test]
async fn presigned_requests_may_not_bring_more_than_was_signed() {
    let server = Server::start().await;
    let acl = "x-amz-acl: public-read\r\n";
    let answer = send(&server, "PUT", acl, "hello").await;
    answer.expect(403, "AccessDenied");
    assert_eq!(answer.element("HeadersNotSigned"), "x-amz-acl");
    let chunks = "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\r\n";
    send(&server, "PUT", chunks, "hello")
        .await
        .expect(403, "AccessDenied");
    assert!(server.seen.lock().calls.is_empty());
}

/// HTTP/2 carries the host in the URI, and needs no Connection header.
#[tokio::test]
async fn the_host_of_http_2_is_signed() {
    let (front, seen) = front(Duration::from_secs(20));
    for (path, status) in [("/key", 200), ("/refused", 404)] {
        let mut call = Call::put(path, b"hello");
        call.host = "bucket.s3.test".into();
        let wire = String::from_utf8(call.wire()).unwrap();
        let (head, body) = wire.split_once("\r\n\r\n").unwrap();
        let mut request = http::Request::put(format!("http://bucket.s3.test{path}"))
            .version(http::Version::HTTP_2);
        for (name, value) in head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
        {
            if name != "host" && name != "connection" {
                request = request.header(name, value);
            }
        }
        let request = request
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let response = front.handle(request).await;
        assert_eq!(response.status(), status);
        assert!(!response.headers().contains_key("connection"));
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.is_empty(), status == 200);
    }
    assert_eq!(seen.lock().payload, b"hello");
}

/// Behaviour row 36: SDKs sign again for the region that they are told.
#[tokio::test]
async fn a_presigned_request_for_another_region_is_told_ours() {
    let server = Server::start().await;
    let line = presign("GET", "/bucket/key").replace("pek3", "mars-1");
    let wire = format!("{line} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    let answer = server.raw(wire.as_bytes()).await;
    answer.expect(400, "AuthorizationQueryParametersError");
    assert_eq!(answer.element("Region"), "pek3");
}
