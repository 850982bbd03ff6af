//! A disk through its trait, in memory and on a real directory.

mod crashes;

use super::*;
use crate::disk::memory::Faults;
use crate::disk_fixtures::{Machine, body, identity, key, record, run};
use crate::volume::format::{header_bytes, record_bytes, volume_name};
use types::clock::SystemClock;
use types::limits::BLOCK_BYTES;

fn config(directory: &Path) -> DiskConfig {
    DiskConfig {
        directory: directory.to_owned(),
        installation: identity().installation,
        region: identity().region,
        volume_bytes: VOLUME_BYTES_DEFAULT,
        reserve_bytes: Some(0),
        capacity_bytes: None,
        catalog_memory: CatalogMemory::new(4 << 20),
    }
}

fn open(directory: &Path) -> Result<Arc<DiskStore>, OpenDiskError> {
    DiskStore::open(config(directory), Arc::new(SystemClock::new()))
}

#[test]
fn a_real_directory_keeps_shards_over_restarts_and_without_its_catalogue() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    identity::format(path, &identity()).unwrap();
    let lengths = [0, 1, 4096, 65_536, 262_144];
    run(async {
        let store = open(path).unwrap();
        let puts = (0..)
            .zip(lengths)
            .map(|(stripe, len)| store.put(record(key(1, stripe), len)));
        for done in futures::future::join_all(puts).await {
            done.unwrap();
        }
        store.put(record(key(2, 0), 100)).await.unwrap();
        store.delete(PgId(7), ChunkId(2)).await.unwrap();
        store.close().await.unwrap();
        let refused = store.put(record(key(3, 0), 100)).await;
        assert!(matches!(refused, Err(PutShardError::Unreachable { .. })));
    });
    for is_lost in [false, true, false] {
        if is_lost {
            fs::remove_dir_all(path.join(CATALOG_FOLDER)).unwrap();
        }
        run(async {
            let store = open(path).unwrap();
            assert_eq!(store.recovery().is_rebuilt, is_lost);
            for (stripe, len) in (0..).zip(lengths) {
                let key = key(1, stripe);
                assert_eq!(body(&store, key).await.unwrap(), record(key, len).body);
            }
            store.close().await.unwrap();
        });
    }
}

#[test]
fn a_damaged_catalogue_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    identity::format(path, &identity()).unwrap();
    run(async {
        open(path)
            .unwrap()
            .put(record(key(1, 0), 5000))
            .await
            .unwrap()
    });
    fs::write(path.join(CATALOG_FOLDER).join("CURRENT"), "nonsense\n").unwrap();
    let store = open(path).unwrap();
    assert!(store.recovery().is_rebuilt);
    assert_eq!(
        run(body(&store, key(1, 0))).unwrap(),
        record(key(1, 0), 5000).body
    );

    // Damage found while running is noted, and mended when the disk is next opened.
    let error = store
        .shared
        .catalog_error(CatalogError::Damaged("a bad table".to_owned()));
    assert!(matches!(error, ReadShardError::Damaged { .. }));
    drop(store);
    assert!(open(path).unwrap().recovery().is_rebuilt);
    assert!(!open(path).unwrap().recovery().is_rebuilt);
}

#[test]
fn what_is_not_our_disk_is_refused_with_a_message() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let error = open(path).unwrap_err();
    assert!(matches!(error, OpenDiskError::NotADisk { .. }), "{error}");
    identity::format(path, &identity()).unwrap();
    let other = DiskConfig {
        installation: InstallationId(1),
        ..config(path)
    };
    let error = DiskStore::open(other, Arc::new(SystemClock::new())).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("belongs to installation 0000000000000000000000000000002a")
    );
    let store = open(path).unwrap();
    let error = open(path).unwrap_err();
    assert!(
        error.to_string().contains("another process owns"),
        "{error}"
    );
    drop(store);
    let zero = DiskConfig {
        volume_bytes: 0,
        ..config(path)
    };
    let error = DiskStore::open(zero, Arc::new(SystemClock::new())).unwrap_err();
    assert!(matches!(error, OpenDiskError::VolumeBytes(0)), "{error}");
}

#[test]
fn blocks_are_read_by_number() {
    let store = Machine::new(1 << 20).open().unwrap();
    let record = record(key(1, 0), 2 * BLOCK_BYTES + 100);
    run(async {
        store.put(record.clone()).await.unwrap();
        let cases = [
            (0, 1, 0..65_536),
            (1, 1, 65_536..131_072),
            (1, 9, 65_536..131_172),
        ];
        let ends = [
            (2, 1, 131_072..131_172),
            (3, 1, 131_172..131_172),
            (0, 0, 0..0),
        ];
        for (first, count, range) in cases.into_iter().chain(ends) {
            let blocks = store.read(record.key, first, count).await.unwrap();
            assert_eq!(blocks.bytes, record.body.slice(range), "{first} {count}");
            assert_eq!(blocks.info.stripe_bytes, record.stripe_bytes);
        }
        let absent = store.read(key(1, 1), 0, 1).await;
        assert_eq!(absent, Err(ReadShardError::Missing { disk: store.disk() }));
    });
}

#[test]
fn a_record_that_does_not_match_its_checksums_is_refused() {
    let store = Machine::new(1 << 20).open().unwrap();
    let good = record(key(1, 0), 70_000);
    let mut flipped = good.body.to_vec();
    flipped[69_999] ^= 1;
    let bad = [
        ShardRecord {
            body: flipped.into(),
            ..good.clone()
        },
        ShardRecord {
            key: key(1, 1),
            ..good.clone()
        },
        ShardRecord {
            block_checksums: vec![],
            ..good.clone()
        },
        ShardRecord {
            body: good.body.slice(..65_536),
            ..good.clone()
        },
        record(
            ShardKey {
                shard: 6,
                ..key(1, 0)
            },
            10,
        ),
        record(key(1, 0), BODY_BYTES_MAX + 1),
    ];
    for record in bad {
        let refused = run(store.put(record));
        assert_eq!(refused, Err(PutShardError::Damaged { disk: store.disk() }));
    }
    assert_eq!(store.usage().volumes, 0, "nothing was written");
}

#[test]
fn deleting_and_listing_go_by_group_and_chunk() {
    let store = Machine::new(1 << 20).open().unwrap();
    let in_group = |pg, chunk, stripe| ShardKey {
        pg: PgId(pg),
        ..key(chunk, stripe)
    };
    run(async {
        for (pg, chunk) in [(7, 1), (7, 2), (7, u128::MAX), (8, 2), (u32::MAX, 2)] {
            for stripe in 0..3 {
                store
                    .put(record(in_group(pg, chunk, stripe), 10))
                    .await
                    .unwrap();
            }
        }
        store.delete(PgId(7), ChunkId(2)).await.unwrap();
        store.delete(PgId(7), ChunkId(2)).await.unwrap();
        store.delete(PgId(9), ChunkId(2)).await.unwrap();
        let keys = async |pg, after, limit| -> Vec<ShardKey> {
            let infos = store.list(PgId(pg), after, limit).await.unwrap();
            infos.into_iter().map(|info| info.key).collect()
        };
        let first = keys(7, None, 4).await;
        assert_eq!(first[..3], [0, 1, 2].map(|stripe| in_group(7, 1, stripe)));
        assert_eq!(first[3..], [in_group(7, u128::MAX, 0)]);
        assert_eq!(keys(7, Some(first[3]), 4).await.len(), 2);
        assert_eq!(keys(8, Some(first[3]), 9).await.len(), 3);
        assert_eq!(keys(u32::MAX, None, 9).await.len(), 3);
        assert!(keys(9, None, 9).await.is_empty());
        assert_eq!(store.usage().shards, 12);
        assert_eq!(store.usage().live, 12 * record_bytes(10));
    });
}

#[test]
fn a_shard_put_again_mends_damage_and_is_counted_once() {
    let machine = Machine::new(1 << 20);
    let store = machine.open().unwrap();
    let record = record(key(1, 0), 5000);
    run(store.put(record.clone())).unwrap();
    machine
        .disk
        .corrupt(&volume_name(1), |bytes| bytes[1000] ^= 1);
    let damaged = run(body(&store, record.key));
    assert!(
        matches!(damaged, Err(ReadShardError::Damaged { .. })),
        "{damaged:?}"
    );
    run(store.put(record.clone())).unwrap();
    assert_eq!(run(body(&store, record.key)).unwrap(), record.body);
    assert_eq!(
        (store.usage().shards, store.usage().live),
        (1, record_bytes(5000))
    );
}

#[test]
fn swapped_blocks_are_damage() {
    let machine = Machine::new(1 << 20);
    let store = machine.open().unwrap();
    run(store.put(record(key(1, 0), 2 * BLOCK_BYTES))).unwrap();
    let start = header_bytes(2 * BLOCK_BYTES);
    machine.disk.corrupt(&volume_name(1), |bytes| {
        let (first, second) = bytes[start..].split_at_mut(BLOCK_BYTES);
        first.swap_with_slice(&mut second[..BLOCK_BYTES]);
    });
    for block in 0..2 {
        let read = run(store.read(key(1, 0), block, 1));
        assert!(
            matches!(read, Err(ReadShardError::Damaged { .. })),
            "{read:?}"
        );
    }
}

#[test]
fn a_failing_read_is_named_and_others_go_on() {
    let machine = Machine::new(1 << 20);
    let store = machine.open().unwrap();
    run(store.put(record(key(1, 0), 5000))).unwrap();
    run(store.put(record(key(1, 1), 5000))).unwrap();
    let failing_read = Some((volume_name(1), 100..200));
    machine.disk.set_faults(Faults {
        failing_read,
        ..Faults::default()
    });
    let failed = run(body(&store, key(1, 0)));
    assert!(
        matches!(failed, Err(ReadShardError::Failed { .. })),
        "{failed:?}"
    );
    assert!(run(body(&store, key(1, 1))).is_ok());
}

#[test]
fn a_failing_write_stops_writes_and_nothing_of_it_is_found() {
    let machine = Machine::new(1 << 20);
    let store = machine.open().unwrap();
    run(store.put(record(key(1, 0), 5000))).unwrap();
    machine.disk.set_faults(Faults {
        failing_write: true,
        ..Faults::default()
    });
    let results = run(async {
        let puts = (1..9).map(|stripe| store.put(record(key(1, stripe), 5000)));
        futures::future::join_all(puts).await
    });
    assert!(
        results.iter().all(Result::is_err),
        "every waiting put fails: {results:?}"
    );
    machine.disk.set_faults(Faults::default());
    assert!(
        run(store.put(record(key(1, 9), 10))).is_err(),
        "until it is opened again"
    );
    assert_eq!(store.usage().shards, 1);
    drop(store);
    run(machine.open().unwrap().put(record(key(1, 9), 10))).unwrap();
}

#[test]
fn a_full_disk_answers_full_and_still_reads_deletes_and_compacts() {
    let each = record_bytes(5000);
    let mut machine = Machine::new(4 * each);
    machine.disk.set_capacity(20 * each);
    machine.room.reserve_bytes = Some(8 * each);
    let store = machine.open().unwrap();
    run(async {
        for chunk in 0..12 {
            store.put(record(key(chunk, 0), 5000)).await.unwrap();
        }
        let full = store.put(record(key(99, 0), 5000)).await;
        assert_eq!(full, Err(PutShardError::Full { disk: store.disk() }));
        assert_eq!(store.usage().available, 0);
        for chunk in [0, 1, 2, 4, 5, 6, 8, 9, 10] {
            store.delete(PgId(7), ChunkId(chunk)).await.unwrap();
        }
        let report = store
            .compact(crate::disk_fixtures::COMPACT_ALL)
            .await
            .unwrap();
        assert_eq!(
            (report.removed_volumes, report.is_full),
            (vec![1, 2], false)
        );
        store.put(record(key(99, 0), 5000)).await.unwrap();
        for chunk in [3, 7, 11, 99] {
            let key = key(chunk, 0);
            assert_eq!(body(&store, key).await.unwrap(), record(key, 5000).body);
        }
    });
}

#[test]
fn a_write_that_the_device_has_no_room_for_is_taken_back() {
    let each = record_bytes(5000);
    let machine = Machine::new(1 << 20);
    let store = machine.open().unwrap();
    run(store.put(record(key(1, 0), 5000))).unwrap();
    // The device tells of room that it does not have.
    machine.disk.set_capacity(each + each / 2);
    let mut liar = machine.clone();
    liar.room.capacity_bytes = Some(each);
    let full = run(store.put(record(key(1, 1), 5000)));
    assert_eq!(full, Err(PutShardError::Full { disk: store.disk() }));
    assert_eq!(store.read_only(), None);
    machine.disk.set_capacity(1 << 20);
    run(store.put(record(key(1, 1), 5000))).unwrap();
    drop(store);
    let limited = liar.open().unwrap();
    let full = run(limited.put(record(key(1, 2), 5000)));
    assert_eq!(
        full,
        Err(PutShardError::Full {
            disk: limited.disk()
        }),
        "by configuration"
    );
}
