//! Golden bytes.

use super::*;
use crate::key::golden;
use types::RegionId;

#[test]
fn a_head_has_its_golden_bytes() {
    let order = |time| Order {
        time,
        region: RegionId(1),
        epoch: 2,
    };
    let head = HeadRecord {
        newest: order(300),
        null_order: Some(order(200)),
        count: 5,
        ..Default::default()
    };
    golden::check(
        &head,
        "010e000000000000012c000100000002020e00000000000000c8000100000002030105",
    );
}
