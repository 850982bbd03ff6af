//! What the scheduler remembers in the index's control partition.

use crate::plan::gc::Mark;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use types::{PartitionId, record};

/// The name under which it is kept.
pub const NAME: &str = "gc";

record! {
    /// One [`Mark`].
    pub struct MarkRecord {
        1 => partition: PartitionId,
        /// Observed time in milliseconds.
        2 => at_ms: u64,
        3 => seq: u64,
    }
}

record! {
    /// Observed time and the marks of all partitions.
    pub struct TimeRecord {
        /// Observed time in milliseconds.
        1 => observed_ms: u64,
        /// By partition, oldest first.
        2 => marks: Vec<MarkRecord>,
    }
}

fn to_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl TimeRecord {
    /// The record of these values.
    #[must_use]
    pub fn of(observed: Duration, marks: &BTreeMap<PartitionId, VecDeque<Mark>>) -> Self {
        let record = |partition: PartitionId, mark: &Mark| MarkRecord {
            partition,
            at_ms: to_ms(mark.at),
            seq: mark.seq,
            ..Default::default()
        };
        let marks = marks
            .iter()
            .flat_map(|(id, marks)| marks.iter().map(|mark| record(*id, mark)));
        Self {
            observed_ms: to_ms(observed),
            marks: marks.collect(),
            ..Default::default()
        }
    }

    /// The marks by partition.
    #[must_use]
    pub fn marks(&self) -> BTreeMap<PartitionId, VecDeque<Mark>> {
        let mut marks: BTreeMap<PartitionId, VecDeque<Mark>> = BTreeMap::new();
        for record in &self.marks {
            let mark = Mark {
                at: Duration::from_millis(record.at_ms),
                seq: record.seq,
            };
            marks.entry(record.partition).or_default().push_back(mark);
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_pinned_and_marks_round_trip() {
        let mark = |at, seq| Mark {
            at: Duration::from_secs(at),
            seq,
        };
        let marks = BTreeMap::from([
            (PartitionId(1), VecDeque::from([mark(1, 5), mark(2, 9)])),
            (PartitionId(2), VecDeque::from([mark(1, 3)])),
        ]);
        let record = TimeRecord::of(Duration::from_secs(3), &marks);
        assert_eq!(record.marks(), marks);
        let hex: String = record
            .encode()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "0102b817021f0a0101010202e8070301050a0101010202d00f0301090a0101020202e807030103"
                .replace("021f", "0221")
        );
        assert_eq!(TimeRecord::decode(record.encode().into()).unwrap(), record);
    }
}
