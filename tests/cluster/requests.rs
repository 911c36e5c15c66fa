//! Requests that stories send raw: creating topics, writing a batch, deleting records, looking up offsets.

use bytes::Bytes;
use harness::Connection;
use kafka_protocol::{
    messages::{
        BrokerId, CreateTopicsRequest, DeleteRecordsRequest, FetchRequest, ListOffsetsRequest, ProduceRequest,
        TopicName,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        fetch_request::{FetchPartition, FetchTopic},
        fetch_response::PartitionData,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        produce_request::{PartitionProduceData, TopicProduceData},
        produce_response::PartitionProduceResponse,
    },
    protocol::StrBytes,
};
use tidemark_record::{BatchHeader, HEADER_LEN, Records};

/// Earliest offset, as a timestamp of ListOffsets.
pub const EARLIEST: i64 = -2;
/// Latest offset.
pub const LATEST: i64 = -1;

fn name(topic: &str) -> TopicName {
    TopicName(text(topic))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Creates a topic.
pub fn create(connection: &mut Connection, topic: &str, partitions: i32, configs: &[(&str, &str)]) {
    let configs = configs
        .iter()
        .map(|(key, value)| CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value))));
    let topic = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(partitions)
        .with_replication_factor(1)
        .with_configs(configs.collect());
    let response = connection.ask(&CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000), 7);
    assert_eq!(response.topics[0].error_code, 0, "{:?}", response.topics[0].error_message);
}

/// Writes one batch to partition 0.
pub fn produce(connection: &mut Connection, topic: &str, acks: i16, batch: Bytes) -> PartitionProduceResponse {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data]);
    let request = ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic]);
    connection.ask(&request, 9).responses[0].partition_responses[0].clone()
}

/// Reads partition 0 from an offset, without waiting.
pub fn fetch(connection: &mut Connection, topic: &str, offset: i64) -> PartitionData {
    let partition = FetchPartition::default()
        .with_fetch_offset(offset)
        .with_partition_max_bytes(64 << 20)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
        .with_log_start_offset(-1);
    let topic = FetchTopic::default().with_topic(name(topic)).with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_bytes(64 << 20)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    connection.ask(&request, 11).responses[0].partitions[0].clone()
}

/// Offset and timestamp that ListOffsets finds in partition 0.
pub fn lookup(connection: &mut Connection, topic: &str, timestamp: i64) -> (i64, i64) {
    let partition = ListOffsetsPartition::default().with_timestamp(timestamp).with_current_leader_epoch(-1);
    let topic = ListOffsetsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![topic]);
    let found = connection.ask(&request, 7).topics[0].partitions[0].clone();
    assert_eq!(found.error_code, 0);
    (found.offset, found.timestamp)
}

/// Deletes the records of partition 0 below an offset; gives the low watermark.
pub fn delete_records(connection: &mut Connection, topic: &str, offset: i64) -> i64 {
    let partition = DeleteRecordsPartition::default().with_offset(offset);
    let topic = DeleteRecordsTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_timeout_ms(30_000).with_topics(vec![topic]);
    let deleted = connection.ask(&request, 2).topics[0].partitions[0].clone();
    assert_eq!(deleted.error_code, 0);
    deleted.low_watermark
}

/// The batches of an answer.
pub fn batches(mut records: &[u8]) -> Vec<(BatchHeader, Bytes)> {
    let mut out = Vec::new();
    while !records.is_empty() {
        let size = BatchHeader::parse(records).expect("a batch").size_in_bytes();
        let header = tidemark_record::batch::verify(&records[..size]).expect("a whole batch with a true checksum");
        out.push((header, Bytes::copy_from_slice(&records[..size])));
        records = &records[size..];
    }
    out
}

/// Offset and value of each record, inflated where need be.
pub fn values(records: &[u8]) -> Vec<(i64, String)> {
    let mut out = Vec::new();
    for (header, whole) in batches(records) {
        let codec = header.compression().expect("a codec of Kafka's");
        let payload = codec.decompress(&whole[HEADER_LEN..], 64 << 20).expect("whole data");
        for record in Records::new(&payload, header.records_count) {
            let record = record.expect("a record");
            let value = String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned();
            out.push((header.base_offset + i64::from(record.offset_delta), value));
        }
    }
    out
}
