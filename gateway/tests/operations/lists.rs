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
