//! The binary as its operator and its users see it: start, stop, configuration, users, `cairn check`,
//! and conditional writes with one winner.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![allow(
    clippy::disallowed_methods,
    reason = "tests of real processes wait in real time"
)]

mod cache;
mod checks;
#[path = "../common/mod.rs"]
mod common;
mod measures;
mod misled;
mod operator;
mod push;
mod winner;
