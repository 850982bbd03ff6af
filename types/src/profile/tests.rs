//! Tests of profiles: the table of the design, and the arithmetic of cells.

use super::*;

#[test]
fn one_machine_gets_the_profile_of_the_table() {
    let table = [
        (1, "1+0"),
        (2, "1+1"),
        (3, "1+2"),
        (4, "2+2"),
        (5, "3+2"),
        (6, "4+2"),
        (11, "4+2"),
        (12, "8+4"),
        (40, "8+4"),
    ];
    for (disks, expected) in table {
        assert_eq!(
            ErasureProfile::for_disks(disks).unwrap().to_string(),
            expected,
            "{disks} disks"
        );
    }
    assert_eq!(ErasureProfile::for_disks(0), None);
    assert_eq!(
        ErasureProfile::small_for_disks(1).unwrap().to_string(),
        "1+0"
    );
    assert_eq!(
        ErasureProfile::small_for_disks(9).unwrap().to_string(),
        "1+2"
    );
    assert_eq!(ErasureProfile::small_for_disks(0), None);
}

/// Whatever the number of zones: without one of them there is still a shard to spare, so that writes go on.
#[test]
fn a_region_gets_profiles_that_can_spare_a_zone() {
    for zones in 2..=6 {
        for disks in 1..=8 {
            let (striped, small) = ErasureProfile::for_zones(zones, disks).unwrap();
            for profile in [striped, small] {
                let in_one = profile.shards().div_ceil(zones);
                assert!(in_one <= disks, "{profile} over {zones} zones of {disks}");
                let left = profile.shards() - in_one;
                let needed = if zones == 2 && disks == 1 {
                    profile.data()
                } else {
                    profile.data() + 1
                };
                assert!(left >= needed, "{profile} over {zones} zones leaves {left}");
            }
        }
    }
    let named = |zones, disks| {
        ErasureProfile::for_zones(zones, disks).map(|(wide, small)| format!("{wide} {small}"))
    };
    assert_eq!(named(3, 3).as_deref(), Some("5+4 1+3"));
    assert_eq!(named(3, 5).as_deref(), Some("9+6 1+3"));
    assert_eq!(named(1, 9), None);
    assert_eq!(named(3, 0), None);
}

#[test]
fn impossible_profiles_are_refused() {
    assert_eq!(ErasureProfile::new(0, 2), None);
    assert_eq!(ErasureProfile::new(20, 13), None);
    assert!(ErasureProfile::new(20, 12).is_some());
}

#[test]
fn cells_hold_the_stripe() {
    let profile = ErasureProfile::new(4, 2).unwrap();
    assert_eq!(profile.cell_bytes(1), 1);
    assert_eq!(profile.cell_bytes(4), 1);
    assert_eq!(profile.cell_bytes(5), 2);
    assert_eq!(profile.cell_bytes(4 * 256 * 1024), 256 * 1024);
}
