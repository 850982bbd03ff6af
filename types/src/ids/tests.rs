//! Tests of identifiers: their parts can be read back, and none is given out twice.

use super::*;
use crate::entropy::SeededEntropy;
use std::collections::BTreeSet;

#[test]
fn parts_can_be_read_back() {
    let ids = IdSource::new(&SeededEntropy::new(1));
    let time = 0x1234_5678_9abc;
    assert_eq!(ids.chunk(time).time_ms(), time);
    let manifest = ids.manifest(time, PartitionId(0xdead_beef));
    assert_eq!(
        (manifest.time_ms(), manifest.partition()),
        (time, PartitionId(0xdead_beef))
    );
    assert_eq!(OpId::new(time, &SeededEntropy::new(2)).time_ms(), time);
    let version = VersionId::new(77, RegionId(5), &SeededEntropy::new(3));
    assert_eq!((version.time(), version.region()), (77, RegionId(5)));
}

#[test]
fn ids_are_given_once() {
    let ids = IdSource::new(&SeededEntropy::new(1));
    let chunks: BTreeSet<ChunkId> = (0..1000).map(|_| ids.chunk(5)).collect();
    let manifests: BTreeSet<ManifestId> =
        (0..1000).map(|_| ids.manifest(5, PartitionId(1))).collect();
    assert_eq!((chunks.len(), manifests.len()), (1000, 1000));
}

#[test]
fn text_round_trips_and_nothing_else_is_read() {
    let id = VersionId(0x00ff_0000_0000_0000_0000_0000_0000_0001);
    assert_eq!(VersionId::parse(&id.to_string()), Some(id));
    for bad in [
        "",
        "null",
        "+0ff00000000000000000000000000001",
        "0",
        &"0".repeat(33),
    ] {
        assert_eq!(VersionId::parse(bad), None, "{bad}");
    }
}
