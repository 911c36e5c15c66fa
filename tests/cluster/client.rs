//! What a story needs of a client. It is told twice: by librdkafka and by our own. Not here: requests that no client
//! would send (`requests`).

use std::net::SocketAddr;

use tidemark_record::Compression;

use crate::{librdkafka::Librdkafka, own::Own};

/// A record as it was sent or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub timestamp_ms: i64,
}

impl Record {
    /// A record with nothing but a value and a timestamp.
    pub fn of(value: &str, timestamp_ms: i64) -> Self {
        Self { key: None, value: Some(value.as_bytes().to_vec()), headers: vec![], timestamp_ms }
    }
}

/// A record's number, and the offset that it was stored at: None where the broker only says that it had it already.
pub type Outcome = (usize, Result<Option<i64>, String>);

/// A client of partition 0.
pub trait Client {
    /// For messages and topic names.
    fn name(&self) -> &'static str;

    /// Writes all in batches of at most so many records, waits for every outcome, and gives the offsets.
    fn write(&self, topic: &str, codec: Compression, batch_records: usize, records: &[Record]) -> Vec<i64>;

    /// Reads `count` records from an offset on, with their offsets.
    fn read(&self, topic: &str, from: i64, count: usize) -> Vec<(i64, Record)>;

    /// The offset of the first record at or after a time.
    fn offset_at(&self, topic: &str, timestamp_ms: i64) -> Option<i64>;

    /// An idempotent producer that goes on when the broker is gone for a while.
    fn stream(&self, topic: &str) -> Box<dyn Stream>;
}

/// Records on their way.
pub trait Stream {
    /// Queues one.
    fn send(&mut self, number: usize, record: &Record);

    /// How many have an outcome so far.
    fn settled(&self) -> usize;

    /// Waits for all outcomes; by number.
    fn finish(self: Box<Self>) -> Vec<Outcome>;
}

/// All of them.
pub fn clients(bootstrap: SocketAddr) -> [Box<dyn Client>; 2] {
    [Box::new(Librdkafka(bootstrap)), Box::new(Own::connect(bootstrap))]
}
