//! Disks that are gone, unreadable, or somebody else's.

use crate::common::check;
use crate::common::objects::{self, assert_right, right_or_refused};
use crate::common::server::{Installation, Server};
use crate::common::workload::value;
use crate::media;
use crate::{BUCKET, filled};
use http::StatusCode;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// Makes `disk` a new disk in the place of the one with this id.
fn replace(installation: &Installation, disk: &Path, lost: &str) {
    fs::create_dir_all(disk).unwrap();
    let words = ["disk", "replace", disk.to_str().unwrap(), "--disk", lost];
    let output = installation.command(&words).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Ids of the disks that `cairn disk list` shows as missing.
fn missing(installation: &Installation) -> Vec<String> {
    let output = installation.command(&["disk", "list"]).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| line.contains("(missing)"));
    lines
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deleted_disks_cost_nothing_and_can_be_replaced() {
    let (_dir, installation, server, mut objects) = filled(0..24).await;
    for disk in &installation.disks[..2] {
        fs::remove_dir_all(disk).unwrap();
    }
    assert_right(&server.s3, BUCKET, &objects).await;
    objects.extend(objects::store(&server.s3, BUCKET, 100..124).await);
    assert_right(&server.s3, BUCKET, &objects).await;
    server.kill();

    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
    objects.extend(objects::store(&server.s3, BUCKET, 200..224).await);
    assert_right(&server.s3, BUCKET, &objects).await;
    assert_eq!(server.stop(), Some(0));

    let lost = missing(&installation);
    assert_eq!(lost.len(), 2);
    for (disk, lost) in installation.disks.iter().zip(&lost) {
        replace(&installation, disk, lost);
    }
    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
    check::wait_until_clean(&installation, server).await;

    // The new disks hold all that others may now lose.
    for disk in &installation.disks[4..] {
        fs::remove_dir_all(disk).unwrap();
    }
    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreadable_disks_cost_nothing() {
    let (_dir, installation, server, objects) = filled(0..24).await;
    assert_eq!(server.stop(), Some(0));
    // One with volumes that are empty, and one with directories where volumes were.
    for volume in media::volumes(&installation.disks[1]) {
        fs::File::create(volume).unwrap();
    }
    for volume in media::volumes(&installation.disks[4]) {
        fs::remove_file(&volume).unwrap();
        fs::create_dir(&volume).unwrap();
    }
    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
    objects::store(&server.s3, BUCKET, 100..116).await;
    assert_right(&server.s3, BUCKET, &objects).await;
    assert_eq!(server.stop(), Some(0));

    // A disk whose identity is damaged, and one that is a file.
    fs::write(installation.disks[1].join("identity"), "no disk").unwrap();
    fs::remove_dir_all(&installation.disks[4]).unwrap();
    fs::write(&installation.disks[4], "a file").unwrap();
    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
    objects::store(&server.s3, BUCKET, 200..216).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_lost_disks_than_parity_give_errors() {
    let (_dir, installation, server, objects) = filled(0..32).await;
    assert_eq!(server.stop(), Some(0));
    for disk in &installation.disks[..3] {
        fs::rename(disk, disk.with_extension("away")).unwrap();
    }
    let server = installation.start();
    let striped = objects
        .iter()
        .filter(|object| object.length > 128 << 10)
        .count();
    let refused = right_or_refused(&server.s3, BUCKET, &objects).await;
    assert!(
        refused >= striped,
        "{refused} refused, but {striped} cannot be read"
    );
    assert_eq!(server.s3.list(BUCKET).await.unwrap().len(), objects.len());
    assert_eq!(server.stop(), Some(0));

    // They come back: nothing was given up.
    for disk in &installation.disks[..3] {
        fs::rename(disk.with_extension("away"), disk).unwrap();
    }
    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
    // And lost while the server runs.
    for disk in &installation.disks[3..] {
        for volume in media::volumes(disk) {
            fs::File::options()
                .write(true)
                .open(volume)
                .unwrap()
                .set_len(0)
                .unwrap();
        }
    }
    assert!(right_or_refused(&server.s3, BUCKET, &objects).await >= striped);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_must_refuse_writes_still_serves() {
    let (_dir, installation, server, objects) = filled(0..8).await;
    let health = |server: &Server, path: &str| server.admin_get(path).map_or(0, |(code, _)| code);
    assert_eq!(health(&server, "/health/serving"), 200);
    assert_eq!(server.stop(), Some(0));
    for disk in &installation.disks[..5] {
        fs::rename(disk, disk.with_extension("away")).unwrap();
    }
    let server = installation.begin();
    let deadline = Instant::now() + Duration::from_secs(60);
    while health(&server, "/health/serving") != 200 {
        assert!(Instant::now() < deadline, "{}", installation.log_tail());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(health(&server, "/health/ready"), 503);
    assert_eq!(health(&server, "/health/live"), 200);
    let body = value(1, 1 << 20);
    let put = server.s3.put(BUCKET, "refused", body).await.unwrap();
    assert_eq!(put.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.s3.list(BUCKET).await.unwrap().len(), objects.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn disks_of_another_installation_are_refused() {
    let (_dir, mut installation, server, objects) = filled(0..8).await;
    let (_other_dir, other, other_server, _) = filled(0..1).await;
    assert_eq!((server.stop(), other_server.stop()), (Some(0), Some(0)));
    let own = std::mem::replace(&mut installation.disks[3], other.disks[3].clone());
    let Err(log) = installation.try_start() else {
        panic!("a disk of another installation was taken");
    };
    assert!(log.contains("another installation"), "{log}");
    assert!(log.contains(other.disks[3].to_str().unwrap()), "{log}");
    // Nor is an index that knows nothing of the disks.
    installation.disks[3] = own;
    let index = installation.index_dir();
    fs::rename(&index, index.with_extension("away")).unwrap();
    let Err(log) = installation.try_start() else {
        panic!("disks with data were taken for new ones");
    };
    assert!(log.contains(index.to_str().unwrap()), "{log}");
    let _ = fs::remove_dir_all(&index);
    fs::rename(index.with_extension("away"), &index).unwrap();
    let server = installation.start();
    assert_right(&server.s3, BUCKET, &objects).await;
}
