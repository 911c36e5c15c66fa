//! CreateTopics. The controller decides; from version 5 the answer tells the settings of what was made.

use std::collections::HashSet;

use kafka_protocol::messages::{
    CreateTopicsRequest, CreateTopicsResponse, TopicName,
    create_topics_request::CreatableTopic,
    create_topics_response::{CreatableTopicConfigs, CreatableTopicResult},
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    config_entry::{ConfigEntry, TopicEntries},
    context::RequestContext,
    error_code::{ErrorCode, NONE},
    reply::Handling,
    topic::text,
};
use crate::controller::{ControllerError, CreatedTopic, NewTopic};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 5,
    fields: &[
        field(
            "topics",
            Kind::Array(&[
                field("name", Kind::String),
                field("num_partitions", Kind::Int32),
                field("replication_factor", Kind::Int16),
                field(
                    "assignments",
                    Kind::Array(&[
                        field("partition_index", Kind::Int32),
                        field("broker_ids", Kind::List(&Kind::Int32)),
                    ]),
                ),
                field(
                    "configs",
                    Kind::Array(&[field("name", Kind::String), field("value", Kind::String).nullable_since(0)]),
                ),
            ]),
        ),
        field("timeout_ms", Kind::Int32),
        field("validate_only", Kind::Bool),
    ],
};

pub(super) fn handle(context: &RequestContext, request: CreateTopicsRequest) -> Handling {
    let controller = context.broker.controller.clone();
    Handling::decided(context.version, async move {
        let topics: Vec<NewTopic> = request.topics.iter().map(new_topic).collect();
        let made = controller.create_topics(&topics, request.validate_only).await;
        // a name that stands twice is refused once
        let mut told = HashSet::new();
        let entries = TopicEntries::new(&controller);
        let results = request
            .topics
            .into_iter()
            .zip(made)
            .filter(|(topic, _)| told.insert(topic.name.clone()))
            .map(|(topic, made)| result(topic.name, made, &entries));
        CreateTopicsResponse::default().with_topics(results.collect())
    })
}

fn new_topic(topic: &CreatableTopic) -> NewTopic {
    NewTopic {
        name: topic.name.to_string(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|assignment| {
                (assignment.partition_index, assignment.broker_ids.iter().map(|broker| broker.0).collect())
            })
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)))
            .collect(),
    }
}

fn result(
    name: TopicName,
    made: Result<CreatedTopic, ControllerError>,
    entries: &TopicEntries,
) -> CreatableTopicResult {
    let result = CreatableTopicResult::default().with_name(name);
    match made {
        Ok(topic) => result
            .with_topic_id(topic.id)
            .with_error_code(NONE)
            .with_error_message(None)
            .with_num_partitions(topic.partitions)
            .with_replication_factor(topic.replication_factor)
            .with_configs(Some(entries.of(&topic.configs).map(config).collect())),
        Err(error) => result.with_error_code(error.error_code()).with_error_message(Some(text(&error.to_string()))),
    }
}

fn config(entry: ConfigEntry) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(text(entry.name))
        .with_value(entry.value.as_deref().map(text))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source as i8)
        .with_is_sensitive(entry.sensitive)
}
