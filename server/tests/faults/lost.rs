//! More shards of a chunk are lost than its parity makes up for, while many clients read it: whoever can
//! still be told gets an error, everybody else a connection that breaks.

use crate::common::s3::{S3, Unknown};
use crate::common::server::Installation;
use crate::common::workload::value;
use crate::media;
use crate::{BUCKET, filled};
use http::{Method, StatusCode};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const READERS: u64 = 16;
const LENGTH: usize = 32 << 20;

/// How the answers to many reads ended.
#[derive(Debug, Default, Clone, Copy)]
struct Endings {
    whole: u64,
    refused: u64,
    broken: u64,
}

/// Reads the object, or parts of it, until told to stop. A success has all its bytes, and the right ones.
async fn read(s3: S3, reader: u64, stop: Arc<AtomicBool>) -> Endings {
    let expected = value(77, LENGTH);
    let path = format!("/{BUCKET}/lost");
    let mut endings = Endings::default();
    while !stop.load(Ordering::Relaxed) {
        let range = if reader.is_multiple_of(2) {
            0..LENGTH
        } else {
            let start = reader as usize * (LENGTH / READERS as usize);
            start..LENGTH - reader as usize
        };
        let header = format!("bytes={}-{}", range.start, range.end - 1);
        let headers = [("range", header.as_str())];
        let sent = if range.len() == LENGTH {
            &[][..]
        } else {
            &headers
        };
        match s3.send(Method::GET, &path, &[], sent, "".into()).await {
            Ok(answer) if answer.status.is_success() => {
                let wanted = if sent.is_empty() {
                    StatusCode::OK
                } else {
                    StatusCode::PARTIAL_CONTENT
                };
                assert_eq!(answer.status, wanted);
                assert!(
                    answer.body == expected[range],
                    "{} bytes came",
                    answer.body.len()
                );
                endings.whole += 1;
            }
            Ok(answer) => {
                assert!(answer.status.is_server_error(), "{}", answer.status);
                endings.refused += 1;
            }
            Err(Unknown { .. }) => endings.broken += 1,
        }
    }
    endings
}

/// Overwrites, on three disks of six, the bodies of this part of the records.
fn damage(installation: &Installation, part: impl Fn(usize) -> Range<usize>) {
    for disk in &installation.disks[..3] {
        for volume in media::volumes(disk) {
            let records = media::records(&fs::read(&volume).unwrap());
            let file = fs::File::options().write(true).open(&volume).unwrap();
            for record in &records[part(records.len())] {
                let noise = value(5, record.body.len());
                file.write_all_at(&noise, record.body.start as u64).unwrap();
            }
        }
    }
}

/// Readers at work while `then` happens; how their answers ended.
async fn read_while(s3: &S3, then: impl FnOnce()) -> Endings {
    let stop = Arc::new(AtomicBool::new(false));
    let start = |reader| tokio::spawn(read(s3.clone(), reader, Arc::clone(&stop)));
    let readers: Vec<_> = (0..READERS).map(start).collect();
    tokio::time::sleep(Duration::from_secs(2)).await;
    then();
    tokio::time::sleep(Duration::from_secs(3)).await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Endings::default();
    for reader in readers {
        let one = reader.await.unwrap();
        all.whole += one.whole;
        all.refused += one.refused;
        all.broken += one.broken;
    }
    all
}

/// Behaviour row 27.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_chunk_is_never_a_short_success() {
    let (_dir, installation, server, _objects) = filled(0..1).await;
    let s3 = &server.s3;
    let body = value(77, LENGTH);
    s3.put(BUCKET, "lost", body).await.unwrap().ok();
    // The records lie in the order of stripes: what is sent first is still there.
    let late = read_while(s3, || damage(&installation, |count| count / 2..count)).await;
    println!("the second half is lost: {late:?}");
    assert!(late.whole > 0 && late.broken > 0, "{late:?}");
    let all = read_while(s3, || damage(&installation, |count| 0..count)).await;
    println!("all is lost: {all:?}");
    assert!(all.refused > 0, "{all:?}");
    let answer = s3.get(BUCKET, "lost").await.unwrap();
    assert!(answer.status.is_server_error(), "{}", answer.status);
}
