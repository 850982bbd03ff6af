//! Each planted bug is found within some seeds: the checks can fail.

use sim::{Bug, run};

/// Seeds in which a bug must show itself.
const SEEDS: u64 = 60;

fn is_found(bug: Bug) {
    let found = (0..SEEDS).find(|seed| !run(*seed, Some(bug)).violations.is_empty());
    assert!(found.is_some(), "{bug:?} is not found in {SEEDS} seeds");
}

macro_rules! found {
    ($($name:ident: $bug:ident),* $(,)?) => {$(
        #[test]
        fn $name() {
            is_found(Bug::$bug);
        }
    )*};
}

found! {
    a_check_before_the_publish: UncheckedCurrent,
    a_commit_that_is_carried_out_twice: ForgottenOutcome,
    an_answer_before_the_sync: AckBeforeSync,
    shards_that_are_swapped: SwappedShards,
    reads_that_are_behind: StaleReads,
    missing_shards_that_nobody_is_told_of: MissingUntold,
    deletes_that_are_not_done: DeleteForgotten,
}
