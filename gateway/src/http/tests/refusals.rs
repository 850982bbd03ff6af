//! What never reaches an operation, and the form of every error.

use super::harness::{ACCESS_KEY, Call, Server, now};

#[tokio::test]
async fn errors_have_every_element_and_ids() {
    let server = Server::start().await;
    let answer = server.send(&Call::new("GET", "/bucket/a%26b")).await;
    answer.expect(404, "NoSuchKey");
    assert_eq!(
        answer.element("Message"),
        "The specified key does not exist."
    );
    assert_eq!(answer.element("Resource"), "/bucket/a%26b");
    let id = answer.element("RequestId");
    assert_eq!(id.len(), 16);
    assert!(
        answer
            .head
            .contains(&format!("x-amz-request-id: {}", id.to_lowercase()))
    );
    assert!(answer.head.contains(&format!(
        "x-amz-id-2: {}",
        answer.element("HostId").to_lowercase()
    )));
    assert!(answer.head.contains("content-type: application/xml"));
    let other = server.send(&Call::new("GET", "/bucket/a%26b")).await;
    assert_ne!(other.element("RequestId"), id);
}

#[tokio::test]
async fn head_and_304_have_no_body_and_5xx_is_not_cached() {
    let server = Server::start().await;
    let head = server.send(&Call::new("HEAD", "/bucket/key")).await;
    assert_eq!((head.status, head.body.as_str()), (404, ""));
    assert!(head.head.contains("x-amz-request-id: "));
    let present = server.send(&Call::new("HEAD", "/bucket/present")).await;
    assert_eq!((present.status, present.body.as_str()), (200, ""));
    assert!(
        present.head.contains("content-length: 5"),
        "{}",
        present.head
    );
    let unchanged = server.send(&Call::new("GET", "/bucket/unchanged")).await;
    assert_eq!((unchanged.status, unchanged.body.as_str()), (304, ""));
    let failing = server.send(&Call::new("GET", "/bucket/failing")).await;
    failing.expect(500, "InternalError");
    assert!(failing.head.contains("cache-control: no-store"));
}

#[tokio::test]
async fn a_foreign_region_is_told_ours() {
    let server = Server::start().await;
    let mut call = Call::new("GET", "/");
    call.region = "us-east-1".into();
    server.send(&call).await.expect(200, "");
    call.region = "mars-1".into();
    let answer = server.send(&call).await;
    answer.expect(400, "AuthorizationHeaderMalformed");
    assert_eq!(answer.element("Region"), "pek3");
    assert!(
        answer.head.contains("x-amz-bucket-region: pek3"),
        "{}",
        answer.head
    );
    assert!(
        answer
            .element("Message")
            .contains("the region 'mars-1' is wrong; expecting 'pek3'")
    );
}

#[tokio::test]
async fn signatures_must_cover_what_they_name_and_all_that_counts() {
    let server = Server::start().await;
    let mut call = Call::new("GET", "/");
    call.phantom_header = Some("x-amz-zzz");
    server
        .send(&call)
        .await
        .expect(403, "SignatureDoesNotMatch");
    let call = Call::put("/bucket/key", b"x").unsigned_header("x-amz-meta-a", "1");
    let answer = server
        .send(&call.clone().unsigned_header("x-amz-acl", "private"))
        .await;
    answer.expect(403, "AccessDenied");
    assert_eq!(
        answer.element("HeadersNotSigned"),
        "x-amz-acl, x-amz-meta-a"
    );
    let signed = Call::put("/bucket/key", b"x")
        .header("x-amz-meta-a", "1")
        .unsigned_header("user-agent", "t");
    server.send(&signed).await.expect(200, "");
    assert_eq!(server.seen.lock().calls.len(), 1);
}

/// A time of `x-amz-date` in the form of HTTP.
fn http_date(basic: &str) -> String {
    use time::macros::format_description;
    let from = format_description!("[year][month][day]T[hour][minute][second]Z");
    let into = format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    let date = time::PrimitiveDateTime::parse(basic, from).unwrap();
    date.format(into).unwrap()
}

#[tokio::test]
async fn a_date_header_says_when_a_request_was_signed() {
    let server = Server::start().await;
    let date = now();
    let mut call = Call::put("/bucket/key", b"x");
    let in_mail = http_date(&date).replace("GMT", "-0000"); // as botocore sends it
    for value in [http_date(&date), in_mail, date.clone()] {
        call.date_header = Some(value);
        server.raw(&call.wire_at(&date)).await.expect(200, "");
    }
    call.date_header = Some(http_date("20130524T000000Z"));
    let moved = server.raw(&call.wire_at(&date)).await;
    moved.expect(400, "AuthorizationHeaderMalformed");
    assert!(moved.element("Message").contains("Invalid credential date"));
    let end_of_time = "Fri, 31 Dec 9999 23:59:59 -2300";
    for invalid in ["", "yesterday", "20131324T000000Z", end_of_time] {
        call.date_header = Some(invalid.into());
        let answer = server.raw(&call.wire_at(&date)).await;
        answer.expect(403, "AccessDenied");
    }
    assert_eq!(server.seen.lock().calls.len(), 3);
}

#[tokio::test]
async fn wrong_signers_are_refused() {
    let server = Server::start().await;
    let mut call = Call::new("GET", "/");
    call.anonymous = true;
    server.send(&call).await.expect(403, "AccessDenied");
    let wire = String::from_utf8(Call::new("GET", "/").wire()).unwrap();
    let other_key = wire.replace(ACCESS_KEY, "AKOTHER");
    server
        .raw(other_key.as_bytes())
        .await
        .expect(403, "InvalidAccessKeyId");
    let at = wire.find("Signature=").unwrap() + "Signature=".len();
    let digit = if &wire[at..=at] == "0" { "1" } else { "0" };
    let changed = format!("{}{digit}{}", &wire[..at], &wire[at + 1..]);
    server
        .raw(changed.as_bytes())
        .await
        .expect(403, "SignatureDoesNotMatch");
    let repeated = wire.replace("host: ", "authorization: AWS4-HMAC-SHA256 x\r\nhost: ");
    server
        .raw(repeated.as_bytes())
        .await
        .expect(400, "AuthorizationHeaderMalformed");
}

#[tokio::test]
async fn other_authorization_is_refused_by_name() {
    let server = Server::start().await;
    let table = [
        ("AWS AKEXAMPLE:c2lnbmF0dXJl", 400, "InvalidRequest"),
        ("Basic dXNlcjpwYXNz", 400, "InvalidArgument"),
        (
            "AWS4-ECDSA-P256-SHA256 Credential=a/20260101/s3/aws4_request",
            501,
            "NotImplemented",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a",
            400,
            "AuthorizationHeaderMalformed",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a/20260101/pek3/sts/aws4_request,SignedHeaders=host,\
             Signature=00",
            400,
            "AuthorizationHeaderMalformed",
        ),
        (" ", 403, "AccessDenied"),
    ];
    for (value, status, code) in table {
        let mut call = Call::new("GET", "/").unsigned_header("authorization", value);
        call.anonymous = true;
        server.send(&call).await.expect(status, code);
    }
    for query in [
        "Signature=x&AWSAccessKeyId=y&Expires=1",
        "X-Amz-Signature=00",
    ] {
        let wire =
            format!("GET /bucket/k?{query} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
        assert_eq!(server.raw(wire.as_bytes()).await.status, 400, "{query}");
    }
    let both =
        String::from_utf8(Call::new("GET", "/").query("X-Amz-Signature", "0").wire()).unwrap();
    server
        .raw(both.as_bytes())
        .await
        .expect(400, "InvalidArgument");
}

#[tokio::test]
async fn presigned_requests_are_checked_alike() {
    let server = Server::start().await;
    let date = now();
    let day = &date[..8];
    let table = [
        (
            format!("{day}%2Fmars-1%2Fs3"),
            "60",
            "host",
            400,
            "AuthorizationQueryParametersError",
        ),
        (
            format!("{day}%2Fpek3%2Fs3"),
            "604801",
            "host",
            400,
            "AuthorizationQueryParametersError",
        ),
        (
            format!("{day}%2Fpek3%2Fs3"),
            "60",
            "host%3Bx-amz-zzz",
            403,
            "SignatureDoesNotMatch",
        ),
        (
            format!("{day}%2Fpek3%2Fs3"),
            "60",
            "x-amz-date",
            403,
            "SignatureDoesNotMatch",
        ),
        (
            format!("{day}%2Fpek3%2Fs3"),
            "60",
            "host",
            403,
            "SignatureDoesNotMatch",
        ),
    ];
    for (scope, expires, signed, status, code) in table {
        let wire = format!(
            "GET /bucket/k?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={ACCESS_KEY}%2F{scope}%2F\
             aws4_request&X-Amz-Date={date}&X-Amz-Expires={expires}&X-Amz-SignedHeaders={signed}&\
             X-Amz-Signature={} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
            "0".repeat(64)
        );
        server.raw(wire.as_bytes()).await.expect(status, code);
    }
}

#[tokio::test]
async fn an_unknown_sub_resource_never_becomes_another_operation() {
    let server = Server::start().await;
    for (method, path, name, value) in [
        ("DELETE", "/bucket", "versioning", ""),
        ("DELETE", "/bucket", "acl", "1"),
        ("DELETE", "/bucket", "something-new", ""),
        ("PUT", "/bucket", "metadataConfiguration", ""),
        ("PUT", "/bucket/key", "renameObject", ""),
        ("PUT", "/bucket/key", "something-new", ""),
        ("DELETE", "/bucket/key", "retention", ""),
        ("GET", "/bucket", "abac", ""),
    ] {
        let call = Call::new(method, path)
            .query(name, value)
            .unsigned_header("content-length", "0");
        server.send(&call).await.expect(501, "NotImplemented");
    }
    let half = Call::put("/bucket/key", b"x").query("uploadId", "u");
    server.send(&half).await.expect(400, "InvalidArgument");
    assert!(server.seen.lock().calls.is_empty());
    let harmless = Call::new("DELETE", "/bucket").query("x-id", "DeleteBucket");
    assert_eq!(server.send(&harmless).await.status, 204);
    let get = Call::new("GET", "/bucket/key")
        .query("cachebuster", "")
        .query("policy", "1");
    server.send(&get).await.expect(404, "NoSuchKey");
}

#[tokio::test]
async fn forms_are_not_implemented() {
    let server = Server::start().await;
    let mut call =
        Call::new("POST", "/bucket").header("content-type", "Multipart/Form-Data; boundary=b");
    call.body = vec![b'x'; 100];
    server.send(&call).await.expect(501, "NotImplemented");
}
