//! What several APIs say of brokers, topics and partitions. Not here: any one API's answer.

use kafka_protocol::{messages::BrokerId, protocol::StrBytes};
use uuid::Uuid;

use super::context::{Broker, RequestContext};
use crate::metadata::{Image, PartitionInfo};

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

/// All brokers. This one is told under the address of the listener that the request came in by.
pub(super) fn brokers(context: &RequestContext, image: &Image) -> impl Iterator<Item = Endpoint> {
    image.brokers().map(|broker| {
        let (host, port) = if broker.id == context.broker.node_id {
            (&*context.connection.advertised_host, context.connection.advertised_port)
        } else {
            (broker.host.as_str(), broker.port)
        };
        let rack = broker.rack.as_deref().map(text);
        Endpoint { id: BrokerId(broker.id), host: text(host), port: port.into(), rack }
    })
}

/// The leader of a partition, if it is known: this broker, once its replica is open.
pub(super) fn leader(broker: &Broker, topic_id: Uuid, index: i32, partition: &PartitionInfo) -> Option<Leader> {
    if !partition.replicas.contains(&broker.node_id) {
        return None;
    }
    let replica = broker.partitions.get(topic_id, index)?;
    Some(Leader { id: BrokerId(broker.node_id), epoch: replica.leader_epoch() })
}

/// Kafka's own topics, which clients see and must not write.
pub(super) fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state")
}

/// A text for an answer.
pub(super) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
