//! From object bytes to shards on disks, and back.
//!
//! A chunk is a run of stripes, all full but the last. A full stripe of a striped group holds k cells of
//! 256 KiB; a small-object group has one stripe to a chunk. Object bytes fill the data cells in order,
//! and cell i is shard i; zeros pad the last data cells of a stripe that they do not divide evenly.
//!
//! - [`layout`]: where the bytes of a range stand (pure)
//! - [`quorum`]: whether a stripe may be acknowledged (pure)
//! - [`buffer`]: the stripe that is being filled
//! - [`put`]: one stripe to its disks
//! - [`writer`]: an object's bytes to chunks
//! - [`gather`]: cells of one stripe from its disks, rebuilt where they are lost
//! - [`reader`]: a range of a chunk as a stream
//! - [`read_ahead`]: the stripes of a reader in order, fetched ahead where that helps

pub(crate) mod buffer;
pub(crate) mod gather;
pub(crate) mod layout;
pub(crate) mod metrics;
pub(crate) mod put;
pub(crate) mod quorum;
mod read_ahead;
pub(crate) mod reader;
pub(crate) mod writer;
