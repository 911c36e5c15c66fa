//! AlterPartitionReassignments: moves partitions to other brokers, or takes a move back (KIP-455).

use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    alter_partition_reassignments_request::ReassignableTopic,
    alter_partition_reassignments_response::{ReassignablePartitionResponse, ReassignableTopicResponse},
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    context::RequestContext,
    error_code::{ErrorCode, NONE},
    reply::Handling,
    topic::text,
};
use crate::controller::{ControllerError, Reassignment};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("timeout_ms", Kind::Int32),
        field("allow_replication_factor_change", Kind::Bool).since(1),
        field(
            "topics",
            Kind::Array(&[
                field("name", Kind::String),
                field(
                    "partitions",
                    Kind::Array(&[
                        field("partition_index", Kind::Int32),
                        field("replicas", Kind::List(&Kind::Int32)).nullable_since(0),
                    ]),
                ),
            ]),
        ),
    ],
};

pub(super) fn handle(context: &RequestContext, request: AlterPartitionReassignmentsRequest) -> Handling {
    let controller = context.broker.controller.clone();
    let allow_factor_change = request.allow_replication_factor_change;
    Handling::decided(context.version, async move {
        let moves: Vec<Reassignment> = request.topics.iter().flat_map(reassignments).collect();
        let mut altered = controller.alter_reassignments(&moves, allow_factor_change).await.into_iter();
        let topics = request.topics.into_iter().map(|topic| {
            let partitions = topic.partitions.iter().zip(altered.by_ref());
            let partitions = partitions.map(|(partition, altered)| response(partition.partition_index, altered));
            ReassignableTopicResponse::default().with_partitions(partitions.collect()).with_name(topic.name)
        });
        AlterPartitionReassignmentsResponse::default()
            .with_error_code(NONE)
            .with_error_message(None)
            .with_allow_replication_factor_change(allow_factor_change)
            .with_responses(topics.collect())
    })
}

fn reassignments(topic: &ReassignableTopic) -> Vec<Reassignment> {
    let partitions = topic.partitions.iter().map(|partition| Reassignment {
        topic: topic.name.to_string(),
        partition: partition.partition_index,
        brokers: partition.replicas.as_ref().map(|replicas| replicas.iter().map(|broker| broker.0).collect()),
    });
    partitions.collect()
}

fn response(partition: i32, altered: Result<(), ControllerError>) -> ReassignablePartitionResponse {
    let response = ReassignablePartitionResponse::default().with_partition_index(partition);
    match altered {
        Ok(()) => response.with_error_code(NONE).with_error_message(None),
        // its name says it all
        Err(error @ ControllerError::NoReassignmentInProgress) => {
            response.with_error_code(error.error_code()).with_error_message(None)
        }
        Err(error) => response.with_error_code(error.error_code()).with_error_message(Some(text(&error.to_string()))),
    }
}
