use super::*;
use crate::ceilings::EmptyHandler;
use crate::installation::FileSystem;
use crate::report::{Latency, Report, ServerUse};
use crate::suite::rows::{Goal, ROWS};

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
    server_cpu_ms: 0.15,
    total_cpu_ms: 0.2,
    client_cpu_ms: 0.1,
    is_quiet: true,
};

/// A round with these costs of an operation.
fn round(server_cpu_ms: f64, behind_cpu_ms: f64) -> Round {
    let latency_ms = Latency {
        mean: 1.0,
        p50: 1.0,
        p99: 1.0,
        max: 1.0,
    };
    Round {
        report: Report {
            work: String::new(),
            connections: 16,
            seconds: 1.0,
            operations: 1000,
            ops_per_second: 1000.0,
            megabytes_per_second: 4.0,
            latency_ms,
            by_operation: BTreeMap::new(),
            failed: 0,
            errors: BTreeMap::new(),
            read_back: 0,
            short_pages: 0,
            busy: 0,
            client_cpu_ms_per_op: 0.1,
            server: Some(ServerUse {
                cpu_ms_per_op: server_cpu_ms,
                rss_bytes: 1,
                peak_rss_bytes: 1,
            }),
            stored: Vec::new(),
        },
        behind_cpu_ms_per_op: behind_cpu_ms,
        is_quiet: true,
    }
}

/// The outcome of the first row, `put-4k`, whose limit is 0.25 ms.
fn outcome(rounds: Vec<Round>, error: Option<&str>) -> Outcome {
    let error = error.map(str::to_owned);
    let measured = Measured { rounds, error };
    Outcome {
        label: "test".to_owned(),
        others_share: 0.0,
        rows: vec![RowOutcome::of(&ROWS[0], measured, &ceilings(), 0.0)],
        ceilings: ceilings(),
        skipped: Vec::new(),
    }
}

#[test]
fn medians_are_the_middle() {
    assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    assert_eq!(median(Vec::new()), 0.0);
}

#[test]
fn what_a_put_costs_later_is_judged_too() {
    let at_once = outcome(vec![round(0.2, 0.04)], None);
    assert_eq!(at_once.rows[0].result, "met");
    let later = outcome(vec![round(0.2, 0.06); 3], None);
    assert_eq!(later.rows[0].result, MISSED);
    assert!(
        later.failed().is_empty(),
        "a limit that is missed is no failure"
    );
    let text = later.text();
    assert!(
        text.contains("MISSED: put-4k: 0.260 ms CPU/op, and the limit is 0.250"),
        "{text}"
    );
}

#[test]
fn a_row_whose_server_still_works_is_not_met() {
    let busy = Round {
        is_quiet: false,
        ..round(0.1, 0.01)
    };
    let outcome_of = |rounds| outcome(rounds, None).rows[0].result;
    assert_eq!(outcome_of(vec![round(0.1, 0.01), busy.clone()]), "UNCLEAR");
    let missed = Round {
        is_quiet: false,
        ..round(0.3, 0.01)
    };
    assert_eq!(outcome_of(vec![missed]), MISSED);
    let text = outcome(vec![busy], None).text();
    assert!(text.contains("put-4k: the server still worked"), "{text}");
}

#[test]
fn one_failure_of_any_round_fails_the_row() {
    let mut wrong = round(0.1, 0.0);
    wrong
        .report
        .count_failed("WRONG: other bytes".to_owned(), 2);
    let outcome = outcome(vec![round(0.1, 0.0), wrong, round(0.1, 0.0)], None);
    assert_eq!(outcome.failed(), ["put-4k"]);
    let text = outcome.text();
    let row = text
        .lines()
        .find(|line| line.starts_with("| put-4k"))
        .unwrap();
    assert!(row.contains(FAILED) && !row.contains("met"), "{row}");
    assert!(
        text.contains("FAILED: put-4k: 2 x WRONG: other bytes"),
        "{text}"
    );
    let json = serde_json::to_value(&outcome).unwrap();
    assert_eq!(json["rows"][0]["result"], FAILED);
    assert_eq!(json["rows"][0]["failed"], 2);
    assert_eq!(json["rows"][0]["errors"]["WRONG: other bytes"], 2);
}

#[test]
fn a_row_without_operations_fails() {
    let mut idle = round(0.0, 0.0);
    idle.report.operations = 0;
    for (rounds, error) in [
        (vec![round(0.1, 0.0), idle], None),
        (vec![], Some("the server did not start")),
        (vec![round(0.1, 0.0)], Some("the server ended")),
    ] {
        let outcome = outcome(rounds, error);
        assert_eq!(outcome.failed(), ["put-4k"]);
        let text = outcome.text();
        assert!(
            text.contains(error.unwrap_or("no operation succeeded")),
            "{text}"
        );
        assert!(serde_json::to_value(&outcome).unwrap()["rows"][0]["error"].is_string());
    }
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
