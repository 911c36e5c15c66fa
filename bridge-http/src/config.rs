//! What the bridge is told when it starts: bounds of every request, and how long it waits for whom.

use std::time::Duration;

/// Settings of the bridge. Start from the default and change fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeConfig {
    /// The most bytes of a body, as sent and as inflated. Default 1 MiB.
    pub body_bytes_max: usize,
    /// Bytes that bodies above 32 KiB may take together while they arrive; beyond that they are refused. Default 16 MiB.
    pub bodies_bytes_max: usize,
    /// Bytes that answers above 64 KiB may take together until they are sent; more wait, then are refused. Default 16 MiB.
    pub answers_bytes_max: usize,
    /// The most bytes of a request line and its headers. Default 16 KiB.
    pub head_bytes_max: usize,
    /// The most bytes of a request target. Default 4 KiB.
    pub target_bytes_max: usize,
    /// The most header lines. Default 100.
    pub headers_max: usize,
    /// Open connections; further ones are answered 503 and closed. Default 1,024.
    pub connections_max: usize,
    /// From the first byte of a head to its last, and from the opening of a connection to the first byte. Default 10 s.
    pub head_timeout: Duration,
    /// From the end of a head to the end of its body. Default 30 s.
    pub body_timeout: Duration,
    /// Between an answer and the next request. Default 60 s.
    pub idle_timeout: Duration,
    /// How long a client may read nothing of its answer. Default 30 s.
    pub write_timeout: Duration,
    /// How long a record may wait for its acknowledgement. Default 15 s.
    pub delivery_timeout: Duration,
    /// The longest that a reader may wait for records. Default 60 s.
    pub wait_max: Duration,
    /// The most bytes of records in one answer; the first record is always given whole. Default 4 MiB.
    pub read_bytes_max: usize,
    /// The most records in one answer. Default 10,000.
    pub read_records_max: usize,
    /// How long answers under way may take once the bridge is told to stop. Default 5 s.
    pub shutdown_timeout: Duration,
}

impl Default for BridgeConfig {
    fn default() -> Self {
        Self {
            body_bytes_max: 1024 * 1024,
            bodies_bytes_max: 16 * 1024 * 1024,
            answers_bytes_max: 16 * 1024 * 1024,
            head_bytes_max: 16 * 1024,
            target_bytes_max: 4 * 1024,
            headers_max: 100,
            connections_max: 1024,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            delivery_timeout: Duration::from_secs(15),
            wait_max: Duration::from_secs(60),
            read_bytes_max: 4 * 1024 * 1024,
            read_records_max: 10_000,
            shutdown_timeout: Duration::from_secs(5),
        }
    }
}
