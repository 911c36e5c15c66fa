//! DescribeProducers (Kafka `DescribeProducersRequest`; KIP-664): the producers that a partition remembers. Not here:
//! transactions as a whole.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DescribeProducersRequest, DescribeProducersResponse, ProducerId,
        describe_producers_response::{PartitionResponse, ProducerState, TopicResponse},
    },
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{context::RequestContext, partition_lookup::partition_of, reply::Handling, topic::text};
use crate::partition::ProducerDescription;

/// The request.
pub(super) static REQUEST: Shape = Shape {
    flexible_since: 0,
    fields: &[field(
        "topics",
        Kind::Array(&[field("name", Kind::String), field("partition_indexes", Kind::List(&Kind::Int32))]),
    )],
};

/// Answers at once.
pub(super) fn handle(context: &RequestContext, request: DescribeProducersRequest) -> Handling {
    let image = context.broker.controller.image();
    let topics = request.topics.into_iter().map(|topic| {
        let found = image.topic(&topic.name);
        let partitions = topic.partition_indexes.iter().map(|&index| {
            let answer = PartitionResponse::default().with_partition_index(index);
            match partition_of(&context.broker, found, index) {
                Ok(partition) => {
                    answer.with_active_producers(partition.producers().into_iter().map(producer_state).collect())
                }
                Err(error) => answer.with_error_code(error.code()).with_error_message(Some(text(message(error)))),
            }
        });
        let partitions = partitions.collect();
        TopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    Handling::ready(&DescribeProducersResponse::default().with_topics(topics.collect()), context.version)
}

fn message(error: ResponseError) -> &'static str {
    match error {
        ResponseError::UnknownTopicOrPartition => "This server does not host this topic-partition.",
        _ => "this broker does not lead the partition",
    }
}

fn producer_state(producer: ProducerDescription) -> ProducerState {
    ProducerState::default()
        .with_producer_id(ProducerId(producer.producer_id))
        .with_producer_epoch(producer.producer_epoch.into())
        .with_last_sequence(producer.last_sequence)
        .with_last_timestamp(producer.last_timestamp)
        .with_coordinator_epoch(producer.coordinator_epoch)
        .with_current_txn_start_offset(producer.current_txn_start_offset)
}
