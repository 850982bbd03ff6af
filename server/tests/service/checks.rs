//! `cairn check`.

use crate::common::check;
use crate::common::objects::store;
use crate::common::server::Installation;
use std::fs;

const BUCKET: &str = "checked";

#[tokio::test(flavor = "multi_thread")]
async fn check_counts_what_is_there_and_finds_what_is_not() {
    let dir = crate::common::server::directory();
    let installation = Installation::new(dir.path(), 6);
    let server = installation.start();
    server.s3.create_bucket(BUCKET).await.unwrap().ok();
    let objects = store(&server.s3, BUCKET, 0..16).await;
    let busy = installation.command(&["check"]).output().unwrap();
    assert!(
        !busy.status.success(),
        "a check of a running server was begun"
    );
    let report = check::assert_sound(&installation, server);
    // The first two lengths of eight are kept in the index.
    let stored = objects.iter().filter(|object| object.length > 16 << 10);
    let (chunks, bytes) = stored.fold((0, 0), |(n, sum), object| (n + 1, sum + object.length));
    assert_eq!(report["chunks"].as_u64(), Some(chunks));
    assert_eq!(report["bytes"].as_u64(), Some(bytes as u64));
    assert_eq!(report["unknown_chunks"], 0);
    assert_eq!(report["missing_shards"], 0);

    // Two disks fewer: sound, with shards missing. Three: damaged, and no longer a success.
    let lose = |disk: usize| {
        let disk = &installation.disks[disk];
        fs::rename(disk, disk.with_extension("away")).unwrap();
    };
    lose(0);
    lose(3);
    let (sound, report) = check::run(&installation);
    assert!(
        sound && report["missing_shards"].as_u64() > Some(chunks),
        "{report:#}"
    );
    lose(4);
    let (sound, report) = check::run(&installation);
    let damaged = report["damaged"].as_array().unwrap();
    assert!(!sound && damaged.len() >= 8, "{report:#}");
    assert!(
        damaged[0].as_str().unwrap().starts_with("chunk "),
        "{report:#}"
    );
}
