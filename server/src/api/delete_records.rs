//! DeleteRecords (Kafka `DeleteRecordsRequest`; KIP-107): moves log starts up, and answers when the moves would survive a
//! crash. Not here: the files, which retention removes.

use std::{collections::HashMap, time::Duration};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DeleteRecordsRequest, DeleteRecordsResponse, TopicName,
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult},
    },
};
use tidemark_client::wire::shape::{Kind, Shape, field};
use tokio::time::{Instant, timeout_at};

use super::{
    context::RequestContext,
    error_code::ErrorCode,
    partition_lookup::partition_of,
    reply::{Handling, Reply},
    topic::is_internal,
};
use crate::{metadata::Image, partition::DeletedRecords};

/// The request.
pub(super) static REQUEST: Shape = Shape {
    flexible_since: 2,
    fields: &[
        field(
            "topics",
            Kind::Array(&[
                field("name", Kind::String),
                field(
                    "partitions",
                    Kind::Array(&[field("partition_index", Kind::Int32), field("offset", Kind::Int64)]),
                ),
            ]),
        ),
        field("timeout_ms", Kind::Int32),
    ],
};

/// Milliseconds that this broker's own disk gets at least: Kafka's timeout bounds the wait for other replicas.
const DISK_WAIT_MIN_MS: u64 = 1000;

/// Moves at once, answers later.
pub(super) fn handle(context: &RequestContext, request: DeleteRecordsRequest) -> Handling {
    let wait_ms = u64::try_from(request.timeout_ms).unwrap_or(0).max(DISK_WAIT_MIN_MS);
    let deadline = Instant::now() + Duration::from_millis(wait_ms);
    let image = context.broker.controller.image();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in without_repeats(request.topics) {
        let moves =
            topic.partitions.iter().map(|asked| (asked.partition_index, start(context, &image, &topic.name, asked)));
        topics.push((topic.name.clone(), moves.collect()));
    }
    let version = context.version;
    Handling::Exclusive(Box::pin(async move { Reply::encode(&finish(topics, deadline).await, version) }))
}

/// As in Kafka's map: each topic and partition once, with what was said of it last.
fn without_repeats(topics: Vec<DeleteRecordsTopic>) -> Vec<DeleteRecordsTopic> {
    let mut places: HashMap<TopicName, usize> = HashMap::new();
    let mut partition_places: HashMap<(usize, i32), usize> = HashMap::new();
    let mut once: Vec<DeleteRecordsTopic> = Vec::with_capacity(topics.len());
    for DeleteRecordsTopic { name, partitions, .. } in topics {
        let place = *places.entry(name.clone()).or_insert_with(|| {
            once.push(DeleteRecordsTopic::default().with_name(name));
            once.len() - 1
        });
        for partition in partitions {
            let kept = &mut once[place].partitions;
            let at = *partition_places.entry((place, partition.partition_index)).or_insert(kept.len());
            match kept.get_mut(at) {
                Some(earlier) => *earlier = partition,
                None => kept.push(partition),
            }
        }
    }
    once
}

type Moves = Vec<(i32, Result<DeletedRecords, ResponseError>)>;

fn start(
    context: &RequestContext,
    image: &Image,
    topic: &str,
    asked: &DeleteRecordsPartition,
) -> Result<DeletedRecords, ResponseError> {
    let partition = partition_of(&context.broker, image.topic(topic), asked.partition_index)?;
    if is_internal(topic) {
        return Err(ResponseError::InvalidTopicException);
    }
    partition.delete_records(asked.offset).map_err(|error| error.response_error())
}

async fn finish(topics: Vec<(TopicName, Moves)>, deadline: Instant) -> DeleteRecordsResponse {
    let mut answers = Vec::with_capacity(topics.len());
    for (name, moves) in topics {
        let mut partitions = Vec::with_capacity(moves.len());
        for (index, started) in moves {
            let done = match started {
                Ok(deleted) => match timeout_at(deadline, deleted.low_watermark()).await {
                    Ok(done) => done.map_err(|error| error.response_error()),
                    Err(_) => Err(ResponseError::RequestTimedOut),
                },
                Err(error) => Err(error),
            };
            let answer = DeleteRecordsPartitionResult::default().with_partition_index(index);
            partitions.push(match done {
                Ok(low_watermark) => answer.with_low_watermark(low_watermark),
                Err(error) => answer.with_low_watermark(-1).with_error_code(error.code()),
            });
        }
        answers.push(DeleteRecordsTopicResult::default().with_name(name).with_partitions(partitions));
    }
    DeleteRecordsResponse::default().with_topics(answers)
}
