//! Names and units of what the gateway measures.

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
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

/// Counts one answer.
pub fn answered(op: &'static str, status: http::StatusCode, took: Duration) {
    counter!(REQUESTS, "op" => op, "status" => status.as_str().to_owned()).increment(1);
    histogram!(DURATION, "op" => op).record(took.as_secs_f64());
}

/// Counts payload received.
pub fn received(bytes: u64) {
    counter!(BYTES_IN).increment(bytes);
}

/// Counts object bytes handed to the connection.
pub fn sent(bytes: u64) {
    counter!(BYTES_OUT).increment(bytes);
}
