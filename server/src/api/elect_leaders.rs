//! ElectLeaders: lets preferred replicas lead (KIP-460). An unclean election, which could lose records, is never made.

use kafka_protocol::{
    error::ResponseError,
    messages::{
        ElectLeadersRequest, ElectLeadersResponse, TopicName,
        elect_leaders_request::TopicPartitions,
        elect_leaders_response::{PartitionResult, ReplicaElectionResult},
    },
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    context::RequestContext,
    error_code::{ErrorCode, NONE},
    reply::Handling,
    topic::text,
};
use crate::{
    controller::{Controller, ControllerError, ElectionKind},
    metadata::Image,
};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 2,
    fields: &[
        field("election_type", Kind::Int8).since(1),
        field(
            "topic_partitions",
            Kind::Array(&[field("topic", Kind::String), field("partitions", Kind::List(&Kind::Int32))]),
        )
        .nullable_since(0),
        field("timeout_ms", Kind::Int32),
    ],
};

pub(super) fn handle(context: &RequestContext, request: ElectLeadersRequest) -> Handling {
    let kind = match request.election_type {
        0 => ElectionKind::Preferred,
        1 => ElectionKind::Unclean,
        other => return Handling::ready(&unknown_kind(request.topic_partitions, other), context.version),
    };
    let controller = context.broker.controller.clone();
    Handling::decided(context.version, async move {
        let every = request.topic_partitions.is_none();
        let asked = request.topic_partitions.unwrap_or_else(|| all(&controller.image()));
        let mut results = elect(&controller, kind, asked).await;
        if every {
            // every topic is named, but of its partitions only those with something to say
            let not_needed = ResponseError::ElectionNotNeeded.code();
            for topic in &mut results {
                topic.partition_result.retain(|partition| partition.error_code != not_needed);
            }
        }
        ElectLeadersResponse::default().with_replica_election_results(results)
    })
}

fn all(image: &Image) -> Vec<TopicPartitions> {
    let topic = |topic: &std::sync::Arc<crate::metadata::Topic>| {
        TopicPartitions::default()
            .with_topic(TopicName(text(&topic.name)))
            .with_partitions((0..topic.partitions.len() as i32).collect())
    };
    image.topics().map(topic).collect()
}

async fn elect(controller: &Controller, kind: ElectionKind, asked: Vec<TopicPartitions>) -> Vec<ReplicaElectionResult> {
    let each = |topic: &TopicPartitions| {
        let name = topic.topic.to_string();
        topic.partitions.iter().map(move |partition| (name.clone(), *partition)).collect::<Vec<_>>()
    };
    let partitions: Vec<(String, i32)> = asked.iter().flat_map(each).collect();
    let mut elected = controller.elect_leaders(kind, &partitions).await.into_iter();
    let topics = asked.into_iter().map(|topic| {
        let results =
            topic.partitions.iter().zip(elected.by_ref()).map(|(partition, elected)| result(*partition, elected));
        ReplicaElectionResult::default().with_partition_result(results.collect()).with_topic(topic.topic)
    });
    topics.collect()
}

fn result(partition: i32, elected: Result<(), ControllerError>) -> PartitionResult {
    let result = PartitionResult::default().with_partition_id(partition);
    match elected {
        Ok(()) => result.with_error_code(NONE).with_error_message(None),
        Err(error) => result.with_error_code(error.error_code()).with_error_message(Some(text(&error.to_string()))),
    }
}

fn unknown_kind(asked: Option<Vec<TopicPartitions>>, kind: i8) -> ElectLeadersResponse {
    let refusal = ControllerError::InvalidRequest(format!("Unknown election type {kind}"));
    let topics = asked.unwrap_or_default().into_iter().map(|topic| {
        let refused = topic.partitions.iter().map(|partition| result(*partition, Err(refusal.clone())));
        ReplicaElectionResult::default().with_partition_result(refused.collect()).with_topic(topic.topic)
    });
    ElectLeadersResponse::default()
        .with_error_code(refusal.error_code())
        .with_replica_election_results(topics.collect())
}
