//! The short form of `make chaos`: some seconds of faults on a region of three zones, and on one server, by the debug
//! build of `cairn` that `cargo test --workspace` makes beside this test.

use std::process::Command;

fn run_on(target: &str) {
    let words = format!("run --on {target} --seed 1 --seconds 20 --clients 6");
    let output = Command::new(env!("CARGO_BIN_EXE_chaos"))
        .args(words.split(' '))
        .output()
        .expect("chaos can be run");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// One after the other: together they would be short of processors.
#[test]
fn a_region_and_a_server_keep_their_promises_under_faults() {
    run_on("region");
    run_on("machine");
}
