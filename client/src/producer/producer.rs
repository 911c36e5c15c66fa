//! The handle through which records are written.

use super::{Delivery, ProducerConfig, ProducerRecord, RecordPosition};
use crate::{Client, ProduceError};

/// Writes records. Clones share the queues; the task behind them ends when the last clone is dropped and what was
/// queued has been sent or given up.
#[derive(Debug, Clone)]
pub struct Producer {
    _client: Client,
}

impl Producer {
    /// A producer; must be made inside a tokio runtime. Nothing is sent before the first record.
    pub fn new(client: Client, config: ProducerConfig) -> Self {
        let _ = (client, config);
        todo!()
    }

    /// Queues a record and waits for its position. One call at a time is slow; for many records use [`Self::queue`] or
    /// run calls side by side.
    ///
    /// # Errors
    /// Those of [`ProduceError`].
    pub async fn send(&self, record: ProducerRecord) -> Result<RecordPosition, ProduceError> {
        self.queue(record).await?.await
    }

    /// Queues a record: waits only for the topic's metadata and for room in the buffer. Records of one partition are
    /// written in the order in which they were queued. The [`Delivery`] resolves to the position.
    ///
    /// # Errors
    /// The record is too large, its partition or topic does not exist, or the producer is closed: nothing was queued.
    pub async fn queue(&self, record: ProducerRecord) -> Result<Delivery, ProduceError> {
        let _ = record;
        todo!()
    }

    /// Sends what is queued without lingering, and waits until all of it is acknowledged or given up. What became of
    /// each record is told by its own delivery.
    pub async fn flush(&self) {
        todo!()
    }

    /// Flushes, then refuses further records.
    pub async fn close(&self) {
        todo!()
    }
}
