//! One change of the metadata: the value of a record in `__cluster_metadata`. Its bytes are in `encoding`.

mod encoding;

use uuid::Uuid;

pub use encoding::RecordError;

use super::{broker::Endpoint, topic::Replica};

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataRecord {
    /// The cluster has this id; the first record of all.
    Cluster {
        /// 22 characters of base64url, as Kafka's.
        cluster_id: String,
    },
    /// A broker is there, under this address.
    RegisterBroker {
        /// Its node id.
        broker_id: i32,
        /// One incarnation of its process.
        incarnation: Uuid,
        /// Advertised host.
        host: String,
        /// Advertised port.
        port: u16,
        /// `broker.rack`.
        rack: Option<String>,
        /// Where other brokers reach it; none for one that is alone.
        raft: Option<Endpoint>,
        /// Its data directory; nil: not told.
        directory_id: Uuid,
        /// It has yet to catch up with the metadata.
        fenced: bool,
    },
    /// A topic is there, without partitions yet.
    CreateTopic {
        /// Its id.
        topic_id: Uuid,
        /// Its name.
        name: String,
    },
    /// A partition of a topic is there.
    CreatePartition {
        /// Its topic.
        topic_id: Uuid,
        /// Its number.
        partition: i32,
        /// Members of its group, the preferred leader first.
        replicas: Vec<Replica>,
    },
    /// A topic and all its partitions and settings are gone.
    DeleteTopic {
        /// Its id.
        topic_id: Uuid,
    },
    /// A topic's setting; `None` takes it back to its default.
    TopicConfig {
        /// Its topic.
        topic_id: Uuid,
        /// The key.
        key: String,
        /// The value.
        value: Option<String>,
    },
    /// A broker's dynamic setting; an empty broker is the default of all.
    BrokerConfig {
        /// The broker, or -1 for all.
        broker_id: i32,
        /// The key.
        key: String,
        /// The value.
        value: Option<String>,
    },
    /// Producer ids below this were given out in blocks.
    ProducerIds {
        /// First id of the next block.
        next_producer_id: i64,
    },
    /// A broker was not heard from, or leaves. Says nothing of a later incarnation.
    FenceBroker {
        /// The broker.
        broker_id: i32,
        /// The incarnation that this is about.
        incarnation: Uuid,
    },
    /// A broker is back, or has caught up for the first time.
    UnfenceBroker {
        /// The broker.
        broker_id: i32,
        /// The incarnation that this is about.
        incarnation: Uuid,
    },
    /// A broker is gone for good.
    UnregisterBroker {
        /// The broker.
        broker_id: i32,
    },
    /// What a partition's leader reported. An older epoch than the known one says nothing.
    PartitionState {
        /// Its topic.
        topic_id: Uuid,
        /// Its number.
        partition: i32,
        /// Broker that leads, or -1.
        leader: i32,
        /// Since which epoch.
        leader_epoch: i32,
        /// Brokers in sync.
        isr: Vec<i32>,
    },
    /// A partition's group has these members now.
    PartitionReplicas {
        /// Its topic.
        topic_id: Uuid,
        /// Its number.
        partition: i32,
        /// Members, the preferred leader first.
        replicas: Vec<Replica>,
        /// Highest incarnation ever given, if that is not among them.
        last_incarnation: u32,
    },
    /// What follows in the same batch is all there is; what came before counts no more.
    Snapshot,
    /// A partition's group shall have these members.
    PartitionTarget {
        /// Its topic.
        topic_id: Uuid,
        /// Its number.
        partition: i32,
        /// Members, the preferred leader first; `None`: as they are.
        target: Option<Vec<Replica>>,
    },
}

#[cfg(test)]
impl MetadataRecord {
    /// A broker that is up, of which nothing else matters.
    pub fn registers(broker_id: i32) -> Self {
        let (incarnation, directory_id) = (Uuid::nil(), Uuid::nil());
        let (host, rack, raft) = ("h".to_owned(), None, None);
        Self::RegisterBroker { broker_id, incarnation, host, port: 1, rack, raft, directory_id, fenced: false }
    }
}

#[cfg(test)]
pub(super) mod tests;
