//! Versions and delete markers as readers see them.

use crate::harness::*;

async fn set(server: &Server, status: &str) {
    let body =
        format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
    let set = put("/bucket").query("versioning", "").body(body);
    assert_eq!(server.send(set).await.status, 200);
}

/// The current version's id, as a reader sees it.
async fn current(server: &Server) -> String {
    let answer = server.send(head("/bucket/key")).await;
    answer.header("x-amz-version-id").to_owned()
}

fn of(request: Request, version: &str) -> Request {
    request.query("versionId", version)
}

#[tokio::test]
async fn a_bucket_without_versioning_shows_no_ids() {
    let server = Server::with_bucket().await;
    server.send(put("/bucket/key").body("x")).await;
    assert_eq!(current(&server).await, "");
    let read = server.send(of(get("/bucket/key"), "null")).await;
    assert_eq!((read.status, read.text()), (200, "x".into()));
    let absent = server.send(get("/bucket/absent")).await;
    assert_eq!(absent.header("x-amz-delete-marker"), "");
}

#[tokio::test]
async fn every_version_is_read_by_its_id() {
    let server = Server::with_bucket().await;
    server.send(put("/bucket/key").body("null")).await;
    set(&server, "Enabled").await;
    let mut kept = vec![("null".to_owned(), "null".to_owned())];
    for text in ["one", "two"] {
        server.send(put("/bucket/key").body(text)).await;
        kept.push((current(&server).await, text.to_owned()));
    }
    let (newest, _) = kept.last().unwrap().clone();
    let plain = server.send(get("/bucket/key")).await;
    assert_eq!(
        (plain.text(), plain.header("x-amz-version-id")),
        ("two".into(), newest.as_str())
    );
    for (id, text) in &kept {
        let read = server.send(of(get("/bucket/key"), id)).await;
        assert_eq!(
            (read.text(), read.header("x-amz-version-id")),
            (text.clone(), id.as_str())
        );
        let asked = server.send(of(head("/bucket/key"), id)).await;
        assert_eq!(asked.header("content-length"), text.len().to_string());
        let told = of(get("/bucket/key").query("attributes", ""), id);
        let told = server
            .send(told.header("x-amz-object-attributes", "ObjectSize"))
            .await;
        assert_eq!(told.element("ObjectSize"), text.len().to_string());
        assert_eq!(told.header("x-amz-version-id"), id);
        let unchanged = of(get("/bucket/key"), id).header("if-none-match", "*");
        let unchanged = server.send(unchanged).await;
        assert_eq!(
            (unchanged.status, unchanged.header("x-amz-version-id")),
            (304, id.as_str())
        );
    }
    let mut other = newest.clone();
    let last = other.pop().unwrap();
    other.push(if last == '0' { '1' } else { '0' });
    for asked in [get("/bucket/key"), get("/bucket/absent")] {
        let missing = server.send(of(asked, &other)).await;
        assert_eq!(missing.refusal(), (404, "NoSuchVersion".into()));
    }
    assert_eq!(
        server.send(of(head("/bucket/key"), &other)).await.status,
        404
    );
    let malformed = server.send(of(get("/bucket/key"), "rubbish")).await;
    assert_eq!(malformed.refusal(), (400, "InvalidArgument".into()));
}

#[tokio::test]
async fn delete_markers_tell_of_themselves() {
    let server = Server::with_bucket().await;
    set(&server, "Enabled").await;
    server.send(put("/bucket/key").body("x")).await;
    server.send(put("/bucket/key/below").body("y")).await;
    let version = current(&server).await;
    let deleted = server.send(delete("/bucket/key")).await;
    let marker = deleted.header("x-amz-version-id").to_owned();
    for asked in [get("/bucket/key"), head("/bucket/key")] {
        let hidden = server.send(asked.clone()).await;
        assert_eq!(hidden.status, 404);
        assert_eq!(hidden.header("x-amz-delete-marker"), "true");
        assert_eq!(hidden.header("x-amz-version-id"), marker);
        let named = server.send(of(asked.clone(), &marker)).await;
        assert_eq!(named.status, 405);
        assert_eq!(named.header("x-amz-delete-marker"), "true");
        assert_eq!(named.header("allow"), "DELETE");
        assert!(named.header("last-modified").ends_with("GMT"));
        let older = server.send(of(asked, &version)).await;
        assert_eq!(
            (older.status, older.header("x-amz-delete-marker")),
            (200, "")
        );
    }
    let told = get("/bucket/key")
        .query("attributes", "")
        .header("x-amz-object-attributes", "ETag");
    assert_eq!(
        server.send(told.clone()).await.refusal(),
        (404, "NoSuchKey".into())
    );
    let named = server.send(of(told, &marker)).await;
    assert_eq!(named.refusal(), (405, "MethodNotAllowed".into()));
    // A key that begins like one with a marker has none itself.
    let absent = server.send(get("/bucket/ke")).await;
    assert_eq!(
        (absent.status, absent.header("x-amz-delete-marker")),
        (404, "")
    );
    // A condition on what is hidden does not matter.
    let none = server
        .send(get("/bucket/key").header("if-match", "\"x\""))
        .await;
    assert_eq!(none.refusal(), (404, "NoSuchKey".into()));
}
