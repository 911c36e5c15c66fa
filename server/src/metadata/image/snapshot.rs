//! The image as records: what the metadata log's snapshot holds. Not here: where it is stored.

use super::Image;
use crate::metadata::{
    record::MetadataRecord,
    topic::{PartitionInfo, Replica, Topic},
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
            directory_id: broker.directory_id,
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
        if made.last_incarnation != info.last_incarnation {
            let last_incarnation = info.last_incarnation;
            records.push(MetadataRecord::PartitionReplicas { topic_id, partition, replicas, last_incarnation });
        }
        for target in targets(info) {
            made.set_target(target.as_deref());
            records.push(MetadataRecord::PartitionTarget { topic_id, partition, target });
        }
        let state = |info: &PartitionInfo| (info.leader, info.leader_epoch, info.isr.clone());
        if state(info) != state(&made) {
            let (leader, leader_epoch, isr) = state(info);
            records.push(MetadataRecord::PartitionState { topic_id, partition, leader, leader_epoch, isr });
        }
    }
}

/// What was wanted, as far as it still matters: other logs in place of those that are lost, then what is wanted now.
fn targets(info: &PartitionInfo) -> Vec<Option<Vec<Replica>>> {
    let mut targets = Vec::new();
    if !info.lost.is_empty() {
        // no number is nobody's: only that it is another one counts
        let other = |lost: &Replica| Replica::new(lost.broker_id, u32::from(lost.incarnation == 0));
        targets.push(Some(info.lost.iter().map(other).collect()));
    }
    if info.target.is_some() || !targets.is_empty() {
        targets.push(info.target.clone());
    }
    targets
}
