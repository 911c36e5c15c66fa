//! A broker as the metadata knows it. Not here: whether it was heard from lately (`controller`).

use uuid::Uuid;

/// Where a port can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// A broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Node id.
    pub id: i32,
    /// One incarnation of its process.
    pub incarnation: Uuid,
    /// Its data directory; nil: not told. Another one means that all logs it had are gone.
    pub directory_id: Uuid,
    /// Advertised host.
    pub host: String,
    /// Advertised port.
    pub port: u16,
    /// `broker.rack`.
    pub rack: Option<String>,
    /// Where other brokers reach it; a broker that is alone has no such port.
    pub raft: Option<Endpoint>,
    /// It was not heard from, or leaves: clients are not sent there, and nothing new is placed there if it can be helped.
    pub fenced: bool,
}
