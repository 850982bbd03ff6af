//! Golden bytes.

use super::*;
use crate::key::golden;
use types::ManifestId;

#[test]
fn records_have_their_golden_bytes() {
    let manifest = Manifest {
        id: ManifestId(0xfeed),
        length: 10,
        ..Default::default()
    };
    let shared = SharedRecord {
        count: 2,
        manifest,
        ..Default::default()
    };
    golden::check(
        &shared,
        "010102021501100000000000000000000000000000feed02010a",
    );
    let reference = SharedReference {
        bucket: BucketId(7),
        key: "a/b".to_owned(),
        partition: PartitionId(3),
        created_ms: 1_700_000_000_000,
        op_id: OpId(0x77),
        ..Default::default()
    };
    golden::check(
        &reference,
        "\
         0101070203612f62030103040680d095ffbc31051000000000000000000000000000000077",
    );
}
