use crate::harness::*;

fn list(keys: &[&str], quiet: bool) -> String {
    let objects: String = keys
        .iter()
        .map(|key| format!("<Object><Key>{key}</Key></Object>"))
        .collect();
    format!("<Delete>{objects}<Quiet>{quiet}</Quiet></Delete>")
}

async fn delete_many(server: &Server, body: String) -> Answer {
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
    assert_eq!(server.send(head("/bucket/key")).await.status, 200);
    let right = server
        .send(delete("/bucket/key").header("if-match", tag))
        .await;
    assert_eq!(right.status, 204);
    let absent = server
        .send(delete("/bucket/key").header("if-match", tag))
        .await;
    assert_eq!(absent.status, 204);
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
