//! Produce through the dispatcher: what each version answers, and what an answer waits for.

use std::time::Duration;

use kafka_protocol::{
    error::ResponseError::{self, *},
    messages::{
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        produce_request::{PartitionProduceData, TopicProduceData},
        produce_response::PartitionProduceResponse,
        *,
    },
};
use tidemark_record::{BatchBuilder, BatchHeader, HEADER_LEN, builder};
use uuid::Uuid;

use super::*;

pub(super) const NOW_MS: i64 = 1_000_000;

pub(super) fn name(name: &'static str) -> TopicName {
    TopicName(StrBytes::from_static_str(name))
}

/// A topic of two partitions.
pub(super) async fn create(client: &Client, topic: &'static str, configs: &[(&'static str, &'static str)]) -> Uuid {
    let config = |(key, value): &(&'static str, &'static str)| {
        CreatableTopicConfig::default().with_name((*key).into()).with_value(Some((*value).into()))
    };
    let topic = CreatableTopic::default()
        .with_name(name(topic))
        .with_num_partitions(2)
        .with_replication_factor(1)
        .with_configs(configs.iter().map(config).collect());
    let made = client.ask(7, CreateTopicsRequest::default().with_topics(vec![topic])).await.topics.remove(0);
    assert_eq!(made.error_code, 0, "{:?}", made.error_message);
    made.topic_id
}

/// This many records, one millisecond apart.
pub(super) fn batch(records: i64) -> Bytes {
    let mut builder = BatchBuilder::new();
    for record in 0..records {
        builder.append_plain(NOW_MS + record, Some(b"key"), Some(b"value"));
    }
    builder.build().unwrap()
}

pub(super) fn edited(batch: &Bytes, edit: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let mut header = BatchHeader::parse(batch).unwrap();
    edit(&mut header);
    builder::sealed(header, &batch[HEADER_LEN..])
}

fn request(topic: TopicProduceData, acks: i16) -> ProduceRequest {
    ProduceRequest::default().with_acks(acks).with_timeout_ms(30_000).with_topic_data(vec![topic])
}

fn to(topic: &'static str, partition: i32, records: Option<Bytes>) -> TopicProduceData {
    let data = PartitionProduceData::default().with_index(partition).with_records(records);
    TopicProduceData::default().with_name(name(topic)).with_partition_data(vec![data])
}

fn only(mut response: ProduceResponse) -> PartitionProduceResponse {
    assert_eq!((response.responses.len(), response.throttle_time_ms), (1, 0));
    let mut topic = response.responses.remove(0);
    assert_eq!(topic.partition_responses.len(), 1);
    topic.partition_responses.remove(0)
}

/// To partition 0 with acks=all; gives the base offset.
pub(super) async fn produce(client: &Client, topic: &'static str, batch: Bytes) -> i64 {
    produce_to(client, topic, 0, batch).await
}

async fn produce_to(client: &Client, topic: &'static str, partition: i32, batch: Bytes) -> i64 {
    let answer = only(client.ask(9, request(to(topic, partition, Some(batch)), -1)).await);
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    answer.base_offset
}

async fn refusal(client: &Client, topic: &'static str, partition: i32, batch: Option<Bytes>) -> ResponseError {
    let answer = only(client.ask(9, request(to(topic, partition, batch), -1)).await);
    assert_eq!((answer.base_offset, answer.log_append_time_ms), (-1, -1));
    ResponseError::try_from_code(answer.error_code).unwrap()
}

#[tokio::test]
async fn every_version_appends_and_says_where() {
    let client = Client::new(ApiConfig::default()).await;
    let id = create(&client, "t", &[]).await;
    let mut end = 0;
    for version in 3..=13 {
        for acks in [1, -1] {
            let mut topic = to("t", 0, Some(batch(3)));
            if version >= 13 {
                (topic.name, topic.topic_id) = (TopicName::default(), id);
            }
            let answer = client.ask(version, request(topic, acks)).await;
            assert_eq!(answer.responses[0].topic_id, if version >= 13 { id } else { Uuid::nil() });
            let answer = only(answer);
            assert_eq!((answer.error_code, answer.base_offset, answer.log_append_time_ms), (0, end, -1));
            assert_eq!(answer.log_start_offset, if version >= 5 { 0 } else { -1 });
            end += 3;
        }
    }
}

#[tokio::test]
async fn a_wait_for_the_disk_holds_nothing_of_the_frame() {
    let client = Client::new(ApiConfig::default()).await;
    let id = create(&client, "t", &[]).await;
    for version in 3..=13 {
        let mut topic = to("t", 0, Some(batch(3)));
        if version >= 13 {
            (topic.name, topic.topic_id) = (TopicName::default(), id);
        }
        let frame = frame(version, 1, &request(topic, -1));
        let Handling::Pipelined(waiting) = client.dispatch(frame.clone()) else { panic!("did not wait") };
        assert!(frame.is_unique(), "version {version}: its memory serves the next request");
        waiting.await.unwrap();
    }
}

#[tokio::test]
async fn errors_have_kafkas_numbers() {
    let client = Client::new(ApiConfig::default()).await;
    let id = create(&client, "t", &[("max.message.bytes", "200")]).await;
    create(&client, "__consumer_offsets", &[]).await;
    let good = batch(1);
    let cases = [
        ("none", 0, Some(good.clone()), UnknownTopicOrPartition),
        ("t", 2, Some(good.clone()), UnknownTopicOrPartition),
        ("t", -1, Some(good.clone()), UnknownTopicOrPartition),
        ("t", i32::MIN, Some(good.clone()), UnknownTopicOrPartition),
        ("__consumer_offsets", 0, Some(good.clone()), InvalidTopicException),
        ("t", 0, None, InvalidRecord),
        ("t", 0, Some(Bytes::new()), InvalidRecord),
        ("t", 0, Some(batch(40)), MessageTooLarge),
        ("t", 0, Some(good.slice(..good.len() - 1)), InvalidRecord),
        ("t", 0, Some(edited(&good, |header| header.attributes.0 = 7)), UnsupportedCompressionType),
        ("t", 0, Some(edited(&good, |header| header.base_timestamp = i64::MAX)), InvalidTimestamp),
        ("t", 0, Some(edited(&good, |header| header.attributes.0 = 0x10)), TransactionalIdAuthorizationFailed),
    ];
    for (topic, partition, records, error) in cases {
        assert_eq!(refusal(&client, topic, partition, records).await, error, "{topic}-{partition}");
    }
    let mut flipped = good.to_vec();
    flipped[70] ^= 1;
    assert_eq!(refusal(&client, "t", 0, Some(flipped.into())).await, CorruptMessage);
    let by_id = |id| to("t", 0, Some(batch(1))).with_name(TopicName::default()).with_topic_id(id);
    let unknown = only(client.ask(13, request(by_id(Uuid::from_u128(99)), 1)).await);
    assert_eq!((unknown.error_code, unknown.base_offset), (UnknownTopicId.code(), -1));
    assert_eq!(only(client.ask(13, request(by_id(id), 1)).await).base_offset, 0, "nothing of the others is there");
}

#[tokio::test]
async fn acks_that_do_not_exist_are_refused_behind_unknown_topics() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    for acks in [2, -2, i16::MAX] {
        let answer = only(client.ask(9, request(to("t", 0, Some(batch(1))), acks)).await);
        assert_eq!((answer.error_code, answer.log_start_offset), (InvalidRequiredAcks.code(), -1));
        let answer = only(client.ask(9, request(to("u", 0, Some(batch(1))), acks)).await);
        assert_eq!(answer.error_code, UnknownTopicOrPartition.code());
    }
}

#[tokio::test]
async fn acks_0_is_silent_and_any_error_closes() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let silent = client.answer(frame(9, 1, &request(to("t", 0, Some(batch(2))), 0))).await;
    assert_eq!(silent, Err("silent".into()));
    let closed = client.answer(frame(9, 1, &request(to("t", 7, Some(batch(2))), 0))).await.unwrap_err();
    assert!(closed.contains("acks=0"), "{closed}");
    assert_eq!(produce(&client, "t", batch(1)).await, 2, "the silent one is there");
}

#[tokio::test]
async fn each_partition_has_its_own_answer() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let data = |index, records| PartitionProduceData::default().with_index(index).with_records(Some(records));
    let topic = |topic, partitions| TopicProduceData::default().with_name(name(topic)).with_partition_data(partitions);
    let topics = vec![
        topic("t", vec![data(1, batch(2)), data(5, batch(2)), data(0, Bytes::new())]),
        topic("none", vec![data(0, batch(1))]),
        topic("t", vec![data(1, batch(1))]),
    ];
    let request = ProduceRequest::default().with_acks(-1).with_timeout_ms(30_000).with_topic_data(topics);
    let answer = client.ask(9, request).await;
    let seen: Vec<_> = answer
        .responses
        .iter()
        .flat_map(|topic| &topic.partition_responses)
        .map(|answer| (answer.index, answer.error_code, answer.base_offset))
        .collect();
    let unknown = UnknownTopicOrPartition.code();
    // of t's partition 1, which stands twice, only what was said last counts
    assert_eq!(seen, [(5, unknown, -1), (0, InvalidRecord.code(), -1), (0, unknown, -1), (1, 0, 0)]);
    assert_eq!(produce_to(&client, "t", 1, batch(1)).await, 1);
}

#[tokio::test]
async fn records_that_are_wrong_are_named_from_version_8() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "c", &[("cleanup.policy", "compact")]).await;
    let mut keyless = BatchBuilder::new();
    for key in [Some(&b"k"[..]), None, Some(b"k"), None] {
        keyless.append_plain(NOW_MS, key, None);
    }
    let keyless = keyless.build().unwrap();
    for version in [7, 8, 9, 12] {
        let answer = only(client.ask(version, request(to("c", 0, Some(keyless.clone())), 1)).await);
        assert_eq!(answer.error_code, InvalidRecord.code());
        let named: Vec<_> = answer.record_errors.iter().map(|error| error.batch_index).collect();
        let message = answer.error_message.is_some_and(|message| message.contains("2 record errors"));
        let expected = if version >= 8 { (vec![1, 3], true) } else { (vec![], false) };
        assert_eq!((named, message), expected, "version {version}");
    }
}

#[tokio::test]
async fn the_brokers_time_is_told_where_it_counts() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[("message.timestamp.type", "LogAppendTime")]).await;
    let answer = only(client.ask(9, request(to("t", 0, Some(batch(3))), -1)).await);
    assert_eq!((answer.error_code, answer.log_append_time_ms), (0, NOW_MS));
}

#[tokio::test]
async fn zstd_needs_version_7() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let mut packed = BatchBuilder::new().compression(tidemark_record::Compression::Zstd, None);
    packed.append_plain(NOW_MS, None, Some(b"v"));
    let packed = packed.build().unwrap();
    for version in 3..=9 {
        let code = only(client.ask(version, request(to("t", 0, Some(packed.clone())), 1)).await).error_code;
        assert_eq!(code, if version < 7 { UnsupportedCompressionType.code() } else { 0 });
    }
}

#[tokio::test]
async fn a_repeat_gets_the_first_ones_offset_and_a_gap_is_refused() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let at = |epoch, sequence| {
        edited(&batch(2), |header| {
            (header.producer_id, header.producer_epoch, header.base_sequence) = (7, epoch, sequence)
        })
    };
    for (epoch, sequence, offset) in [(0, 0, 0), (0, 2, 2), (0, 0, 0), (0, 2, 2), (1, 0, 4)] {
        assert_eq!(produce(&client, "t", at(epoch, sequence)).await, offset, "{epoch} {sequence}");
    }
    assert_eq!(refusal(&client, "t", 0, Some(at(1, 9))).await, OutOfOrderSequenceNumber);
    assert_eq!(refusal(&client, "t", 0, Some(at(0, 4))).await, InvalidProducerEpoch);
    assert_eq!(refusal(&client, "t", 0, Some(at(1, -1))).await, InvalidRecord);
}

#[tokio::test]
async fn a_timeout_of_0_does_not_count_the_disks_time() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    for timeout_ms in [0, -5, i32::MIN] {
        let request = request(to("t", 0, Some(batch(1))), -1).with_timeout_ms(timeout_ms);
        assert_eq!(only(client.ask(9, request).await).error_code, 0);
    }
}

#[tokio::test]
async fn an_answer_is_not_there_before_the_disk_has_the_batch() {
    let client = Client::new(ApiConfig::default()).await;
    create(&client, "t", &[]).await;
    let dispatched = |acks| client.dispatch(frame(9, 1, &request(to("t", 0, Some(batch(1))), acks)));
    assert!(matches!(dispatched(1), Handling::Ready(_)));
    let Handling::Pipelined(waiting) = dispatched(-1) else { panic!("acks=all did not wait") };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
}
