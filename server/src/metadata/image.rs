//! The image: what all applied records add up to. Topics are shared between images, so a changed image is cheap.

mod snapshot;

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use uuid::Uuid;

use super::{
    broker::Broker,
    name::metric_name,
    record::MetadataRecord,
    topic::{NO_BROKER, PartitionInfo, Topic},
};

/// The cluster's metadata at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    cluster_id: String,
    brokers: BTreeMap<i32, Broker>,
    topics: BTreeMap<String, Arc<Topic>>,
    names: BTreeMap<Uuid, String>,
    /// What topics are called in metric names → their names; those alone that can collide.
    metric_names: BTreeMap<String, String>,
    broker_configs: BTreeMap<i32, BTreeMap<String, String>>,
    next_producer_id: i64,
    partitions: usize,
}

impl Image {
    /// Takes in one change. A record about something that is not there changes nothing.
    pub fn apply(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::Cluster { cluster_id } => self.cluster_id.clone_from(cluster_id),
            MetadataRecord::Snapshot => *self = Self::default(),
            MetadataRecord::CreateTopic { topic_id, name } => self.create_topic(*topic_id, name),
            MetadataRecord::DeleteTopic { topic_id } => {
                if let Some(topic) = self.names.remove(topic_id).and_then(|name| self.topics.remove(&name)) {
                    self.partitions -= topic.partitions.len();
                    if let Some(metric_name) = metric_name(&topic.name) {
                        self.metric_names.remove(&metric_name);
                    }
                }
            }
            MetadataRecord::TopicConfig { topic_id, key, value } => {
                if let Some(topic) = self.topic_mut(topic_id) {
                    set(&mut topic.configs, key, value.as_deref());
                }
            }
            MetadataRecord::ProducerIds { next_producer_id } => {
                self.next_producer_id = self.next_producer_id.max(*next_producer_id);
            }
            MetadataRecord::RegisterBroker { .. }
            | MetadataRecord::FenceBroker { .. }
            | MetadataRecord::UnfenceBroker { .. }
            | MetadataRecord::UnregisterBroker { .. }
            | MetadataRecord::BrokerConfig { .. } => self.apply_to_broker(record),
            MetadataRecord::CreatePartition { .. }
            | MetadataRecord::PartitionState { .. }
            | MetadataRecord::PartitionReplicas { .. }
            | MetadataRecord::PartitionTarget { .. } => self.apply_to_partition(record),
        }
    }

    fn apply_to_broker(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::RegisterBroker { broker_id, incarnation, host, port, rack, raft, directory_id, fenced } => {
                let broker = Broker {
                    id: *broker_id,
                    incarnation: *incarnation,
                    directory_id: *directory_id,
                    host: host.clone(),
                    port: *port,
                    rack: rack.clone(),
                    raft: raft.clone(),
                    fenced: *fenced,
                };
                self.brokers.insert(*broker_id, broker);
            }
            MetadataRecord::FenceBroker { broker_id, incarnation } => self.fence(*broker_id, incarnation, true),
            MetadataRecord::UnfenceBroker { broker_id, incarnation } => self.fence(*broker_id, incarnation, false),
            MetadataRecord::UnregisterBroker { broker_id } => drop(self.brokers.remove(broker_id)),
            MetadataRecord::BrokerConfig { broker_id, key, value } => {
                let configs = self.broker_configs.entry(*broker_id).or_default();
                set(configs, key, value.as_deref());
                if configs.is_empty() {
                    self.broker_configs.remove(broker_id);
                }
            }
            _ => {}
        }
    }

    fn fence(&mut self, broker_id: i32, incarnation: &Uuid, fenced: bool) {
        if let Some(broker) = self.brokers.get_mut(&broker_id).filter(|broker| broker.incarnation == *incarnation) {
            broker.fenced = fenced;
        }
    }

    fn create_topic(&mut self, topic_id: Uuid, name: &str) {
        if self.topics.contains_key(name) || self.names.contains_key(&topic_id) {
            return;
        }
        let topic = Topic { id: topic_id, name: name.to_owned(), partitions: Vec::new(), configs: BTreeMap::new() };
        self.names.insert(topic_id, name.to_owned());
        if let Some(metric_name) = metric_name(name) {
            self.metric_names.insert(metric_name, name.to_owned());
        }
        self.topics.insert(name.to_owned(), Arc::new(topic));
    }

    fn apply_to_partition(&mut self, record: &MetadataRecord) {
        match record {
            MetadataRecord::CreatePartition { topic_id, partition, replicas } => {
                let added = self.topic_mut(topic_id).is_some_and(|topic| {
                    let next = usize::try_from(*partition) == Ok(topic.partitions.len());
                    if next {
                        topic.partitions.push(PartitionInfo::new(replicas.clone()));
                    }
                    next
                });
                self.partitions += usize::from(added);
            }
            MetadataRecord::PartitionState { topic_id, partition, leader, leader_epoch, isr } => {
                let known = self.partition_mut(topic_id, *partition);
                if let Some(known) = known.filter(|known| *leader_epoch >= known.leader_epoch) {
                    (known.leader, known.leader_epoch) = (*leader, *leader_epoch);
                    known.isr.clone_from(isr);
                }
            }
            MetadataRecord::PartitionReplicas { topic_id, partition, replicas, last_incarnation } => {
                if let Some(known) = self.partition_mut(topic_id, *partition) {
                    known.set_replicas(replicas, *last_incarnation);
                }
            }
            MetadataRecord::PartitionTarget { topic_id, partition, target } => {
                if let Some(known) = self.partition_mut(topic_id, *partition) {
                    known.set_target(target.as_deref());
                }
            }
            _ => {}
        }
    }

    fn topic_mut(&mut self, topic_id: &Uuid) -> Option<&mut Topic> {
        let name = self.names.get(topic_id)?;
        self.topics.get_mut(name).map(Arc::make_mut)
    }

    fn partition_mut(&mut self, topic_id: &Uuid, index: i32) -> Option<&mut PartitionInfo> {
        self.topic_mut(topic_id)?.partitions.get_mut(usize::try_from(index).ok()?)
    }

    /// The cluster's id; empty before the first record.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Brokers by id, fenced ones too.
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = &Broker> {
        self.brokers.values()
    }

    /// A broker.
    pub fn broker(&self, id: i32) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    /// Whether a broker is registered and not fenced.
    pub fn is_available(&self, broker_id: i32) -> bool {
        self.broker(broker_id).is_some_and(|broker| !broker.fenced)
    }

    /// The broker that leads a partition, if it is known and available. The only replica of a partition leads it.
    pub fn leader_of(&self, partition: &PartitionInfo) -> Option<i32> {
        let leader = match (partition.leader, partition.replicas.as_slice()) {
            (NO_BROKER, [only]) => only.broker_id,
            (leader, _) => leader,
        };
        self.is_available(leader).then_some(leader)
    }

    /// Topics by name.
    pub fn topics(&self) -> impl ExactSizeIterator<Item = &Arc<Topic>> {
        self.topics.values()
    }

    /// Topics by name, from `first` on.
    pub fn topics_from(&self, first: &str) -> impl Iterator<Item = &Arc<Topic>> {
        self.topics.range::<str, _>((Bound::Included(first), Bound::Unbounded)).map(|(_, topic)| topic)
    }

    /// A topic.
    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(name)
    }

    /// The topic whose metric names would be those of a topic of this name.
    pub fn topic_colliding(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topics.get(self.metric_names.get(&metric_name(name)?)?)
    }

    /// A topic by its id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<&Arc<Topic>> {
        self.topics.get(self.names.get(&id)?)
    }

    /// Partitions of all topics.
    pub fn partition_count(&self) -> usize {
        self.partitions
    }

    /// Dynamic settings of a broker, or of all with -1.
    pub fn broker_configs(&self, broker_id: i32) -> Option<&BTreeMap<String, String>> {
        self.broker_configs.get(&broker_id)
    }

    /// First producer id that was not given out in a block.
    pub fn next_producer_id(&self) -> i64 {
        self.next_producer_id
    }
}

fn set(configs: &mut BTreeMap<String, String>, key: &str, value: Option<&str>) {
    match value {
        Some(value) => configs.insert(key.to_owned(), value.to_owned()),
        None => configs.remove(key),
    };
}

#[cfg(test)]
mod tests;
