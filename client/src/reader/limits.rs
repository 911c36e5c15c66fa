//! Bounds of one fetch.

use std::time::Duration;

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
