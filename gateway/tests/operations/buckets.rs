use crate::harness::*;

#[tokio::test]
async fn a_bucket_is_made_listed_and_removed() {
    let server = Server::new();
    let made = server.send(put("/bucket")).await;
    assert_eq!((made.status, made.header("location")), (200, "/bucket"));
    assert_eq!(server.send(put("/another.one")).await.status, 200);

    let listed = server.send(get("/")).await;
    assert_eq!(listed.elements("Name"), ["another.one", "bucket"]);
    assert_eq!(listed.element("ID"), "ann-id");
    let found = server.send(head("/bucket")).await;
    assert_eq!(
        (found.status, found.header("x-amz-bucket-region")),
        (200, REGION)
    );
    let place = server.send(get("/bucket").query("location", "")).await;
    assert!(place.text().contains(REGION), "{}", place.text());

    assert_eq!(server.send(delete("/bucket")).await.status, 204);
    assert_eq!(server.send(head("/bucket")).await.status, 404);
    assert_eq!(server.send(head("/bucket/")).await.status, 404);
    assert_eq!(
        server.send(delete("/bucket")).await.refusal(),
        (404, "NoSuchBucket".into())
    );
    assert_eq!(
        server.send(get("/")).await.elements("Name"),
        ["another.one"]
    );
}

#[tokio::test]
async fn pages_of_buckets() {
    let server = Server::new();
    for name in ["aaa", "bbb", "bbc", "ccc"] {
        assert_eq!(server.send(put(&format!("/{name}"))).await.status, 200);
    }
    let first = server.send(get("/").query("max-buckets", 3)).await;
    assert_eq!(first.elements("Name"), ["aaa", "bbb", "bbc"]);
    let token = first.element("ContinuationToken");
    let second = server.send(
        get("/")
            .query("max-buckets", 3)
            .query("continuation-token", token),
    );
    let second = second.await;
    assert_eq!(second.elements("Name"), ["ccc"]);
    assert_eq!(second.element("ContinuationToken"), "");
    let prefixed = server.send(get("/").query("prefix", "bb")).await;
    assert_eq!(prefixed.elements("Name"), ["bbb", "bbc"]);
    assert_eq!(prefixed.elements("Prefix"), ["bb"]);
    assert_eq!(prefixed.elements("BucketRegion"), [REGION, REGION]);
    let here = server.send(get("/").query("bucket-region", REGION)).await;
    assert_eq!(here.elements("Name").len(), 4);
    let elsewhere = server.send(get("/").query("bucket-region", "mars-1")).await;
    assert_eq!(
        (elsewhere.status, elsewhere.elements("Name").len()),
        (200, 0)
    );
    for (name, value) in [
        ("max-buckets", "0"),
        ("max-buckets", "10001"),
        ("max-buckets", "-1"),
        ("max-buckets", "many"),
        ("continuation-token", "made/up"),
    ] {
        let refused = server.send(get("/").query(name, value)).await;
        let code = "InvalidArgument";
        assert_eq!(refused.refusal(), (400, code.into()), "{name}={value}");
    }
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let server = Server::with_bucket().await;
    let again = server.send(put("/bucket")).await;
    assert_eq!(again.refusal(), (409, "BucketAlreadyOwnedByYou".into()));
    let others = server.send(put("/bucket").by(Who::Bob)).await;
    assert_eq!(others.refusal(), (409, "BucketAlreadyExists".into()));
}

#[tokio::test]
async fn in_us_east_1_its_owner_may_make_a_bucket_again() {
    let config = gateway::config::GatewayConfig {
        region: "us-east-1".to_owned(),
        ..small_config()
    };
    let server = Server::with(config, None);
    server.make_bucket().await;
    assert_eq!(server.send(put("/bucket/key").body("x")).await.status, 200);
    let again = server.send(put("/bucket")).await;
    assert_eq!((again.status, again.header("location")), (200, "/bucket"));
    assert_eq!(server.send(get("/bucket/key")).await.text(), "x");
    let others = server.send(put("/bucket").by(Who::Bob)).await;
    assert_eq!(others.refusal(), (409, "BucketAlreadyExists".into()));
    let place = server.send(get("/bucket").query("location", "")).await;
    assert!(place.text().contains("LocationConstraint"));
    assert!(!place.text().contains("us-east-1"), "{}", place.text());
}

#[tokio::test]
async fn a_bucket_with_an_object_stays() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/key").body("x")).await.status, 200);
    assert_eq!(
        server.send(delete("/bucket")).await.refusal(),
        (409, "BucketNotEmpty".into())
    );
    assert_eq!(server.send(put("/bucket/key").body("y")).await.status, 200);
    assert_eq!(server.send(delete("/bucket/key")).await.status, 204);
    assert_eq!(server.send(delete("/bucket")).await.status, 204);
}

#[tokio::test]
async fn the_location_constraint_is_the_region() {
    let server = Server::new();
    let body = |place: &str| {
        format!(
            "<CreateBucketConfiguration><LocationConstraint>{place}</LocationConstraint>\
             </CreateBucketConfiguration>"
        )
    };
    assert_eq!(
        server.send(put("/here").body(body(REGION))).await.status,
        200
    );
    let elsewhere = server.send(put("/there").body(body("mars-1"))).await;
    assert_eq!(
        elsewhere.refusal(),
        (400, "InvalidLocationConstraint".into())
    );
    assert_eq!(server.send(head("/there")).await.status, 404);
}

#[tokio::test]
async fn names_that_are_none_are_refused() {
    let server = Server::new();
    for name in [
        "ab",
        "Upper",
        "under_score",
        "192.168.1.1",
        "a..b",
        "xn--abc",
        "a.-b",
    ] {
        let refused = server.send(put(&format!("/{name}"))).await;
        assert_eq!(
            refused.refusal(),
            (400, "InvalidBucketName".into()),
            "{name}"
        );
    }
}

#[tokio::test]
async fn nobody_else_has_rights() {
    let server = Server::with_bucket().await;
    assert_eq!(
        server.send(put("/bucket/key").body("secret")).await.status,
        200
    );
    for who in [Who::Bob, Who::Nobody] {
        for asked in [
            get("/bucket"),
            get("/bucket/key"),
            put("/bucket/key").body("mine"),
            delete("/bucket/key"),
            delete("/bucket"),
            get("/bucket").query("acl", ""),
            get("/bucket").query("uploads", ""),
            post("/bucket/key").query("uploads", ""),
        ] {
            let refused = server.send(asked.clone().by(who)).await;
            assert_eq!(
                refused.refusal(),
                (403, "AccessDenied".into()),
                "{who:?} {asked:?}"
            );
        }
    }
    let region = server.send(head("/bucket").by(Who::Bob)).await;
    assert_eq!(
        (region.status, region.header("x-amz-bucket-region")),
        (403, REGION)
    );
    assert_eq!(server.send(get("/bucket/key")).await.text(), "secret");
    assert!(
        server
            .send(get("/").by(Who::Bob))
            .await
            .elements("Name")
            .is_empty()
    );
}

#[tokio::test]
async fn the_expected_owner_must_be_the_owner() {
    let server = Server::with_bucket().await;
    let expecting = |owner: &str| head("/bucket").header("x-amz-expected-bucket-owner", owner);
    assert_eq!(server.send(expecting("ann-id")).await.status, 200);
    assert_eq!(server.send(expecting("bob-id")).await.status, 403);
}
