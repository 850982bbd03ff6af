//! The contract of `IndexStore`, run on every engine against a model: whatever sequence of calls, the
//! answers are the model's, across restarts and on an image of the files taken while it runs.

#[path = "engine_suite/bounds.rs"]
mod bounds;
#[allow(dead_code, reason = "the tests of Raft do more to its nodes")]
#[path = "raft/cluster.rs"]
mod cluster;
#[path = "engine_suite/harness.rs"]
mod harness;
#[path = "engine_suite/model.rs"]
mod model;
#[allow(dead_code, reason = "the tests of Raft do more to its network")]
#[path = "raft/net.rs"]
mod net;
#[path = "engine_suite/replicated.rs"]
mod replicated;
#[path = "engine_suite/speed.rs"]
mod speed;
#[path = "engine_suite/steps.rs"]
mod steps;

use harness::{Harness, Subject};
use proptest::prelude::*;

fn run(subject: Subject, steps: &[steps::Step]) {
    let runtime = harness::runtime();
    runtime.block_on(async {
        let mut harness = Harness::new(subject);
        for step in steps {
            harness.take(step).await;
        }
        harness.compare_everything().await;
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]
    #[test]
    fn memory_does_what_the_model_does(steps in steps::steps(60)) {
        run(Subject::memory(), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn rocks_does_what_the_model_does(steps in steps::steps(40)) {
        run(Subject::rocks(), &steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]
    #[test]
    fn three_raft_nodes_do_what_the_model_does(steps in steps::steps(40)) {
        run(Subject::raft(), &steps);
    }
}
