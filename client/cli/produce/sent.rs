//! What became of the records: how many were acknowledged, where they lie, and what failed first.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write,
};

use futures_util::FutureExt;
use tidemark_client::{Delivery, ProduceError, RecordPosition};

/// Records of one partition: how many, and their first and last offset where the broker says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Written {
    records: u64,
    offsets: Option<(i64, i64)>,
}

/// Deliveries in the order of the lines.
#[derive(Debug, Default)]
pub(super) struct Sent {
    waiting: VecDeque<(u64, Delivery)>,
    written: BTreeMap<i32, Written>,
    failure: Option<(u64, ProduceError)>,
}

impl Sent {
    /// A record that was queued.
    pub(super) fn push(&mut self, line: u64, delivery: Delivery) {
        self.waiting.push_back((line, delivery));
    }

    /// A record that was not.
    pub(super) fn refused(&mut self, line: u64, error: ProduceError) {
        self.failure.get_or_insert((line, error));
    }

    /// Takes what is known by now. False once something failed.
    pub(super) fn take_ready(&mut self) -> bool {
        while let Some((line, delivery)) = self.waiting.front_mut() {
            let line = *line;
            let Some(outcome) = delivery.now_or_never() else { break };
            self.waiting.pop_front();
            self.note(line, outcome);
        }
        self.failure.is_none()
    }

    /// Waits for the rest.
    pub(super) async fn finish(&mut self) {
        while let Some((line, delivery)) = self.waiting.pop_front() {
            let outcome = delivery.await;
            self.note(line, outcome);
        }
    }

    fn note(&mut self, line: u64, outcome: Result<RecordPosition, ProduceError>) {
        match outcome {
            Ok(position) => {
                let written = self.written.entry(position.partition).or_default();
                written.records += 1;
                if let Some(offset) = position.offset {
                    let (first, last) = written.offsets.unwrap_or((offset, offset));
                    written.offsets = Some((first.min(offset), last.max(offset)));
                }
            }
            Err(error) => self.refused(line, error),
        }
    }

    /// How many were acknowledged.
    pub(super) fn records(&self) -> u64 {
        self.written.values().map(|written| written.records).sum()
    }

    /// The first failure, with its line.
    pub(super) fn failure(&mut self) -> Option<(u64, ProduceError)> {
        self.failure.take()
    }

    /// For people.
    pub(super) fn summary(&self, topic: &str, acknowledged: bool) -> String {
        let records = self.records();
        let verb = if acknowledged { "written to" } else { "sent to" };
        let mut text = format!("{records} {} {verb} {topic}", if records == 1 { "record" } else { "records" });
        for (partition, written) in &self.written {
            let _ = match written.offsets {
                Some((first, last)) if first == last => write!(text, "\n  partition {partition}: offset {first}"),
                Some((first, last)) => write!(text, "\n  partition {partition}: offsets {first} to {last}"),
                None => write!(text, "\n  partition {partition}: {} records", written.records),
            };
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32, offset: Option<i64>) -> Result<RecordPosition, ProduceError> {
        Ok(RecordPosition { partition, offset, timestamp_ms: 0 })
    }

    #[test]
    fn the_summary_says_where_records_lie() {
        let mut sent = Sent::default();
        for (line, (partition, offset)) in [(1, Some(9)), (0, Some(4)), (1, Some(10))].into_iter().enumerate() {
            sent.note(line as u64, at(partition, offset));
        }
        assert_eq!(
            sent.summary("t", true),
            "3 records written to t\n  partition 0: offset 4\n  partition 1: offsets 9 to 10"
        );
    }

    #[test]
    fn without_acknowledgements_there_are_no_offsets() {
        let mut sent = Sent::default();
        sent.note(1, at(0, None));
        assert_eq!(sent.summary("t", false), "1 record sent to t\n  partition 0: 1 records");
    }

    #[test]
    fn the_first_failure_is_the_one_that_is_told() {
        let mut sent = Sent::default();
        sent.note(3, Err(ProduceError::Closed));
        sent.note(4, Err(ProduceError::Closed));
        assert_eq!(sent.failure(), Some((3, ProduceError::Closed)));
    }
}
