//! What a handler may ask: the broker's services, and who is asking.

use std::{net::IpAddr, sync::Arc};

use kafka_protocol::protocol::StrBytes;

use super::{fetch_session::FetchSessions, forwarded::Forward};
use crate::{controller::Controller, os::clock::Clock, partition::Partitions};

/// The broker's services, shared by all connections.
#[derive(Debug)]
pub struct Broker {
    /// This broker's id.
    pub node_id: i32,
    /// Partitions with a replica here.
    pub partitions: Arc<Partitions>,
    /// Decides changes of the metadata, and has the image.
    pub controller: Arc<Controller>,
    /// The way to the broker that decides; none for one that is alone.
    pub forward: Option<Arc<dyn Forward>>,
    /// What consumers need not say again.
    pub fetch_sessions: FetchSessions,
    /// Wall time.
    pub clock: Clock,
    /// Settings that handlers follow.
    pub config: ApiConfig,
}

/// Settings of this room.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `delete.topic.enable`.
    pub delete_topics: bool,
    /// `transaction.max.timeout.ms`.
    pub transaction_timeout_max_ms: i32,
    /// `max.request.partition.size.limit`: partitions in one DescribeTopicPartitions answer.
    pub described_partitions_max: i32,
    /// `replica.selector.class`: consumers are sent to a replica in their rack.
    pub rack_aware: bool,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            auto_create_topics: true,
            delete_topics: true,
            transaction_timeout_max_ms: 900_000,
            described_partitions_max: 2000,
            rack_aware: false,
        }
    }
}

/// One connection, as handlers see it.
#[derive(Debug, Clone)]
pub struct ConnectionInfo {
    /// Host that clients are told for the listener that the request arrived on.
    pub advertised_host: Arc<str>,
    /// Port that clients are told.
    pub advertised_port: u16,
    /// Who connected.
    pub peer: IpAddr,
}

/// One request's surroundings.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// The broker's services.
    pub broker: Arc<Broker>,
    /// The connection it came on.
    pub connection: Arc<ConnectionInfo>,
    /// API version.
    pub version: i16,
    /// As the request's header says; may be null.
    pub client_id: Option<StrBytes>,
    /// The broker that the client asked: another one where it forwarded the request.
    pub asked_at: i32,
}
