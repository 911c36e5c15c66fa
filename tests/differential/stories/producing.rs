//! What several stories start from: a topic, a batch, a produce request.

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        CreateTopicsRequest, ProduceRequest, ProduceResponse,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::StrBytes,
};
use tidemark_record::{BatchBuilder, Compression};
use uuid::Uuid;

use crate::peer::Peer;

/// The first record's timestamp; the others follow second by second.
pub const T0: i64 = 1_700_000_000_000;

/// A string of the protocol.
pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Creates a topic and waits until it serves.
pub fn create(peer: &mut Peer, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Uuid {
    let configs = configs
        .iter()
        .map(|(key, value)| CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value))));
    let topic = CreatableTopic::default()
        .with_name(peer.topic(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let created = peer.prepare(&request, 7);
    assert_eq!(created.topics[0].error_code, 0, "{name}: {:?}", created.topics[0].error_message);
    peer.await_topic(name, usize::try_from(partitions).expect("a count"))
}

/// A builder with records that have keys, a second apart from [`T0`].
pub fn builder(records: i64) -> BatchBuilder {
    filled(BatchBuilder::new(), records)
}

/// Adds such records.
pub fn filled(mut builder: BatchBuilder, records: i64) -> BatchBuilder {
    for n in 0..records {
        builder.append_plain(T0 + 1000 * n, Some(format!("key-{n}").as_bytes()), Some(format!("value-{n}").as_bytes()));
    }
    builder
}

/// Such a batch, not compressed.
pub fn batch(records: i64) -> Bytes {
    builder(records).build().expect("no codec, no error")
}

/// Such a batch under a codec.
pub fn packed(records: i64, codec: Compression) -> Bytes {
    filled(BatchBuilder::new().compression(codec, None), records).build().expect("the default level")
}

/// A batch with bytes of its header changed and the checksum made true again.
pub fn with_header(batch: &Bytes, at: usize, bytes: &[u8]) -> Bytes {
    let mut changed = batch.to_vec();
    changed[at..at + bytes.len()].copy_from_slice(bytes);
    let crc = tidemark_record::batch::checksum(&changed);
    changed[17..21].copy_from_slice(&crc.to_be_bytes());
    changed.into()
}

/// A request that writes to partition 0 of a topic, by name (below version 13).
pub fn to_partition(peer: &Peer, topic: &str, partition: i32, records: Option<Bytes>) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(records);
    let topic = TopicProduceData::default().with_name(peer.topic(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(10_000).with_topic_data(vec![topic])
}

/// Writes, where that is only the preparation.
pub fn append(peer: &mut Peer, topic: &str, records: Bytes) -> ProduceResponse {
    let request = to_partition(peer, topic, 0, Some(records));
    let response = peer.prepare(&request, 9);
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    response
}
