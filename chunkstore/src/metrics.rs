//! The metrics of a disk: names, with their units. Every one has the label `disk`. The handles are taken
//! when a disk is opened, so the recorder has to be installed before.

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use types::DiskId;

/// Shards made durable, a count.
pub const PUT_SHARDS: &str = "cairn_disk_put_shards_total";
/// Bytes of records made durable.
pub const PUT_BYTES: &str = "cairn_disk_put_bytes_total";
/// Records that shared one sync, a count for each sync.
pub const GROUP_SHARDS: &str = "cairn_disk_group_shards";
/// Time of one write and sync, seconds.
pub const SYNC_SECONDS: &str = "cairn_disk_sync_seconds";
/// Reads answered from the page cache on the caller's thread, a count.
pub const READS_CACHED: &str = "cairn_disk_reads_cached_total";
/// Reads that had to wait for the device, a count.
pub const READS_WAITED: &str = "cairn_disk_reads_waited_total";
/// Reads that failed or found damage, a count.
pub const READS_FAILED: &str = "cairn_disk_reads_failed_total";
/// Bytes of live records that compaction has copied.
pub const COMPACTED_BYTES: &str = "cairn_disk_compacted_bytes_total";
/// 1 while the disk takes no writes, else 0.
pub const READ_ONLY: &str = "cairn_disk_read_only";

/// Handles of one disk's metrics.
pub(crate) struct DiskMetrics {
    pub put_shards: Counter,
    pub put_bytes: Counter,
    pub group_shards: Histogram,
    pub sync_seconds: Histogram,
    pub reads_cached: Counter,
    pub reads_waited: Counter,
    pub reads_failed: Counter,
    pub compacted_bytes: Counter,
    pub read_only: Gauge,
}

impl DiskMetrics {
    pub fn new(disk: DiskId) -> Self {
        let disk = || disk.to_string();
        Self {
            put_shards: counter!(PUT_SHARDS, "disk" => disk()),
            put_bytes: counter!(PUT_BYTES, "disk" => disk()),
            group_shards: histogram!(GROUP_SHARDS, "disk" => disk()),
            sync_seconds: histogram!(SYNC_SECONDS, "disk" => disk()),
            reads_cached: counter!(READS_CACHED, "disk" => disk()),
            reads_waited: counter!(READS_WAITED, "disk" => disk()),
            reads_failed: counter!(READS_FAILED, "disk" => disk()),
            compacted_bytes: counter!(COMPACTED_BYTES, "disk" => disk()),
            read_only: gauge!(READ_ONLY, "disk" => disk()),
        }
    }
}

impl std::fmt::Debug for DiskMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DiskMetrics").finish_non_exhaustive()
    }
}
