//! Fetch (Kafka `FetchRequest`; KIP-74 limits, KIP-227 sessions, KIP-320 epochs, KIP-392 followers, KIP-516 topic ids, KIP-951 leaders): reads
//! what is wanted, and waits for more by notification while it is less than asked for. Records leave as ranges of
//! segments. Not here: what a session remembers (`fetch_session`), the answer's bytes (`envelope`), files.
//!
//! One request holds no thread and no timer but its deadline; dropped with its connection, it leaves nothing behind.

mod envelope;
mod preferred;
mod read;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        FetchRequest,
        fetch_request::{FetchPartition, FetchTopic},
    },
};
use tidemark_client::wire::shape::{Field, Kind, Shape, field};
use tokio::time::Instant;
use uuid::Uuid;

use self::{
    envelope::{Envelope, NODE_ENDPOINTS_SINCE, PartitionAnswer, TOPIC_IDS_SINCE},
    read::{FOLLOWERS_SINCE, Limits, Read, Source, read, refused},
};
use super::{
    context::RequestContext,
    fetch_session::{OpenFetch, SessionRequest, Told, TopicKey, Wanted},
    reply::{Handling, Reply},
    topic::{Endpoint, brokers},
};
use crate::partition::FetchWaiter;

/// The request, version 4 and later.
pub(super) static REQUEST: Shape = Shape {
    flexible_since: 12,
    fields: &[
        field("cluster_id", Kind::String).since(12).nullable_since(12).tagged(0),
        field("replica_id", Kind::Int32).until(14),
        field("replica_state", Kind::Struct(REPLICA_STATE)).since(15).tagged(1),
        field("max_wait_ms", Kind::Int32),
        field("min_bytes", Kind::Int32),
        field("max_bytes", Kind::Int32),
        field("isolation_level", Kind::Int8),
        field("session_id", Kind::Int32).since(7),
        field("session_epoch", Kind::Int32).since(7),
        field(
            "topics",
            Kind::Array(&[
                field("topic", Kind::String).until(12),
                field("topic_id", Kind::Uuid).since(13),
                field("partitions", Kind::Array(PARTITION)),
            ]),
        ),
        field(
            "forgotten_topics_data",
            Kind::Array(&[
                field("topic", Kind::String).until(12),
                field("topic_id", Kind::Uuid).since(13),
                field("partitions", Kind::List(&Kind::Int32)),
            ]),
        )
        .since(7),
        field("rack_id", Kind::String).since(11),
    ],
};

static REPLICA_STATE: &[Field] = &[field("replica_id", Kind::Int32), field("replica_epoch", Kind::Int64)];
static PARTITION: &[Field] = &[
    field("partition", Kind::Int32),
    field("current_leader_epoch", Kind::Int32).since(9),
    field("fetch_offset", Kind::Int64),
    field("last_fetched_epoch", Kind::Int32).since(12),
    field("log_start_offset", Kind::Int64).since(5),
    field("partition_max_bytes", Kind::Int32),
    field("replica_directory_id", Kind::Uuid).since(17).tagged(0),
    field("high_watermark", Kind::Int64).since(18).tagged(1),
];

/// First version whose replica id lies in a tagged field.
const REPLICA_STATE_SINCE: i16 = 15;
/// No poll is longer: a peer that vanished without a word must not be waited for until its 24 days are over.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// A request about more unknown partitions is answered at once: what is there is bounded, what is made up is not, and
/// all of it would be held while it waits.
const UNKNOWN_HELD_MAX: usize = 1000;

/// Reads at once; waits only if there is too little and the request has time.
pub(super) fn handle(context: &RequestContext, request: FetchRequest) -> Handling {
    let version = context.version;
    let by_id = version >= TOPIC_IDS_SINCE;
    let wanted = wanted(&request, by_id);
    if !matches!(request.isolation_level, 0 | 1) {
        return undefined_isolation(&wanted, version);
    }
    let now = Instant::now();
    let session = SessionRequest { id: request.session_id, epoch: request.session_epoch, by_id };
    let open = match context.broker.fetch_sessions.open(session, wanted, &forgotten(&request, by_id), now) {
        Ok(open) => open,
        Err(error) => return Handling::Ready(session_error(error, version)),
    };
    let replica_id = if version >= REPLICA_STATE_SINCE { request.replica_state.replica_id } else { request.replica_id };
    let image = context.broker.controller.image();
    let near = context.broker.config.rack_aware && version >= FOLLOWERS_SINCE && !request.rack_id.is_empty();
    let asker = (replica_id.0, near.then_some(&*request.rack_id));
    let sources = open.wanted.iter().map(|wanted| Source::of(&context.broker, &image, wanted, asker)).collect();
    let limits = Limits::of(&request, version);
    let fetch = Fetch { context: context.clone(), open, sources, limits };
    let read = fetch.read();
    let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)).min(WAIT_MAX);
    if wait.is_zero() || fetch.is_enough(&read) {
        return Handling::Ready(fetch.answer(&read));
    }
    Handling::Exclusive(Box::pin(fetch.wait(read, now + wait)))
}

fn wanted(request: &FetchRequest, by_id: bool) -> Vec<Wanted> {
    let mut all = Vec::with_capacity(request.topics.iter().map(|topic| topic.partitions.len()).sum());
    for FetchTopic { topic, topic_id, partitions, .. } in &request.topics {
        let topic = key(topic, *topic_id, by_id);
        all.extend(partitions.iter().map(|partition: &FetchPartition| Wanted {
            topic: topic.clone(),
            known_name: None,
            partition: partition.partition,
            fetch_offset: partition.fetch_offset,
            max_bytes: partition.partition_max_bytes,
            current_leader_epoch: partition.current_leader_epoch,
            last_fetched_epoch: partition.last_fetched_epoch,
        }));
    }
    without_repeats(all)
}

/// As in Kafka's map: a partition that stands twice is read once, in its first place, by what was said of it last.
fn without_repeats(all: Vec<Wanted>) -> Vec<Wanted> {
    if all.len() < 2 || !has_repeats(&all) {
        return all;
    }
    let mut places = HashMap::new();
    let mut once: Vec<Wanted> = Vec::new();
    for wanted in all {
        let place = *places.entry((wanted.topic.clone(), wanted.partition)).or_insert(once.len());
        match once.get_mut(place) {
            Some(earlier) => *earlier = wanted,
            None => once.push(wanted),
        }
    }
    once
}

fn has_repeats(all: &[Wanted]) -> bool {
    let mut seen = HashSet::with_capacity(all.len());
    !all.iter().all(|wanted| seen.insert((&wanted.topic, wanted.partition)))
}

fn forgotten(request: &FetchRequest, by_id: bool) -> Vec<(TopicKey, i32)> {
    let mut all = Vec::new();
    for topic in &request.forgotten_topics_data {
        let key = key(&topic.topic, topic.topic_id, by_id);
        all.extend(topic.partitions.iter().map(|partition| (key.clone(), *partition)));
    }
    all
}

/// Names are copied: a session must not keep a request's frame alive.
fn key(name: &str, id: Uuid, by_id: bool) -> TopicKey {
    if by_id { TopicKey::Id(id) } else { TopicKey::Name(Arc::from(name)) }
}

fn session_error(error: ResponseError, version: i16) -> Reply {
    Envelope { error: Some(error), session_id: 0, partitions: &[], endpoints: &[] }.encode(version)
}

/// An isolation level that does not exist: Kafka's handler fails and says so for the request and each partition.
fn undefined_isolation(wanted: &[Wanted], version: i16) -> Handling {
    let error = ResponseError::UnknownServerError;
    let answers: Vec<_> = wanted.iter().map(|wanted| refused(wanted, error, Some(Vec::new()))).collect();
    let partitions: Vec<_> = answers.iter().collect();
    let envelope = Envelope { error: Some(error), session_id: 0, partitions: &partitions, endpoints: &[] };
    Handling::Ready(envelope.encode(version))
}

/// One fetch that found its partitions.
struct Fetch {
    context: RequestContext,
    open: OpenFetch,
    /// Beside the session's wanted ones.
    sources: Vec<Source>,
    limits: Limits,
}

impl Fetch {
    fn read(&self) -> Read {
        read(&self.context, &self.limits, &self.open.wanted, &self.sources)
    }

    /// As Kafka's `ReplicaManager.fetchMessages`: what the metadata does not know does not end a wait for the rest.
    fn is_enough(&self, read: &Read) -> bool {
        let unknown = self.sources.iter().filter(|source| matches!(source, Source::Unknown(_))).count();
        let not_held = unknown == self.sources.len() || unknown > UNKNOWN_HELD_MAX;
        read.ends_wait || not_held || read.bytes >= self.limits.min_bytes
    }

    async fn wait(self, mut read: Read, deadline: Instant) -> Result<Reply, String> {
        loop {
            let waiter = FetchWaiter::new(self.limits.min_bytes.saturating_sub(read.bytes));
            for (source, answer) in self.sources.iter().zip(&read.answers) {
                if let Source::Here(partition) = source {
                    partition.watch(&waiter, answer.high_watermark);
                }
            }
            let in_time = waiter.wait(deadline).await;
            read = self.read();
            if !in_time || self.is_enough(&read) {
                return Ok(self.answer(&read));
            }
        }
    }

    fn answer(self, read: &Read) -> Reply {
        let version = self.context.version;
        let told: Vec<_> =
            self.open.wanted.iter().zip(&read.answers).map(|(wanted, answer)| self.told(wanted, answer)).collect();
        let settled = match self.context.broker.fetch_sessions.settle(self.open, &told, Instant::now()) {
            Ok(settled) => settled,
            Err(error) => return session_error(error, version),
        };
        let included = read.answers.iter().zip(settled.include);
        let mut partitions: Vec<_> = included.filter_map(|(answer, include)| include.then_some(answer)).collect();
        // what the metadata does not know comes last, as from Kafka
        partitions.sort_by_key(|answer| answer.error.is_some() && answer.aborted.is_some());
        let endpoints = endpoints(&self.context, &partitions);
        let session_id = settled.session_id;
        Envelope { error: None, session_id, partitions: &partitions, endpoints: &endpoints }.encode(version)
    }

    fn told(&self, wanted: &Wanted, answer: &PartitionAnswer) -> Told {
        let id = match wanted.topic {
            TopicKey::Id(id) if wanted.known_name.is_none() && self.open.has_session() => Some(id),
            _ => None,
        };
        let image = id.map(|_| self.context.broker.controller.image());
        let topic = image.as_ref().zip(id).and_then(|(image, id)| image.topic_by_id(id));
        Told {
            high_watermark: answer.high_watermark,
            log_start_offset: answer.log_start_offset,
            has_records: answer.records.bytes > 0 || answer.preferred_replica.is_some(),
            is_trouble: answer.error.is_some() || answer.diverging_epoch.is_some(),
            name: topic.map(|topic| Arc::from(topic.name.as_str())),
        }
    }
}

/// Where the leaders are that an answer names.
fn endpoints(context: &RequestContext, partitions: &[&PartitionAnswer]) -> Vec<Endpoint> {
    let named = |id| partitions.iter().any(|partition| partition.leader.is_some_and(|leader| leader.id == id));
    if context.version < NODE_ENDPOINTS_SINCE || partitions.iter().all(|partition| partition.leader.is_none()) {
        return Vec::new();
    }
    brokers(context, &context.broker.controller.image()).filter(|broker| named(broker.id)).collect()
}
