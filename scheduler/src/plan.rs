//! Planners: pure functions from what is known to what is to be done.

pub mod gc;
pub mod orphans;
pub mod outage;
