//! Brokers, topics and partitions as a Metadata answer has them.

use kafka_protocol::{
    messages::{
        MetadataRequest, MetadataResponse, TopicName,
        metadata_request::MetadataRequestTopic,
        metadata_response::{MetadataResponsePartition, MetadataResponseTopic},
    },
    protocol::StrBytes,
};
use uuid::Uuid;

use super::Creation;
use crate::{ClientError, KafkaError, connection::Connection, error::Subject};

/// A broker, as it advertises itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Its node id.
    pub id: i32,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: i32,
    /// `broker.rack`.
    pub rack: Option<String>,
}

impl Broker {
    /// `host:port`, with brackets around an IPv6 address.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: String,
    /// Its id; None from brokers that know none.
    pub id: Option<Uuid>,
    /// Whether it is one of the cluster's own.
    pub internal: bool,
    /// In the order of their numbers, from 0.
    pub partitions: Vec<PartitionMetadata>,
}

impl TopicMetadata {
    /// A partition by its number.
    pub fn partition(&self, partition: i32) -> Option<&PartitionMetadata> {
        usize::try_from(partition).ok().and_then(|at| self.partitions.get(at))
    }
}

/// A partition and where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its number.
    pub partition: i32,
    /// Node id of the leader; None while there is none.
    pub leader: Option<i32>,
    /// The leader's epoch; -1 from brokers that do not say.
    pub leader_epoch: i32,
    /// Node ids that should hold it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Node ids that are in sync.
    pub isr: Vec<i32>,
    /// Node ids that should hold it and are down.
    pub offline_replicas: Vec<i32>,
}

/// A Metadata answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) cluster_id: Option<String>,
    pub(crate) controller: Option<i32>,
    pub(crate) brokers: Vec<Broker>,
    pub(crate) topics: Vec<(String, Result<TopicMetadata, KafkaError>)>,
}

/// Asks for topics by name; None: for all.
pub(crate) async fn fetch(
    connection: &Connection,
    topics: Option<&[&str]>,
    creation: Creation,
) -> Result<Answer, ClientError> {
    let answer = connection.call(|version| request(topics, creation, version)).await?;
    if let Some(error) = KafkaError::from_code(answer.error_code) {
        return Err(ClientError::kafka(Subject::Cluster, error));
    }
    Ok(read(answer))
}

fn request(topics: Option<&[&str]>, creation: Creation, version: i16) -> MetadataRequest {
    let named = |name: &&str| {
        MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string((*name).to_owned()))))
    };
    let topics = topics.map(|topics| topics.iter().map(named).collect());
    // version 0 knows no null: an empty list is all; versions below 4 cannot forbid creation
    let topics = if version == 0 { topics.or(Some(Vec::new())) } else { topics };
    MetadataRequest::default()
        .with_topics(topics)
        .with_allow_auto_topic_creation(version < 4 || creation == Creation::Allowed)
}

fn read(answer: MetadataResponse) -> Answer {
    let brokers = answer.brokers.into_iter().map(|broker| Broker {
        id: broker.node_id.0,
        host: broker.host.to_string(),
        port: broker.port,
        rack: broker.rack.map(|rack| rack.to_string()),
    });
    Answer {
        cluster_id: answer.cluster_id.map(|id| id.to_string()),
        controller: Some(answer.controller_id.0).filter(|id| *id >= 0),
        brokers: brokers.collect(),
        topics: answer.topics.into_iter().map(read_topic).collect(),
    }
}

fn read_topic(topic: MetadataResponseTopic) -> (String, Result<TopicMetadata, KafkaError>) {
    let name = topic.name.map(|name| name.0.to_string()).unwrap_or_default();
    if let Some(error) = KafkaError::from_code(topic.error_code) {
        return (name, Err(error));
    }
    let mut partitions: Vec<_> = topic.partitions.into_iter().map(read_partition).collect();
    partitions.sort_by_key(|partition| partition.partition);
    let dense = partitions.iter().zip(0..).all(|(partition, expected)| partition.partition == expected);
    if partitions.is_empty() || !dense {
        // a topic that is being created; its partitions come together
        return (name, Err(KafkaError::new(KafkaError::LEADER_NOT_AVAILABLE)));
    }
    let id = Some(topic.topic_id).filter(|id| !id.is_nil());
    (name.clone(), Ok(TopicMetadata { name, id, internal: topic.is_internal, partitions }))
}

fn read_partition(partition: MetadataResponsePartition) -> PartitionMetadata {
    let ids = |nodes: Vec<kafka_protocol::messages::BrokerId>| nodes.into_iter().map(|id| id.0).collect();
    PartitionMetadata {
        partition: partition.partition_index,
        leader: Some(partition.leader_id.0).filter(|id| *id >= 0),
        leader_epoch: partition.leader_epoch,
        replicas: ids(partition.replica_nodes),
        isr: ids(partition.isr_nodes),
        offline_replicas: ids(partition.offline_replicas),
    }
}
