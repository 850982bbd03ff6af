//! The conformance suite of catalogues, and golden bytes of what is kept in them.

use super::memory::MemoryCatalog;
use super::rocks::{CatalogMemory, RocksCatalog};
use super::*;
use crate::disk::memory::Power;
use crate::disk_fixtures::{key, record};
use crate::shard::ShardInfo;

fn put(table: Table, key: &[u8], value: &[u8]) -> Operation {
    Operation::Put(table, key.to_vec(), value.to_vec())
}

fn keys(catalog: &dyn Catalog, from: &[u8], to: &[u8], limit: usize) -> Vec<Bytes> {
    let pairs = catalog.scan(Table::Shards, from, to, limit).unwrap();
    pairs.into_iter().map(|(key, _)| key).collect()
}

fn conforms(catalog: &dyn Catalog) {
    assert_eq!(catalog.get(Table::Shards, b"a"), Ok(None));
    let shards = [b"a", b"b", b"c"].map(|key| put(Table::Shards, key, b"1"));
    catalog.write(shards.to_vec()).unwrap();
    catalog.write(vec![put(Table::State, b"b", b"2")]).unwrap();
    assert_eq!(
        catalog.get(Table::Shards, b"b"),
        Ok(Some(Bytes::from_static(b"1")))
    );
    assert_eq!(
        catalog.get(Table::State, b"b"),
        Ok(Some(Bytes::from_static(b"2")))
    );
    let cached = catalog.get_cached(Table::State, b"b").unwrap();
    assert_eq!(cached, Some(Some(Bytes::from_static(b"2"))));
    assert_eq!(keys(catalog, b"a", b"c", 9), ["a", "b"]);
    assert_eq!(keys(catalog, b"a\0", b"z", 1), ["b"]);
    assert_eq!(keys(catalog, b"", b"z", 9), ["a", "b", "c"]);

    let changes = vec![
        Operation::Delete(Table::Shards, b"b".to_vec()),
        Operation::Delete(Table::Shards, b"never there".to_vec()),
        put(Table::Shards, b"d", b"3"),
    ];
    catalog.write(changes).unwrap();
    catalog.sync().unwrap();
    assert_eq!(keys(catalog, b"", b"z", 9), ["a", "c", "d"]);
    catalog.write(vec![Operation::Clear]).unwrap();
    assert!(keys(catalog, b"", &[0xff; 26], 9).is_empty());
    assert_eq!(catalog.get(Table::State, b"b"), Ok(None));
}

#[test]
fn rocksdb_conforms_and_is_found_again() {
    let directory = tempfile::tempdir().unwrap();
    let memory = CatalogMemory::new(8 << 20);
    let catalog = RocksCatalog::open(directory.path(), &memory).unwrap();
    conforms(&catalog);
    catalog.write(vec![put(Table::State, b"k", b"v")]).unwrap();
    drop(catalog);
    let catalog = RocksCatalog::open(directory.path(), &memory).unwrap();
    assert_eq!(
        catalog.get(Table::State, b"k"),
        Ok(Some(Bytes::from_static(b"v")))
    );
}

#[test]
fn memory_conforms() {
    conforms(&MemoryCatalog::default());
}

#[test]
fn a_crash_takes_back_the_last_writes_only() {
    for seed in 0..50 {
        let catalog = MemoryCatalog::default();
        catalog.write(vec![put(Table::Shards, b"a", b"")]).unwrap();
        catalog.sync().unwrap();
        catalog.write(vec![put(Table::Shards, b"b", b"")]).unwrap();
        catalog.write(vec![put(Table::Shards, b"c", b"")]).unwrap();
        let found = keys(&catalog.after_crash(seed, Power::default()), b"", b"z", 9);
        assert!(
            [&b"a"[..], b"b", b"c"].starts_with(&found.iter().map(|k| &k[..]).collect::<Vec<_>>())
        );
        assert!(!found.is_empty());
    }
}

#[test]
fn prefixes_end_where_the_next_begins() {
    assert_eq!(after_prefix(&[1, 2]), [1, 3]);
    assert_eq!(after_prefix(&[1, 0xff]), [2]);
    assert_eq!(after_prefix(&[0xff, 0xff]), [0xff; SHARD_KEY_BYTES + 1]);
}

fn entry() -> Entry {
    let record = record(key(5, 6), 10);
    Entry {
        place: Place {
            volume: 3,
            offset: 8192,
        },
        header: ShardHeader {
            info: ShardInfo {
                key: record.key,
                pg_version: record.pg_version,
                profile: record.profile,
                bucket: record.bucket,
                manifest: record.manifest,
                stripe_bytes: record.stripe_bytes,
                body_bytes: 10,
            },
            block_checksums: vec![0x1112_1314_1516_1718],
        },
    }
}

#[test]
fn golden_entry() {
    let key = shard_key(&entry().header.info.key);
    let value = entry().encode(77);
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    assert_eq!(
        hex(&key),
        "00000007000000000000000000000000000000050000000601"
    );
    let parts = [
        "01",               // format of the envelope
        "000000000000004d", // seq
        "0000000000000003", // volume
        "0000000000002000", // offset
        "436169726e536864000100010402010000000007000000030000000000000000000000000000000500000006",
        "0000002800000000000000090000000000000000000000000000000a0000000a00000001",
        "1112131415161718",
        "57fde12ca161a84e",
    ];
    assert_eq!(hex(&value), parts.concat());
    assert_eq!(Entry::decode(&key, &Bytes::from(value)), Ok(entry()));
}

#[test]
fn golden_state() {
    let checkpoint = Checkpoint {
        volume: 3,
        offset: 300,
        ..Checkpoint::default()
    };
    assert_eq!(checkpoint.encode(), [1, 1, 3, 2, 2, 0xac, 2]);
    let live = Live {
        bytes: 4096,
        shards: 1,
        ..Live::default()
    };
    assert_eq!(live.encode(), [1, 2, 0x80, 0x20, 2, 1, 1]);
    assert_eq!(live_key(258), [b'v', 0, 0, 0, 0, 0, 0, 1, 2]);
    assert_eq!(live_key_volume(&live_key(258)), Some(258));
    assert_eq!(live_key_volume(b"v1"), None);
}

#[test]
fn an_entry_with_any_bit_flipped_or_under_another_key_is_refused() {
    let key = shard_key(&entry().header.info.key);
    let value = entry().encode(77);
    for bit in 0..value.len() * 8 {
        let mut value = value.clone();
        value[bit / 8] ^= 1 << (bit % 8);
        let decoded = Entry::decode(&key, &Bytes::from(value));
        assert!(
            matches!(decoded, Err(CatalogError::Damaged(_))),
            "bit {bit}"
        );
    }
    let mut other = key;
    other[24] = 2;
    assert!(Entry::decode(&other, &Bytes::from(value)).is_err());
}
