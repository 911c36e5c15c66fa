//! All records that are queued: which partition each goes to, which batches can be sent, and what an answer means for a
//! batch. Pure: no IO; the sender asks and acts.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use tidemark_record::BatchBuilder;
use tokio::{sync::Semaphore, time::Instant};

use super::{
    batch::{Batch, Identity},
    config::ProducerConfig,
    delivery::{Delivery, Outcome, Ticket},
    partitioner,
    queue::{IN_FLIGHT_MAX, Queue, Readiness},
    record::ProducerRecord,
    verdict::{Answer, Verdict, judge},
};
use crate::{ClientError, ProduceError, cluster::TopicMetadata};

/// A partition, by the topic's place here.
pub(super) type Place = (usize, i32);

#[derive(Debug)]
pub(super) struct Accumulator {
    config: Arc<ProducerConfig>,
    buffer: Arc<Semaphore>,
    topics: Vec<Topic>,
    names: HashMap<String, usize>,
    /// Partitions with something to send.
    active: BTreeSet<Place>,
    /// Where the next request begins to look, so that none is left out for long.
    cursor: Place,
    /// The producer id, once a broker has given one.
    pub(super) identity: Option<Identity>,
    next_ordinal: u64,
    /// Where records without a key begin.
    seed: u64,
    /// Batches that are not settled, with the number of their parts.
    unsettled: BTreeMap<u64, usize>,
    /// Open batches below it do not wait for more records.
    flush_below: u64,
    /// No record is taken any more.
    pub(super) closed: bool,
    /// What keeps batches from being sent at all.
    pub(super) trouble: Option<String>,
}

#[derive(Debug)]
struct Topic {
    name: String,
    partitions: i32,
    queues: Vec<Queue>,
    /// Where records without a key go until a batch of them is closed.
    sticky: i32,
}

/// Why a record was not queued.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NotQueued {
    /// The topic's partitions are not known here yet.
    UnknownTopic,
    /// It has no such partition, as far as is known here.
    NoSuchPartition(i32),
    Closed,
}

/// What can be sent to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Capacity {
    /// There is no connection.
    Unconnected,
    /// There are as many requests in flight as there may be.
    Full,
    /// There is room beside these.
    Free { in_flight: usize },
}

/// A batch that is to be sent now.
#[derive(Debug)]
pub(super) struct Drawn {
    pub(super) place: Place,
    pub(super) topic: Arc<TopicMetadata>,
    pub(super) batch: Batch,
}

/// What there is to do.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    /// One request a broker.
    pub(super) requests: BTreeMap<i32, Vec<Drawn>>,
    /// Topics whose leaders are needed.
    pub(super) unknown: BTreeSet<String>,
    /// Brokers that a connection is needed to.
    pub(super) unconnected: BTreeSet<i32>,
    pub(super) needs_identity: bool,
    /// When to look again even if nothing happens.
    pub(super) wake_at: Option<Instant>,
}

impl Drawing {
    fn wake(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |wake_at| wake_at.min(at)));
    }
}

impl Accumulator {
    pub(super) fn new(config: Arc<ProducerConfig>, buffer: Arc<Semaphore>, seed: u64) -> Self {
        Self {
            config,
            buffer,
            topics: Vec::new(),
            names: HashMap::new(),
            active: BTreeSet::new(),
            cursor: (0, 0),
            identity: None,
            next_ordinal: 0,
            seed,
            unsettled: BTreeMap::new(),
            flush_below: 0,
            closed: false,
            trouble: None,
        }
    }

    /// Notes how many partitions a topic has.
    pub(super) fn learn(&mut self, name: &str, partitions: usize) {
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        if let Some(topic) = self.names.get(name).and_then(|at| self.topics.get_mut(*at)) {
            topic.partitions = partitions;
            return;
        }
        self.names.insert(name.to_owned(), self.topics.len());
        let sticky = i32::try_from(self.seed % u64::from(partitions.max(1).unsigned_abs())).unwrap_or(0);
        self.topics.push(Topic { name: name.to_owned(), partitions, queues: Vec::new(), sticky });
    }

    /// Queues a record that holds `bytes` of the buffer; true: the sender has something to do now.
    pub(super) fn append(
        &mut self,
        record: &ProducerRecord,
        timestamp_ms: i64,
        bytes: usize,
    ) -> Result<(Delivery, bool), NotQueued> {
        if self.closed {
            return Err(NotQueued::Closed);
        }
        let at = *self.names.get(&record.topic).ok_or(NotQueued::UnknownTopic)?;
        let topic = self.topics.get_mut(at).ok_or(NotQueued::UnknownTopic)?;
        let partition = topic.choose(record)?;
        let queue = topic.queue(partition);
        let mut wake = false;
        if queue.open.as_ref().is_some_and(|open| open.size_in_bytes + bytes > self.config.batch_bytes) {
            queue.close_open();
            wake = true;
        }
        let open = queue.open.get_or_insert_with(|| {
            wake = true;
            let builder = BatchBuilder::new().compression(self.config.compression, self.config.compression_level);
            let ordinal = self.next_ordinal;
            self.next_ordinal += 1;
            self.unsettled.insert(ordinal, 1);
            self.active.insert((at, partition));
            Batch::begin(Ticket::new(Arc::clone(&self.buffer)), ordinal, builder)
        });
        open.append(record, timestamp_ms);
        Ok((open.ticket.add(partition, timestamp_ms, bytes), wake))
    }

    /// What can be sent now. `urgent`: somebody waits for room in the buffer.
    pub(super) fn draw(
        &mut self,
        now: Instant,
        urgent: bool,
        topic_of: impl Fn(&str) -> Option<Arc<TopicMetadata>>,
        capacity_of: impl Fn(i32) -> Capacity,
    ) -> Drawing {
        let mut drawing = Drawing::default();
        let mut sizes: BTreeMap<i32, usize> = BTreeMap::new();
        let mut metadata: Option<(usize, Option<Arc<TopicMetadata>>)> = None;
        let turn: Vec<Place> =
            self.active.range(self.cursor..).chain(self.active.range(..self.cursor)).copied().collect();
        for place in turn {
            let Some(topic) = self.topics.get_mut(place.0) else { continue };
            if metadata.as_ref().is_none_or(|(at, _)| *at != place.0) {
                metadata = Some((place.0, topic_of(&topic.name)));
            }
            let known = metadata.as_ref().and_then(|(_, topic)| topic.as_ref());
            let queue = topic.queue(place.1);
            if let Some(oldest) = queue.oldest() {
                drawing.wake(later(oldest, self.config.delivery_timeout));
            }
            let leader = known.and_then(|topic| topic.partition(place.1)).and_then(|partition| partition.leader);
            let (Some(known), Some(leader)) = (known, leader) else {
                drawing.unknown.insert(topic.name.clone());
                continue;
            };
            let in_flight = match capacity_of(leader) {
                Capacity::Free { in_flight } => in_flight,
                Capacity::Full => continue,
                Capacity::Unconnected => {
                    drawing.unconnected.insert(leader);
                    continue;
                }
            };
            if self.config.is_idempotent() && self.identity.is_none() {
                drawing.needs_identity = true;
                continue;
            }
            let flushed = urgent || queue.open.as_ref().is_some_and(|open| open.ordinal < self.flush_below);
            match closing(queue, flushed, in_flight, now, &self.config) {
                Readiness::Now => queue.close_open(),
                Readiness::At(at) => drawing.wake(at),
                Readiness::Later => {}
            }
            match queue.readiness(leader, now, self.config.in_flight_max.clamp(1, IN_FLIGHT_MAX)) {
                Readiness::Now => {}
                Readiness::At(at) => {
                    drawing.wake(at);
                    continue;
                }
                Readiness::Later => continue,
            }
            let size = sizes.entry(leader).or_default();
            if *size > 0 && *size + queue.front_size() > self.config.request_bytes_max {
                continue;
            }
            *size += queue.front_size();
            let producer = self.identity.filter(|_| self.config.is_idempotent());
            if let Some(batch) = queue.take(leader, producer) {
                self.cursor = (place.0, place.1 + 1);
                let drawn = Drawn { place, topic: Arc::clone(known), batch };
                drawing.requests.entry(leader).or_default().push(drawn);
            }
            if queue.is_idle() {
                self.active.remove(&place);
            }
        }
        drawing
    }

    /// Gives up what is too old.
    pub(super) fn expire(&mut self, now: Instant) {
        let Some(begun) = now.checked_sub(self.config.delivery_timeout) else { return };
        for place in self.active.clone() {
            while let Some(batch) = self.queue(place).and_then(|queue| queue.take_expired(begun)) {
                self.give_up_late(place, batch);
            }
            if self.queue(place).is_none_or(|queue| queue.is_idle()) {
                self.active.remove(&place);
            }
        }
    }

    /// What the answer to a batch means; true: what is known of the topic is stale.
    pub(super) fn answered(&mut self, place: Place, mut batch: Batch, answer: &Answer, pause: Duration) -> bool {
        let Some(queue) = self.queue(place) else { return false };
        let verdict = judge(answer, &batch, queue.is_first(&batch));
        queue.answered(matches!(verdict, Verdict::Written(_)));
        tracing::trace!(?verdict, ordinal = batch.ordinal, "a batch was answered");
        batch.maybe_written |= answer.is_silence();
        if let Some(cause) = answer.cause() {
            batch.cause = cause;
        }
        match verdict {
            Verdict::Written(outcome) => self.settle(batch, outcome),
            Verdict::GiveUp => self.give_up(place, batch, answer),
            Verdict::Split => self.split(place, batch, answer),
            Verdict::Again { renumber, forget } => {
                if renumber && let Some(queue) = self.queue(place) {
                    queue.renumber();
                }
                if forget {
                    self.identity = None;
                    self.queue(place).into_iter().for_each(Queue::forget_identity);
                }
                batch.not_before = Some(later(Instant::now(), if renumber { Duration::ZERO } else { pause }));
                self.put_back(place, batch);
            }
        }
        answer.metadata_stale()
    }

    fn put_back(&mut self, place: Place, batch: Batch) {
        if let Some(queue) = self.queue(place) {
            queue.put_back(batch);
            self.active.insert(place);
        }
    }

    /// Two halves instead of a batch that is too large for the topic.
    fn split(&mut self, place: Place, batch: Batch, answer: &Answer) {
        match batch.split(self.config.compression, self.config.compression_level) {
            Ok((first, second)) => {
                *self.unsettled.entry(first.ordinal).or_insert(1) += 1;
                self.put_back(place, first);
                self.put_back(place, second);
            }
            Err(batch) => self.give_up(place, *batch, answer),
        }
    }

    fn give_up(&mut self, place: Place, batch: Batch, answer: &Answer) {
        let topic = self.topics.get(place.0).map(|topic| topic.name.clone()).unwrap_or_default();
        if let Some(queue) = self.queue(place) {
            queue.given_up(&batch);
        }
        let outcome = answer.refusal(topic, place.1, batch.maybe_written);
        self.settle(batch, outcome);
    }

    fn give_up_late(&mut self, place: Place, batch: Batch) {
        if let Some(queue) = self.queue(place) {
            queue.given_up(&batch);
        }
        let untried = batch.attempts == 0;
        let cause = self.trouble.clone().filter(|_| untried).unwrap_or_else(|| batch.cause.clone());
        let error = ProduceError::Timeout {
            topic: self.topics.get(place.0).map(|topic| topic.name.clone()).unwrap_or_default(),
            partition: place.1,
            after: self.config.delivery_timeout,
            cause,
            maybe_written: batch.maybe_written,
        };
        self.settle(batch, Outcome::Failed(error));
    }

    /// Gives up what is queued, of one topic or of all, but not what is in flight.
    pub(super) fn give_up_queued(&mut self, topic: Option<&str>, error: &ClientError) {
        let meant = |at: usize| topic.is_none_or(|topic| self.topics.get(at).is_some_and(|found| found.name == topic));
        let places: Vec<Place> = self.active.iter().copied().filter(|(at, _)| meant(*at)).collect();
        let now = Instant::now();
        for place in places {
            while let Some(batch) = self.queue(place).and_then(|queue| queue.take_expired(now)) {
                self.settle(batch, Outcome::Failed(ProduceError::Client(error.clone())));
            }
            self.active.remove(&place);
        }
    }

    fn settle(&mut self, batch: Batch, outcome: Outcome) {
        if let Some(parts) = self.unsettled.get_mut(&batch.ordinal) {
            *parts -= 1;
            if *parts == 0 {
                self.unsettled.remove(&batch.ordinal);
            }
        }
        batch.ticket.settle(outcome);
    }

    /// Lets no open batch wait for more records, and answers the ordinal that all of them are below.
    pub(super) fn flush(&mut self) -> u64 {
        self.flush_below = self.next_ordinal;
        self.next_ordinal
    }

    /// Whether all batches below an ordinal are settled.
    pub(super) fn is_settled_below(&self, ordinal: u64) -> bool {
        self.unsettled.first_key_value().is_none_or(|(first, _)| *first >= ordinal)
    }

    /// Topics with something to send.
    pub(super) fn active_topics(&self) -> BTreeSet<String> {
        self.active.iter().filter_map(|(at, _)| self.topics.get(*at)).map(|topic| topic.name.clone()).collect()
    }

    fn queue(&mut self, place: Place) -> Option<&mut Queue> {
        self.topics.get_mut(place.0).map(|topic| topic.queue(place.1))
    }
}

impl Topic {
    fn choose(&mut self, record: &ProducerRecord) -> Result<i32, NotQueued> {
        if let Some(partition) = record.partition {
            let known = (0..self.partitions).contains(&partition);
            return if known { Ok(partition) } else { Err(NotQueued::NoSuchPartition(self.partitions)) };
        }
        if let Some(key) = &record.key {
            return Ok(partitioner::by_key(key, self.partitions));
        }
        let sticky = self.sticky;
        if self.queue(sticky).open.is_none() {
            self.sticky = (sticky + 1) % self.partitions.max(1);
        }
        Ok(self.sticky)
    }

    /// The queue of a partition, which is known to exist.
    fn queue(&mut self, partition: i32) -> &mut Queue {
        let at = usize::try_from(partition).unwrap_or(0);
        if self.queues.len() <= at {
            self.queues.resize_with(at + 1, Queue::default);
        }
        &mut self.queues[at]
    }
}

/// Whether the open batch goes as it is: it is flushed, it has lingered, or, without linger, the broker owes no answer.
fn closing(queue: &Queue, flushed: bool, in_flight: usize, now: Instant, config: &ProducerConfig) -> Readiness {
    let Some(open) = queue.open.as_ref().filter(|_| !queue.has_ready()) else { return Readiness::Later };
    let lingered = later(open.begun, config.linger);
    match (flushed, config.linger.is_zero()) {
        (true, _) => Readiness::Now,
        (false, true) if in_flight == 0 => Readiness::Now,
        (false, true) => Readiness::Later,
        (false, false) if lingered <= now => Readiness::Now,
        (false, false) => Readiness::At(lingered),
    }
}

fn later(from: Instant, wait: Duration) -> Instant {
    from.checked_add(wait).unwrap_or_else(|| crate::retry::after(Duration::MAX))
}
