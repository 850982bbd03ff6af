//! Background work: what was deleted is freed, what was abandoned is cleaned up, volumes are compacted,
//! and what a disk lacks is rebuilt.
//!
//! Each kind of work has a planner in [`plan`], a pure function, where there is something to decide, and a
//! thin executor in [`run`] that is a [`worker::Worker`]. Every executor works in bounded steps, each of
//! which leaves everything consistent if the process is killed in it, so work is resumed and never undone.
//!
//! Architecture invariant: nothing here frees a byte on the word of a wall clock. Grace periods are counted
//! in [`observed`] time; only the age of chunk ids, with its wide margin, is read off the wall clock.

pub mod budget;
pub mod config;
pub mod observed;
pub mod plan;
pub mod returned;
pub mod run;
pub mod state;
pub mod worker;

pub use config::SchedulerConfig;
pub use run::dirty::DirtyGroups;
