//! Metadata: brokers, topics, partitions and their leaders; the way in for every client. It may make topics.

use std::{collections::HashSet, sync::Arc};

use kafka_protocol::{
    error::ResponseError,
    messages::{
        BrokerId, CreateTopicsRequest, MetadataRequest, MetadataResponse, TopicName,
        create_topics_request::CreatableTopic,
        create_topics_response::CreatableTopicResult,
        metadata_request::MetadataRequestTopic,
        metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
    },
    protocol::StrBytes,
};
use tidemark_client::wire::shape::{Kind, Shape, field};
use uuid::Uuid;

use super::{
    access::{OPERATIONS_NOT_ASKED, Resource},
    context::RequestContext,
    error_code::NONE,
    forwarded,
    reply::Handling,
    topic::{Described, Endpoint, brokers, controller_id, describe, is_internal, text},
};
use crate::{
    controller::NewTopic,
    metadata::{Image, Topic, check_topic_name},
};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 9,
    fields: &[
        field(
            "topics",
            Kind::Array(&[field("topic_id", Kind::Uuid).since(10), field("name", Kind::String).nullable_since(10)]),
        )
        .nullable_since(1),
        field("allow_auto_topic_creation", Kind::Bool).since(4),
        field("include_cluster_authorized_operations", Kind::Bool).since(8).until(10),
        field("include_topic_authorized_operations", Kind::Bool).since(8),
    ],
};

/// How long a client waits at most for topics that are made on the way: it asks again anyway.
const AUTO_CREATE_WAIT_MS: i32 = 2_000;

/// Topics asked for.
enum Wanted {
    All,
    Names(Vec<TopicName>),
    Ids(Vec<Uuid>),
}

pub(super) fn handle(context: &RequestContext, request: MetadataRequest) -> Handling {
    let version = context.version;
    let wanted = match wanted(&request, version) {
        Ok(wanted) => wanted,
        Err(error) => return Handling::ready(&refused(request, error), version),
    };
    let missing = match &wanted {
        Wanted::Names(names) if request.allow_auto_topic_creation && context.broker.config.auto_create_topics => {
            missing(&context.broker.controller.image(), names)
        }
        _ => Vec::new(),
    };
    // made before the answer, but told in the next one, as Kafka does: clients ask again
    let answer = answer(context, &request, &wanted);
    if missing.is_empty() {
        return Handling::ready(&answer, version);
    }
    let context = context.clone();
    Handling::decided(version, async move {
        create(&context, &missing).await;
        answer
    })
}

/// Makes topics, here or by the controller. What is refused is asked for again, and refused again.
async fn create(context: &RequestContext, topics: &[NewTopic]) {
    let refused: Vec<(String, String)> = match context.broker.forward.clone() {
        None => {
            let made = context.broker.controller.create_topics(topics, false).await;
            let refused = topics.iter().zip(made).filter_map(|(topic, made)| Some((topic, made.err()?)));
            refused.map(|(topic, error)| (topic.name.clone(), error.to_string())).collect()
        }
        Some(forward) => {
            let wanted = topics.iter().map(|topic| {
                let wanted = CreatableTopic::default().with_name(TopicName(text(&topic.name)));
                wanted.with_num_partitions(topic.partitions).with_replication_factor(topic.replication_factor)
            });
            let request =
                CreateTopicsRequest::default().with_topics(wanted.collect()).with_timeout_ms(AUTO_CREATE_WAIT_MS);
            match forwarded::create_topics(context, forward, &request).await {
                Ok(answer) => answer.topics.into_iter().filter(|topic| topic.error_code != NONE).map(refusal).collect(),
                Err(error) => vec![(topics.first().map_or(String::new(), |topic| topic.name.clone()), error)],
            }
        }
    };
    // one line, however many names a client makes up
    if let Some((topic, error)) = refused.first() {
        tracing::info!(topic, error, others = refused.len() - 1, "topic not created automatically");
    }
}

fn refusal(topic: CreatableTopicResult) -> (String, String) {
    (topic.name.to_string(), topic.error_message.unwrap_or_default().to_string())
}

fn wanted(request: &MetadataRequest, version: i16) -> Result<Wanted, ResponseError> {
    let Some(topics) = &request.topics else { return Ok(Wanted::All) };
    // version 0 has no null: its empty list means all
    if version == 0 && topics.is_empty() {
        return Ok(Wanted::All);
    }
    let named_by_id = |topic: &MetadataRequestTopic| !topic.topic_id.is_nil();
    if version < 12 && topics.iter().any(|topic| topic.name.is_none() || named_by_id(topic)) {
        return Err(ResponseError::InvalidRequest);
    }
    // one id, and names are not looked at (KafkaApis.handleTopicMetadataRequest)
    if topics.iter().any(named_by_id) {
        let mut seen = HashSet::new();
        let ids = topics.iter().filter(|topic| named_by_id(topic)).map(|topic| topic.topic_id);
        return Ok(Wanted::Ids(ids.filter(|id| seen.insert(*id)).collect()));
    }
    // Kafka falls over a topic with neither; its clients never send one
    if topics.iter().any(|topic| topic.name.is_none()) {
        return Err(ResponseError::UnknownServerError);
    }
    let mut seen = HashSet::new();
    Ok(Wanted::Names(
        topics.iter().filter_map(|topic| topic.name.clone()).filter(|name| seen.insert(name.clone())).collect(),
    ))
}

/// What Kafka answers when the request itself is refused (`MetadataRequest.getErrorResponse`).
fn refused(request: MetadataRequest, error: ResponseError) -> MetadataResponse {
    let topics = request.topics.unwrap_or_default().into_iter().map(|topic| {
        MetadataResponseTopic::default()
            .with_error_code(error.code())
            .with_name(Some(topic.name.unwrap_or_default()))
            .with_topic_id(topic.topic_id)
    });
    MetadataResponse::default().with_cluster_id(None).with_topics(topics.collect()).with_error_code(error.code())
}

fn missing(image: &Image, names: &[TopicName]) -> Vec<NewTopic> {
    let unknown = names.iter().filter(|name| image.topic(name).is_none() && check_topic_name(name).is_ok());
    unknown
        .map(|name| NewTopic { name: name.to_string(), partitions: -1, replication_factor: -1, ..NewTopic::default() })
        .collect()
}

fn answer(context: &RequestContext, request: &MetadataRequest, wanted: &Wanted) -> MetadataResponse {
    let image = context.broker.controller.image();
    let operations = match request.include_topic_authorized_operations {
        true => Resource::Topic.all_operations(),
        false => OPERATIONS_NOT_ASKED,
    };
    let known = |topic: &Arc<Topic>| described(context, &image, topic, operations);
    // the order is Kafka's: unknown ids, known topics, unknown names
    let topics = match wanted {
        Wanted::All => image.topics().map(known).collect(),
        Wanted::Names(names) => {
            let unknown = names.iter().filter(|name| image.topic(name).is_none());
            let unknown = unknown.map(|name| unknown_name(name, operations));
            names.iter().filter_map(|name| image.topic(name)).map(known).chain(unknown).collect()
        }
        Wanted::Ids(ids) => {
            let unknown = ids.iter().filter(|id| image.topic_by_id(**id).is_none()).map(|id| unknown_id(*id));
            unknown.chain(ids.iter().filter_map(|id| image.topic_by_id(*id)).map(known)).collect()
        }
    };
    let brokers = brokers(context, &image).map(|Endpoint { id, host, port, rack }| {
        MetadataResponseBroker::default().with_node_id(id).with_host(host).with_port(port).with_rack(rack)
    });
    let cluster_operations = match request.include_cluster_authorized_operations {
        true => Resource::Cluster.all_operations(),
        false => OPERATIONS_NOT_ASKED,
    };
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text(image.cluster_id())))
        .with_controller_id(controller_id(context))
        .with_topics(topics)
        .with_cluster_authorized_operations(cluster_operations)
}

fn unknown_name(name: &TopicName, operations: i32) -> MetadataResponseTopic {
    let error = match check_topic_name(name) {
        Ok(()) => ResponseError::UnknownTopicOrPartition,
        Err(_) => ResponseError::InvalidTopicException,
    };
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(name.clone()))
        .with_is_internal(is_internal(name))
        .with_topic_authorized_operations(operations)
}

fn unknown_id(id: Uuid) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(ResponseError::UnknownTopicId.code())
        .with_name(None)
        .with_topic_id(id)
}

fn described(context: &RequestContext, image: &Image, topic: &Topic, operations: i32) -> MetadataResponseTopic {
    let partitions = (0..).zip(&topic.partitions).map(|(index, info)| {
        let mut described = describe(&context.broker, image, (topic.id, index), info);
        let error_code = match context.version {
            0 => hide_offline(&mut described),
            _ => described.error_code(),
        };
        MetadataResponsePartition::default()
            .with_error_code(error_code)
            .with_partition_index(index)
            .with_leader_id(described.leader.unwrap_or(BrokerId(-1)))
            .with_leader_epoch(described.leader_epoch)
            .with_isr_nodes(described.isr)
            .with_replica_nodes(described.replicas)
            .with_offline_replicas(described.offline)
    });
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(StrBytes::from(topic.name.clone()))))
        .with_topic_id(topic.id)
        .with_is_internal(is_internal(&topic.name))
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(operations)
}

/// Clients of version 0 take a replica that is not among the brokers for an error, so they are told one and not the replica.
fn hide_offline(described: &mut Described) -> i16 {
    if described.leader.is_some() && !described.offline.is_empty() {
        described.replicas.retain(|id| !described.offline.contains(id));
        return ResponseError::ReplicaNotAvailable.code();
    }
    described.error_code()
}
