//! What is known of the cluster: brokers, topics, leaders; and the connections to them. Not here: what is asked of them.

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

/// A topic and its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: String,
    /// Its id; None from brokers that know none.
    pub id: Option<uuid::Uuid>,
    /// Whether it is one of the cluster's own.
    pub internal: bool,
    /// In the order of their numbers, from 0.
    pub partitions: Vec<PartitionMetadata>,
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
