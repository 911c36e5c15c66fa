//! The image: what all applied records add up to. Topics are shared between images, so a changed image is cheap.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use uuid::Uuid;

use super::{name::metric_name, record::MetadataRecord};

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Node id.
    pub id: i32,
    /// One incarnation of its process.
    pub incarnation: Uuid,
    /// Advertised host.
    pub host: String,
    /// Advertised port.
    pub port: u16,
    /// `broker.rack`.
    pub rack: Option<String>,
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Brokers that hold it, the preferred leader first.
    pub replicas: Vec<i32>,
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its id, never used again.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// By number, from 0.
    pub partitions: Vec<PartitionInfo>,
    /// Settings that differ from their defaults.
    pub configs: BTreeMap<String, String>,
}

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
            MetadataRecord::RegisterBroker { broker_id, incarnation, host, port, rack } => {
                let (host, rack) = (host.clone(), rack.clone());
                let broker = Broker { id: *broker_id, incarnation: *incarnation, host, port: *port, rack };
                self.brokers.insert(*broker_id, broker);
            }
            MetadataRecord::CreateTopic { topic_id, name } => {
                let topic =
                    Topic { id: *topic_id, name: name.clone(), partitions: Vec::new(), configs: BTreeMap::new() };
                self.names.insert(*topic_id, name.clone());
                if let Some(metric_name) = metric_name(name) {
                    self.metric_names.insert(metric_name, name.clone());
                }
                self.topics.insert(name.clone(), Arc::new(topic));
            }
            MetadataRecord::CreatePartition { topic_id, partition, replicas } => {
                let added = self.topic_mut(topic_id).is_some_and(|topic| {
                    let next = topic.partitions.len() == usize::try_from(*partition).unwrap_or(usize::MAX);
                    if next {
                        topic.partitions.push(PartitionInfo { replicas: replicas.clone() });
                    }
                    next
                });
                self.partitions += usize::from(added);
            }
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
            MetadataRecord::BrokerConfig { broker_id, key, value } => {
                set(self.broker_configs.entry(*broker_id).or_default(), key, value.as_deref());
            }
            MetadataRecord::ProducerIds { next_producer_id } => {
                self.next_producer_id = self.next_producer_id.max(*next_producer_id);
            }
        }
    }

    fn topic_mut(&mut self, topic_id: &Uuid) -> Option<&mut Topic> {
        let name = self.names.get(topic_id)?;
        self.topics.get_mut(name).map(Arc::make_mut)
    }

    /// The cluster's id; empty before the first record.
    pub fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// Brokers by id.
    pub fn brokers(&self) -> impl ExactSizeIterator<Item = &Broker> {
        self.brokers.values()
    }

    /// A broker.
    pub fn broker(&self, id: i32) -> Option<&Broker> {
        self.brokers.get(&id)
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
mod tests {
    use super::*;

    #[test]
    fn a_topic_made_anew_has_another_id_and_no_old_settings() {
        let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut image = Image::default();
        let create = |topic_id| MetadataRecord::CreateTopic { topic_id, name: "t".into() };
        image.apply(&create(old));
        image.apply(&MetadataRecord::CreatePartition { topic_id: old, partition: 0, replicas: vec![1] });
        image.apply(&MetadataRecord::CreatePartition { topic_id: old, partition: 5, replicas: vec![1] });
        image.apply(&MetadataRecord::TopicConfig { topic_id: old, key: "k".into(), value: Some("v".into()) });
        let before = image.clone();
        image.apply(&MetadataRecord::DeleteTopic { topic_id: old });
        image.apply(&create(new));
        assert_eq!((before.partition_count(), image.partition_count()), (1, 0));
        assert!(image.topic_by_id(old).is_none() && image.topic("t").unwrap().configs.is_empty());
        assert_eq!(before.topic("t").unwrap().configs["k"], "v", "older images stay as they were");
    }

    #[test]
    fn topics_collide_by_their_metric_names() {
        let mut image = Image::default();
        let (id, plain) = (Uuid::from_u128(1), Uuid::from_u128(2));
        image.apply(&MetadataRecord::CreateTopic { topic_id: id, name: "a.b_c".into() });
        image.apply(&MetadataRecord::CreateTopic { topic_id: plain, name: "plain".into() });
        for (name, found) in [("a_b.c", true), ("a.b_c", true), ("a.b-c", false), ("a.b", false), ("plain", false)] {
            assert_eq!(image.topic_colliding(name).is_some_and(|topic| topic.id == id), found, "{name}");
        }
        image.apply(&MetadataRecord::DeleteTopic { topic_id: id });
        assert!(image.topic_colliding("a_b.c").is_none());
        assert!(image.metric_names.is_empty());
    }
}
