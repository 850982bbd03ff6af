//! The operations of the index against a reference model: random sequences, races, interruptions,
//! lists, uploads, reclaim.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed; clippy exempts only functions marked as tests"
)]

mod control;
mod faulty;
mod interrupted;
mod lists;
mod model;
mod races;
mod reclaim;
mod sequences;
mod uploads;
mod world;
