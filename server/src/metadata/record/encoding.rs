//! A record's bytes: a kind byte, a version byte, then fields. Each kind is written in its newest version and read in every one
//! there was; a newer kind or version is an error: skipping it would make two brokers' images differ.

use uuid::Uuid;

use super::MetadataRecord;
use crate::metadata::{
    broker::Endpoint,
    fields::{FieldReader, FieldWriter},
    topic::{Replica, first_replicas},
};

/// Why bytes are no metadata record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Written by a newer version.
    #[error("metadata record kind {kind} version {version} is not known here; start the version that wrote it")]
    Unknown {
        /// Kind byte.
        kind: u8,
        /// Version byte.
        version: u8,
    },
    /// The bytes do not fit the kind.
    #[error("metadata record of kind {kind} is malformed")]
    Malformed {
        /// Kind byte.
        kind: u8,
    },
}

const REGISTER_BROKER: u8 = 2;
const CREATE_PARTITION: u8 = 4;
const SNAPSHOT: u8 = 15;
const KINDS: std::ops::RangeInclusive<u8> = 1..=SNAPSHOT;

/// Newest version of a kind.
const fn version_of(kind: u8) -> u8 {
    match kind {
        // since replication: a Raft port and fencing, and incarnations of replicas
        REGISTER_BROKER | CREATE_PARTITION => 1,
        _ => 0,
    }
}

/// Bytes that a replica takes.
const REPLICA_LEN: usize = 8;
/// Bytes that a broker id takes.
const BROKER_ID_LEN: usize = 4;

impl MetadataRecord {
    fn kind(&self) -> u8 {
        match self {
            Self::Cluster { .. } => 1,
            Self::RegisterBroker { .. } => REGISTER_BROKER,
            Self::CreateTopic { .. } => 3,
            Self::CreatePartition { .. } => CREATE_PARTITION,
            Self::DeleteTopic { .. } => 5,
            Self::TopicConfig { .. } => 6,
            Self::BrokerConfig { .. } => 7,
            Self::ProducerIds { .. } => 8,
            Self::FenceBroker { .. } => 9,
            Self::UnfenceBroker { .. } => 10,
            Self::UnregisterBroker { .. } => 11,
            Self::PartitionState { .. } => 12,
            Self::PartitionReplicas { .. } => 13,
            Self::PartitionTarget { .. } => 14,
            Self::Snapshot => SNAPSHOT,
        }
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = FieldWriter::default();
        out.byte(self.kind());
        out.byte(version_of(self.kind()));
        match self {
            Self::Cluster { cluster_id } => out.text(cluster_id),
            Self::RegisterBroker { broker_id, incarnation, host, port, rack, raft, directory_id, fenced } => {
                out.int(*broker_id);
                out.uuid(incarnation);
                out.text(host);
                out.short(*port);
                out.optional_text(rack.as_deref());
                out.optional_text(raft.as_ref().map(|raft| raft.host.as_str()));
                out.short(raft.as_ref().map_or(0, |raft| raft.port));
                out.uuid(directory_id);
                out.flag(*fenced);
            }
            Self::CreateTopic { topic_id, name } => {
                out.uuid(topic_id);
                out.text(name);
            }
            Self::DeleteTopic { topic_id } => out.uuid(topic_id),
            Self::TopicConfig { topic_id, key, value } => {
                out.uuid(topic_id);
                out.text(key);
                out.optional_text(value.as_deref());
            }
            Self::BrokerConfig { broker_id, key, value } => {
                out.int(*broker_id);
                out.text(key);
                out.optional_text(value.as_deref());
            }
            Self::ProducerIds { next_producer_id } => out.long(*next_producer_id),
            Self::FenceBroker { broker_id, incarnation } | Self::UnfenceBroker { broker_id, incarnation } => {
                out.int(*broker_id);
                out.uuid(incarnation);
            }
            Self::UnregisterBroker { broker_id } => out.int(*broker_id),
            Self::Snapshot => {}
            partition => partition.encode_partition(&mut out),
        }
        out.finish()
    }

    /// Records about one partition.
    fn encode_partition(&self, out: &mut FieldWriter) {
        let mut head = |topic_id: &Uuid, partition: i32| {
            out.uuid(topic_id);
            out.int(partition);
        };
        match self {
            Self::CreatePartition { topic_id, partition, replicas } => {
                head(topic_id, *partition);
                write_replicas(out, replicas);
            }
            Self::PartitionState { topic_id, partition, leader, leader_epoch, isr } => {
                head(topic_id, *partition);
                out.int(*leader);
                out.int(*leader_epoch);
                out.list(isr, |out, id| out.int(*id));
            }
            Self::PartitionReplicas { topic_id, partition, replicas, last_incarnation } => {
                head(topic_id, *partition);
                write_replicas(out, replicas);
                out.uint(*last_incarnation);
            }
            Self::PartitionTarget { topic_id, partition, target } => {
                head(topic_id, *partition);
                out.flag(target.is_some());
                if let Some(target) = target {
                    write_replicas(out, target);
                }
            }
            _ => {}
        }
    }

    /// Reads what [`Self::encode`] wrote, in this version or an older one.
    ///
    /// # Errors
    /// A newer kind or version, or bytes that do not fit it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (&[kind, version], body) = bytes.split_first_chunk::<2>().ok_or(RecordError::Malformed { kind: 0 })?;
        if !KINDS.contains(&kind) || version > version_of(kind) {
            return Err(RecordError::Unknown { kind, version });
        }
        let mut body = FieldReader::new(body);
        let record = if kind == CREATE_PARTITION || (12..SNAPSHOT).contains(&kind) {
            partition_record(&mut body, kind, version)
        } else {
            record(&mut body, kind, version)
        };
        record.filter(|_| body.is_empty()).ok_or(RecordError::Malformed { kind })
    }
}

fn record(body: &mut FieldReader, kind: u8, version: u8) -> Option<MetadataRecord> {
    Some(match kind {
        1 => MetadataRecord::Cluster { cluster_id: body.text()? },
        REGISTER_BROKER => {
            let (broker_id, incarnation, host) = (body.int()?, body.uuid()?, body.text()?);
            let (port, rack) = (body.short()?, body.optional_text()?);
            let (raft, directory_id, fenced) = match version {
                0 => (None, Uuid::nil(), false),
                _ => (raft_endpoint(body)?, body.uuid()?, body.flag()?),
            };
            MetadataRecord::RegisterBroker { broker_id, incarnation, host, port, rack, raft, directory_id, fenced }
        }
        3 => MetadataRecord::CreateTopic { topic_id: body.uuid()?, name: body.text()? },
        5 => MetadataRecord::DeleteTopic { topic_id: body.uuid()? },
        6 => MetadataRecord::TopicConfig { topic_id: body.uuid()?, key: body.text()?, value: body.optional_text()? },
        7 => MetadataRecord::BrokerConfig { broker_id: body.int()?, key: body.text()?, value: body.optional_text()? },
        8 => MetadataRecord::ProducerIds { next_producer_id: body.long()? },
        9 => MetadataRecord::FenceBroker { broker_id: body.int()?, incarnation: body.uuid()? },
        SNAPSHOT => MetadataRecord::Snapshot,
        10 => MetadataRecord::UnfenceBroker { broker_id: body.int()?, incarnation: body.uuid()? },
        _ => MetadataRecord::UnregisterBroker { broker_id: body.int()? },
    })
}

fn partition_record(body: &mut FieldReader, kind: u8, version: u8) -> Option<MetadataRecord> {
    let (topic_id, partition) = (body.uuid()?, body.int()?);
    Some(match kind {
        CREATE_PARTITION => {
            let replicas = match version {
                0 => first_replicas(&body.list(BROKER_ID_LEN, FieldReader::int)?),
                _ => read_replicas(body)?,
            };
            MetadataRecord::CreatePartition { topic_id, partition, replicas }
        }
        12 => {
            let (leader, leader_epoch, isr) = (body.int()?, body.int()?, body.list(BROKER_ID_LEN, FieldReader::int)?);
            MetadataRecord::PartitionState { topic_id, partition, leader, leader_epoch, isr }
        }
        13 => {
            let (replicas, last_incarnation) = (read_replicas(body)?, body.uint()?);
            MetadataRecord::PartitionReplicas { topic_id, partition, replicas, last_incarnation }
        }
        _ => {
            let target = if body.flag()? { Some(read_replicas(body)?) } else { None };
            MetadataRecord::PartitionTarget { topic_id, partition, target }
        }
    })
}

/// A port of 0 goes with no host, and only with it.
fn raft_endpoint(body: &mut FieldReader) -> Option<Option<Endpoint>> {
    match (body.optional_text()?, body.short()?) {
        (None, 0) => Some(None),
        (None, _) => None,
        (Some(host), port) => Some(Some(Endpoint { host, port })),
    }
}

fn write_replicas(out: &mut FieldWriter, replicas: &[Replica]) {
    out.list(replicas, |out, replica| {
        out.int(replica.broker_id);
        out.uint(replica.incarnation);
    });
}

fn read_replicas(body: &mut FieldReader) -> Option<Vec<Replica>> {
    body.list(REPLICA_LEN, |body| Some(Replica::new(body.int()?, body.uint()?)))
}
