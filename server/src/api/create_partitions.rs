//! CreatePartitions: topics may only grow.

use std::collections::HashSet;

use kafka_protocol::messages::{
    CreatePartitionsRequest, CreatePartitionsResponse, create_partitions_request::CreatePartitionsTopic,
    create_partitions_response::CreatePartitionsTopicResult,
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    context::RequestContext,
    error_code::{ErrorCode, NONE},
    reply::Handling,
    topic::text,
};
use crate::controller::{ControllerError, GrowTopic};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 2,
    fields: &[
        field(
            "topics",
            Kind::Array(&[
                field("name", Kind::String),
                field("count", Kind::Int32),
                field("assignments", Kind::Array(&[field("broker_ids", Kind::List(&Kind::Int32))])).nullable_since(0),
            ]),
        ),
        field("timeout_ms", Kind::Int32),
        field("validate_only", Kind::Bool),
    ],
};

pub(super) fn handle(context: &RequestContext, request: CreatePartitionsRequest) -> Handling {
    let controller = context.broker.controller.clone();
    Handling::decided(context.version, async move {
        let topics: Vec<GrowTopic> = request.topics.iter().map(grow).collect();
        let grown = controller.create_partitions(&topics, request.validate_only).await;
        // a name that stands twice is refused once
        let mut told = HashSet::new();
        let once = request.topics.into_iter().zip(grown).filter(|(topic, _)| told.insert(topic.name.clone()));
        let results = once.map(|(topic, grown)| {
            let result = CreatePartitionsTopicResult::default().with_name(topic.name);
            match grown {
                Ok(()) => result.with_error_code(NONE).with_error_message(None),
                Err(ControllerError::UnknownTopic) => {
                    result.with_error_code(ControllerError::UnknownTopic.error_code()).with_error_message(None)
                }
                Err(error) => {
                    result.with_error_code(error.error_code()).with_error_message(Some(text(&error.to_string())))
                }
            }
        });
        CreatePartitionsResponse::default().with_results(results.collect())
    })
}

fn grow(topic: &CreatePartitionsTopic) -> GrowTopic {
    let replicas = |assignments: &Vec<_>| {
        let brokers = |assignment: &kafka_protocol::messages::create_partitions_request::CreatePartitionsAssignment| {
            assignment.broker_ids.iter().map(|broker| broker.0).collect()
        };
        assignments.iter().map(brokers).collect()
    };
    GrowTopic {
        name: topic.name.to_string(),
        count: topic.count,
        assignments: topic.assignments.as_ref().map(replicas),
    }
}
