//! What was counted: operations, bytes, latencies, errors.

use crate::client::Fault;
use crate::load::Stored;
use crate::mix::Operation;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// Longer latencies are counted as this one.
const LATENCY_MAX_US: u64 = 600 * 1_000_000;

/// Counts of one client, or of several together.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Successful operations.
    pub operations: BTreeMap<Operation, Count>,
    /// Failures, by status and code.
    pub errors: BTreeMap<String, u64>,
    /// Answers 503, each of which was tried again later.
    pub busy: u64,
    /// Pages at the end of a list that had fewer keys than they were asked for; they are no operations.
    pub short_pages: u64,
    /// A sample of what was put, to be read back.
    pub stored: Vec<Stored>,
}

/// Successful operations of one kind.
#[derive(Debug, Clone)]
pub struct Count {
    /// Object bytes in, out, or bytes of pages.
    pub bytes: u64,
    /// From the first try to the last byte of the answer, in microseconds.
    pub latency_us: Histogram<u64>,
}

impl Default for Count {
    fn default() -> Self {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_MAX_US, 3);
        Self {
            bytes: 0,
            latency_us: latency_us.expect("the bounds are in order"),
        }
    }
}

impl Tally {
    /// Counts one operation that moved so many bytes, was a short page, or failed.
    pub fn record(
        &mut self,
        operation: Operation,
        took: Duration,
        result: Result<Option<u64>, Fault>,
    ) {
        match result {
            Ok(None) => self.short_pages += 1,
            Ok(Some(bytes)) => {
                let count = self.operations.entry(operation).or_default();
                count.bytes += bytes;
                let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
                count.latency_us.saturating_record(us.max(1));
            }
            Err(fault) => *self.errors.entry(fault.label()).or_default() += 1,
        }
    }

    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        for (operation, count) in other.operations {
            let sum = self.operations.entry(operation).or_default();
            sum.bytes += count.bytes;
            sum.latency_us
                .add(&count.latency_us)
                .expect("all have the same bounds");
        }
        for (label, count) in other.errors {
            *self.errors.entry(label).or_default() += count;
        }
        self.busy += other.busy;
        self.short_pages += other.short_pages;
        self.stored.extend(other.stored);
    }

    /// All operations together.
    pub fn total(&self) -> Count {
        let mut total = Count::default();
        for count in self.operations.values() {
            total.bytes += count.bytes;
            total
                .latency_us
                .add(&count.latency_us)
                .expect("all have the same bounds");
        }
        total
    }

    /// Failures of all kinds.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_clients() {
        let mut sum = Tally::default();
        for client in 0..10 {
            let mut tally = Tally::default();
            for n in 0..100 {
                let took = Duration::from_micros(client * 100 + n + 1);
                tally.record(Operation::Put, took, Ok(Some(10)));
            }
            sum.add(tally);
        }
        let total = sum.total();
        assert_eq!(total.bytes, 10_000);
        assert_eq!(total.latency_us.len(), 1000);
        assert_eq!(total.latency_us.value_at_quantile(0.5), 500);
        assert_eq!(total.latency_us.value_at_quantile(0.99), 990);
        assert_eq!(total.latency_us.max(), 1000);
    }

    #[test]
    fn a_short_page_is_no_operation() {
        let mut tally = Tally::default();
        tally.record(Operation::List, Duration::from_millis(1), Ok(None));
        tally.record(Operation::List, Duration::from_millis(9), Ok(Some(1)));
        assert_eq!(tally.total().latency_us.len(), 1);
        let mut sum = Tally::default();
        sum.add(tally);
        assert_eq!(sum.short_pages, 1);
    }

    #[test]
    fn failures_are_told_apart() {
        let mut tally = Tally::default();
        let refused = |status, code: &str| {
            Err(Fault::Refused {
                status,
                code: code.to_owned(),
                message: String::new(),
                retry_after: None,
            })
        };
        for result in [
            refused(404, "NoSuchKey"),
            refused(404, "NoSuchKey"),
            refused(500, "InternalError"),
            Err(Fault::Wrong("other bytes")),
        ] {
            tally.record(Operation::Get, Duration::ZERO, result);
        }
        assert_eq!(tally.errors["404 NoSuchKey"], 2);
        assert_eq!(tally.failed(), 4);
        assert_eq!(tally.total().latency_us.len(), 0);
    }
}
