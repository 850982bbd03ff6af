//! Measures an S3 service: a load generator that costs little itself, and what the machine could give at best.
//!
//! It knows S3 over HTTP and nothing of Cairn's insides, so that it measures any S3 endpoint alike. Start at
//! [`load`], which makes the requests and counts the answers; [`suite`] runs it on a server of its own.

pub mod ceilings;
pub mod growth;
pub mod load;
pub mod options;
pub mod report;
pub mod suite;

mod client;
mod content;
mod installation;
mod keys;
mod mix;
mod process;
mod sign;
mod table;
mod tally;
