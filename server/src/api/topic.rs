//! What several APIs say of brokers, topics and partitions. Not here: any one API's answer.

use kafka_protocol::{error::ResponseError, messages::BrokerId, protocol::StrBytes};
use uuid::Uuid;

use super::{
    context::{Broker, RequestContext},
    error_code::NONE,
};
use crate::metadata::{self, Image, PartitionInfo};

/// A broker under the address that this client can use.
pub(super) struct Endpoint {
    pub(super) id: BrokerId,
    pub(super) host: StrBytes,
    pub(super) port: i32,
    pub(super) rack: Option<StrBytes>,
}

/// The broker that leads a partition, and since which epoch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leader {
    pub(super) id: BrokerId,
    pub(super) epoch: i32,
}

/// Brokers that clients may be sent to.
pub(super) fn brokers(context: &RequestContext, image: &Image) -> impl Iterator<Item = Endpoint> {
    image.brokers().filter(|broker| !broker.fenced).map(|broker| endpoint(context, broker))
}

/// Where a client finds a broker. This one is told under the address of the listener that the request came in by.
pub(super) fn endpoint(context: &RequestContext, broker: &metadata::Broker) -> Endpoint {
    let (host, port) = if broker.id == context.broker.node_id {
        (&*context.connection.advertised_host, context.connection.advertised_port)
    } else {
        (broker.host.as_str(), broker.port)
    };
    let rack = broker.rack.as_deref().map(text);
    Endpoint { id: BrokerId(broker.id), host: text(host), port: port.into(), rack }
}

/// The broker that answers tell to be the controller: this one, as in Kafka any that is alive, since all forward.
pub(super) fn controller_id(context: &RequestContext) -> BrokerId {
    BrokerId(context.broker.node_id)
}

/// A partition as answers describe it.
pub(super) struct Described {
    /// None: nobody is known to lead it, or its leader is not available.
    pub(super) leader: Option<BrokerId>,
    pub(super) leader_epoch: i32,
    pub(super) replicas: Vec<BrokerId>,
    pub(super) isr: Vec<BrokerId>,
    /// Replicas on brokers that are fenced or gone, and those whose log was lost until another is filled.
    pub(super) offline: Vec<BrokerId>,
}

impl Described {
    /// LEADER_NOT_AVAILABLE (5) without a leader. (Kafka's LISTENER_NOT_FOUND is for brokers with several listeners.)
    pub(super) fn error_code(&self) -> i16 {
        self.leader.map_or(ResponseError::LeaderNotAvailable.code(), |_| NONE)
    }
}

/// What is known of a partition: from this broker's own replica where it is the only one, else as its leader reported it, or as
/// its group here knows it where that is newer.
pub(super) fn describe(
    broker: &Broker,
    image: &Image,
    (topic_id, index): (Uuid, i32),
    info: &PartitionInfo,
) -> Described {
    let id = BrokerId;
    let available = |id: &i32| image.is_available(*id);
    let mut leader = image.leader_of(info);
    let mut leader_epoch = info.leader_epoch.max(0);
    let replica = broker.partitions.get(topic_id, index);
    if info.replicas.len() == 1 && leader == Some(broker.node_id) {
        leader = leader.filter(|_| replica.is_some());
        leader_epoch = replica.map_or(leader_epoch, |replica| replica.leader_epoch());
    } else if let Some((elected, epoch)) = replica.and_then(|replica| replica.known_leader())
        && epoch > info.leader_epoch
    {
        // its report is on its way
        (leader, leader_epoch) = (Some(elected).filter(available), epoch);
    }
    let replicas = info.broker_ids();
    Described {
        leader: leader.map(id),
        leader_epoch,
        isr: info.isr.iter().copied().filter(available).map(id).collect(),
        offline: replicas.iter().copied().filter(|id| !available(id) || info.is_refilled_on(*id)).map(id).collect(),
        replicas: replicas.into_iter().map(id).collect(),
    }
}

/// Kafka's own topics, which clients see and must not write.
pub(super) fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state")
}

/// A text for an answer.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
