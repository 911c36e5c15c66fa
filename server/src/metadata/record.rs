//! One change of the metadata, and its bytes: the value of a record in `__cluster_metadata`.
//!
//! A value is a kind byte, a version byte, then fields: big-endian numbers, and texts behind a u16 length. A newer kind or version is an
//! error: skipping it would make two brokers' images differ.

use uuid::Uuid;

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
        /// Brokers that hold it, the preferred leader first.
        replicas: Vec<i32>,
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
}

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

const VERSION: u8 = 0;

impl MetadataRecord {
    fn kind(&self) -> u8 {
        match self {
            Self::Cluster { .. } => 1,
            Self::RegisterBroker { .. } => 2,
            Self::CreateTopic { .. } => 3,
            Self::CreatePartition { .. } => 4,
            Self::DeleteTopic { .. } => 5,
            Self::TopicConfig { .. } => 6,
            Self::BrokerConfig { .. } => 7,
            Self::ProducerIds { .. } => 8,
        }
    }

    /// The record's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![self.kind(), VERSION];
        match self {
            Self::Cluster { cluster_id } => put_text(&mut out, cluster_id),
            Self::RegisterBroker { broker_id, incarnation, host, port, rack } => {
                out.extend_from_slice(&broker_id.to_be_bytes());
                out.extend_from_slice(incarnation.as_bytes());
                put_text(&mut out, host);
                out.extend_from_slice(&port.to_be_bytes());
                put_optional(&mut out, rack.as_deref());
            }
            Self::CreateTopic { topic_id, name } => {
                out.extend_from_slice(topic_id.as_bytes());
                put_text(&mut out, name);
            }
            Self::CreatePartition { topic_id, partition, replicas } => {
                out.extend_from_slice(topic_id.as_bytes());
                out.extend_from_slice(&partition.to_be_bytes());
                out.extend_from_slice(&(replicas.len() as u16).to_be_bytes());
                replicas.iter().for_each(|replica| out.extend_from_slice(&replica.to_be_bytes()));
            }
            Self::DeleteTopic { topic_id } => out.extend_from_slice(topic_id.as_bytes()),
            Self::TopicConfig { topic_id, key, value } => {
                out.extend_from_slice(topic_id.as_bytes());
                put_text(&mut out, key);
                put_optional(&mut out, value.as_deref());
            }
            Self::BrokerConfig { broker_id, key, value } => {
                out.extend_from_slice(&broker_id.to_be_bytes());
                put_text(&mut out, key);
                put_optional(&mut out, value.as_deref());
            }
            Self::ProducerIds { next_producer_id } => out.extend_from_slice(&next_producer_id.to_be_bytes()),
        }
        out
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// A newer kind or version, or bytes that do not fit it.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let (&[kind, version], body) = bytes.split_first_chunk::<2>().ok_or(RecordError::Malformed { kind: 0 })?;
        if version > VERSION || !(1..=8).contains(&kind) {
            return Err(RecordError::Unknown { kind, version });
        }
        let mut body = Fields(body);
        let record = body.record(kind).filter(|_| body.0.is_empty());
        record.ok_or(RecordError::Malformed { kind })
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    let len = text.len().min(usize::from(u16::MAX) - 1);
    out.extend_from_slice(&(len as u16).to_be_bytes());
    out.extend_from_slice(&text.as_bytes()[..len]);
}

fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => put_text(out, text),
        None => out.extend_from_slice(&u16::MAX.to_be_bytes()),
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
    fn int(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }
    fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }
    fn uuid(&mut self) -> Option<Uuid> {
        self.take().map(Uuid::from_bytes)
    }
    fn text(&mut self) -> Option<String> {
        self.optional()?
    }
    /// Outer `None`: malformed.
    fn optional(&mut self) -> Option<Option<String>> {
        let len = self.short()?;
        if len == u16::MAX {
            return Some(None);
        }
        let (text, rest) = self.0.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(Some(std::str::from_utf8(text).ok()?.to_owned()))
    }

    fn record(&mut self, kind: u8) -> Option<MetadataRecord> {
        Some(match kind {
            1 => MetadataRecord::Cluster { cluster_id: self.text()? },
            2 => MetadataRecord::RegisterBroker {
                broker_id: self.int()?,
                incarnation: self.uuid()?,
                host: self.text()?,
                port: self.short()?,
                rack: self.optional()?,
            },
            3 => MetadataRecord::CreateTopic { topic_id: self.uuid()?, name: self.text()? },
            4 => {
                let (topic_id, partition, count) = (self.uuid()?, self.int()?, self.short()?);
                let replicas: Option<Vec<i32>> = (0..count).map(|_| self.int()).collect();
                MetadataRecord::CreatePartition { topic_id, partition, replicas: replicas? }
            }
            5 => MetadataRecord::DeleteTopic { topic_id: self.uuid()? },
            6 => MetadataRecord::TopicConfig { topic_id: self.uuid()?, key: self.text()?, value: self.optional()? },
            7 => MetadataRecord::BrokerConfig { broker_id: self.int()?, key: self.text()?, value: self.optional()? },
            _ => MetadataRecord::ProducerIds { next_producer_id: self.take().map(i64::from_be_bytes)? },
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_record() -> impl Strategy<Value = MetadataRecord> {
        let text = "[a-z.]{0,20}";
        let uuid = any::<u128>().prop_map(Uuid::from_u128);
        prop_oneof![
            text.prop_map(|cluster_id| MetadataRecord::Cluster { cluster_id }),
            (any::<i32>(), uuid.clone(), text, any::<u16>(), proptest::option::of(text)).prop_map(
                |(broker_id, incarnation, host, port, rack)| MetadataRecord::RegisterBroker {
                    broker_id,
                    incarnation,
                    host,
                    port,
                    rack
                }
            ),
            (uuid.clone(), text).prop_map(|(topic_id, name)| MetadataRecord::CreateTopic { topic_id, name }),
            (uuid.clone(), any::<i32>(), proptest::collection::vec(any::<i32>(), 0..5)).prop_map(
                |(topic_id, partition, replicas)| MetadataRecord::CreatePartition { topic_id, partition, replicas }
            ),
            uuid.clone().prop_map(|topic_id| MetadataRecord::DeleteTopic { topic_id }),
            (uuid, text, proptest::option::of(text)).prop_map(|(topic_id, key, value)| MetadataRecord::TopicConfig {
                topic_id,
                key,
                value
            }),
            (any::<i32>(), text, proptest::option::of(text))
                .prop_map(|(broker_id, key, value)| MetadataRecord::BrokerConfig { broker_id, key, value }),
            any::<i64>().prop_map(|next_producer_id| MetadataRecord::ProducerIds { next_producer_id }),
        ]
    }

    proptest! {
        #[test]
        fn records_round_trip_and_cut_ones_are_refused(record in any_record()) {
            let bytes = record.encode();
            prop_assert_eq!(MetadataRecord::decode(&bytes), Ok(record));
            for cut in 0..bytes.len() {
                prop_assert!(MetadataRecord::decode(&bytes[..cut]).is_err());
            }
            let mut newer = bytes;
            newer[1] = 9;
            let refused = matches!(MetadataRecord::decode(&newer), Err(RecordError::Unknown { .. }));
            prop_assert!(refused);
        }

        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = MetadataRecord::decode(&bytes);
        }
    }
}
