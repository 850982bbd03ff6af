//! Names and units of what the gateway measures.

use http::StatusCode;
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};
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

/// Tells the recorder what the names mean; to be called once it is installed.
pub fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Answered S3 operations");
    describe_histogram!(DURATION, Unit::Seconds, "Time to the head of the answer");
    describe_counter!(BYTES_IN, Unit::Bytes, "Payload bytes of uploads");
    describe_counter!(BYTES_OUT, Unit::Bytes, "Object bytes sent");
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
