use super::*;
use crate::ceilings::EmptyHandler;
use rows::Goal;

fn ceilings() -> Ceilings {
    Ceilings {
        processor: "a processor".to_owned(),
        cores: 2,
        file_system: FileSystem {
            kind: "ext4".to_owned(),
            device: "/dev/vda".to_owned(),
            free_bytes: 1,
        },
        md5_gb_per_second: 0.7,
        sha256_gb_per_second: 2.0,
        blake3_gb_per_second: 5.0,
        copy_gb_per_second: 10.0,
        loopback_gb_per_second: 3.0,
        fdatasync_existing_per_second: 2000.0,
        fdatasync_growing_per_second: 1000.0,
        empty_handler: EmptyHandler {
            connections: 16,
            requests_per_second: 60_000.0,
            server_cpu_ms: 0.01,
            client_cpu_ms: 0.015,
        },
    }
}

const FIGURES: Figures = Figures {
    ops_per_second: 7000.0,
    megabytes_per_second: 300.0,
    server_cpu_ms: 0.2,
    client_cpu_ms: 0.05,
};

#[test]
fn medians_are_the_middle() {
    assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
}

#[test]
fn cpu_is_held_against_limit_and_aim() {
    let word = |limit, aim| {
        Goal::CpuMs { limit, aim }
            .judge(FIGURES, &ceilings())
            .word(0.5)
    };
    assert_eq!(word(0.25, 0.2), "met, aim too");
    assert_eq!(word(0.25, 0.1), "met");
    assert_eq!(word(0.15, 0.1), "MISSED");
}

#[test]
fn rates_are_held_against_ceilings() {
    // The cores allow 2 / 0.25 ms = 8000/s, of which 80 %; the disk ten times 1000/s.
    let verdict = Goal::DurableRate.judge(FIGURES, &ceilings());
    assert_eq!(verdict.limit.round(), 6400.0);
    assert_eq!(verdict.word(0.0), "met");
    assert_eq!(verdict.word(0.5), "UNCLEAR");
    let slow_disk = Ceilings {
        fdatasync_growing_per_second: 100.0,
        ..ceilings()
    };
    assert_eq!(Goal::DurableRate.judge(FIGURES, &slow_disk).limit, 1000.0);
    let verdict = Goal::HalfOfMd5.judge(FIGURES, &ceilings());
    assert_eq!((verdict.limit, verdict.word(0.0)), (350.0, "MISSED"));
}

#[test]
fn rows_have_names_of_their_own_that_can_be_buckets() {
    let names: std::collections::BTreeSet<&str> = ROWS.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), ROWS.len());
    assert!(names.iter().all(|name| {
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    }));
}

#[test]
fn an_unknown_row_is_refused_by_name() {
    let options = SuiteOptions {
        data: std::env::temp_dir(),
        memory: "/dev/shm".into(),
        binary: None,
        rows: vec!["put-5k".to_owned()],
        duration: Duration::from_secs(1),
        rounds: 1,
        results: None,
        label: String::new(),
    };
    let error = choose(&options).unwrap_err().to_string();
    assert!(
        error.contains("put-5k") && error.contains("get-4k"),
        "{error}"
    );
}
