//! Settings of a producer.

use std::time::Duration;

use tidemark_record::Compression;

/// Whose acknowledgement a record waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Acks {
    /// Nobody's: positions have no offset, and losses go unseen.
    None,
    /// The leader's.
    Leader,
    /// All in-sync replicas'.
    #[default]
    All,
}

/// Settings of a [`Producer`](super::Producer).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerConfig {
    /// Whose acknowledgement a record waits for. Default all in-sync replicas'.
    pub acks: Acks,
    /// Writes each record once and in order even when requests are repeated; needs [`Acks::All`] and is off without it.
    /// Default true.
    pub idempotent: bool,
    /// Codec of the batches. Default none.
    pub compression: Compression,
    /// The codec's own level; None is its default.
    pub compression_level: Option<i32>,
    /// A batch is closed when it has this many bytes before compression. Default 256 KiB.
    pub batch_bytes: usize,
    /// How long a batch that is not full waits for more. Default zero: it goes as soon as the broker owes no answer,
    /// with what queued meanwhile.
    pub linger: Duration,
    /// The most bytes of one request before compression, so of one record too. Default 1 MiB.
    pub request_bytes_max: usize,
    /// Bytes that may be queued or in flight; then [`Producer::queue`](super::Producer::queue) waits. Default 32 MiB.
    pub buffer_bytes: usize,
    /// Batches of a partition, and requests to a broker, that may await answers. Default 5, which is also the most.
    pub in_flight_max: usize,
    /// From when a record was queued, how long attempts may begin; one that runs then is waited for. Default 2 min.
    pub delivery_timeout: Duration,
}

impl ProducerConfig {
    /// Whether batches carry sequences.
    pub(super) fn is_idempotent(&self) -> bool {
        self.idempotent && self.acks == Acks::All
    }
}

impl Default for ProducerConfig {
    fn default() -> Self {
        Self {
            acks: Acks::All,
            idempotent: true,
            compression: Compression::None,
            compression_level: None,
            batch_bytes: 256 * 1024,
            linger: Duration::ZERO,
            request_bytes_max: 1024 * 1024,
            buffer_bytes: 32 * 1024 * 1024,
            in_flight_max: 5,
            delivery_timeout: Duration::from_secs(120),
        }
    }
}
