//! Names and units of what the gateway measures.

use http::StatusCode;
use metrics::{
    Counter, Gauge, Histogram, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use std::sync::OnceLock;
use std::time::Duration;

/// Answered operations, by `op` and `status`.
pub const REQUESTS: &str = "cairn_s3_requests_total";
/// Time from the verified request to the head of its answer, in seconds, by `op`.
pub const DURATION: &str = "cairn_s3_request_duration_seconds";
/// Payload bytes of uploads, without framing.
pub const BYTES_IN: &str = "cairn_s3_received_bytes_total";
/// Object bytes sent.
pub const BYTES_OUT: &str = "cairn_s3_sent_bytes_total";
/// Blocks that the cache had, by `tier`: memory or disk.
pub const CACHE_HITS: &str = "cairn_cache_hits_total";
/// Blocks that were read from the chunk store, past the cache or into it.
pub const CACHE_MISSES: &str = "cairn_cache_misses_total";
/// Readers who waited for a block that was being read for another one.
pub const CACHE_COLLAPSED: &str = "cairn_cache_collapsed_total";
/// Object bytes given out by the cache.
pub const CACHE_SERVED: &str = "cairn_cache_served_bytes_total";
/// Bytes that the cache holds, by `tier`.
pub const CACHE_HELD: &str = "cairn_cache_held_bytes";
/// Blocks on the cache's disk that were not as they had been written.
pub const CACHE_DAMAGED: &str = "cairn_cache_damaged_total";

/// Tells the recorder what the names mean; to be called once it is installed.
pub fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Answered S3 operations");
    describe_histogram!(DURATION, Unit::Seconds, "Time to the head of the answer");
    describe_counter!(BYTES_IN, Unit::Bytes, "Payload bytes of uploads");
    describe_counter!(BYTES_OUT, Unit::Bytes, "Object bytes sent");
    describe_counter!(CACHE_HITS, Unit::Count, "Blocks that the cache had");
    describe_counter!(
        CACHE_MISSES,
        Unit::Count,
        "Blocks read from the chunk store"
    );
    describe_counter!(
        CACHE_COLLAPSED,
        Unit::Count,
        "Readers who shared the reading of a block"
    );
    describe_counter!(
        CACHE_SERVED,
        Unit::Bytes,
        "Object bytes given out by the cache"
    );
    describe_gauge!(CACHE_HELD, Unit::Bytes, "Bytes that the cache holds");
    describe_counter!(
        CACHE_DAMAGED,
        Unit::Count,
        "Damaged blocks on the cache's disk"
    );
}

/// What is measured of one operation. The handles of the common case are looked up once, so the recorder must be
/// installed before the first answer.
#[derive(Debug)]
pub struct OpMetrics {
    op: &'static str,
    handles: OnceLock<(Counter, Histogram)>,
}

impl OpMetrics {
    /// Of the operation with S3's name `op`.
    #[must_use]
    pub const fn new(op: &'static str) -> Self {
        Self {
            op,
            handles: OnceLock::new(),
        }
    }

    /// S3's name.
    #[must_use]
    pub fn op(&self) -> &'static str {
        self.op
    }

    /// Counts one answer.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        let (successes, duration) = self.handles.get_or_init(|| {
            let duration = histogram!(DURATION, "op" => self.op);
            (self.answers(StatusCode::OK), duration)
        });
        if status == StatusCode::OK {
            successes.increment(1);
        } else {
            self.answers(status).increment(1);
        }
        duration.record(took.as_secs_f64());
    }

    fn answers(&self, status: StatusCode) -> Counter {
        counter!(REQUESTS, "op" => self.op, "status" => status.as_str().to_owned())
    }
}

/// Counts payload received.
pub fn received(bytes: u64) {
    counter!(BYTES_IN).increment(bytes);
}

/// Counts object bytes handed to the connection.
pub fn sent(bytes: u64) {
    counter!(BYTES_OUT).increment(bytes);
}

/// What is measured of the cache. Made once the recorder is installed.
#[derive(Debug, Clone)]
pub(crate) struct CacheMetrics {
    memory_hits: Counter,
    disk_hits: Counter,
    misses: Counter,
    collapsed: Counter,
    served: Counter,
    memory: Gauge,
    disk: Gauge,
    damaged: Counter,
}

impl CacheMetrics {
    pub(crate) fn new() -> Self {
        Self {
            memory_hits: counter!(CACHE_HITS, "tier" => "memory"),
            disk_hits: counter!(CACHE_HITS, "tier" => "disk"),
            misses: counter!(CACHE_MISSES),
            collapsed: counter!(CACHE_COLLAPSED),
            served: counter!(CACHE_SERVED),
            memory: gauge!(CACHE_HELD, "tier" => "memory"),
            disk: gauge!(CACHE_HELD, "tier" => "disk"),
            damaged: counter!(CACHE_DAMAGED),
        }
    }

    pub(crate) fn found_in_memory(&self) {
        self.memory_hits.increment(1);
    }

    pub(crate) fn found_on_disk(&self) {
        self.disk_hits.increment(1);
    }

    pub(crate) fn missed(&self) {
        self.misses.increment(1);
    }

    pub(crate) fn collapsed(&self) {
        self.collapsed.increment(1);
    }

    pub(crate) fn served(&self, bytes: u64) {
        self.served.increment(bytes);
    }

    pub(crate) fn in_memory(&self, bytes: u64) {
        self.memory.set(bytes as f64);
    }

    pub(crate) fn on_disk(&self, bytes: u64) {
        self.disk.set(bytes as f64);
    }

    pub(crate) fn damaged(&self) {
        self.damaged.increment(1);
    }
}
