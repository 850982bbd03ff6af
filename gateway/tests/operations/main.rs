//! The S3 operations over an index and disks in memory, asked with signed HTTP requests.

#![allow(
    missing_docs,
    reason = "a test binary has no readers of its documentation"
)]
#![allow(clippy::unwrap_used, reason = "all of this is test code")]

mod harness;

mod buckets;
mod checksums;
mod copies;
mod deletes;
mod faults;
mod lists;
mod model;
mod multipart;
mod objects;
mod part_copies;
mod pressure;
mod probes;
mod races;
mod read_versions;
mod reads;
mod refusals;
mod tagging;
mod uploads;
mod versions;
mod wire;
mod writes;
