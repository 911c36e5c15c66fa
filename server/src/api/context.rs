//! What a handler may ask: the broker's services, and who is asking.

use std::{net::IpAddr, sync::Arc};

use kafka_protocol::protocol::StrBytes;

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
    /// Wall time.
    pub clock: Clock,
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
}
