//! The power-loss library tells the truth: what was synced always survives, what was not is really
//! lost or torn for some seeds, and what the library cannot follow does not go unnoticed.
//!
//! The child process is this test binary again (`child`), so that the calls are those of Rust's std.

#[path = "powerloss_selftest/child.rs"]
mod child;
#[path = "powerloss_selftest/model.rs"]
mod model;

#[path = "powerloss_selftest/process.rs"]
mod process;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::os::unix::process::ExitStatusExt;

use process::{Killed, unfollowed};
use s3_tests::powerloss::Report;

/// Seeds of the tests that look at all outcomes.
const SEEDS: std::ops::Range<u64> = 0..24;

/// The process that the other tests kill; see `child.rs` for the script it reads.
#[test]
#[ignore = "not a test: the other tests start it as a process and kill it"]
fn child() {
    let script = std::io::stdin().lock();
    assert!(!script.is_terminal(), "only other tests start this");
    child::run(script);
}

/// The content of `name` after each seed; None where it is gone.
fn outcomes(script: &str, name: &str) -> Vec<Option<Vec<u8>>> {
    let run = |seed| {
        let mut killed = Killed::script(script);
        killed.crash(seed);
        killed.read(name)
    };
    SEEDS.map(run).collect()
}

/// Which of these names exist after each seed, as a set of "name" or "name name".
fn names_after(script: &str, names: &[&str]) -> BTreeSet<String> {
    let run = |seed| {
        let mut killed = Killed::script(script);
        killed.crash(seed);
        let there = names.iter().filter(|name| killed.root.join(name).exists());
        there.copied().collect::<Vec<_>>().join(" ")
    };
    SEEDS.map(run).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn a_synced_append_survives_and_one_that_is_not_is_lost_kept_or_torn() {
    let script = "write a 0 5000 s\nsync a\nsyncdir .\nwrite a 5000 9000 u\n";
    let outcomes: Vec<Vec<u8>> = outcomes(script, "a")
        .into_iter()
        .map(Option::unwrap)
        .collect();
    assert!(outcomes.iter().all(|bytes| bytes[..5000] == [b's'; 5000]));
    assert!(outcomes.iter().all(|bytes| bytes.len() <= 14000));
    assert!(
        outcomes.iter().step_by(4).all(|bytes| bytes.len() == 5000),
        "seeds 0, 4, 8 .."
    );
    let tail = |bytes: &[u8]| bytes[5000..].to_vec();
    assert!(
        outcomes.iter().any(|bytes| tail(bytes) == [b'u'; 9000]),
        "never kept"
    );
    let torn = |bytes: &Vec<u8>| tail(bytes).contains(&b'u') && tail(bytes) != [b'u'; 9000];
    assert!(outcomes.iter().any(torn), "never torn");
    let holed = |bytes: &Vec<u8>| tail(bytes).windows(2).any(|pair| pair == [0, b'u']);
    assert!(
        outcomes.iter().any(holed),
        "a later page never survived without an earlier one"
    );
    let stale = |bytes: &Vec<u8>| tail(bytes).iter().any(|byte| !b"u\0".contains(byte));
    assert!(outcomes.iter().any(stale), "never garbage");
}

#[test]
fn an_overwrite_is_mixed_with_what_was_there() {
    let script =
        "write a 0 20000 s\nsync a\nsyncdir .\nwrite a 2000 10000 t\nwrite a 5000 10000 u\n";
    let outcomes: Vec<Vec<u8>> = outcomes(script, "a")
        .into_iter()
        .map(Option::unwrap)
        .collect();
    for bytes in &outcomes {
        assert_eq!(bytes.len(), 20000);
        assert!(
            bytes[..2000]
                .iter()
                .chain(&bytes[15000..])
                .all(|&byte| byte == b's')
        );
        assert!(bytes[2000..5000].iter().all(|byte| b"st".contains(byte)));
        assert!(bytes[12000..15000].iter().all(|byte| b"su".contains(byte)));
    }
    assert!(
        outcomes
            .iter()
            .step_by(4)
            .all(|bytes| bytes.iter().all(|&byte| byte == b's'))
    );
    let has = |byte: u8| {
        outcomes
            .iter()
            .any(|bytes| bytes[5000..12000].contains(&byte))
    };
    assert!(
        has(b's') && has(b't') && has(b'u'),
        "each of the three versions survives somewhere"
    );
}

#[test]
fn a_later_sync_covers_earlier_changes_under_it() {
    let script = "write a 0 9000 s\nsync a\nsyncdir .\nwrite a 0 3000 t\nresize a 5000\n\
                  write a 2000 2000 u\nsync a\nwrite a 1000 2000 v\n";
    for bytes in outcomes(script, "a").into_iter().map(Option::unwrap) {
        assert_eq!(bytes.len(), 5000);
        assert_eq!(bytes[..1000], [b't'; 1000]);
        assert!(bytes[1000..2000].iter().all(|byte| b"tv".contains(byte)));
        assert!(bytes[2000..3000].iter().all(|byte| b"uv".contains(byte)));
        assert_eq!(bytes[3000..4000], [b'u'; 1000]);
        assert_eq!(bytes[4000..], [b's'; 1000]);
    }
}

#[test]
fn a_cut_tail_comes_back_and_so_does_a_hole() {
    let cut = "write a 0 9000 s\nsync a\nsyncdir .\nresize a 1000\nwrite a 1000 6000 u\n";
    let outcomes_of_cut = outcomes(cut, "a");
    let whole = Some(vec![b's'; 9000]);
    assert!(
        outcomes_of_cut
            .iter()
            .step_by(4)
            .all(|bytes| *bytes == whole),
        "seeds 0, 4, 8 .."
    );
    assert!(
        outcomes_of_cut.iter().any(|bytes| *bytes != whole),
        "never cut"
    );
    for bytes in outcomes_of_cut
        .iter()
        .flatten()
        .filter(|bytes| **bytes != [b's'; 9000])
    {
        assert!(bytes.len() <= 7000, "cut, but {} bytes long", bytes.len());
        assert!(
            !bytes[1000..].windows(2).any(|pair| pair == b"ss"),
            "the cut tail shows through"
        );
    }
    let start = |bytes: &Option<Vec<u8>>| bytes.as_ref().unwrap()[..1000] == [b's'; 1000];
    assert!(outcomes_of_cut.iter().all(start));

    // What is written into a preallocated range reads as zeros again.
    let filled = "resize a 9000\nsync a\nsyncdir .\nwrite a 1000 5000 u\n";
    assert!(
        outcomes(filled, "a")
            .iter()
            .step_by(4)
            .all(|bytes| *bytes == Some(vec![0; 9000]))
    );
}

#[test]
fn a_new_name_needs_the_sync_of_its_directory() {
    let script = "write a 0 100 s\nsync a\n";
    assert_eq!(names_after(script, &["a"]), set(&["", "a"]));
    let script = "write a 0 100 s\nsyncdir .\n";
    assert_eq!(names_after(script, &["a"]), set(&["a"]));
    let empty = |bytes: &Option<Vec<u8>>| bytes.as_ref().unwrap().is_empty();
    assert!(
        outcomes(script, "a").iter().step_by(4).all(empty),
        "the name without the content"
    );
    let script = "mkdir d\nwrite d/a 0 100 s\nsync d/a\nsyncdir d\n";
    assert_eq!(names_after(script, &["d", "d/a"]), set(&["", "d d/a"]));
}

#[test]
fn the_manifest_pattern_has_two_outcomes_only() {
    let pattern = "write a 0 9000 s\nsync a\nsyncdir .\nwrite a.tmp 0 7000 u\nsync a.tmp\n\
                   rename a.tmp a\n";
    let expected = BTreeSet::from([vec![b's'; 9000], vec![b'u'; 7000]]);
    let seen: BTreeSet<_> = outcomes(pattern, "a")
        .into_iter()
        .map(Option::unwrap)
        .collect();
    assert_eq!(
        seen, expected,
        "a rename replaces the file as a whole, or not"
    );
    let finished = format!("{pattern}syncdir .\n");
    let seen: BTreeSet<_> = outcomes(&finished, "a")
        .into_iter()
        .map(Option::unwrap)
        .collect();
    assert_eq!(seen, BTreeSet::from([vec![b'u'; 7000]]));
    let careless = pattern.replace("sync a.tmp\n", "");
    let torn = |bytes: &Option<Vec<u8>>| !expected.contains(bytes.as_ref().unwrap());
    assert!(
        outcomes(&careless, "a").iter().any(torn),
        "the missing sync is found"
    );
}

#[test]
fn unlinked_names_and_removed_directories_come_back() {
    let script = "mkdir d\nwrite d/a 0 9000 s\nsync d/a\nsyncdir d\nsyncdir .\nunlink d/a\n";
    assert_eq!(names_after(script, &["d/a"]), set(&["", "d/a"]));
    let back = outcomes(script, "d/a");
    assert!(back.iter().flatten().all(|bytes| *bytes == [b's'; 9000]));
    let script = format!("{script}rmdir d\n");
    assert_eq!(
        names_after(&script, &["d", "d/a"]),
        set(&["", "d", "d d/a"])
    );
    let script = format!("{script}syncdir .\n");
    assert_eq!(names_after(&script, &["d"]), set(&[""]));
}

#[test]
fn links_and_renames_between_directories_happen_whole() {
    let start = "mkdir d\nmkdir e\nsyncdir .\nwrite d/a 0 9 s\nsync d/a\nsyncdir d\n";
    let names = ["d/a", "e/b"];
    let renamed = format!("{start}rename d/a e/b\n");
    assert_eq!(names_after(&renamed, &names), set(&["d/a", "e/b"]));
    for synced in ["d", "e"] {
        let script = format!("{renamed}syncdir {synced}\n");
        assert_eq!(names_after(&script, &names), set(&["e/b"]));
    }
    let linked = format!("{start}link d/a e/b\n");
    assert_eq!(names_after(&linked, &names), set(&["d/a", "d/a e/b"]));
    let moved = format!("{start}link d/a e/b\nsyncdir e\nunlink d/a\nsyncdir d\n");
    assert_eq!(names_after(&moved, &names), set(&["e/b"]));
    let directory = format!("{start}rename d f\nwrite f/c 0 9 s\n");
    let seen = names_after(&directory, &["d", "d/a", "d/c", "f", "f/a", "f/c"]);
    assert_eq!(seen, set(&["d d/a", "d d/a d/c", "f f/a", "f f/a f/c"]));
}

#[test]
fn what_failed_did_not_happen() {
    let script = "mkdir d\nmkdir e\nsyncdir .\nlink-fails d e/f\nrename-fails d d/f\n";
    assert_eq!(
        names_after(script, &["d", "d/f", "e", "e/f"]),
        set(&["d e"])
    );
}

#[test]
fn copies_inside_the_kernel_become_writes() {
    let script = "write a 0 90000 s\nsync a\nsyncdir .\ncopy a b\nsyncdir .\n";
    let outcomes: Vec<Vec<u8>> = outcomes(script, "b")
        .into_iter()
        .map(Option::unwrap)
        .collect();
    assert!(outcomes.iter().step_by(4).all(|bytes| bytes.is_empty()));
    assert!(outcomes.iter().any(|bytes| *bytes == [b's'; 90000]));
}

#[test]
fn random_histories_lose_exactly_what_the_model_says() {
    for seed in 0..60 {
        let history = model::History::random(seed);
        let mut killed = Killed::script(&history.script());
        let inodes = model::inodes(&killed.lines);
        let report = killed.crash(seed);
        if let Err(difference) = history.check(&inodes, &killed.root, seed.is_multiple_of(4)) {
            panic!("seed {seed}: {difference}\n{}\n{report}", history.script());
        }
    }
}

/// Promises of the workers that do not hold after the power loss, and what it lost.
fn broken_promises(command: &str, seed: u64) -> (Vec<String>, Report) {
    let mut killed = Killed::after(
        command,
        "promise",
        300 + 100 * usize::try_from(seed).expect("a small seed"),
    );
    let report = killed.crash(seed);
    report.assert_sound();
    let holds = |line: &&String| child::promise_holds(line, &killed.root);
    let promises = killed
        .lines
        .iter()
        .filter(|line| line.starts_with("promise"));
    (
        promises.filter(|line| !holds(line)).cloned().collect(),
        report,
    )
}

#[test]
fn threads_with_interleaved_syncs_keep_exactly_what_was_promised() {
    let mut lost = false;
    for seed in 0..6 {
        let (broken, report) = broken_promises("workers honest\n", seed);
        assert!(broken.is_empty(), "seed {seed}: {broken:?}\n{report}");
        lost |= report.lost_something();
    }
    assert!(
        lost,
        "the workers write ahead of their syncs, so something has to be lost"
    );
}

#[test]
fn promises_before_the_sync_are_found_out() {
    let found = (0..6).filter(|&seed| !broken_promises("workers lying\n", seed).0.is_empty());
    assert!(
        found.count() >= 3,
        "every fourth seed must find it, others should"
    );
}

#[test]
fn what_cannot_be_followed_ends_the_process() {
    let cases = [
        ("mapping", "mapped shared and writable"),
        ("dsync", "not modelled"),
        ("stream", "a stream writes"),
        ("fork", "forked process"),
        ("rename-in", "crosses the edge"),
        ("link-in", "linked in from outside"),
    ];
    for (case, expected) in cases {
        let (status, outcome) = unfollowed(case);
        assert_eq!(status.signal(), Some(6), "{case}: not aborted");
        let message = outcome.unwrap_err();
        assert!(message.contains(expected), "{case}: {message}");
    }
}

#[test]
fn raw_system_calls_are_noticed() {
    let (status, outcome) = unfollowed("raw");
    assert!(status.success());
    let report = outcome.unwrap();
    assert_eq!(report.unseen.len(), 1, "{:?}", report.unseen);
    assert!(std::panic::catch_unwind(|| report.assert_sound()).is_err());
    let (status, outcome) = unfollowed("tmpfile");
    assert!(status.success());
    assert!(
        outcome.unwrap().unseen.is_empty(),
        "an unnamed file that gets a name is followed"
    );
}
