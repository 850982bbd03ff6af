use crate::harness::*;

const KEYS: [&str; 9] = [
    "a/1",
    "a/2",
    "a/b/3",
    "a b",
    "a+b",
    "photos/",
    "photos/x.jpg",
    "test/y",
    "test.txt",
];

async fn filled() -> Server {
    let server = Server::with_bucket().await;
    for key in KEYS {
        let body = format!("body of {key}");
        assert_eq!(
            server
                .send(put(&format!("/bucket/{key}")).body(body))
                .await
                .status,
            200
        );
    }
    server
}

fn sorted(keys: &[&str]) -> Vec<String> {
    let mut keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    keys.sort();
    keys
}

fn v2() -> Request {
    get("/bucket").query("list-type", 2)
}

#[tokio::test]
async fn all_keys_in_byte_order() {
    let server = filled().await;
    for asked in [v2(), get("/bucket"), get("/bucket/")] {
        let page = server.send(asked).await;
        assert_eq!(page.elements("Key"), sorted(&KEYS));
        assert_eq!(page.element("IsTruncated"), "false");
        assert_eq!(page.element("MaxKeys"), "1000");
        assert_eq!(page.element("Name"), "bucket");
    }
    let page = server.send(v2()).await;
    assert_eq!(page.element("KeyCount"), "9");
    let first = format!("body of {}", sorted(&KEYS)[0]);
    assert_eq!(page.elements("Size")[0], first.len().to_string());
    assert!(
        page.text()
            .contains(etag(first.as_bytes()).trim_matches('"'))
    );
}

#[tokio::test]
async fn prefixes_and_delimiters() {
    let server = filled().await;
    let page = server.send(v2().query("delimiter", "/")).await;
    assert_eq!(page.elements("Key"), sorted(&["a b", "a+b", "test.txt"]));
    let prefixes = |page: &Answer| {
        let groups = page.elements("CommonPrefixes");
        let inner = |group: String| group.replace("<Prefix>", "").replace("</Prefix>", "");
        groups.into_iter().map(inner).collect::<Vec<_>>()
    };
    assert_eq!(prefixes(&page), ["a/", "photos/", "test/"]);
    assert_eq!(page.element("KeyCount"), "6");
    let page = server
        .send(v2().query("delimiter", "/").query("prefix", "a/"))
        .await;
    assert_eq!(page.elements("Key"), ["a/1", "a/2"]);
    assert_eq!(prefixes(&page), ["a/b/"]);
    let page = server
        .send(v2().query("delimiter", "/").query("prefix", "photos/"))
        .await;
    assert_eq!(page.elements("Key"), ["photos/", "photos/x.jpg"]);
    let page = server.send(v2().query("prefix", "absent")).await;
    assert_eq!(
        (page.status, page.element("KeyCount")),
        (200, "0".to_owned())
    );
}

/// Walks all pages; every page must go on where the one before ended.
async fn walk(server: &Server, asked: Request, size: usize) -> Vec<String> {
    let mut seen = Vec::new();
    let mut token = None;
    for _ in 0..100 {
        let mut asked = asked.clone().query("max-keys", size);
        if let Some(token) = &token {
            asked = asked
                .query("continuation-token", token)
                .query("start-after", "zzz");
        }
        let page = server.send(asked).await;
        let mut names = page.elements("Key");
        names.extend(page.elements("CommonPrefixes"));
        assert!(names.len() <= size);
        assert_eq!(page.element("KeyCount"), names.len().to_string());
        names.sort();
        seen.extend(names);
        if page.element("IsTruncated") == "false" {
            assert_eq!(page.element("NextContinuationToken"), "");
            return seen;
        }
        let next = page.element("NextContinuationToken");
        assert!(
            token.replace(next.clone()) != Some(next),
            "the token must advance"
        );
    }
    panic!("the list does not end: {seen:?}");
}

#[tokio::test]
async fn pages_are_the_whole_list() {
    let server = filled().await;
    for size in 1..=10 {
        assert_eq!(walk(&server, v2(), size).await, sorted(&KEYS), "{size}");
        let mut grouped = walk(&server, v2().query("delimiter", "/"), size).await;
        grouped.sort();
        let expected = [
            "<Prefix>a/</Prefix>",
            "<Prefix>photos/</Prefix>",
            "<Prefix>test/</Prefix>",
            "a b",
            "a+b",
            "test.txt",
        ];
        assert_eq!(grouped, expected, "{size}");
    }
}

#[tokio::test]
async fn the_first_version_pages_by_marker() {
    let server = filled().await;
    let (mut marker, mut seen) = (String::new(), Vec::new());
    for _ in 0..20 {
        let asked = get("/bucket").query("max-keys", 2).query("delimiter", "/");
        let page = server.send(asked.query("marker", &marker)).await;
        assert_eq!(page.element("Marker"), marker);
        seen.extend(page.elements("Key"));
        seen.extend(page.elements("CommonPrefixes"));
        marker = page.element("NextMarker");
        if page.element("IsTruncated") == "false" {
            break;
        }
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
    let after = server.send(get("/bucket").query("marker", "photos/")).await;
    assert_eq!(
        after.elements("Key"),
        sorted(&["photos/x.jpg", "test.txt", "test/y"])
    );
    assert!(after.elements("ID").iter().all(|id| id == "ann-id"));
}

#[tokio::test]
async fn start_after_counts_without_a_token() {
    let server = filled().await;
    let page = server.send(v2().query("start-after", "photos/")).await;
    assert_eq!(
        page.elements("Key"),
        sorted(&["photos/x.jpg", "test.txt", "test/y"])
    );
    assert_eq!(page.element("StartAfter"), "photos/");
}

#[tokio::test]
async fn url_encoding_and_owners() {
    let server = filled().await;
    let asked = v2()
        .query("encoding-type", "url")
        .query("prefix", "a")
        .query("fetch-owner", true);
    let page = server.send(asked).await;
    assert_eq!(
        page.elements("Key"),
        ["a%20b", "a%2Bb", "a/1", "a/2", "a/b/3"]
    );
    assert_eq!(page.element("EncodingType"), "url");
    assert_eq!(page.elements("ID"), vec!["ann-id"; 5]);
    assert!(server.send(v2()).await.elements("ID").is_empty());
}

#[tokio::test]
async fn arguments_out_of_bounds() {
    let server = filled().await;
    let none = server.send(v2().query("max-keys", 0)).await;
    assert_eq!(
        (none.element("KeyCount"), none.element("IsTruncated")),
        ("0".into(), "false".into())
    );
    let many = server.send(v2().query("max-keys", 5000)).await;
    assert_eq!(many.element("MaxKeys"), "1000");
    for asked in [
        v2().query("max-keys", -1),
        v2().query("max-keys", "many"),
        v2().query("encoding-type", "base64"),
        v2().query("continuation-token", "made/up"),
    ] {
        assert_eq!(
            server.send(asked).await.refusal(),
            (400, "InvalidArgument".into())
        );
    }
}

/// Behaviour row 24. S3 writes what XML 1.0 cannot hold as a reference, and clients who want to read it ask
/// for encoding-type=url.
#[tokio::test]
async fn keys_that_xml_cannot_hold() {
    let server = Server::with_bucket().await;
    let enabled = crate::versions::versioning("Enabled");
    assert_eq!(server.send(enabled).await.status, 200);
    let key = "a\u{1}b\rc\td/&<>";
    assert_eq!(
        server.send(put(&format!("/bucket/{key}"))).await.status,
        200
    );
    let uploads = get("/bucket").query("uploads", "");
    let started = post(&format!("/bucket/{key}")).query("uploads", "");
    assert_eq!(server.send(started).await.status, 200);
    let escaped = "a&#x1;b&#xd;c&#x9;d/";
    for list in [
        v2(),
        get("/bucket"),
        uploads,
        get("/bucket").query("versions", ""),
    ] {
        let plain = server.send(list.clone()).await;
        assert_eq!(plain.elements("Key"), [format!("{escaped}&amp;&lt;&gt;")]);
        assert!(!plain.bytes().iter().any(u8::is_ascii_control));
        let grouped = list.query("delimiter", "/");
        let plain = server.send(grouped.clone()).await;
        let group = format!("<Prefix>{escaped}</Prefix>");
        assert_eq!(plain.elements("CommonPrefixes"), [group]);
        let url = server.send(grouped.query("encoding-type", "url")).await;
        let group = "<Prefix>a%01b%0Dc%09d/</Prefix>";
        assert_eq!(url.elements("CommonPrefixes"), [group]);
    }
}

/// Every field that holds a key or a piece of one is encoded; a token is not.
#[tokio::test]
async fn url_encoding_of_every_field() {
    let server = Server::with_bucket().await;
    for key in ["p q/a b!ü", "p q/c d!1", "p q/e f"] {
        assert_eq!(
            server.send(put(&format!("/bucket/{key}"))).await.status,
            200
        );
    }
    let encoded = |list: Request| {
        list.query("encoding-type", "url")
            .query("prefix", "p q/")
            .query("delimiter", "!ü")
            .query("max-keys", 1)
    };
    let page = server.send(encoded(v2()).query("start-after", "p q")).await;
    for (name, value) in [
        ("StartAfter", "p%20q"),
        ("Delimiter", "%21%C3%BC"),
        ("EncodingType", "url"),
    ] {
        assert_eq!(page.element(name), value, "{}", page.text());
    }
    let prefixes = ["p%20q/", "p%20q/a%20b%21%C3%BC"];
    assert!(prefixes.iter().all(|prefix| {
        let shown = format!("<Prefix>{prefix}</Prefix>");
        page.text().contains(&shown)
    }));
    let page = encoded(get("/bucket")).query("marker", "p q/a b!ü");
    let page = server.send(page).await;
    assert_eq!(page.element("Marker"), "p%20q/a%20b%21%C3%BC");
    assert_eq!(page.elements("Key"), ["p%20q/c%20d%211"]);
    assert_eq!(page.element("NextMarker"), "p%20q/c%20d%211");
    let page = encoded(get("/bucket").query("versions", ""));
    let page = server.send(page.query("key-marker", "p q/a b!ü")).await;
    assert_eq!(page.element("KeyMarker"), "p%20q/a%20b%21%C3%BC");
    assert_eq!(page.element("NextKeyMarker"), "p%20q/c%20d%211");
}

/// Behaviour rows 17 and 18.
#[tokio::test]
async fn a_page_is_of_a_thousand_keys_at_most() {
    let server = Server::with_bucket().await;
    for n in 0..1002 {
        let key = format!("/bucket/key-{n:04}");
        assert_eq!(server.send(put(&key)).await.status, 200);
    }
    for asked in [v2(), v2().query("max-keys", 1001)] {
        let page = server.send(asked).await;
        assert_eq!(page.elements("Key").len(), 1000);
        assert_eq!(page.element("MaxKeys"), "1000");
        assert_eq!(page.element("KeyCount"), "1000");
        assert_eq!(page.element("IsTruncated"), "true");
        assert!(page.elements("NextMarker").is_empty());
        let token = page.element("NextContinuationToken");
        let rest = v2()
            .query("continuation-token", &token)
            .query("start-after", "a");
        let rest = server.send(rest).await;
        assert_eq!(rest.elements("Key"), ["key-1000", "key-1001"]);
        assert_eq!(rest.element("ContinuationToken"), token);
    }
    let first = server.send(get("/bucket").query("max-keys", 1001)).await;
    assert_eq!(first.elements("Key").len(), 1000);
    assert_eq!(first.element("IsTruncated"), "true");
    // Without a delimiter the first version's next marker is the last key.
    assert!(first.elements("NextMarker").is_empty());
    assert!(first.elements("KeyCount").is_empty());
}

#[tokio::test]
async fn a_list_tells_of_checksums() {
    let server = Server::with_bucket().await;
    let stored = put("/bucket/key")
        .body("hello")
        .header("x-amz-checksum-crc32", "NhCmhg==");
    assert_eq!(server.send(stored).await.status, 200);
    for list in [v2(), get("/bucket"), get("/bucket").query("versions", "")] {
        let page = server.send(list).await;
        assert_eq!(page.elements("ChecksumAlgorithm"), ["CRC32"]);
        assert_eq!(page.elements("ChecksumType"), ["FULL_OBJECT"]);
    }
}
