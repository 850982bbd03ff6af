//! The commands of the binary, one file each.

pub mod bench;
pub mod check;
pub mod cluster;
pub mod config;
pub mod discard;
pub mod disk;
pub mod finalise;
pub mod node;
pub mod region;
pub mod server;
pub mod socket;
