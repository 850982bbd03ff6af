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
