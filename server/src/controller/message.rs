//! What brokers say to the controller and the controller to leaders, and the bytes of it.
//!
//! A message is a version byte, a kind byte, then fields; every count is held against the bytes that remain. Not here: what is
//! done about a message, and connections.

mod answer;
mod order;

use uuid::Uuid;

pub use answer::{Answer, Refused};
pub use order::{Order, OrderAnswer};

use super::sessions::Heartbeat;
use crate::metadata::{Endpoint, FieldReader, FieldWriter, Replica};

/// Version of all messages. Brokers of one cluster speak the same one: a newer broker must not be understood by half.
const VERSION: u8 = 0;

/// The bytes are no message of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a controller message that this version knows")]
pub struct MessageError;

/// A broker introduces itself (Kafka `BrokerRegistrationRequest`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Who.
    pub broker_id: i32,
    /// Which incarnation of its process.
    pub incarnation: Uuid,
    /// Its data directory.
    pub directory_id: Uuid,
    /// The cluster that it belongs to.
    pub cluster_id: String,
    /// Address for clients.
    pub client: Endpoint,
    /// Address for brokers.
    pub raft: Endpoint,
    /// `broker.rack`.
    pub rack: Option<String>,
}

/// What a leader says of one partition that it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// Its topic.
    pub topic_id: Uuid,
    /// Its number.
    pub partition: i32,
    /// Its epoch.
    pub leader_epoch: i32,
    /// Brokers in sync.
    pub isr: Vec<i32>,
    /// Members that vote.
    pub voters: Vec<Replica>,
}

/// A message to the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// I am here.
    Register(Registration),
    /// I am still here.
    Heartbeat(Heartbeat),
    /// I lead these.
    Report {
        /// Who.
        broker_id: i32,
        /// Which incarnation of its process.
        incarnation: Uuid,
        /// What it leads, as far as the metadata says otherwise.
        leaderships: Vec<Leadership>,
    },
    /// I need producer ids.
    TakeProducerIds {
        /// Who.
        broker_id: i32,
        /// Which incarnation of its process.
        incarnation: Uuid,
    },
    /// My log of this partition is gone or bad; let another take its place.
    ReplaceReplica {
        /// Its topic.
        topic_id: Uuid,
        /// Its number.
        partition: i32,
        /// The log that is gone.
        replica: Replica,
    },
}

impl Request {
    /// The broker that it speaks for.
    pub fn broker_id(&self) -> i32 {
        match self {
            Self::Register(registration) => registration.broker_id,
            Self::Heartbeat(heartbeat) => heartbeat.broker_id,
            Self::Report { broker_id, .. } | Self::TakeProducerIds { broker_id, .. } => *broker_id,
            Self::ReplaceReplica { replica, .. } => replica.broker_id,
        }
    }

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::default();
        out.byte(VERSION);
        match self {
            Self::Register(registration) => write_registration(&mut out, registration),
            Self::Heartbeat(heartbeat) => {
                out.byte(2);
                out.int(heartbeat.broker_id);
                out.uuid(&heartbeat.incarnation);
                out.long(heartbeat.metadata_offset);
                out.flag(heartbeat.wants_fence);
                out.flag(heartbeat.wants_shutdown);
            }
            Self::Report { broker_id, incarnation, leaderships } => {
                out.byte(3);
                out.int(*broker_id);
                out.uuid(incarnation);
                out.list(leaderships, write_leadership);
            }
            Self::TakeProducerIds { broker_id, incarnation } => {
                out.byte(4);
                out.int(*broker_id);
                out.uuid(incarnation);
            }
            Self::ReplaceReplica { topic_id, partition, replica } => {
                out.byte(5);
                out.uuid(topic_id);
                out.int(*partition);
                write_replica(&mut out, replica);
            }
        }
        out.finish()
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// Anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, MessageError> {
        let mut body = FieldReader::new(bytes);
        read_request(&mut body).filter(|_| body.is_empty()).ok_or(MessageError)
    }
}

fn read_request(body: &mut FieldReader) -> Option<Request> {
    if body.byte()? != VERSION {
        return None;
    }
    Some(match body.byte()? {
        1 => Request::Register(Registration {
            broker_id: body.int()?,
            incarnation: body.uuid()?,
            directory_id: body.uuid()?,
            cluster_id: body.text()?,
            client: read_endpoint(body)?,
            raft: read_endpoint(body)?,
            rack: body.optional_text()?,
        }),
        2 => Request::Heartbeat(Heartbeat {
            broker_id: body.int()?,
            incarnation: body.uuid()?,
            metadata_offset: body.long()?,
            wants_fence: body.flag()?,
            wants_shutdown: body.flag()?,
        }),
        3 => Request::Report {
            broker_id: body.int()?,
            incarnation: body.uuid()?,
            leaderships: body.list(LEADERSHIP_LEN_MIN, read_leadership)?,
        },
        4 => Request::TakeProducerIds { broker_id: body.int()?, incarnation: body.uuid()? },
        5 => Request::ReplaceReplica { topic_id: body.uuid()?, partition: body.int()?, replica: read_replica(body)? },
        _ => return None,
    })
}

fn write_registration(out: &mut FieldWriter, registration: &Registration) {
    let Registration { broker_id, incarnation, directory_id, cluster_id, client, raft, rack } = registration;
    out.byte(1);
    out.int(*broker_id);
    out.uuid(incarnation);
    out.uuid(directory_id);
    out.text(cluster_id);
    for endpoint in [client, raft] {
        out.text(&endpoint.host);
        out.short(endpoint.port);
    }
    out.optional_text(rack.as_deref());
}

fn read_endpoint(body: &mut FieldReader) -> Option<Endpoint> {
    Some(Endpoint { host: body.text()?, port: body.short()? })
}

/// A leadership without brokers in sync and voters.
const LEADERSHIP_LEN_MIN: usize = 28;

fn write_leadership(out: &mut FieldWriter, leadership: &Leadership) {
    out.uuid(&leadership.topic_id);
    out.int(leadership.partition);
    out.int(leadership.leader_epoch);
    out.list(&leadership.isr, |out, id| out.int(*id));
    out.list(&leadership.voters, write_replica);
}

fn read_leadership(body: &mut FieldReader) -> Option<Leadership> {
    Some(Leadership {
        topic_id: body.uuid()?,
        partition: body.int()?,
        leader_epoch: body.int()?,
        isr: body.list(4, FieldReader::int)?,
        voters: body.list(8, read_replica)?,
    })
}

fn write_replica(out: &mut FieldWriter, replica: &Replica) {
    out.int(replica.broker_id);
    out.uint(replica.incarnation);
}

fn read_replica(body: &mut FieldReader) -> Option<Replica> {
    Some(Replica::new(body.int()?, body.uint()?))
}

#[cfg(test)]
mod tests;
