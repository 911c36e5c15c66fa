//! OffsetForLeaderEpoch (Kafka `OffsetsForLeaderEpochRequest`; KIP-101, KIP-320): where an epoch ends, so that a consumer
//! finds out whether what it read is still there. Not here: the epochs themselves.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
        offset_for_leader_epoch_request::OffsetForLeaderPartition,
        offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult},
    },
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    context::RequestContext,
    error_code::ErrorCode,
    partition_lookup::{epoch_end, partition_of},
    reply::Handling,
};
use crate::metadata::Image;

/// The request, version 2 and later.
pub(super) static REQUEST: Shape = Shape {
    flexible_since: 4,
    fields: &[
        field("replica_id", Kind::Int32).since(3),
        field(
            "topics",
            Kind::Array(&[
                field("topic", Kind::String),
                field(
                    "partitions",
                    Kind::Array(&[
                        field("partition", Kind::Int32),
                        field("current_leader_epoch", Kind::Int32),
                        field("leader_epoch", Kind::Int32),
                    ]),
                ),
            ]),
        ),
    ],
};

/// Answers at once.
pub(super) fn handle(context: &RequestContext, request: OffsetForLeaderEpochRequest) -> Handling {
    let image = context.broker.controller.image();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let answer = EpochEndOffset::default().with_partition(asked.partition);
            match lookup(context, &image, &topic.topic, asked) {
                Ok(Some((epoch, end_offset))) => answer.with_leader_epoch(epoch).with_end_offset(end_offset),
                Ok(None) => answer,
                Err(error) => answer.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default().with_topic(topic.topic).with_partitions(partitions)
    });
    Handling::ready(&OffsetForLeaderEpochResponse::default().with_topics(topics.collect()), context.version)
}

fn lookup(
    context: &RequestContext,
    image: &Image,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(i32, i64)>, ResponseError> {
    let partition = partition_of(&context.broker, image.topic(topic), asked.partition)?;
    epoch_end(&partition, asked.leader_epoch, asked.current_leader_epoch).map_err(|error| error.response_error())
}
