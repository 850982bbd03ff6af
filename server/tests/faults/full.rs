//! Disks without room.

use crate::BUCKET;
use crate::common::check;
use crate::common::objects::{Object, assert_right};
use crate::common::server::Installation;
use crate::common::workload::value;
use http::StatusCode;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Small file systems of their own; unmounted when dropped. A catalogue alone takes some 40 MiB of each.
struct Mounts(Vec<PathBuf>);

impl Mounts {
    /// Mounts one on each directory; `None` where that is not permitted.
    fn new(directories: &[PathBuf]) -> Option<Self> {
        let mut mounts = Self(Vec::new());
        for directory in directories {
            std::fs::create_dir_all(directory).unwrap();
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", "size=112m", "tmpfs"])
                .arg(directory)
                .output();
            if !mounted.is_ok_and(|output| output.status.success()) {
                return None;
            }
            mounts.0.push(directory.clone());
        }
        Some(mounts)
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        for directory in &self.0 {
            let _ = Command::new("umount").arg("-l").arg(directory).status();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disks_refuse_puts_and_serve_the_rest() {
    let dir = crate::common::server::directory();
    let mut installation = Installation::new(Path::new(dir.path()), 6);
    installation.set("disk-reserve", "16MiB");
    installation.set("volume-size", "4MiB");
    let Some(_mounts) = Mounts::new(&installation.disks) else {
        println!("skipped: mounting a tmpfs is not permitted here");
        return;
    };
    let server = installation.start();
    server.s3.create_bucket(BUCKET).await.unwrap().ok();
    let mut objects = Vec::new();
    let refusal = loop {
        let object = Object {
            key: format!("fill/{}", objects.len()),
            seed: objects.len() as u64,
            length: 3 << 20,
        };
        let body = value(object.seed, object.length);
        let answer = server.s3.put(BUCKET, &object.key, body).await.unwrap();
        if !answer.status.is_success() {
            break answer;
        }
        objects.push(object);
        assert!(objects.len() < 150, "six disks of 112 MiB cannot hold that");
    };
    assert_eq!(refusal.status, StatusCode::INSUFFICIENT_STORAGE);
    assert_eq!(refusal.one("Code").as_deref(), Some("InsufficientStorage"));
    assert!(objects.len() > 30, "only {} objects fitted", objects.len());
    assert_right(&server.s3, BUCKET, &objects).await;

    for object in objects.split_off(objects.len() / 2) {
        server.s3.delete(BUCKET, &object.key).await.unwrap().ok();
    }
    let mut stored = false;
    for _ in 0..60 {
        let answer = server
            .s3
            .put(BUCKET, "after", value(7, 3 << 20))
            .await
            .unwrap();
        stored = answer.status.is_success();
        if stored {
            break;
        }
        assert_eq!(answer.status, StatusCode::INSUFFICIENT_STORAGE);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(stored, "deletes made no room within 30 s");
    assert_right(&server.s3, BUCKET, &objects).await;
    check::wait_until_clean(&installation, server).await;
    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
    assert_eq!(server.stop(), Some(0));
}
