//! A disk whose fsync fails.

use crate::BUCKET;
use crate::common::objects::{self, assert_right};
use crate::common::server::Installation;
use crate::common::{check, syncfault};
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_cannot_sync_takes_no_more_writes() {
    let dir = crate::common::server::directory();
    let mut installation = Installation::new(dir.path(), 6);
    let trigger = dir.path().join("trigger");
    let library = syncfault::library(dir.path());
    let bad = fs::canonicalize(dir.path()).unwrap().join("disk2");
    installation.envs = vec![
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        (
            "SYNCFAULT_FAIL".to_owned(),
            format!("{}/volume-*", bad.display()),
        ),
        (
            "SYNCFAULT_TRIGGER".to_owned(),
            trigger.display().to_string(),
        ),
    ];
    let server = installation.start();
    server.s3.create_bucket(BUCKET).await.unwrap().ok();
    let mut objects = objects::store(&server.s3, BUCKET, 0..16).await;
    fs::write(&trigger, "").unwrap();
    objects.extend(objects::store(&server.s3, BUCKET, 16..48).await);
    assert_right(&server.s3, BUCKET, &objects).await;
    let (_, disks) = server.admin_get("/admin/v1/disks").unwrap();
    assert_eq!(disks.matches("\"read-only\"").count(), 1, "{disks}");
    server.kill();

    // What was not synced is gone, as after a power loss; the device is well again.
    fs::remove_file(&trigger).unwrap();
    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
    objects.extend(objects::store(&server.s3, BUCKET, 48..64).await);
    let report = check::assert_sound(&installation, server);
    assert!(
        report["missing_shards"].as_u64() > Some(0),
        "it got no shards meanwhile: {report:#}"
    );

    // It is replaced, and nothing is missing any more.
    fs::remove_dir_all(&bad).unwrap();
    fs::create_dir(&bad).unwrap();
    let disk = installation.disks[1].clone();
    let replaced = installation
        .command(&["disk", "replace", disk.to_str().unwrap()])
        .output();
    let replaced = replaced.unwrap();
    assert!(
        replaced.status.success(),
        "{}",
        String::from_utf8_lossy(&replaced.stderr)
    );
    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
    check::wait_until_clean(&installation, server).await;
}
