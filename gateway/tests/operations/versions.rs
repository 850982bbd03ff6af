//! Versioning: its configuration, delete markers, and the list of versions.

use crate::harness::*;

pub fn versioning(status: &str) -> Request {
    put("/bucket").query("versioning", "").body(format!(
        "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
         <Status>{status}</Status></VersioningConfiguration>"
    ))
}

async fn set(server: &Server, status: &str) {
    assert_eq!(server.send(versioning(status)).await.status, 200);
}

async fn with_versions() -> Server {
    let server = Server::with_bucket().await;
    set(&server, "Enabled").await;
    server
}

async fn store(server: &Server, key: &str, body: &str) -> String {
    let stored = server.send(put(&format!("/bucket/{key}")).body(body.to_owned()));
    let stored = stored.await;
    assert_eq!(stored.status, 200);
    stored.header("etag").trim_matches('"').to_owned()
}

/// An entry of a list of versions, as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    key: String,
    version: String,
    latest: bool,
    /// None for a delete marker.
    etag: Option<String>,
}

fn within<'a>(text: &'a str, name: &str) -> &'a str {
    let rest = text.split_once(&format!("<{name}>")).unwrap().1;
    rest.split_once(&format!("</{name}>")).unwrap().0
}

/// The entries of a page in the order of its text.
fn entries(page: &Answer) -> Vec<Entry> {
    let text = page.text();
    let mut found: Vec<(usize, Entry)> = Vec::new();
    for name in ["Version", "DeleteMarker"] {
        for (start, _) in text.match_indices(&format!("<{name}>")) {
            let element = within(&text[start..], name);
            let etag = element.contains("<ETag>").then(|| within(element, "ETag"));
            assert_eq!(etag.is_some(), name == "Version");
            let entry = Entry {
                key: within(element, "Key").to_owned(),
                version: within(element, "VersionId").to_owned(),
                latest: within(element, "IsLatest") == "true",
                etag: etag.map(|etag| etag.replace("&quot;", "").replace('"', "")),
            };
            assert!(element.contains("<LastModified>") && element.contains("<ID>ann-id</ID>"));
            found.push((start, entry));
        }
    }
    found.sort_by_key(|(start, _)| *start);
    found.into_iter().map(|(_, entry)| entry).collect()
}

fn versions() -> Request {
    get("/bucket").query("versions", "")
}

/// All pages of the list, of `size` entries each.
async fn walk(server: &Server, size: usize) -> Vec<Entry> {
    let (mut all, mut markers) = (Vec::new(), (String::new(), String::new()));
    for _ in 0..500 {
        let mut asked = versions().query("max-keys", size);
        if !markers.0.is_empty() {
            asked = asked
                .query("key-marker", &markers.0)
                .query("version-id-marker", &markers.1);
        }
        let page = server.send(asked).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let found = entries(&page);
        assert!(found.len() <= size);
        all.extend(found);
        if page.element("IsTruncated") == "false" {
            assert_eq!(page.element("NextKeyMarker"), "");
            return all;
        }
        let next = (
            page.element("NextKeyMarker"),
            page.element("NextVersionIdMarker"),
        );
        assert_ne!(next, markers, "the markers must advance");
        markers = next;
    }
    panic!("the list does not end");
}

#[tokio::test]
async fn the_configuration_of_versioning() {
    let server = Server::with_bucket().await;
    let state = async || {
        let shown = server.send(get("/bucket").query("versioning", "")).await;
        assert_eq!(shown.status, 200);
        shown.element("Status")
    };
    assert_eq!(state().await, "");
    for status in ["Enabled", "Suspended", "Enabled"] {
        set(&server, status).await;
        assert_eq!(state().await, status);
    }
    let body = |inside: &str| {
        put("/bucket").query("versioning", "").body(format!(
            "<VersioningConfiguration>{inside}</VersioningConfiguration>"
        ))
    };
    let enabled = "<Status>Suspended</Status>";
    for (asked, status, code) in [
        (versioning("suspended"), 400, "MalformedXML"),
        (versioning(""), 400, "MalformedXML"),
        (body(""), 400, "IllegalVersioningConfigurationException"),
        (body("<Status>"), 400, "MalformedXML"),
        (
            body(&format!("{enabled}<MfaDelete>Enabled</MfaDelete>")),
            501,
            "NotImplemented",
        ),
        (
            body(&format!("{enabled}<MfaDelete>maybe</MfaDelete>")),
            400,
            "MalformedXML",
        ),
        (versioning("Suspended").by(Who::Bob), 403, "AccessDenied"),
        (
            versioning("Suspended").header("x-amz-expected-bucket-owner", "bob-id"),
            403,
            "AccessDenied",
        ),
    ] {
        let refused = server.send(asked.clone()).await;
        assert_eq!(refused.refusal(), (status, code.into()), "{asked:?}");
        assert_eq!(state().await, "Enabled", "{asked:?}");
    }
    let plain = body(&format!("{enabled}<MfaDelete>Disabled</MfaDelete>"));
    assert_eq!(server.send(plain).await.status, 200);
    assert_eq!(state().await, "Suspended");
    let absent = put("/absent")
        .query("versioning", "")
        .body("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>");
    assert_eq!(
        server.send(absent).await.refusal(),
        (404, "NoSuchBucket".into())
    );
}

/// Clients that read the list as it comes take the first entry of a key for its newest.
#[tokio::test]
async fn versions_and_markers_stand_in_one_order() {
    let server = with_versions().await;
    let first = store(&server, "a", "1").await;
    let second = store(&server, "a", "2").await;
    let deleted = server.send(delete("/bucket/a")).await;
    assert_eq!(deleted.header("x-amz-delete-marker"), "true");
    let marker = deleted.header("x-amz-version-id").to_owned();
    let third = store(&server, "a", "3").await;
    let other = store(&server, "b", "4").await;

    let listed = walk(&server, 1000).await;
    let told: Vec<(&str, bool, Option<&str>)> = listed
        .iter()
        .map(|entry| (entry.key.as_str(), entry.latest, entry.etag.as_deref()))
        .collect();
    assert_eq!(
        told,
        [
            ("a", true, Some(third.as_str())),
            ("a", false, None),
            ("a", false, Some(second.as_str())),
            ("a", false, Some(first.as_str())),
            ("b", true, Some(other.as_str())),
        ]
    );
    assert_eq!(listed[1].version, marker);
    for size in 1..=6 {
        assert_eq!(walk(&server, size).await, listed, "{size}");
    }
    let page = server.send(versions()).await;
    let all = [
        ("Name", "bucket"),
        ("MaxKeys", "1000"),
        ("IsTruncated", "false"),
        ("StorageClass", "STANDARD"),
        ("Size", "1"),
    ];
    for (name, value) in all {
        assert_eq!(page.element(name), value, "{name}");
    }
    for name in ["Prefix", "KeyMarker", "VersionIdMarker"] {
        assert_eq!(page.elements(name), [""], "{name}: {}", page.text());
    }
}

#[tokio::test]
async fn prefixes_delimiters_and_encoding_of_versions() {
    let server = with_versions().await;
    for key in ["a b", "dir/1", "dir/1", "dir/2", "z"] {
        store(&server, key, "x").await;
    }
    let page = server.send(versions().query("delimiter", "/")).await;
    let keys: Vec<String> = entries(&page).into_iter().map(|own| own.key).collect();
    assert_eq!(keys, ["a b", "z"]);
    assert!(
        page.text()
            .contains("<CommonPrefixes><Prefix>dir/</Prefix></CommonPrefixes>")
    );
    let page = server.send(versions().query("prefix", "dir/")).await;
    assert_eq!(page.elements("Version").len(), 3);
    let page = server.send(versions().query("encoding-type", "url")).await;
    assert_eq!(
        (entries(&page)[0].key.as_str(), page.element("EncodingType")),
        ("a%20b", "url".into())
    );
    let one = versions().query("delimiter", "/").query("max-keys", 2);
    let page = server.send(one.clone()).await;
    assert_eq!(page.element("NextKeyMarker"), "dir/");
    assert_eq!(page.element("NextVersionIdMarker"), "");
    let page = server.send(one.query("key-marker", "dir/")).await;
    let keys: Vec<String> = entries(&page).into_iter().map(|own| own.key).collect();
    assert_eq!(keys, ["z"]);
    let none = server.send(versions().query("max-keys", 0)).await;
    assert_eq!(
        (none.status, none.element("IsTruncated")),
        (200, "false".into())
    );
}

#[tokio::test]
async fn markers_of_a_list_that_cannot_be() {
    let server = with_versions().await;
    store(&server, "a", "1").await;
    let alone = server
        .send(versions().query("version-id-marker", "null"))
        .await;
    assert_eq!(alone.refusal(), (400, "InvalidArgument".into()));
    assert_eq!(
        alone.element("Message"),
        "A version-id marker cannot be specified without a key marker."
    );
    let made_up = versions()
        .query("key-marker", "a")
        .query("version-id-marker", "made-up");
    assert_eq!(
        server.send(made_up).await.refusal(),
        (400, "InvalidArgument".into())
    );
    for asked in [
        versions().query("max-keys", -1),
        versions().query("max-keys", "many"),
        versions().query("encoding-type", "base64"),
    ] {
        assert_eq!(
            server.send(asked).await.refusal(),
            (400, "InvalidArgument".into())
        );
    }
    let bobs = server.send(versions().by(Who::Bob)).await;
    assert_eq!(bobs.refusal(), (403, "AccessDenied".into()));
    let empty = versions()
        .query("key-marker", "a")
        .query("version-id-marker", "");
    assert_eq!(server.send(empty).await.status, 200);
}

#[tokio::test]
async fn a_marker_hides_and_its_removal_shows_again() {
    let server = with_versions().await;
    store(&server, "key", "first").await;
    store(&server, "key", "second").await;
    let made = server.send(delete("/bucket/key")).await;
    assert_eq!(
        (made.status, made.header("x-amz-delete-marker")),
        (204, "true")
    );
    let hidden = server.send(get("/bucket/key")).await;
    assert_eq!(hidden.refusal(), (404, "NoSuchKey".into()));
    assert!(server.send(get("/bucket")).await.elements("Key").is_empty());

    let marker = made.header("x-amz-version-id");
    let removed = server
        .send(delete("/bucket/key").query("versionId", marker))
        .await;
    assert_eq!(removed.status, 204);
    assert_eq!(removed.header("x-amz-delete-marker"), "true");
    assert_eq!(removed.header("x-amz-version-id"), marker);
    assert_eq!(server.send(get("/bucket/key")).await.text(), "second");

    let newest = walk(&server, 10).await[0].version.clone();
    let removed = server
        .send(delete("/bucket/key").query("versionId", &newest))
        .await;
    assert_eq!(removed.header("x-amz-delete-marker"), "");
    assert_eq!(removed.header("x-amz-version-id"), newest);
    assert_eq!(server.send(get("/bucket/key")).await.text(), "first");
    // A second time there is nothing to do, and the answer is the same.
    let again = server
        .send(delete("/bucket/key").query("versionId", &newest))
        .await;
    assert_eq!(
        (again.status, again.header("x-amz-version-id")),
        (204, newest.as_str())
    );
    let wrong = server
        .send(delete("/bucket/key").query("versionId", "made-up"))
        .await;
    assert_eq!(wrong.refusal(), (400, "InvalidArgument".into()));
    assert_eq!(server.send(get("/bucket/key")).await.text(), "first");
}

/// What was there before versioning, and what is written while it is suspended, is one null version.
#[tokio::test]
async fn the_null_version() {
    let server = Server::with_bucket().await;
    store(&server, "key", "before").await;
    assert_eq!(walk(&server, 10).await[0].version, "null");
    let plain = server.send(delete("/bucket/absent")).await;
    assert_eq!((plain.status, plain.header("x-amz-version-id")), (204, ""));
    set(&server, "Enabled").await;
    let kept = store(&server, "key", "kept").await;
    set(&server, "Suspended").await;
    let after = store(&server, "key", "after").await;
    let listed = walk(&server, 1).await;
    assert_eq!(listed.len(), 2, "{listed:?}");
    assert_eq!(
        (&listed[0].version, &listed[0].etag),
        (&"null".to_owned(), &Some(after))
    );
    assert_eq!(listed[1].etag, Some(kept));

    // A delete while suspended puts a null marker in the place of the null version.
    let deleted = server.send(delete("/bucket/key")).await;
    assert_eq!(deleted.header("x-amz-delete-marker"), "true");
    assert_eq!(deleted.header("x-amz-version-id"), "null");
    let listed = walk(&server, 1).await;
    assert_eq!((listed.len(), &listed[0].etag), (2, &None), "{listed:?}");
    let removed = server
        .send(delete("/bucket/key").query("versionId", "null"))
        .await;
    assert_eq!(removed.header("x-amz-delete-marker"), "true");
    assert_eq!(removed.header("x-amz-version-id"), "null");
    assert_eq!(server.send(get("/bucket/key")).await.text(), "kept");
}

#[tokio::test]
async fn a_bucket_with_nothing_but_delete_markers_stays() {
    let server = with_versions().await;
    assert_eq!(server.send(delete("/bucket/absent")).await.status, 204);
    assert_eq!(
        server.send(delete("/bucket")).await.refusal(),
        (409, "BucketNotEmpty".into())
    );
    let marker = walk(&server, 10).await[0].version.clone();
    let removed = server
        .send(delete("/bucket/absent").query("versionId", marker))
        .await;
    assert_eq!(removed.status, 204);
    assert_eq!(server.send(delete("/bucket")).await.status, 204);
}

/// Behaviour rows 19 and 22: a list of keys sees no delete marker, however many there are, and gives no
/// prefix for them.
#[tokio::test]
async fn delete_markers_are_in_no_list_of_keys() {
    let server = with_versions().await;
    for n in 0..30 {
        store(&server, &format!("gone/{n:02}"), "x").await;
        let deleted = server.send(delete(&format!("/bucket/gone/{n:02}"))).await;
        assert_eq!(deleted.status, 204);
    }
    store(&server, "kept", "x").await;
    let asked = get("/bucket").query("list-type", 2).query("max-keys", 2);
    let page = server.send(asked.clone()).await;
    assert_eq!(page.elements("Key"), ["kept"]);
    assert_eq!(
        (page.element("KeyCount"), page.element("IsTruncated")),
        ("1".into(), "false".into())
    );
    let page = server.send(asked.query("delimiter", "/")).await;
    assert!(page.elements("CommonPrefixes").is_empty());
    let page = server.send(versions().query("delimiter", "/")).await;
    assert_eq!(page.elements("CommonPrefixes").len(), 1);
}

/// Random writes, deletes and changes of the configuration, against a list kept beside.
#[tokio::test]
async fn the_list_of_versions_is_what_was_written() {
    let server = Server::with_bucket().await;
    let keys = ["a", "a/b", "b"];
    // By key, the newest first: the ETag, none for a marker, and whether it is the null version.
    let mut model: Vec<Vec<(Option<String>, bool)>> = vec![Vec::new(); keys.len()];
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut versioning = "";
    for step in 0..400 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let which = (state >> 8) as usize % keys.len();
        let path = format!("/bucket/{}", keys[which]);
        let own = &mut model[which];
        let null = versioning != "Enabled";
        match state % 16 {
            0 => {
                versioning = if (state >> 16).is_multiple_of(2) {
                    "Enabled"
                } else {
                    "Suspended"
                };
                set(&server, versioning).await;
            }
            1..=7 => {
                let etag = store(&server, keys[which], &format!("body {step}")).await;
                own.retain(|(_, is_null)| !(null && *is_null));
                own.insert(0, (Some(etag), null));
            }
            8..=11 => {
                assert_eq!(server.send(delete(&path)).await.status, 204);
                own.retain(|(_, is_null)| !(null && *is_null));
                if !versioning.is_empty() {
                    own.insert(0, (None, null));
                }
            }
            _ if !own.is_empty() => {
                let at = (state >> 24) as usize % own.len();
                let listed = walk(&server, 1000).await;
                let of_key: Vec<&Entry> = listed
                    .iter()
                    .filter(|entry| entry.key == keys[which])
                    .collect();
                let gone = delete(&path).query("versionId", &of_key[at].version);
                assert_eq!(server.send(gone).await.status, 204);
                own.remove(at);
            }
            _ => {}
        }
        if step % 10 == 0 {
            agrees(&server, &keys, &model, 1 + (state >> 32) as usize % 7).await;
        }
    }
    assert!(model.iter().any(|versions| versions.len() > 3));
    agrees(&server, &keys, &model, 1000).await;
}

async fn agrees(
    server: &Server,
    keys: &[&str],
    model: &[Vec<(Option<String>, bool)>],
    size: usize,
) {
    let listed = walk(server, size).await;
    let shown: Vec<(&str, bool, bool, Option<&str>)> = listed
        .iter()
        .map(|entry| {
            let null = entry.version == "null";
            (
                entry.key.as_str(),
                entry.latest,
                null,
                entry.etag.as_deref(),
            )
        })
        .collect();
    let mut expected = Vec::new();
    for (key, versions) in keys.iter().zip(model) {
        for (at, (etag, null)) in versions.iter().enumerate() {
            expected.push((*key, at == 0, *null, etag.as_deref()));
        }
    }
    assert_eq!(shown, expected);
    for (key, versions) in keys.iter().zip(model) {
        let current = server.send(head(&format!("/bucket/{key}"))).await;
        let etag = versions.first().and_then(|(etag, _)| etag.clone());
        match etag {
            Some(etag) => assert_eq!(current.header("etag"), format!("\"{etag}\"")),
            None => assert_eq!(current.status, 404),
        }
    }
}
