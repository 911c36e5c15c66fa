//! DescribeQuorum: how the replicas of the metadata's log stand (KIP-595, KIP-836, KIP-853).

use kafka_protocol::{
    error::ResponseError,
    messages::{
        BrokerId, DescribeQuorumRequest, DescribeQuorumResponse, TopicName,
        describe_quorum_response::{Listener, Node, PartitionData, ReplicaState, TopicData},
    },
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{context::RequestContext, error_code::NONE, reply::Handling, topic::text};
use crate::{
    controller::{ControllerError, Quorum, QuorumReplica},
    metadata::Image,
};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 0,
    fields: &[field(
        "topics",
        Kind::Array(&[
            field("topic_name", Kind::String),
            field("partitions", Kind::Array(&[field("partition_index", Kind::Int32)])),
        ]),
    )],
};

/// The only log that is asked about.
const TOPIC: &str = "__cluster_metadata";
/// What its port for other brokers is called.
const LISTENER: &str = "CONTROLLER";

pub(super) fn handle(context: &RequestContext, request: DescribeQuorumRequest) -> Handling {
    let known = match request.topics.as_slice() {
        [topic] => &*topic.topic_name == TOPIC && matches!(&topic.partitions[..], [only] if only.partition_index == 0),
        _ => false,
    };
    if !known {
        return Handling::ready(&unknown(request), context.version);
    }
    let controller = &context.broker.controller;
    let quorum = controller.quorum();
    let image = controller.image();
    let nodes = nodes(&quorum, &image);
    let described = partition(quorum, &image, context.version);
    let topic = TopicData::default().with_topic_name(TopicName(text(TOPIC))).with_partitions(vec![described]);
    let mut answer = DescribeQuorumResponse::default().with_error_code(NONE).with_topics(vec![topic]);
    if context.version >= 2 {
        answer = answer.with_nodes(nodes);
    }
    Handling::ready(&answer, context.version)
}

fn partition(quorum: Quorum, image: &Image, version: i16) -> PartitionData {
    let directory = |id: i32| image.broker(id).map(|broker| broker.directory_id).filter(|_| version >= 2);
    let state = |replica: QuorumReplica| {
        let directory_id = directory(replica.broker_id).unwrap_or_default();
        state(replica).with_replica_directory_id(directory_id)
    };
    let states = |replicas: Vec<QuorumReplica>| replicas.into_iter().map(state).collect();
    PartitionData::default()
        .with_partition_index(0)
        .with_error_code(NONE)
        .with_leader_id(BrokerId(quorum.leader_id))
        .with_leader_epoch(quorum.leader_epoch)
        .with_high_watermark(quorum.high_watermark)
        .with_current_voters(states(quorum.voters))
        .with_observers(states(quorum.observers))
}

fn state(replica: QuorumReplica) -> ReplicaState {
    ReplicaState::default()
        .with_replica_id(BrokerId(replica.broker_id))
        .with_log_end_offset(replica.log_end_offset)
        .with_last_fetch_timestamp(replica.last_fetch_ms)
        .with_last_caught_up_timestamp(replica.last_caught_up_ms)
}

/// Voters that have a port for other brokers.
fn nodes(quorum: &Quorum, image: &Image) -> Vec<Node> {
    let node = |voter: &QuorumReplica| {
        let raft = image.broker(voter.broker_id)?.raft.as_ref()?;
        let listener = Listener::default().with_name(text(LISTENER)).with_host(text(&raft.host)).with_port(raft.port);
        Some(Node::default().with_node_id(BrokerId(voter.broker_id)).with_listeners(vec![listener]))
    };
    quorum.voters.iter().filter_map(node).collect()
}

fn unknown(request: DescribeQuorumRequest) -> DescribeQuorumResponse {
    let error = ResponseError::UnknownTopicOrPartition.code();
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            PartitionData::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(error)
                .with_error_message(Some(text(&ControllerError::UnknownTopic.to_string())))
        });
        TopicData::default().with_partitions(partitions.collect()).with_topic_name(topic.topic_name)
    });
    DescribeQuorumResponse::default().with_topics(topics.collect())
}
