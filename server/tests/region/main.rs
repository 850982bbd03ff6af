//! Regions of several nodes, on the real binary.
#![allow(
    clippy::disallowed_methods,
    reason = "tests of real processes wait in real time"
)]

mod ca;
#[path = "../common/mod.rs"]
mod common;
mod create;
mod gateways;
mod join;
mod lost_disk;
mod nodes;
mod restored;
mod serving;
mod upgrade;
