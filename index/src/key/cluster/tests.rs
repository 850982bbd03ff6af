//! Golden bytes.

use super::*;
use crate::key::golden;

#[test]
fn records_have_their_golden_bytes() {
    let missing = MissingShards {
        pg: PgId(9),
        chunk: ChunkId(0x0123),
        positions: 0b101,
        cluster: ChunkClusterId(1),
        ..Default::default()
    };
    golden::check(
        &missing,
        "010109021000000000000000000000000000000123030105040101",
    );
    let group = PlacementGroup {
        id: PgId(9),
        version: 3,
        ..Default::default()
    };
    golden::check(
        &GroupRecord {
            epoch: 4,
            group,
            ..Default::default()
        },
        "010104020a01010904020100050103",
    );
}
