//! The one task of a producer that sends: it asks the accumulator what there is to do, starts it, and tells it what came
//! back. It ends when the producer is closed and all is settled. It sets a timer only while something is queued.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kafka_protocol::{
    messages::{
        InitProducerIdRequest, ProduceRequest, ProduceResponse, TopicName,
        produce_request::{PartitionProduceData, TopicProduceData},
        produce_response::PartitionProduceResponse,
    },
    protocol::StrBytes,
};
use tokio::time::{Instant, sleep_until};

use super::{
    Acks,
    accumulator::{Capacity, Drawing, Drawn},
    batch::Identity,
    producer::Shared,
    queue::IN_FLIGHT_MAX,
    verdict::Answer,
};
use crate::{
    ClientError, KafkaError,
    cluster::{Cluster, Creation},
    connection::{Connection, Reply},
    error::Subject,
    retry::after,
};

/// A broker that takes no connection and refuses none, for so long, may not lead any more what it led: that is asked again.
const DOUBT_AFTER: Duration = Duration::from_secs(1);

/// What the task waits for.
enum Event {
    /// A broker can be reached, or not.
    Connected(i32, Result<Connection, ClientError>),
    /// A request came back.
    Answered(i32, Vec<Drawn>, Result<Option<ProduceResponse>, ClientError>),
    /// A topic's leaders are known, or not.
    Described(String, Result<usize, ClientError>),
    /// A broker gave a producer id, or not.
    Identified(Result<Identity, ClientError>),
}

/// A broker as this producer knows it.
#[derive(Default)]
struct Link {
    connection: Option<Connection>,
    in_flight: usize,
}

struct Sender {
    shared: Arc<Shared>,
    links: HashMap<i32, Link>,
    events: FuturesUnordered<BoxFuture<'static, Event>>,
    /// Since when it is tried, or its leaderships were doubted last.
    connecting: BTreeMap<i32, Instant>,
    describing: BTreeSet<String>,
    identifying: bool,
    /// Failures in a row of connecting, describing and identifying.
    failures: u32,
    in_flight_max: usize,
}

/// Runs until the producer is closed and all is settled.
pub(super) async fn run(shared: Arc<Shared>) {
    let in_flight_max = shared.config.in_flight_max.clamp(1, IN_FLIGHT_MAX);
    let in_flight_max = in_flight_max.min(shared.cluster.config.in_flight_max.max(1));
    let mut sender = Sender {
        shared,
        links: HashMap::new(),
        events: FuturesUnordered::new(),
        connecting: BTreeMap::new(),
        describing: BTreeSet::new(),
        identifying: false,
        failures: 0,
        in_flight_max,
    };
    loop {
        let wake_at = sender.act();
        if sender.is_done() {
            break;
        }
        tokio::select! {
            Some(event) = sender.events.next(), if !sender.events.is_empty() => sender.on(event),
            () = sender.shared.work.notified() => {}
            () = sleep_until(wake_at.unwrap_or_else(Instant::now)), if wake_at.is_some() => {}
        }
    }
    for connection in sender.links.into_values().filter_map(|link| link.connection) {
        sender.shared.cluster.give_back(connection);
    }
}

impl Sender {
    fn is_done(&self) -> bool {
        let accumulator = self.shared.accumulator();
        accumulator.closed && accumulator.is_settled_below(u64::MAX)
    }

    /// Starts all that can be started; answers when to look again even if nothing happens.
    fn act(&mut self) -> Option<Instant> {
        loop {
            let drawing = self.draw();
            let idle = drawing.requests.is_empty();
            self.prepare(&drawing);
            let doubt_at = self.doubt(&drawing);
            for (broker, batches) in drawing.requests {
                self.send(broker, batches);
            }
            if idle {
                return [drawing.wake_at, doubt_at].into_iter().flatten().min();
            }
        }
    }

    fn draw(&self) -> Drawing {
        let now = Instant::now();
        let urgent = self.shared.waiting.load(Ordering::Relaxed) > 0;
        let mut accumulator = self.shared.accumulator();
        accumulator.expire(now);
        self.shared.settled.notify_waiters();
        let cluster = &self.shared.cluster;
        accumulator.draw(now, urgent, |topic| cluster.cached(topic), |broker| self.capacity(broker))
    }

    fn capacity(&self, broker: i32) -> Capacity {
        let open = |link: &&Link| link.connection.as_ref().is_some_and(|connection| !connection.is_closed());
        match self.links.get(&broker).filter(open) {
            None => Capacity::Unconnected,
            Some(link) if link.in_flight >= self.in_flight_max => Capacity::Full,
            Some(link) => Capacity::Free { in_flight: link.in_flight },
        }
    }

    /// Starts what must be known or open before batches can go. Each waits a little first where the last one failed.
    fn prepare(&mut self, drawing: &Drawing) {
        let not_before = (self.failures > 0).then(|| after(self.shared.cluster.retry().pause(self.failures)));
        for &broker in &drawing.unconnected {
            if let Entry::Vacant(vacant) = self.connecting.entry(broker) {
                vacant.insert(Instant::now());
                let cluster = Arc::clone(&self.shared.cluster);
                self.start(not_before, async move { Event::Connected(broker, cluster.lend(broker).await) });
            }
        }
        for topic in &drawing.unknown {
            if self.describing.insert(topic.clone()) {
                let (cluster, topic) = (Arc::clone(&self.shared.cluster), topic.clone());
                self.start(not_before, async move {
                    let described = cluster.fetch_topic(&topic, Creation::Allowed).await;
                    Event::Described(topic, described.map(|topic| topic.partitions.len()))
                });
            }
        }
        if drawing.needs_identity && !self.identifying {
            self.identifying = true;
            let cluster = Arc::clone(&self.shared.cluster);
            self.start(not_before, async move { Event::Identified(identify(&cluster).await) });
        }
    }

    /// Asks again who leads where connecting takes long; answers when that is due next.
    fn doubt(&mut self, drawing: &Drawing) -> Option<Instant> {
        let now = Instant::now();
        let mut next = None;
        for (broker, since) in &mut self.connecting {
            if !drawing.unconnected.contains(broker) {
                continue;
            }
            if now >= *since + DOUBT_AFTER {
                *since = now;
                let topics = self.shared.accumulator().active_topics();
                topics.iter().for_each(|topic| self.shared.cluster.distrust(topic));
            }
            let due = *since + DOUBT_AFTER;
            next = Some(next.map_or(due, |next: Instant| next.min(due)));
        }
        next
    }

    fn start(&self, not_before: Option<Instant>, event: impl Future<Output = Event> + Send + 'static) {
        self.events.push(Box::pin(async move {
            if let Some(not_before) = not_before {
                sleep_until(not_before).await;
            }
            event.await
        }));
    }

    /// Starts a request. Requests to one broker are started in the order in which their batches were drawn.
    fn send(&mut self, broker: i32, mut batches: Vec<Drawn>) {
        let acks = self.shared.config.acks;
        let wait_max = self.shared.cluster.config.request_timeout;
        let link = self.links.entry(broker).or_default();
        link.in_flight += 1;
        let started = request(&mut batches, acks, wait_max).and_then(|request| {
            let lost = || ClientError::Disconnected { address: format!("broker {broker}"), cause: String::new() };
            let connection = link.connection.as_ref().ok_or_else(lost)?;
            let reply = if acks == Acks::None { Reply::None } else { Reply::Frame };
            connection.start(reply, |_| request)
        });
        let silent = acks == Acks::None;
        self.events.push(Box::pin(async move {
            let answer = match started {
                Ok(started) if silent => started.written(wait_max).await.map(|()| None),
                Ok(started) => started.answer(wait_max).await.map(Some),
                Err(error) => Err(error),
            };
            Event::Answered(broker, batches, answer)
        }));
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Connected(broker, result) => {
                self.connecting.remove(&broker);
                let result = result.map(|connection| {
                    // what is in flight on a connection that has ended comes back by itself
                    self.links.entry(broker).or_default().connection = Some(connection);
                });
                if self.noted(result).is_none() {
                    let topics = self.shared.accumulator().active_topics();
                    topics.iter().for_each(|topic| self.shared.cluster.distrust(topic));
                }
            }
            Event::Described(topic, result) => {
                self.describing.remove(&topic);
                self.hopeless(Some(&topic), result.as_ref().err());
                let result = result.and_then(|partitions| self.has_leaders(&topic).map(|()| partitions));
                if let Some(partitions) = self.noted(result) {
                    self.shared.accumulator().learn(&topic, partitions);
                }
            }
            Event::Identified(result) => {
                self.identifying = false;
                self.hopeless(None, result.as_ref().err());
                if let Some(identity) = self.noted(result) {
                    self.shared.accumulator().identity = Some(identity);
                }
            }
            Event::Answered(broker, batches, answer) => self.on_answer(broker, batches, answer),
        }
    }

    /// Gives up what waits for something that will never come: of one topic, or all.
    fn hopeless(&self, topic: Option<&str>, error: Option<&ClientError>) {
        if let Some(error) = error.filter(|error| !error.retryable()) {
            self.shared.accumulator().give_up_queued(topic, error);
        }
    }

    /// Whether asking for the topic has helped: it is an error, to be waited after, where some leader is missing.
    fn has_leaders(&self, topic: &str) -> Result<(), ClientError> {
        let whole = self.shared.cluster.cached(topic);
        let whole = whole.is_some_and(|topic| topic.partitions.iter().all(|partition| partition.leader.is_some()));
        let missing = || KafkaError::new(KafkaError::LEADER_NOT_AVAILABLE);
        if whole {
            return Ok(());
        }
        // those that have one can go on meanwhile
        Err(ClientError::kafka(Subject::Topic(topic.to_owned()), missing()))
    }

    /// Counts failures in a row, and keeps the last one to be told to records that are given up.
    fn noted<T>(&mut self, result: Result<T, ClientError>) -> Option<T> {
        let trouble = result.as_ref().err().map(ToString::to_string);
        self.failures = if trouble.is_some() { self.failures.saturating_add(1) } else { 0 };
        self.shared.accumulator().trouble = trouble;
        result.ok()
    }

    fn on_answer(&mut self, broker: i32, batches: Vec<Drawn>, answer: Result<Option<ProduceResponse>, ClientError>) {
        if let Some(link) = self.links.get_mut(&broker) {
            link.in_flight = link.in_flight.saturating_sub(1);
        }
        if let Err(error) = &answer {
            tracing::debug!(broker, %error, "a produce request failed");
        }
        let mut answers = Answers::new(answer);
        let mut accumulator = self.shared.accumulator();
        for Drawn { place, topic, batch } in batches {
            let pause = self.shared.cluster.retry().pause(batch.attempts);
            let answer = answers.take(&topic.name, topic.id.unwrap_or_default(), place.1);
            if accumulator.answered(place, batch, &answer, pause) {
                self.shared.cluster.distrust(&topic.name);
            }
        }
        drop(accumulator);
        self.shared.settled.notify_waiters();
    }
}

/// A producer id from any broker.
async fn identify(cluster: &Cluster) -> Result<Identity, ClientError> {
    let request =
        |_| InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(i32::MAX);
    let answer = cluster.any().await?.call(request).await?;
    match KafkaError::from_code(answer.error_code) {
        None => Ok(Identity { id: answer.producer_id.0, epoch: answer.producer_epoch }),
        Some(error) => Err(ClientError::kafka(Subject::Cluster, error)),
    }
}

fn request(batches: &mut [Drawn], acks: Acks, wait_max: Duration) -> Result<ProduceRequest, ClientError> {
    let mut topics: BTreeMap<usize, TopicProduceData> = BTreeMap::new();
    for Drawn { place, topic, batch } in batches {
        let records = batch.bytes().map_err(ClientError::Invalid)?;
        let data = topics.entry(place.0).or_insert_with(|| {
            TopicProduceData::default()
                .with_name(TopicName(StrBytes::from_string(topic.name.clone())))
                .with_topic_id(topic.id.unwrap_or_default())
        });
        data.partition_data.push(PartitionProduceData::default().with_index(place.1).with_records(Some(records)));
    }
    let acks = match acks {
        Acks::None => 0,
        Acks::Leader => 1,
        Acks::All => -1,
    };
    Ok(ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(acks)
        .with_timeout_ms(i32::try_from(wait_max.as_millis()).unwrap_or(i32::MAX))
        .with_topic_data(topics.into_values().collect()))
}

/// What came back, by partition. A topic is named by its id in newer versions.
struct Answers {
    failure: Option<ClientError>,
    /// No answer was asked for.
    silent: bool,
    partitions: HashMap<(StrBytes, uuid::Uuid, i32), PartitionProduceResponse>,
}

impl Answers {
    fn new(answer: Result<Option<ProduceResponse>, ClientError>) -> Self {
        let (response, failure, silent) = match answer {
            Ok(response) => (response.clone(), None, response.is_none()),
            Err(error) => (None, Some(error), false),
        };
        let topics = response.into_iter().flat_map(|response| response.responses);
        let partitions = topics.flat_map(|topic| {
            let (name, id) = (topic.name.0, topic.topic_id);
            topic.partition_responses.into_iter().map(move |answer| ((name.clone(), id, answer.index), answer))
        });
        Self { failure, silent, partitions: partitions.collect() }
    }

    fn take(&mut self, name: &str, id: uuid::Uuid, partition: i32) -> Answer {
        if let Some(failure) = &self.failure {
            return Answer::Failed(failure.clone());
        }
        if self.silent {
            return Answer::Written { base_offset: None, log_append_time_ms: None };
        }
        let name = StrBytes::from_string(name.to_owned());
        let by_name = self.partitions.remove(&(name, uuid::Uuid::nil(), partition));
        let answer = by_name.or_else(|| self.partitions.remove(&(StrBytes::new(), id, partition)));
        answer.map_or_else(
            || {
                let error = KafkaError::new(KafkaError::UNKNOWN_SERVER_ERROR);
                let error = error.with_message(Some("the answer leaves the partition out"));
                Answer::Refused { error, records: Vec::new() }
            },
            read,
        )
    }
}

fn read(answer: PartitionProduceResponse) -> Answer {
    match KafkaError::from_code(answer.error_code) {
        None => Answer::Written {
            base_offset: Some(answer.base_offset).filter(|offset| *offset >= 0),
            log_append_time_ms: Some(answer.log_append_time_ms).filter(|time| *time >= 0),
        },
        Some(error) => {
            let records = answer.record_errors.into_iter().filter_map(|record| {
                let index = u32::try_from(record.batch_index).ok()?;
                Some((index, record.batch_index_error_message.map(|words| words.to_string()).unwrap_or_default()))
            });
            let message = answer.error_message.map(|message| message.to_string());
            Answer::Refused { error: error.with_message(message), records: records.collect() }
        }
    }
}
