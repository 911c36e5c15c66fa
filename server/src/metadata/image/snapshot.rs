//! The image as records: what the metadata log's snapshot holds. Not here: where it is stored.

use super::Image;
use crate::metadata::{
    record::MetadataRecord,
    topic::{PartitionInfo, Topic},
};

impl Image {
    /// Records that add up to this image when they are applied to an empty one.
    pub fn to_records(&self) -> Vec<MetadataRecord> {
        let mut records = Vec::new();
        if !self.cluster_id.is_empty() {
            records.push(MetadataRecord::Cluster { cluster_id: self.cluster_id.clone() });
        }
        records.extend(self.brokers.values().map(|broker| MetadataRecord::RegisterBroker {
            broker_id: broker.id,
            incarnation: broker.incarnation,
            host: broker.host.clone(),
            port: broker.port,
            rack: broker.rack.clone(),
            raft: broker.raft.clone(),
            fenced: broker.fenced,
        }));
        for (broker_id, configs) in &self.broker_configs {
            records.extend(configs.iter().map(|(key, value)| MetadataRecord::BrokerConfig {
                broker_id: *broker_id,
                key: key.clone(),
                value: Some(value.clone()),
            }));
        }
        self.topics.values().for_each(|topic| topic_records(topic, &mut records));
        if self.next_producer_id > 0 {
            records.push(MetadataRecord::ProducerIds { next_producer_id: self.next_producer_id });
        }
        records
    }
}

fn topic_records(topic: &Topic, records: &mut Vec<MetadataRecord>) {
    let topic_id = topic.id;
    records.push(MetadataRecord::CreateTopic { topic_id, name: topic.name.clone() });
    records.extend(topic.configs.iter().map(|(key, value)| MetadataRecord::TopicConfig {
        topic_id,
        key: key.clone(),
        value: Some(value.clone()),
    }));
    for (partition, info) in (0..).zip(&topic.partitions) {
        let replicas = info.replicas.clone();
        let mut made = PartitionInfo::new(replicas.clone());
        records.push(MetadataRecord::CreatePartition { topic_id, partition, replicas: replicas.clone() });
        if let Some(target) = &info.target {
            records.push(MetadataRecord::PartitionTarget { topic_id, partition, target: Some(target.clone()) });
            made.saw_incarnations(target);
        }
        if made.last_incarnation != info.last_incarnation {
            let last_incarnation = info.last_incarnation;
            records.push(MetadataRecord::PartitionReplicas { topic_id, partition, replicas, last_incarnation });
        }
        let state = |info: &PartitionInfo| (info.leader, info.leader_epoch, info.isr.clone());
        if state(info) != state(&made) {
            let (leader, leader_epoch, isr) = state(info);
            records.push(MetadataRecord::PartitionState { topic_id, partition, leader, leader_epoch, isr });
        }
    }
}
