//! The handle through which records are written.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::{Notify, Semaphore};

use super::{
    Delivery, ProducerConfig, ProducerRecord, RecordPosition,
    accumulator::{Accumulator, NotQueued},
    batch, sender,
};
use crate::{
    Client, ProduceError, clock,
    cluster::{Cluster, Creation},
    retry, tasks,
};

/// Writes records. Clones share the queues; the task behind them ends when the last clone is dropped and what was
/// queued has been sent or given up.
#[derive(Clone)]
pub struct Producer(Arc<Handle>);

/// Its last owner closes the producer.
struct Handle(Arc<Shared>);

/// What handles and the sender share.
pub(super) struct Shared {
    pub(super) cluster: Arc<Cluster>,
    pub(super) config: Arc<ProducerConfig>,
    accumulator: Mutex<Accumulator>,
    buffer: Arc<Semaphore>,
    /// Bytes of the buffer in all.
    buffer_bytes: usize,
    /// Callers that wait for room in the buffer.
    pub(super) waiting: AtomicUsize,
    /// The sender has something to do.
    pub(super) work: Notify,
    /// Batches were settled.
    pub(super) settled: Notify,
}

impl Shared {
    pub(super) fn accumulator(&self) -> MutexGuard<'_, Accumulator> {
        self.accumulator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Producer {
    /// A producer; must be made inside a tokio runtime. Nothing is sent before the first record.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a client is a handle, cheap to clone, as everywhere in this crate"
    )]
    pub fn new(client: Client, config: ProducerConfig) -> Self {
        // a semaphore's permits are counted in 32 bits where they are taken
        let buffer_bytes = config.buffer_bytes.clamp(1, u32::MAX as usize / 2);
        let buffer = Arc::new(Semaphore::new(buffer_bytes));
        let config = Arc::new(config);
        let accumulator = Accumulator::new(Arc::clone(&config), Arc::clone(&buffer), retry::random());
        let shared = Arc::new(Shared {
            cluster: client.into_cluster(),
            config,
            accumulator: Mutex::new(accumulator),
            buffer,
            buffer_bytes,
            waiting: AtomicUsize::new(0),
            work: Notify::new(),
            settled: Notify::new(),
        });
        tasks::spawn(sender::run(Arc::clone(&shared)));
        Self(Arc::new(Handle(shared)))
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
        let shared = &self.0.0;
        let bytes = batch::size_max(&record);
        let bytes_max = shared.config.request_bytes_max.min(shared.buffer_bytes);
        if bytes > bytes_max {
            return Err(ProduceError::RecordTooLarge { topic: record.topic, bytes, bytes_max });
        }
        // a caller that never waits must not keep the sender from running
        tokio::task::coop::consume_budget().await;
        shared.room(bytes).await?;
        let timestamp_ms = record.timestamp_ms.unwrap_or_else(clock::wall_ms);
        let mut asked = false;
        loop {
            let queued = shared.accumulator().append(&record, timestamp_ms, bytes);
            let error = match queued {
                Ok((delivery, work)) => {
                    if work {
                        shared.work.notify_one();
                    }
                    return Ok(delivery);
                }
                Err(NotQueued::Closed) => ProduceError::Closed,
                Err(NotQueued::NoSuchPartition(partitions)) if asked => ProduceError::NoSuchPartition {
                    partition: record.partition.unwrap_or(-1),
                    topic: record.topic.clone(),
                    partitions,
                },
                Err(missing) => {
                    if missing != NotQueued::UnknownTopic {
                        shared.cluster.distrust(&record.topic);
                    }
                    asked = true;
                    match shared.learn(&record.topic).await {
                        Ok(()) => continue,
                        Err(error) => error,
                    }
                }
            };
            shared.buffer.add_permits(bytes);
            return Err(error);
        }
    }

    /// Sends what is queued without lingering, and waits until all of it is acknowledged or given up. What became of
    /// each record is told by its own delivery.
    pub async fn flush(&self) {
        let shared = &self.0.0;
        let below = shared.accumulator().flush();
        shared.work.notify_one();
        loop {
            let settled = shared.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            if shared.accumulator().is_settled_below(below) {
                return;
            }
            settled.await;
        }
    }

    /// Refuses further records, and flushes.
    pub async fn close(&self) {
        self.0.0.close();
        self.flush().await;
    }
}

impl Shared {
    /// Takes room in the buffer, in turn.
    async fn room(&self, bytes: usize) -> Result<(), ProduceError> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        if let Ok(permit) = self.buffer.try_acquire_many(permits) {
            permit.forget();
            return Ok(());
        }
        let _waiting = Waiting::count(self);
        self.work.notify_one();
        self.buffer.acquire_many(permits).await.map_err(|_| ProduceError::Closed)?.forget();
        Ok(())
    }

    async fn learn(&self, topic: &str) -> Result<(), ProduceError> {
        let metadata = self.cluster.topic(topic, Creation::Allowed).await?;
        self.accumulator().learn(topic, metadata.partitions.len());
        Ok(())
    }

    fn close(&self) {
        let mut accumulator = self.accumulator();
        accumulator.closed = true;
        accumulator.flush();
        drop(accumulator);
        self.work.notify_one();
    }
}

/// Counts a caller that waits for room, also if it goes away meanwhile.
struct Waiting<'a>(&'a Shared);

impl<'a> Waiting<'a> {
    fn count(shared: &'a Shared) -> Self {
        shared.waiting.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Producer").field(&self.0.0.config).finish()
    }
}
