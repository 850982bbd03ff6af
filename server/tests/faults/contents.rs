//! Damaged contents of volumes: torn tails, lost tails, flipped bits, swapped blocks and records.

use crate::common::check;
use crate::common::objects::{self, assert_right};
use crate::common::server::{Installation, Server};
use crate::common::workload::Dice;
use crate::media::{self, BLOCK};
use crate::{BUCKET, filled};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// Starts a server on damaged disks: all objects are right; what reads found is mended; and new objects
/// can be stored. Gives the server.
async fn recover(installation: &Installation, objects: &[objects::Object]) -> Server {
    let server = installation.start();
    assert_right(&server.s3, BUCKET, objects).await;
    wait_until_mended(&server).await;
    let before = server.metric("cairn_shard_findings_total");
    assert_right(&server.s3, BUCKET, objects).await;
    let after = server.metric("cairn_shard_findings_total");
    assert!(
        before == after,
        "{} shards are damaged though repair is done",
        after - before
    );
    objects::store(&server.s3, BUCKET, 1000..1008).await;
    server
}

/// Waits until repair has not rebuilt anything for a while.
async fn wait_until_mended(server: &Server) {
    let mut last = -1.0;
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = server.metric("cairn_repair_shards_total");
        if now == last {
            return;
        }
        last = now;
    }
    panic!("repair does not come to an end");
}

#[tokio::test(flavor = "multi_thread")]
async fn torn_tails_are_cut_off() {
    let (_dir, installation, server, objects) = filled(0..16).await;
    server.kill();
    for (disk, kind) in installation.disks.iter().zip([0, 1, 2, 3, 0, 1]) {
        media::tear(disk, kind);
    }
    let server = recover(&installation, &objects).await;
    check::wait_until_clean(&installation, server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_tails_of_two_disks_are_rebuilt() {
    let (_dir, installation, server, objects) = filled(0..24).await;
    server.kill();
    for disk in &installation.disks[..2] {
        let volume = media::volumes(disk).pop().unwrap();
        let length = fs::metadata(&volume).unwrap().len();
        fs::File::options()
            .write(true)
            .open(volume)
            .unwrap()
            .set_len(length / 2 + 7)
            .unwrap();
    }
    let server = recover(&installation, &objects).await;
    check::wait_until_clean(&installation, server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bits_are_noticed_and_mended() {
    let (_dir, installation, server, objects) = filled(0..40).await;
    assert_eq!(server.stop(), Some(0));
    let mut dice = Dice::new(3);
    for disk in &installation.disks[2..4] {
        media::flip_bits(disk, 60, &mut dice);
    }
    let server = recover(&installation, &objects).await;
    assert!(
        server.metric("cairn_shard_findings_total") > 0.0,
        "no damage was found"
    );
    check::assert_sound(&installation, server);
}

/// Damages a volume of a disk as `change` says, which tells whether it could.
fn rewrite(disk: &Path, change: impl Fn(&mut [u8], &[media::Record]) -> bool) {
    let changed = media::volumes(disk).iter().any(|volume| {
        let mut bytes = fs::read(volume).unwrap();
        let records = media::records(&bytes);
        let changed = change(&mut bytes, &records);
        fs::write(volume, bytes).unwrap();
        changed
    });
    assert!(
        changed,
        "no volume of {} has what is to be swapped",
        disk.display()
    );
}

/// Swaps the first two blocks of every record that has two.
fn swap_blocks_within(bytes: &mut [u8], records: &[media::Record]) -> bool {
    let mut swapped = false;
    for record in records
        .iter()
        .filter(|record| record.body.len() >= 2 * BLOCK)
    {
        let at = record.body.start;
        media::swap(bytes, at..at + BLOCK, at + BLOCK..at + 2 * BLOCK);
        swapped = true;
    }
    swapped
}

/// Swaps parts of neighbouring records: those that `part` picks, where they are equally long.
fn swap_between(
    bytes: &mut [u8],
    records: &[media::Record],
    part: impl Fn(&media::Record) -> std::ops::Range<usize>,
) -> bool {
    let mut swapped = false;
    for one in 0..records.len() {
        let other = (one + 1..records.len())
            .find(|other| records[*other].all.len() == records[one].all.len());
        if let Some(other) = other.filter(|_| one % 2 == 0) {
            media::swap(bytes, part(&records[one]), part(&records[other]));
            swapped = true;
        }
    }
    swapped
}

#[tokio::test(flavor = "multi_thread")]
async fn swapped_blocks_and_records_are_noticed() {
    let (_dir, installation, server, objects) = filled(0..40).await;
    assert_eq!(server.stop(), Some(0));
    rewrite(&installation.disks[0], swap_blocks_within);
    rewrite(&installation.disks[1], |bytes, records| {
        swap_between(bytes, records, |record| record.all.clone())
    });
    let server = recover(&installation, &objects).await;
    assert!(
        server.metric("cairn_shard_findings_total") > 0.0,
        "no damage was found"
    );
    check::assert_sound(&installation, server);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_swapped_between_records_and_disks_are_noticed() {
    let (_dir, installation, server, objects) = filled(0..40).await;
    assert_eq!(server.stop(), Some(0));
    let body = |record: &media::Record| record.body.start..record.all.end;
    rewrite(&installation.disks[4], |bytes, records| {
        swap_between(bytes, records, body)
    });
    // The volumes of one disk as those of another, which still says who it is.
    let (from, to) = (&installation.disks[4], &installation.disks[5]);
    for (from, to) in media::volumes(from).iter().zip(media::volumes(to)) {
        fs::copy(from, to).unwrap();
    }
    let server = recover(&installation, &objects).await;
    assert!(
        server.metric("cairn_shard_findings_total") > 0.0,
        "no damage was found"
    );
    check::assert_sound(&installation, server);
}
