//! A scrub finds damage in body, header and trailer, and only where something is live.

use crate::disk_fixtures::{Machine, key, record, run};
use crate::shard::ShardStore;
use crate::volume::format::{header_bytes, record_bytes, volume_name};
use std::time::Duration;
use types::clock::SystemClock;
use types::{ChunkId, Clock, PgId};

const EACH: usize = record_bytes(5000) as usize;

#[test]
fn damage_is_found_with_its_shard() {
    let machine = Machine::new(1 << 20);
    let store = machine.open().unwrap();
    for chunk in 0..4 {
        run(store.put(record(key(chunk, 0), 5000))).unwrap();
    }
    run(store.delete(PgId(7), ChunkId(3))).unwrap();
    let scrub = || run(store.scrub(1, u64::MAX)).unwrap();
    let clean = scrub();
    assert_eq!(
        (clean.shards, clean.bytes, clean.findings),
        (3, 3 * EACH as u64, vec![])
    );
    let trailer = header_bytes(5000) + 5000;
    machine.disk.corrupt(&volume_name(1), |bytes| {
        bytes[1000] ^= 1;
        bytes[EACH + 20] ^= 1;
        bytes[2 * EACH + trailer] ^= 1;
        bytes[3 * EACH + 1000] ^= 1;
    });
    let report = scrub();
    assert_eq!(report.shards, 3);
    let keys: Vec<_> = report.findings.iter().map(|finding| finding.key).collect();
    assert_eq!(keys, [0, 1, 2].map(|chunk| Some(key(chunk, 0))));
    assert!(
        report.findings[0].reason.contains("checksum"),
        "{:?}",
        report.findings[0]
    );
    assert!(
        report.findings[1].reason.contains("header"),
        "{:?}",
        report.findings[1]
    );
    assert_eq!(
        run(store.scrub(77, 1)).unwrap().shards,
        0,
        "a volume that is not there"
    );
}

#[test]
fn a_scrub_keeps_to_its_rate() {
    let machine = Machine::new(16 << 20);
    let store = machine.open().unwrap();
    for chunk in 0..4 {
        run(store.put(record(key(chunk, 0), 1 << 20))).unwrap();
    }
    let clock = SystemClock::new();
    run(store.scrub(1, 20 << 20)).unwrap();
    let waited = clock.monotonic();
    assert!(
        waited >= Duration::from_millis(200),
        "4 MiB at 20 MiB/s took {waited:?}"
    );
}
