//! The operations of the index against a reference model: random sequences, races, interruptions,
//! lists, uploads, reclaim.

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
