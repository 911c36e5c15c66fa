//! What a queued record's sender waits on: one completion per batch, shared by its records.

use std::{
    future::Future,
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::sync::Semaphore;

use crate::ProduceError;

/// Where a record was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordPosition {
    /// The partition.
    pub partition: i32,
    /// Its offset; None without acknowledgements, or where the broker only says that it had the record already.
    pub offset: Option<i64>,
    /// The timestamp it was stored with: the broker's under LogAppendTime, else the record's.
    pub timestamp_ms: i64,
}

/// A future that resolves when the record is acknowledged or given up. Dropping it loses only the answer.
#[derive(Debug)]
#[must_use = "a record may fail: await its delivery, or drop it on purpose"]
pub struct Delivery {
    completion: Arc<Completion>,
    /// Of the record in its batch.
    index: u32,
    partition: i32,
    timestamp_ms: i64,
    /// Where its waker is, and after how many settlements it was put there.
    slot: Option<(usize, usize)>,
}

impl Delivery {
    pub(super) fn new(completion: Arc<Completion>, index: u32, partition: i32, timestamp_ms: i64) -> Self {
        Self { completion, index, partition, timestamp_ms, slot: None }
    }
}

impl Future for Delivery {
    type Output = Result<RecordPosition, ProduceError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mut state = this.completion.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((records, outcome)) = state.settled.iter().find(|(records, _)| records.contains(&this.index)) {
            return Poll::Ready(match outcome {
                Outcome::Written { base_offset, log_append_time_ms } => Ok(RecordPosition {
                    partition: this.partition,
                    offset: base_offset.map(|base| base.saturating_add(i64::from(this.index - records.start))),
                    timestamp_ms: log_append_time_ms.unwrap_or(this.timestamp_ms),
                }),
                Outcome::Failed(error) => Err(error.clone()),
                Outcome::RecordsRefused { error, others, refused } => {
                    let own = refused.iter().find(|(index, _)| records.start.checked_add(*index) == Some(this.index));
                    Err(own.map_or_else(|| others.clone(), |(_, message)| error.clone().with_words(message)))
                }
            });
        }
        let settlements = state.settled.len();
        let slot = this.slot.filter(|(_, then)| *then == settlements);
        match slot.and_then(|(slot, _)| state.wakers.get_mut(slot)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => {
                this.slot = Some((state.wakers.len(), settlements));
                state.wakers.push(context.waker().clone());
            }
        }
        Poll::Pending
    }
}

/// What became of records.
#[derive(Debug, Clone)]
pub(super) enum Outcome {
    /// They are in the log.
    Written {
        /// Offset of the first; None if the broker did not say.
        base_offset: Option<i64>,
        /// The broker's clock, where the topic's timestamps come from it.
        log_append_time_ms: Option<i64>,
    },
    /// They are given up.
    Failed(ProduceError),
    /// The broker names records that it refuses, by their place, with its words; the others went down with them.
    RecordsRefused { error: ProduceError, others: ProduceError, refused: Vec<(u32, String)> },
}

/// The place where the records of one batch learn what became of them. A batch that was split settles in parts.
#[derive(Debug, Default)]
pub(super) struct Completion(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    settled: Vec<(Range<u32>, Outcome)>,
    wakers: Vec<Waker>,
}

impl Completion {
    fn settle(&self, records: Range<u32>, outcome: Outcome) {
        let wakers = {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.settled.push((records, outcome));
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// The claim of records on an outcome and on a share of the buffer. Dropped unsettled, it says that the producer closed.
#[derive(Debug)]
pub(super) struct Ticket {
    completion: Arc<Completion>,
    records: Range<u32>,
    bytes: usize,
    buffer: Arc<Semaphore>,
    settled: bool,
}

impl Ticket {
    pub(super) fn new(buffer: Arc<Semaphore>) -> Self {
        Self { completion: Arc::default(), records: 0..0, bytes: 0, buffer, settled: false }
    }

    /// Adds a record that holds `bytes` of the buffer.
    pub(super) fn add(&mut self, partition: i32, timestamp_ms: i64, bytes: usize) -> Delivery {
        let index = self.records.end;
        self.records.end += 1;
        self.bytes += bytes;
        Delivery::new(Arc::clone(&self.completion), index, partition, timestamp_ms)
    }

    /// Place of its first record among those of its batch.
    pub(super) fn first(&self) -> u32 {
        self.records.start
    }

    /// Cuts off the records from `count` on.
    pub(super) fn split_off(&mut self, count: u32) -> Self {
        let middle = self.records.start + count;
        let bytes = self.bytes / 2;
        self.bytes -= bytes;
        let records = middle..std::mem::replace(&mut self.records.end, middle);
        let (completion, buffer) = (Arc::clone(&self.completion), Arc::clone(&self.buffer));
        Self { completion, records, bytes, buffer, settled: false }
    }

    pub(super) fn settle(mut self, outcome: Outcome) {
        self.settled = true;
        self.completion.settle(self.records.clone(), outcome);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.buffer.add_permits(self.bytes);
        if !self.settled {
            self.completion.settle(self.records.clone(), Outcome::Failed(ProduceError::Closed));
        }
    }
}
