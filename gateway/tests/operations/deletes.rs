use crate::harness::*;
use index::key::bucket::Versioning;

fn list(keys: &[&str], quiet: bool) -> String {
    let objects: String = keys
        .iter()
        .map(|key| format!("<Object><Key>{key}</Key></Object>"))
        .collect();
    format!("<Delete>{objects}<Quiet>{quiet}</Quiet></Delete>")
}

pub async fn delete_many(server: &Server, body: String) -> Answer {
    let md5 = openssl::hash::hash(openssl::hash::MessageDigest::md5(), body.as_bytes()).unwrap();
    let md5 = gateway::digest::encode(&md5);
    let request = post("/bucket")
        .query("delete", "")
        .header("content-md5", &md5)
        .body(body);
    server.send(request).await
}

#[tokio::test]
async fn many_keys_at_once() {
    let server = Server::with_bucket().await;
    for key in ["a", "b", "c/d"] {
        assert_eq!(
            server
                .send(put(&format!("/bucket/{key}")).body("x"))
                .await
                .status,
            200
        );
    }
    let answer = delete_many(&server, list(&["a", "absent", "c/d"], false)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.elements("Key"), ["a", "absent", "c/d"]);
    assert!(answer.elements("Error").is_empty());
    let left = server.send(get("/bucket")).await;
    assert_eq!(left.elements("Key"), ["b"]);

    let quiet = delete_many(&server, list(&["b", "absent"], true)).await;
    assert!(quiet.elements("Key").is_empty(), "{}", quiet.text());
    assert!(server.send(get("/bucket")).await.elements("Key").is_empty());
}

#[tokio::test]
async fn a_thousand_keys_and_no_more() {
    let server = Server::with_bucket().await;
    let keys: Vec<String> = (0..1001).map(|n| format!("key-{n:04}")).collect();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    for key in &names[..5] {
        assert_eq!(
            server
                .send(put(&format!("/bucket/{key}")).body("x"))
                .await
                .status,
            200
        );
    }
    let answer = delete_many(&server, list(&names[..1000], false)).await;
    assert_eq!(
        (answer.status, answer.elements("Deleted").len()),
        (200, 1000)
    );
    assert!(server.send(get("/bucket")).await.elements("Key").is_empty());
    let refused = delete_many(&server, list(&names, false)).await;
    assert_eq!(refused.refusal(), (400, "MalformedXML".into()));
    let refused = delete_many(&server, "<Delete></Delete>".into()).await;
    assert_eq!(refused.status, 400);
}

#[tokio::test]
async fn a_key_that_cannot_be_is_an_error_of_its_own() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/a").body("x")).await.status, 200);
    let long = "k".repeat(1025);
    let answer = delete_many(&server, list(&[&long, "a"], false)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.elements("Code"), ["KeyTooLongError"]);
    assert_eq!(server.send(head("/bucket/a")).await.status, 404);
}

#[tokio::test]
async fn conditions_on_deletes() {
    let server = Server::with_bucket().await;
    let stored = server.send(put("/bucket/key").body("x")).await;
    let tag = stored.header("etag");
    let wrong = server
        .send(delete("/bucket/key").header("if-match", "\"other\""))
        .await;
    assert_eq!(wrong.refusal(), (412, "PreconditionFailed".into()));
    let unknown = server
        .send(delete("/bucket/key").header("if-none-match", "*"))
        .await;
    assert_eq!(unknown.refusal(), (501, "NotImplemented".into()));
    assert_eq!(server.send(head("/bucket/key")).await.status, 200);
    let right = server
        .send(delete("/bucket/key").header("if-match", tag))
        .await;
    assert_eq!(right.status, 204);
    let absent = server
        .send(delete("/bucket/key").header("if-match", tag))
        .await;
    assert_eq!(absent.refusal(), (404, "NoSuchKey".into()));
}

/// Behaviour row 30: one of many deletes of the same object succeeds, and makes the one delete marker.
#[tokio::test]
async fn a_conditional_delete_has_one_winner() {
    let server = Server::with_bucket().await;
    let bucket = server.index.bucket("bucket").await.unwrap().unwrap();
    let set = server.index.set_versioning(&bucket, Versioning::Enabled);
    set.await.unwrap();
    for condition in [None, Some("*")] {
        let stored = server.send(put("/bucket/key").body("x")).await;
        let tag = condition.unwrap_or(stored.header("etag"));
        let one = || server.send(delete("/bucket/key").header("if-match", tag));
        let all = futures::future::join_all((0..16).map(|_| one())).await;
        let mut statuses: Vec<u16> = all.iter().map(|answer| answer.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses[0], 204);
        assert!(
            statuses[1..].iter().all(|status| *status == 404),
            "{statuses:?}"
        );
    }
    let listed = server.send(get("/bucket").query("versions", "")).await;
    assert_eq!(listed.elements("DeleteMarker").len(), 2);
}

/// Behaviour row 30: of a version that is not there conditions on time and size hold.
#[tokio::test]
async fn conditions_on_time_and_size() {
    let server = Server::with_bucket().await;
    let bare = || delete("/bucket/key");
    let (time, size) = ("x-amz-if-match-last-modified-time", "x-amz-if-match-size");
    let stored = server.send(put("/bucket/key").body("12345")).await;
    let modified = server.send(head("/bucket/key")).await;
    let modified = modified.header("last-modified").to_owned();
    let long_ago = "Wed, 21 Oct 2015 07:28:00 GMT";
    for refused in [
        bare().header(size, "4"),
        bare().header(time, long_ago),
        bare().header(time, long_ago).header(size, "5"),
        bare().header(time, &modified).header("if-match", "\"no\""),
    ] {
        let answer = server.send(refused.clone()).await;
        assert_eq!(
            answer.refusal(),
            (412, "PreconditionFailed".into()),
            "{refused:?}"
        );
    }
    let negative = server.send(bare().header(size, "-1")).await;
    assert_eq!(negative.refusal(), (400, "InvalidArgument".into()));
    let object = |inside: &str| format!("<Delete><Object><Key>key</Key>{inside}</Object></Delete>");
    for inside in [
        "<Size>4</Size>".to_owned(),
        format!("<LastModifiedTime>{long_ago}</LastModifiedTime>"),
        "<ETag>no</ETag>".to_owned(),
    ] {
        let answer = delete_many(&server, object(&inside)).await;
        assert_eq!(answer.elements("Code"), ["PreconditionFailed"], "{inside}");
    }
    assert_eq!(server.send(head("/bucket/key")).await.status, 200);
    let all = bare()
        .header(size, "5")
        .header(time, &modified)
        .header("if-match", stored.header("etag"));
    assert_eq!(server.send(all.clone()).await.status, 204);
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
    for of_none in [bare().header(size, "5"), bare().header(time, &modified)] {
        assert_eq!(server.send(of_none).await.status, 204);
    }
    for of_one in [all, bare().header("if-match", "*")] {
        let absent = server.send(of_one).await;
        assert_eq!(absent.refusal(), (404, "NoSuchKey".into()));
    }
    let again = server.send(put("/bucket/key").body("12345")).await;
    let etag = again.header("etag").replace('"', "&quot;");
    let inside = format!("<ETag>{etag}</ETag><Size>5</Size>");
    let answer = delete_many(&server, object(&inside)).await;
    assert_eq!(answer.elements("Key"), ["key"], "{}", answer.text());
    assert_eq!(server.send(head("/bucket/key")).await.status, 404);
}

#[tokio::test]
async fn a_directory_marker_goes_alone() {
    let server = Server::with_bucket().await;
    for key in ["dir/", "dir/child"] {
        assert_eq!(
            server.send(put(&format!("/bucket/{key}"))).await.status,
            200
        );
    }
    assert_eq!(server.send(delete("/bucket/dir/")).await.status, 204);
    assert_eq!(
        server.send(get("/bucket")).await.elements("Key"),
        ["dir/child"]
    );
}

/// A body that is not the one that was signed for must delete nothing.
#[tokio::test]
async fn a_wrong_content_md5_deletes_nothing() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/a").body("x")).await.status, 200);
    let request = post("/bucket").query("delete", "");
    let wrong = request
        .header("content-md5", "JfnnlDI7RTiF9RgfG2JNCw==")
        .body(list(&["a"], false));
    assert_eq!(
        server.send(wrong).await.refusal(),
        (400, "BadDigest".into())
    );
    assert_eq!(server.send(head("/bucket/a")).await.status, 200);
}

/// Behaviour row 34: AWS takes no such list without a checksum, whatever its signature covers.
#[tokio::test]
async fn a_list_without_a_checksum_deletes_nothing() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/a").body("x")).await.status, 200);
    let bare = post("/bucket")
        .query("delete", "")
        .body(list(&["a"], false));
    let refused = server.send(bare.clone()).await;
    assert_eq!(refused.refusal(), (400, "InvalidRequest".into()));
    assert_eq!(
        refused.element("Message"),
        "Missing required header for this request: Content-MD5"
    );
    assert_eq!(server.send(head("/bucket/a")).await.status, 200);
    let crc = openssl::base64::encode_block(&crc32(list(&["a"], false).as_bytes()));
    let summed = server.send(bare.header("x-amz-checksum-crc32", &crc)).await;
    assert_eq!(summed.elements("Key"), ["a"], "{}", summed.text());
    assert_eq!(server.send(head("/bucket/a")).await.status, 404);
}

fn crc32(bytes: &[u8]) -> [u8; 4] {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
    }
    (!crc).to_be_bytes()
}

/// The elements of one object of a list, and what is answered for it.
#[tokio::test]
async fn versions_in_a_list() {
    let server = Server::with_bucket().await;
    let enabled = crate::versions::versioning("Enabled");
    assert_eq!(server.send(enabled).await.status, 200);
    for key in ["a", "b", "b"] {
        let stored = server.send(put(&format!("/bucket/{key}")).body("x")).await;
        assert_eq!(stored.status, 200);
    }
    let marked = delete_many(&server, list(&["a", "absent"], false)).await;
    assert_eq!(marked.elements("DeleteMarker"), ["true", "true"]);
    let markers = marked.elements("DeleteMarkerVersionId");
    assert_eq!(markers.len(), 2, "{}", marked.text());
    assert!(marked.elements("VersionId").is_empty());

    let shown = server.send(get("/bucket").query("versions", "").query("prefix", "b"));
    let old = shown.await.elements("VersionId");
    let objects = format!(
        "<Delete><Object><Key>a</Key><VersionId>{}</VersionId></Object>\
         <Object><Key>b</Key><VersionId>{}</VersionId></Object>\
         <Object><Key>b</Key><VersionId>made-up</VersionId></Object>\
         <Object><Key>b</Key><VersionId>null</VersionId></Object></Delete>",
        markers[0], old[1]
    );
    let answer = delete_many(&server, objects).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.elements("Deleted").len(), 3, "{}", answer.text());
    assert_eq!(answer.elements("DeleteMarker"), ["true"]);
    assert_eq!(answer.elements("DeleteMarkerVersionId"), markers[..1]);
    assert_eq!(
        answer.elements("VersionId"),
        [markers[0].as_str(), old[1].as_str(), "null", "made-up"]
    );
    assert_eq!(answer.elements("Code"), ["NoSuchVersion"]);
    assert_eq!(server.send(get("/bucket/a")).await.text(), "x");
    let left = server.send(get("/bucket").query("versions", "")).await;
    let ids = left.elements("VersionId");
    assert_eq!(ids.len(), 3, "{}", left.text());
    assert!(ids.contains(&old[0]) && ids.contains(&markers[1]));
}
