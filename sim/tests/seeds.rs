//! Worlds of many seeds: nothing that was promised is broken in any, and each is the same every time.

use sim::run;
use std::ops::Range;

/// Every how many seeds one is run twice.
const TWICE: u64 = 10;

fn holds(seeds: Range<u64>) {
    for seed in seeds {
        let report = run(seed, None);
        let violations = &report.violations;
        assert!(violations.is_empty(), "seed {seed}: {violations:#?}");
        assert!(report.histories > 0, "seed {seed} judged nothing");
        if seed.is_multiple_of(TWICE) {
            let again = run(seed, None).log;
            assert!(
                again == report.log,
                "seed {seed} was another one when run again"
            );
        }
    }
}

#[test]
fn the_first_seeds_break_nothing() {
    holds(0..100);
}

#[test]
fn the_next_seeds_break_nothing() {
    holds(100..200);
}

#[test]
fn another_seed_is_another_world() {
    assert_ne!(run(1, None).hash(), run(2, None).hash());
}
