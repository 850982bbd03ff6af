//! Executors: thin workers that gather what a planner needs and carry out what it says.

pub mod compact;
pub mod dirty;
pub mod free;
pub mod gc;
pub mod housekeeping;
pub mod orphans;
pub mod repair;
pub mod scrub;

#[cfg(test)]
mod tests;
