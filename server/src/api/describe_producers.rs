//! DescribeProducers (Kafka `DescribeProducersRequest`; KIP-664): the producers that a partition remembers. Not here:
//! transactions as a whole.

use std::collections::HashSet;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        DescribeProducersRequest, DescribeProducersResponse, ProducerId,
        describe_producers_response::{PartitionResponse, ProducerState, TopicResponse},
    },
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{context::RequestContext, partition_lookup::partition_of, reply::Handling, topic::text};
use crate::{metadata::check_topic_name, partition::ProducerDescription};

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
    let mut told = HashSet::new();
    let topics = request.topics.into_iter().map(|topic| {
        let found = image.topic(&topic.name);
        let refusal =
            check_topic_name(&topic.name).err().map(|error| (ResponseError::InvalidTopicException, error.to_string()));
        let refusal = refusal.or_else(|| found.is_none().then(unknown_topic));
        let partitions = topic.partition_indexes.iter().map(|&index| {
            let answer = PartitionResponse::default().with_partition_index(index);
            if let Some((error, message)) = &refusal {
                return answer.with_error_code(error.code()).with_error_message(Some(text(message)));
            }
            match partition_of(&context.broker, found, index) {
                // thousands of producers over and over would be an answer beyond all memory
                Ok(_) if !told.insert((topic.name.clone(), index)) => {
                    answer.with_error_code(ResponseError::InvalidRequest.code())
                }
                Ok(partition) => {
                    answer.with_active_producers(partition.producers().into_iter().map(producer_state).collect())
                }
                Err(error) => answer.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        TopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    Handling::ready(&DescribeProducersResponse::default().with_topics(topics.collect()), context.version)
}

fn unknown_topic() -> (ResponseError, String) {
    (ResponseError::UnknownTopicOrPartition, "This server does not host this topic-partition.".to_owned())
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
