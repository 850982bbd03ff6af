use crate::harness::*;

/// What clients ask of a fresh bucket before they do anything else.
#[tokio::test]
async fn a_bucket_answers_as_one_that_has_nothing_set() {
    let server = Server::with_bucket().await;
    let missing = [
        ("lifecycle", "NoSuchLifecycleConfiguration"),
        ("policy", "NoSuchBucketPolicy"),
        ("policyStatus", "NoSuchBucketPolicy"),
        ("cors", "NoSuchCORSConfiguration"),
        ("tagging", "NoSuchTagSet"),
        (
            "encryption",
            "ServerSideEncryptionConfigurationNotFoundError",
        ),
        ("object-lock", "ObjectLockConfigurationNotFoundError"),
        ("replication", "ReplicationConfigurationNotFoundError"),
        ("website", "NoSuchWebsiteConfiguration"),
        ("publicAccessBlock", "NoSuchPublicAccessBlockConfiguration"),
        ("ownershipControls", "OwnershipControlsNotFoundError"),
    ];
    for (name, code) in missing {
        let answer = server.send(get("/bucket").query(name, "")).await;
        assert_eq!(answer.refusal(), (404, code.into()), "{name}");
    }
    let defaults = [
        ("versioning", "VersioningConfiguration"),
        ("logging", "BucketLoggingStatus"),
        ("notification", "NotificationConfiguration"),
        ("accelerate", "AccelerateConfiguration"),
        ("requestPayment", "BucketOwner"),
    ];
    for (name, inside) in defaults {
        let answer = server.send(get("/bucket").query(name, "")).await;
        assert_eq!(answer.status, 200, "{name}");
        assert!(answer.text().contains(inside), "{name}: {}", answer.text());
        assert!(
            !answer.text().contains("Enabled"),
            "{name}: {}",
            answer.text()
        );
    }
    for (name, _) in missing.iter().chain(&defaults) {
        let absent = server.send(get("/absent").query(name, "")).await;
        assert_eq!(absent.refusal(), (404, "NoSuchBucket".into()), "{name}");
        let denied = server
            .send(get("/bucket").query(name, "").by(Who::Bob))
            .await;
        assert_eq!(denied.refusal(), (403, "AccessDenied".into()), "{name}");
    }
}

#[tokio::test]
async fn the_owner_has_full_control() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/key").body("x")).await.status, 200);
    for path in ["/bucket", "/bucket/key"] {
        let acl = server.send(get(path).query("acl", "")).await;
        assert_eq!(acl.status, 200);
        assert_eq!(
            acl.elements("Permission"),
            ["FULL_CONTROL"],
            "{}",
            acl.text()
        );
        assert_eq!(acl.elements("ID"), ["ann-id", "ann-id"]);
    }
    let absent = server.send(get("/bucket/absent").query("acl", "")).await;
    assert_eq!(absent.refusal(), (404, "NoSuchKey".into()));
}

/// As AWS has it where the owner of a bucket owns its objects: what changes nothing is taken.
#[tokio::test]
async fn acls_cannot_be_changed() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/key").body("x")).await.status, 200);
    for path in ["/bucket", "/bucket/key"] {
        let acl = || put(path).query("acl", "");
        let own = server.send(get(path).query("acl", "")).await.text();
        for fine in [
            acl().header("x-amz-acl", "private"),
            acl().header("x-amz-acl", "bucket-owner-full-control"),
            acl().body(own.clone()),
        ] {
            let taken = server.send(fine.clone()).await;
            assert_eq!(taken.status, 200, "{fine:?} {}", taken.text());
        }
        for refused in [
            acl().header("x-amz-acl", "public-read"),
            acl().header("x-amz-grant-read", "id=bob-id"),
            acl().body(own.replace("FULL_CONTROL", "READ")),
            acl().body(own.replace("ann-id", "bob-id")),
        ] {
            let answer = server.send(refused.clone()).await;
            let code = "AccessControlListNotSupported";
            assert_eq!(answer.refusal(), (400, code.into()), "{refused:?}");
        }
        let empty = server.send(acl()).await;
        assert_eq!(empty.refusal(), (400, "MissingSecurityHeader".into()));
        let bobs = acl().header("x-amz-acl", "private").by(Who::Bob);
        assert_eq!(
            server.send(bobs).await.refusal(),
            (403, "AccessDenied".into())
        );
        assert_eq!(server.send(get(path).query("acl", "")).await.text(), own);
    }
    let absent = put("/bucket/absent")
        .query("acl", "")
        .header("x-amz-acl", "private");
    assert_eq!(
        server.send(absent).await.refusal(),
        (404, "NoSuchKey".into())
    );
    for (name, value) in [
        ("x-amz-acl", "public-read"),
        ("x-amz-grant-read", "id=bob-id"),
    ] {
        let stored = put("/bucket/other").body("x").header(name, value);
        let code = "AccessControlListNotSupported";
        assert_eq!(server.send(stored).await.refusal(), (400, code.into()));
        let made = server.send(put("/public").header(name, value)).await;
        let code = "InvalidBucketAclWithObjectOwnership";
        assert_eq!(made.refusal(), (400, code.into()));
    }
    assert_eq!(server.send(head("/bucket/other")).await.status, 404);
    assert_eq!(server.send(head("/public")).await.status, 404);
}

/// Behaviour row 31, and what s3a needs: the region beside whatever HeadBucket answers, save that there
/// is no such bucket.
#[tokio::test]
async fn every_answer_to_head_bucket_tells_the_region() {
    let server = Server::with_bucket().await;
    let path_forms = ["/bucket", "/bucket/"];
    for path in path_forms {
        for (asked, status) in [
            (head(path), 200),
            (head(path).by(Who::Bob), 403),
            (head(path).by(Who::Nobody), 403),
            (
                head(path).header("x-amz-expected-bucket-owner", "bob-id"),
                403,
            ),
            (head(path).region("mars-1"), 400),
            (head(path).secret("wrong"), 403),
        ] {
            let answer = server.send(asked.clone()).await;
            assert_eq!(
                (answer.status, answer.header("x-amz-bucket-region")),
                (status, REGION),
                "{asked:?}"
            );
        }
    }
    let absent = server.send(head("/absent")).await;
    assert_eq!(
        (absent.status, absent.header("x-amz-bucket-region")),
        (404, "")
    );
}

/// Behaviour row 36: a client that signed for another region is told the right one, and any name of the
/// region signs.
#[tokio::test]
async fn regions_by_name() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/key").body("x")).await.status, 200);
    let wrong = server.send(get("/bucket/key").region("mars-1")).await;
    assert_eq!(
        wrong.refusal(),
        (400, "AuthorizationHeaderMalformed".into())
    );
    assert_eq!(wrong.element("Region"), REGION);
    assert_eq!(wrong.header("x-amz-bucket-region"), REGION);
    let alias = server.send(get("/bucket/key").region(REGION_ALIAS)).await;
    assert_eq!(alias.text(), "x");
    let place = server.send(get("/bucket").query("location", "").region(REGION_ALIAS));
    let place = place.await;
    assert_eq!(place.status, 200);
    assert!(place.text().contains(&format!(">{REGION}<")));
}

/// x-amz-expected-bucket-owner counts wherever a bucket is named.
#[tokio::test]
async fn the_expected_owner_counts_everywhere() {
    let server = Server::with_bucket().await;
    assert_eq!(server.send(put("/bucket/key").body("x")).await.status, 200);
    let asked = [
        get("/bucket"),
        get("/bucket").query("list-type", 2),
        get("/bucket").query("versions", ""),
        get("/bucket").query("uploads", ""),
        get("/bucket").query("versioning", ""),
        get("/bucket").query("location", ""),
        get("/bucket").query("acl", ""),
        get("/bucket").query("policy", ""),
        get("/bucket/key"),
        head("/bucket/key"),
        head("/bucket"),
        get("/bucket/key").query("acl", ""),
        put("/bucket/key").body("y"),
        post("/bucket/key").query("uploads", ""),
        delete("/bucket/key"),
        delete("/bucket"),
    ];
    for asked in asked {
        let wrong = asked
            .clone()
            .header("x-amz-expected-bucket-owner", "bob-id");
        let is_head = format!("{asked:?}").contains("HEAD");
        let refused = server.send(wrong).await;
        assert_eq!(refused.status, 403, "{asked:?}");
        if !is_head {
            assert_eq!(refused.element("Code"), "AccessDenied", "{asked:?}");
        }
    }
    assert_eq!(server.send(get("/bucket/key")).await.text(), "x");
}
