//! ListPartitionReassignments: which partitions move, and between which brokers (KIP-455).

use kafka_protocol::messages::{
    BrokerId, ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, TopicName,
    list_partition_reassignments_response::{OngoingPartitionReassignment, OngoingTopicReassignment},
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{context::RequestContext, error_code::NONE, reply::Handling, topic::text};
use crate::metadata::{PartitionInfo, Topic};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("timeout_ms", Kind::Int32),
        field(
            "topics",
            Kind::Array(&[field("name", Kind::String), field("partition_indexes", Kind::List(&Kind::Int32))]),
        )
        .nullable_since(0),
    ],
};

pub(super) fn handle(context: &RequestContext, request: ListPartitionReassignmentsRequest) -> Handling {
    let image = context.broker.controller.image();
    let topics = match request.topics {
        None => image.topics().filter_map(|topic| ongoing(topic, 0..topic.partitions.len() as i32)).collect(),
        Some(topics) => {
            let found =
                topics.into_iter().filter_map(|asked| ongoing(image.topic(&asked.name)?, asked.partition_indexes));
            found.collect()
        }
    };
    let answer = ListPartitionReassignmentsResponse::default()
        .with_error_code(NONE)
        .with_error_message(None)
        .with_topics(topics);
    Handling::ready(&answer, context.version)
}

/// What moves of these partitions of a topic, if anything.
fn ongoing(topic: &Topic, partitions: impl IntoIterator<Item = i32>) -> Option<OngoingTopicReassignment> {
    let moving = |index: i32| topic.partition(index).filter(|info| info.is_reassigning()).map(|info| told(index, info));
    let partitions: Vec<_> = partitions.into_iter().filter_map(moving).collect();
    let told = OngoingTopicReassignment::default().with_name(TopicName(text(&topic.name)));
    (!partitions.is_empty()).then(|| told.with_partitions(partitions))
}

fn told(index: i32, info: &PartitionInfo) -> OngoingPartitionReassignment {
    let brokers = |ids: Vec<i32>| ids.into_iter().map(BrokerId).collect();
    OngoingPartitionReassignment::default()
        .with_partition_index(index)
        .with_replicas(brokers(info.broker_ids()))
        .with_adding_replicas(brokers(info.adding()))
        .with_removing_replicas(brokers(info.removing()))
}
