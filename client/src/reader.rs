//! Reads one partition by offset or time, without a group. Not here: offsets that are kept anywhere.

use std::time::Duration;

use bytes::Bytes;

use crate::{Client, ReadError, Record};

/// Where to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The first record there is.
    Earliest,
    /// Behind the last record there is: only what comes from now on.
    Latest,
    /// At this offset; one outside the log is an error of the first fetch.
    Offset(i64),
    /// The first record whose timestamp is at or after this one, in milliseconds since 1970; behind the last record if
    /// there is none.
    Timestamp(i64),
}

/// Which records of transactions are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Isolation {
    /// All, as soon as they are committed to the log.
    #[default]
    ReadUncommitted,
    /// Only those of committed transactions, up to the last stable offset.
    ReadCommitted,
}

/// Bounds of one fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchLimits {
    /// The broker answers at once when it has this much. Default 1.
    pub bytes_min: i32,
    /// About how much it may send; one batch is always sent whole. Default 1 MiB.
    pub bytes_max: i32,
    /// How long it may wait for `bytes_min`. Default 500 ms; zero never waits.
    pub wait_max: Duration,
    /// Which records of transactions are given.
    pub isolation: Isolation,
    /// The most bytes that one batch may inflate to. Default 64 MiB.
    pub inflated_bytes_max: usize,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self {
            bytes_min: 1,
            bytes_max: 1024 * 1024,
            wait_max: Duration::from_millis(500),
            isolation: Isolation::default(),
            inflated_bytes_max: tidemark_record::compression::INFLATED_BYTES_MAX,
        }
    }
}

/// Settings of a [`Reader`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReaderConfig {
    /// Bounds of each fetch; `wait_max` is replaced by what [`Reader::fetch`] is told.
    pub limits: FetchLimits,
}

/// What one fetch gave. Records stay in the bytes of the answer until they are asked for.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset that was asked for.
    pub offset: i64,
    /// The offset to ask for next: after the last whole batch, or `offset` again if there was none.
    pub next_offset: i64,
    /// The offset after the last committed record.
    pub high_watermark: i64,
    /// The offset after the last record that no open transaction can touch; -1 if the broker does not say.
    pub last_stable_offset: i64,
    /// The first offset there is; -1 if the broker does not say.
    pub log_start_offset: i64,
    _batches: Bytes,
}

impl Fetched {
    /// The records from `offset` on, decoded one by one; control records are left out.
    ///
    /// A damaged batch is an error at its place, and the last item.
    pub fn records(&self) -> impl Iterator<Item = Result<Record, ReadError>> + '_ {
        std::iter::empty()
    }

    /// All records at once.
    ///
    /// # Errors
    /// [`ReadError::Damaged`].
    pub fn into_records(self) -> Result<Vec<Record>, ReadError> {
        self.records().collect()
    }

    /// Whether it holds no batch at all.
    pub fn is_empty(&self) -> bool {
        self.next_offset == self.offset
    }
}

/// A place in one partition that moves as it is read.
#[derive(Debug)]
pub struct Reader {
    _client: Client,
}

impl Reader {
    /// Finds the start; reads nothing yet.
    ///
    /// # Errors
    /// An unknown topic or partition, or what any request may meet.
    pub async fn open(
        client: Client,
        topic: &str,
        partition: i32,
        start: Start,
        config: ReaderConfig,
    ) -> Result<Self, ReadError> {
        let _ = (client, topic, partition, start, config);
        todo!()
    }

    /// The next records, waiting up to `wait_max` for the first; empty if none came. Moves the position past them.
    /// Dropping the future leaves the position where it was.
    ///
    /// # Errors
    /// Those of [`ReadError`]; the position stays.
    pub async fn fetch(&mut self, wait_max: Duration) -> Result<Fetched, ReadError> {
        let _ = wait_max;
        todo!()
    }

    /// Moves to another place.
    ///
    /// # Errors
    /// What any request may meet; the position stays.
    pub async fn seek(&mut self, start: Start) -> Result<(), ReadError> {
        let _ = start;
        todo!()
    }

    /// The offset of the next record that [`Self::fetch`] will give.
    pub fn position(&self) -> i64 {
        todo!()
    }
}
