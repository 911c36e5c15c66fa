//! Produce (Kafka `ProduceRequest`; KIP-98 idempotence, KIP-467 errors by record, KIP-951 current leader, KIP-516 topic
//! ids): appends each partition's batch in the connection's own time, then waits for the commits. Records are slices of
//! the request's frame from the socket to the segment. Not here: what a batch may say and the write (`partition`).

use std::{collections::HashSet, sync::Arc, time::Duration};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        ProduceRequest, ProduceResponse, TopicName,
        produce_request::{PartitionProduceData, TopicProduceData},
        produce_response::{
            BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
        },
    },
    protocol::StrBytes,
};
use tidemark_client::wire::shape::{Kind, Shape, field};
use tidemark_record::{BatchHeader, batch::BatchError};
use tokio::time::Instant;

use super::{
    context::RequestContext,
    error_code::ErrorCode,
    partition_lookup::{leader_of, partition_of},
    reply::{Handling, Reply},
    topic::{Endpoint, Leader, brokers, is_internal},
};
use crate::{
    metadata::{Image, Topic},
    partition::{AckLevel, Append, AppendError, AppendOptions, AppendOrigin, Appended},
};

/// The request, version 3 and later.
pub(super) static REQUEST: Shape = Shape {
    flexible_since: 9,
    fields: &[
        field("transactional_id", Kind::String).nullable_since(3),
        field("acks", Kind::Int16),
        field("timeout_ms", Kind::Int32),
        field(
            "topic_data",
            Kind::Array(&[
                field("name", Kind::String).until(12),
                field("topic_id", Kind::Uuid).since(13),
                field(
                    "partition_data",
                    Kind::Array(&[field("index", Kind::Int32), field("records", Kind::Records).nullable_since(0)]),
                ),
            ]),
        ),
    ],
};

/// First version whose topics are ids.
const TOPIC_IDS_SINCE: i16 = 13;
/// First version that may carry zstd.
const ZSTD_SINCE: i16 = 7;
/// First version that lists errors by record.
const RECORD_ERRORS_SINCE: i16 = 8;
/// First version that can say who leads.
const CURRENT_LEADER_SINCE: i16 = 10;
/// Milliseconds that the wait for this broker's own disk gets at least. Kafka's timeout bounds the wait for other
/// replicas: there, one replica with a timeout of 0 is answered without an error, so the sync must not count against it.
const DISK_WAIT_MIN_MS: u64 = 1000;
/// The client id that may write to Kafka's own topics.
const ADMIN_CLIENT_ID: &str = "__admin_client";

/// Appends at once; answers when what has to be committed is.
pub(super) fn handle(context: &RequestContext, mut request: ProduceRequest) -> Handling {
    drop_repeats(&mut request.topic_data);
    let timeout = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0).max(DISK_WAIT_MIN_MS));
    let deadline = Instant::now() + timeout;
    let image = context.broker.controller.image();
    let options = options_of(&request, context.version);
    let silent = matches!(&options, Ok(options) if options.acks == AckLevel::None);
    let outside = outside_transaction(&request);
    let answers = Vec::with_capacity(request.topic_data.len());
    let mut work = Work { context, options, outside, answers, waits: Vec::new() };
    request.topic_data.into_iter().for_each(|topic| work.topic(&image, topic));
    let Work { answers, waits, .. } = work;
    if silent {
        let partitions = || answers.iter().flat_map(|topic| &topic.partition_responses);
        let failed = partitions().find(|partition| partition.error_code != 0);
        return failed.map_or(Handling::Silent, |partition| {
            let (code, index) = (partition.error_code, partition.index);
            Handling::Close(format!("produce with acks=0 failed with error {code} for partition {index}"))
        });
    }
    if waits.is_empty() {
        return Handling::ready(&response(context, answers), context.version);
    }
    Handling::Pipelined(Box::pin(answered(context.clone(), answers, waits, deadline)))
}

/// As in Kafka's map: of a partition that stands twice only the last entry counts.
fn drop_repeats(topics: &mut Vec<TopicProduceData>) {
    if topics.iter().map(|topic| topic.partition_data.len()).sum::<usize>() < 2 {
        return;
    }
    let mut seen = HashSet::new();
    for topic in topics.iter_mut().rev() {
        let TopicProduceData { name, topic_id, partition_data, .. } = topic;
        partition_data.reverse();
        partition_data.retain(|data| seen.insert((name.clone(), *topic_id, data.index)));
        partition_data.reverse();
    }
    topics.retain(|topic| !topic.partition_data.is_empty());
}

/// How to append, or why nothing may be.
fn options_of(request: &ProduceRequest, version: i16) -> Result<AppendOptions, ResponseError> {
    let transactional = request.transactional_id.is_some();
    if !transactional && request.topic_data.iter().any(has_transactional_batch) {
        return Err(ResponseError::TransactionalIdAuthorizationFailed);
    }
    let acks = AckLevel::from_acks(request.acks).ok_or(ResponseError::InvalidRequiredAcks)?;
    let zstd_allowed = version >= ZSTD_SINCE;
    Ok(AppendOptions { acks, origin: AppendOrigin::Client, zstd_allowed, transactional })
}

/// What a producer's transactional batch is told: no transaction is open here, and this is how Kafka's coordinator answers
/// for an id that it does not know, before any other check of the batch.
fn outside_transaction(request: &ProduceRequest) -> ResponseError {
    let empty = request.transactional_id.as_ref().is_some_and(|id| id.is_empty());
    if empty { ResponseError::InvalidRequest } else { ResponseError::InvalidProducerIdMapping }
}

fn has_transactional_batch(topic: &TopicProduceData) -> bool {
    let batches = topic.partition_data.iter().filter_map(|data| data.records.as_deref());
    batches.filter_map(|batch| BatchHeader::parse(batch).ok()).any(|header| header.attributes.is_transactional())
}

/// Where the leaders are that an answer names.
fn endpoints(context: &RequestContext, answers: &[TopicProduceResponse]) -> Vec<NodeEndpoint> {
    let partitions = || answers.iter().flat_map(|topic| &topic.partition_responses);
    let unnamed = LeaderIdAndEpoch::default();
    if partitions().all(|partition| partition.current_leader == unnamed) {
        return Vec::new();
    }
    let named = |id| partitions().any(|partition| partition.current_leader.leader_id == id);
    let endpoint = |Endpoint { id, host, port, rack }| {
        NodeEndpoint::default().with_node_id(id).with_host(host).with_port(port).with_rack(rack)
    };
    let image = context.broker.controller.image();
    brokers(context, &image).filter(|broker| named(broker.id)).map(endpoint).collect()
}

/// Appends on their way, by their place in the answer.
struct Wait {
    place: (usize, usize),
    topic: Option<Arc<Topic>>,
    append: Append,
}

async fn answered(
    context: RequestContext,
    mut answers: Vec<TopicProduceResponse>,
    waits: Vec<Wait>,
    deadline: Instant,
) -> Result<Reply, String> {
    for Wait { place, topic, append } in waits {
        let Some(answer) = answers.get_mut(place.0).and_then(|topic| topic.partition_responses.get_mut(place.1)) else {
            continue;
        };
        match tokio::time::timeout_at(deadline, append.done()).await {
            Ok(Ok(placed)) => place_in(answer, &placed),
            Ok(Err(error)) => failed_later(&context, topic.as_ref(), answer, &error),
            // the batch may stay; as in Kafka, the answer still says where it lies
            Err(_) => answer.error_code = ResponseError::RequestTimedOut.code(),
        }
    }
    Reply::encode(&response(&context, answers), context.version)
}

fn place_in(answer: &mut PartitionProduceResponse, placed: &Appended) {
    answer.base_offset = placed.base_offset;
    answer.log_append_time_ms = placed.log_append_time_ms;
    answer.log_start_offset = placed.log_start_offset;
}

/// A batch that was taken and is not acknowledged: where it lies stays said, if it was.
fn failed_later(
    context: &RequestContext,
    topic: Option<&Arc<Topic>>,
    answer: &mut PartitionProduceResponse,
    error: &AppendError,
) {
    let error = error.response_error();
    answer.error_code = error.code();
    name_leader(context, topic, error, answer);
}

/// Who leads, for a client that came to the wrong broker.
fn name_leader(
    context: &RequestContext,
    topic: Option<&Arc<Topic>>,
    error: ResponseError,
    answer: &mut PartitionProduceResponse,
) {
    if context.version >= CURRENT_LEADER_SINCE && error == ResponseError::NotLeaderOrFollower {
        let Leader { id, epoch } = leader_of(&context.broker, topic, answer.index);
        answer.current_leader = LeaderIdAndEpoch::default().with_leader_id(id).with_leader_epoch(epoch);
    }
}

fn response(context: &RequestContext, answers: Vec<TopicProduceResponse>) -> ProduceResponse {
    let endpoints = endpoints(context, &answers);
    ProduceResponse::default().with_responses(answers).with_node_endpoints(endpoints)
}

/// One request on its way through its partitions.
struct Work<'a> {
    context: &'a RequestContext,
    options: Result<AppendOptions, ResponseError>,
    /// See [`outside_transaction`].
    outside: ResponseError,
    answers: Vec<TopicProduceResponse>,
    waits: Vec<Wait>,
}

impl Work<'_> {
    fn topic(&mut self, image: &Image, data: TopicProduceData) {
        let by_id = self.context.version >= TOPIC_IDS_SINCE;
        let topic = if by_id { image.topic_by_id(data.topic_id) } else { image.topic(&data.name) };
        let unknown_id = by_id && topic.is_none();
        let mut partitions = Vec::with_capacity(data.partition_data.len());
        for data in data.partition_data {
            let index = data.index;
            let appended =
                if unknown_id { Err(ResponseError::UnknownTopicId.into()) } else { self.append(topic, data) };
            partitions.push(match appended {
                Ok(append) => {
                    let mut answer = PartitionProduceResponse::default().with_index(index).with_base_offset(-1);
                    if let Some(placed) = append.placed() {
                        place_in(&mut answer, placed);
                    }
                    if append.is_waiting() {
                        let place = (self.answers.len(), partitions.len());
                        self.waits.push(Wait { place, topic: topic.cloned(), append });
                    }
                    answer
                }
                Err(failure) => self.failed(topic, index, failure),
            });
        }
        let answer = TopicProduceResponse::default().with_partition_responses(partitions);
        // a copy: a slice would hold the whole frame until the answer leaves, and its memory could not serve the next one
        let name = || TopicName(StrBytes::from_string(data.name.to_string()));
        self.answers.push(if by_id { answer.with_topic_id(data.topic_id) } else { answer.with_name(name()) });
    }

    fn append(&self, topic: Option<&Arc<Topic>>, data: PartitionProduceData) -> Result<Append, Failure> {
        let partition = partition_of(&self.context.broker, topic, data.index)?;
        let options = self.options.as_ref().map_err(|error| *error)?;
        let admin = self.context.client_id.as_deref() == Some(ADMIN_CLIENT_ID);
        if !admin && topic.is_some_and(|topic| is_internal(&topic.name)) {
            return Err(ResponseError::InvalidTopicException.into());
        }
        let records = data.records.unwrap_or_default();
        let header = check_one_batch(&records)?;
        if header.attributes.is_transactional() && header.has_producer_id() {
            return Err(self.outside.into());
        }
        partition.append(&records, options).map_err(|error| Failure::of_append(error, partition.log_start_offset()))
    }

    /// What this version can tell about a failure.
    fn failed(&self, topic: Option<&Arc<Topic>>, index: i32, failure: Failure) -> PartitionProduceResponse {
        let mut answer = PartitionProduceResponse::default()
            .with_index(index)
            .with_error_code(failure.error.code())
            .with_base_offset(-1)
            .with_log_start_offset(failure.log_start_offset);
        let version = self.context.version;
        if version >= RECORD_ERRORS_SINCE {
            answer.error_message = failure.message.map(StrBytes::from_string);
            answer.record_errors = by_record(failure.records);
        }
        name_leader(self.context, topic, failure.error, &mut answer);
        answer
    }
}

/// As Kafka's `ProduceRequest.validateRecords`: exactly one batch, of magic 2. What it refuses never reaches a log. Bytes
/// behind it that are no whole batch are not looked at.
fn check_one_batch(records: &[u8]) -> Result<BatchHeader, ResponseError> {
    match BatchHeader::parse(records) {
        Ok(header) if header.size_in_bytes() <= records.len() => {
            let another = BatchHeader::parse(&records[header.size_in_bytes()..]);
            let whole = another.is_ok_and(|next| header.size_in_bytes() + next.size_in_bytes() <= records.len());
            if whole { Err(ResponseError::InvalidRecord) } else { Ok(header) }
        }
        // a magic to come is not a record format at all
        Err(BatchError::Magic(magic)) if !(0..=2).contains(&magic) => Err(ResponseError::CorruptMessage),
        Err(BatchError::Length(_)) => Err(ResponseError::CorruptMessage),
        Ok(_) | Err(_) => Err(ResponseError::InvalidRecord),
    }
}

/// Why a partition's batch was not appended.
struct Failure {
    error: ResponseError,
    message: Option<String>,
    records: Vec<(i32, String)>,
    log_start_offset: i64,
}

impl From<ResponseError> for Failure {
    fn from(error: ResponseError) -> Self {
        Self { error, message: None, records: Vec::new(), log_start_offset: -1 }
    }
}

impl Failure {
    fn of_append(append: AppendError, log_start_offset: i64) -> Self {
        let (error, message) = (append.response_error(), Some(append.to_string()));
        match append {
            // Kafka tells the log start only where the log itself refused
            AppendError::CorruptMessage(_)
            | AppendError::MessageTooLarge { .. }
            | AppendError::UnsupportedCompression(_)
            | AppendError::NotLeader
            | AppendError::Storage(_) => Self { error, message, records: Vec::new(), log_start_offset: -1 },
            AppendError::InvalidRecord(errors) | AppendError::InvalidTimestamp(errors) => {
                Self { error, message, records: errors.errors, log_start_offset }
            }
            _ => Self { error, message, records: Vec::new(), log_start_offset },
        }
    }
}

fn by_record(errors: Vec<(i32, String)>) -> Vec<BatchIndexAndErrorMessage> {
    let one = |(index, message)| {
        BatchIndexAndErrorMessage::default()
            .with_batch_index(index)
            .with_batch_index_error_message(Some(StrBytes::from_string(message)))
    };
    errors.into_iter().map(one).collect()
}
