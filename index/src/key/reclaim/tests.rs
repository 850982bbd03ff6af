//! Golden bytes, and sets of parts.

use super::*;
use crate::key::golden;
use types::ManifestId;

#[test]
fn entries_have_their_golden_bytes() {
    let manifest = Manifest {
        id: ManifestId(0xfeed),
        length: 10,
        home: BucketId(7),
        shared_ref: 9,
        ..Default::default()
    };
    golden::check(
        &ReclaimRecord::of_manifest(manifest.clone()),
        "021b01100000000000000000000000000000feed02010a060107070109",
    );
    golden::check(
        &ReclaimRecord::of_reference(&manifest),
        "010101021801100000000000000000000000000000feed060107070109",
    );
    golden::check(
        &ReclaimRecord::of_pages(BucketId(7), ManifestId(0xfeed)),
        "010103021501100000000000000000000000000000feed060107",
    );
    let mut used = PartSet::default();
    used.insert(1);
    used.insert(17);
    golden::check(
        &ReclaimRecord::of_upload(BucketId(7), UploadId(0x55), used),
        "0101020310000000000000000000000000000000550401070503020002",
    );
}

#[test]
fn a_set_has_the_parts_that_were_added() {
    let mut used = PartSet::default();
    for number in [1, 8, 9_999, 10_000] {
        used.insert(number);
    }
    let record = ReclaimRecord::of_upload(BucketId(7), UploadId(0x55), used);
    let found: Vec<u16> = (0..=u16::MAX)
        .filter(|number| record.uses_part(*number))
        .collect();
    assert_eq!(found, [1, 8, 9_999, 10_000]);
}
