//! Golden bytes.

use super::*;
use crate::key::golden;
use types::RegionId;

#[test]
fn an_outcome_has_its_golden_bytes() {
    let outcome = OutcomeRecord {
        version: VersionId(0x1234),
        order: Order {
            time: 300,
            region: RegionId(1),
            epoch: 2,
        },
        is_null: true,
        delete_marker: true,
        etag: "e".to_owned(),
        upload: UploadId(0x55),
        ..Default::default()
    };
    golden::check(
        &outcome,
        "\
         011000000000000000000000000000001234020e000000000000012c00010000000203010104\
         0101050165061000000000000000000000000000000055",
    );
}
