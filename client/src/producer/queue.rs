//! The batches of one partition, in order, and the rules of sequences. Pure: no IO, no clock of its own.
//!
//! ```text
//!   acknowledged | in flight, at most 5, all at one broker | ready: to be sent again, or closed | open
//! ```
//! A batch gets its sequence when it is first sent and keeps it: sent again, the broker knows it. What is sent again goes
//! alone, and so does the first batch of an epoch until it is acknowledged: a broker that knows nothing of a producer takes
//! any sequence for its first. Only when the broker says that it lacks what came before (an earlier batch was given up) do the batches that are
//! left get new sequences, under the next epoch; that answer also proves that none of them was written. So no batch is
//! ever in the log twice.

use std::collections::VecDeque;

use tidemark_record::batch::increment_sequence;
use tokio::time::Instant;

use super::batch::{Batch, Identity, Sequence};

/// Batches of one partition that a broker can tell from repeated ones (Kafka keeps the last five).
pub(super) const IN_FLIGHT_MAX: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Still being gathered.
    pub(super) open: Option<Batch>,
    ready: VecDeque<Batch>,
    in_flight: usize,
    /// Where those in flight are.
    broker: i32,
    identity: Option<Identity>,
    next_sequence: i32,
    /// The broker has acknowledged a batch of this identity.
    established: bool,
    /// Those left need new sequences once none is in flight.
    renumber: bool,
}

/// Whether the next batch can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readiness {
    /// Now.
    Now,
    /// At this moment, if nothing happens before.
    At(Instant),
    /// When something else happens: an answer, or another record.
    Later,
}

impl Queue {
    /// Closes the open batch.
    pub(super) fn close_open(&mut self) {
        self.ready.extend(self.open.take());
    }

    pub(super) fn is_idle(&self) -> bool {
        self.open.is_none() && self.ready.is_empty()
    }

    /// Whether the next closed batch can go to `broker`.
    pub(super) fn readiness(&self, broker: i32, now: Instant, in_flight_max: usize) -> Readiness {
        let Some(front) = self.ready.front() else { return Readiness::Later };
        let unproven = self.identity.is_some() && !self.established;
        let alone = self.renumber || front.attempts > 0 || unproven;
        let elsewhere = self.in_flight > 0 && self.broker != broker;
        if elsewhere || self.in_flight >= in_flight_max || (alone && self.in_flight > 0) {
            return Readiness::Later;
        }
        match front.not_before.filter(|not_before| *not_before > now) {
            Some(not_before) => Readiness::At(not_before),
            None => Readiness::Now,
        }
    }

    /// Whether a batch is closed that was never sent.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Bytes of the next closed batch before compression.
    pub(super) fn front_size(&self) -> usize {
        self.ready.front().map_or(0, |front| front.size_in_bytes)
    }

    /// Takes the next closed batch for sending. `producer` is None without idempotence.
    pub(super) fn take(&mut self, broker: i32, producer: Option<Identity>) -> Option<Batch> {
        self.number(producer);
        let mut batch = self.ready.pop_front()?;
        if let (Some(identity), None) = (self.identity, batch.sequence) {
            batch.sequence = Some(Sequence { identity, base: self.next_sequence });
            self.next_sequence = increment_sequence(self.next_sequence, batch.records_count);
        }
        batch.attempts += 1;
        (self.broker, self.in_flight) = (broker, self.in_flight + 1);
        Some(batch)
    }

    /// Sees to it that the partition has an identity, the next one where the batches left must be numbered anew.
    fn number(&mut self, producer: Option<Identity>) {
        let Some(producer) = producer else { return };
        if self.renumber {
            self.renumber = false;
            self.identity = self.identity.and_then(|old| {
                let same = old.id == producer.id;
                same.then(|| old.epoch.checked_add(1).map(|epoch| Identity { id: old.id, epoch })).flatten()
            });
            (self.next_sequence, self.established) = (0, false);
            self.ready.iter_mut().for_each(|batch| batch.sequence = None);
        }
        if self.identity.is_none() {
            (self.identity, self.next_sequence, self.established) = (Some(producer), 0, false);
        }
    }

    /// An answer came for a batch.
    pub(super) fn answered(&mut self, written: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.established |= written;
    }

    /// Puts a batch back in its place.
    pub(super) fn put_back(&mut self, batch: Batch) {
        let at = self.ready.partition_point(|ready| ready.place() < batch.place());
        self.ready.insert(at, batch);
    }

    /// Whether anything before this batch is still to be settled.
    pub(super) fn is_first(&self, batch: &Batch) -> bool {
        self.ready.front().is_none_or(|front| front.place() >= batch.place())
    }

    /// The broker lacks what came before the batches left.
    pub(super) fn renumber(&mut self) {
        self.renumber = true;
    }

    /// The broker has forgotten or replaced the producer id.
    pub(super) fn forget_identity(&mut self) {
        (self.renumber, self.identity) = (true, None);
    }

    /// A batch was given up that was certainly not written: if nothing was numbered after it, its sequences are free.
    pub(super) fn given_up(&mut self, batch: &Batch) {
        let free = self.in_flight == 0 && self.ready.iter().all(|ready| ready.sequence.is_none());
        if let (Some(sequence), true, false) = (batch.sequence, free, batch.maybe_written)
            && self.identity == Some(sequence.identity)
        {
            self.next_sequence = sequence.base;
        }
    }

    /// Takes out the first closed batch that began at or before `deadline_begun`, or the open one.
    pub(super) fn take_expired(&mut self, deadline_begun: Instant) -> Option<Batch> {
        if self.ready.front().is_some_and(|front| front.begun <= deadline_begun) {
            return self.ready.pop_front();
        }
        let open_is_old = self.ready.is_empty() && self.open.as_ref().is_some_and(|open| open.begun <= deadline_begun);
        if open_is_old { self.open.take() } else { None }
    }

    /// When the oldest batch here began.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.ready.front().or(self.open.as_ref()).map(|batch| batch.begun)
    }
}
