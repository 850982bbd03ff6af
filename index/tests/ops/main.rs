//! The operations of the index against a reference model: random sequences, races, interruptions,
//! lists, uploads, reclaim.

#![allow(
    clippy::unwrap_used,
    reason = "a test that meets an error has failed; clippy exempts only functions marked as tests"
)]

mod buckets;
mod control;
mod deletes;
mod faulty;
mod interrupted;
mod lists;
mod model;
mod parts;
mod processes;
mod races;
mod reclaim;
mod sequences;
mod tags;
mod uploads;
mod world;
