//! The metrics of the erasure-coding client: names, with their units.

/// Object bytes sent to disks, before coding; bytes sent again to another group count again.
pub const WRITTEN_BYTES: &str = "cairn_chunks_written_bytes_total";
/// Object bytes read.
pub const READ_BYTES: &str = "cairn_chunks_read_bytes_total";
/// Shards that a disk refused, a count.
pub const PUTS_FAILED: &str = "cairn_chunks_shard_puts_failed_total";
/// Shards that were not waited for once their stripe had its quorum, a count.
pub const PUTS_LATE: &str = "cairn_chunks_shard_puts_late_total";
/// Chunks that went on in another placement group, a count.
pub const GROUP_SWITCHES: &str = "cairn_chunks_group_switches_total";
/// Shards that were missing, damaged or unreadable when they were asked for, a count.
pub const READS_FAILED: &str = "cairn_chunks_shard_reads_failed_total";
/// Times that other disks were asked because one was slow, a count.
pub const READS_HEDGED: &str = "cairn_chunks_reads_hedged_total";
/// Stripes of which a part was rebuilt from other shards for a read or a repair, a count.
pub const STRIPES_REBUILT: &str = "cairn_chunks_stripes_rebuilt_total";
/// Reads of a stripe that failed for want of intact shards, a count.
pub const STRIPES_UNREADABLE: &str = "cairn_chunks_stripes_unreadable_total";
