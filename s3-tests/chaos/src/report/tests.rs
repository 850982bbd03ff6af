//! Results that are written can be counted.

use super::*;

fn row(seed: u64) -> Row {
    Row {
        target: "machine",
        seed,
        seconds: 60,
        clients: 16,
        faults: 12,
        events: 30_000,
        unanswered: 40,
        keys: 700,
        gap_median_ms: 900,
        gap_max_ms: 2_300,
        missing_shards: 0,
    }
}

#[test]
fn runs_of_many_sittings_count_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("results.csv");
    let a_day_ms = 86_400_000;
    append(&path, &row(1), true, 0).unwrap();
    append(&path, &row(2), false, a_day_ms).unwrap();
    append(&path, &row(3), true, a_day_ms).unwrap();
    assert_eq!(total(&path, "machine").unwrap(), (3, 3, 1));
    assert_eq!(total(&path, "region").unwrap(), (0, 0, 0));
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], HEAD);
    assert_eq!(
        lines[2],
        "1970-01-02,machine,2,60,16,12,30000,40,700,900,2300,0,FAILED"
    );
    let columns = |line: &str| line.split(',').count();
    assert_eq!(columns(lines[0]), columns(lines[1]));
}
