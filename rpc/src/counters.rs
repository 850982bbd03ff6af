//! What the crate counts.

use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge};
use metrics::{describe_histogram, gauge, histogram};
use std::time::Duration;

/// Calls that ended, by side (`client`, `server`), method and outcome.
pub const CALLS: &str = "cairn_rpc_calls_total";
/// Time of a call, by side and method: to the head of the answer.
pub const DURATION: &str = "cairn_rpc_call_duration_seconds";
/// Bytes of headers and bodies sent.
pub const SENT: &str = "cairn_rpc_sent_bytes_total";
/// Bytes of headers and bodies received.
pub const RECEIVED: &str = "cairn_rpc_received_bytes_total";
/// Open connections, by side.
pub const CONNECTIONS: &str = "cairn_rpc_connections";
/// Connections that were refused, by reason.
pub const REFUSALS: &str = "cairn_rpc_handshake_refusals_total";
/// Attempts to join the cluster, by outcome.
pub const JOINS: &str = "cairn_rpc_joins_total";

/// Tells the recorder what the names mean. To be called once, after it has been installed.
pub fn describe() {
    describe_counter!(CALLS, Unit::Count, "Calls between nodes that ended");
    describe_histogram!(DURATION, Unit::Seconds, "Time to the head of the answer");
    describe_counter!(SENT, Unit::Bytes, "Bytes sent in calls");
    describe_counter!(RECEIVED, Unit::Bytes, "Bytes received in calls");
    describe_gauge!(CONNECTIONS, Unit::Count, "Open connections between nodes");
    describe_counter!(REFUSALS, Unit::Count, "Refused connections between nodes");
    describe_counter!(JOINS, Unit::Count, "Attempts of nodes to join");
}

/// Which end of a call.
#[derive(Debug, Clone, Copy)]
pub enum Side {
    /// The end that calls.
    Client,
    /// The end that answers.
    Server,
}

impl Side {
    fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// A call ended.
pub fn call(side: Side, method: &'static str, outcome: &'static str, took: Duration) {
    let side = side.word();
    counter!(CALLS, "side" => side, "method" => method, "outcome" => outcome).increment(1);
    histogram!(DURATION, "side" => side, "method" => method).record(took.as_secs_f64());
}

/// Bytes went out.
pub fn sent(bytes: usize) {
    counter!(SENT).increment(bytes as u64);
}

/// Bytes came in.
pub fn received(bytes: usize) {
    counter!(RECEIVED).increment(bytes as u64);
}

/// A connection or its handshake was refused.
pub fn refused(reason: &'static str) {
    counter!(REFUSALS, "reason" => reason).increment(1);
}

/// Somebody tried to join.
pub fn joined(outcome: &'static str) {
    counter!(JOINS, "outcome" => outcome).increment(1);
}

/// Counts an open connection as long as it lives.
pub struct Open(Gauge);

impl Open {
    /// One more.
    pub fn new(side: Side) -> Self {
        let gauge = gauge!(CONNECTIONS, "side" => side.word());
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
