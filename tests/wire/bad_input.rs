//! Rows K11–K23: requests that are well formed and wrong. Each has its exact error.

use bytes::Bytes;
use harness::Connection;
use kafka_protocol::{
    error::ResponseError::{
        self, CorruptMessage, InvalidConfig, InvalidPartitions, InvalidProducerEpoch, InvalidRecord,
    },
    messages::{
        BrokerId, CreateTopicsRequest, FetchRequest, ProduceRequest, TopicName, TransactionalId,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        fetch_request::{FetchPartition, FetchTopic},
        produce_request::{PartitionProduceData, TopicProduceData},
    },
};
use tidemark_record::{BatchBuilder, Compression};

use crate::bystander::{Attacked, text};

const T0: i64 = 1_700_000_000_000;

fn filled(mut builder: BatchBuilder, records: i64) -> Bytes {
    for n in 0..records {
        builder.append_plain(T0 + n, Some(b"key"), Some(b"value"));
    }
    builder.build().unwrap()
}

fn batch(records: i64) -> Bytes {
    filled(BatchBuilder::new(), records)
}

/// Bytes of the header changed; the checksum made true again.
fn changed(batch: &Bytes, edits: &[(usize, &[u8])]) -> Bytes {
    let mut out = batch.to_vec();
    for (at, bytes) in edits {
        out[*at..*at + bytes.len()].copy_from_slice(bytes);
    }
    let crc = tidemark_record::batch::checksum(&out);
    out[17..21].copy_from_slice(&crc.to_be_bytes());
    out.into()
}

fn flipped(batch: &Bytes, at: usize) -> Bytes {
    let mut out = batch.to_vec();
    out[at] ^= 0x55;
    out.into()
}

fn with_byte(batch: &Bytes, at: usize, byte: u8) -> Bytes {
    let mut out = batch.to_vec();
    out[at] = byte;
    out.into()
}

fn request(topic: &str, acks: i16, timeout_ms: i32, records: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(0).with_records(Some(records));
    let topic = TopicProduceData::default().with_name(TopicName(text(topic))).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(acks).with_timeout_ms(timeout_ms).with_topic_data(vec![topic])
}

fn produce(connection: &mut Connection, topic: &str, acks: i16, timeout_ms: i32, records: Bytes) -> (i16, i64) {
    let response = connection.ask(&request(topic, acks, timeout_ms, records), 9);
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}

#[test]
fn batches_are_refused_with_the_right_code() {
    let three = batch(3);
    let count =
        |count: i32, last_delta: i32| changed(&three, &[(57, &count.to_be_bytes()), (23, &last_delta.to_be_bytes())]);
    let attributes = |attributes: i16| changed(&three, &[(21, &attributes.to_be_bytes())]);
    let packed = |edits: &[(usize, i32)]| {
        let edits: Vec<_> = edits.iter().map(|(at, value)| (*at, value.to_be_bytes())).collect();
        let edits: Vec<_> = edits.iter().map(|(at, bytes)| (*at, bytes.as_slice())).collect();
        changed(&filled(BatchBuilder::new().compression(Compression::Gzip, None), 3), &edits)
    };
    let time = |time: i64| {
        let mut builder = BatchBuilder::new();
        builder.append_plain(time, Some(b"k"), None);
        builder.build().unwrap()
    };
    let rows: Vec<(&str, &str, Bytes, ResponseError)> = vec![
        ("K11 checksum", "plain", flipped(&three, 17), CorruptMessage),
        ("K11 payload", "plain", flipped(&three, 65), CorruptMessage),
        ("K12 codec 5", "plain", attributes(5), ResponseError::UnsupportedCompressionType),
        ("K12 codec 7", "plain", attributes(7), ResponseError::UnsupportedCompressionType),
        ("K12 magic 0", "plain", with_byte(&three, 16, 0), InvalidRecord),
        ("K12 magic 1", "plain", with_byte(&three, 16, 1), InvalidRecord),
        ("K13 count 0", "plain", count(0, 2), InvalidRecord),
        ("K13 count -1", "plain", count(-1, -2), InvalidRecord),
        ("K13 count above what is there", "plain", count(4, 3), InvalidRecord),
        ("K13 count below what is there", "plain", count(2, 1), InvalidRecord),
        ("K13 count i32::MAX", "plain", count(i32::MAX, i32::MAX - 1), InvalidRecord),
        ("K13 packed, count i32::MAX", "plain", packed(&[(57, i32::MAX), (23, i32::MAX - 1)]), InvalidRecord),
        ("K13 last delta", "plain", count(3, 7), InvalidRecord),
        ("K13 a first delta of 1", "plain", changed(&three, &[(64, &[2])]), InvalidRecord),
        ("K14 control", "plain", attributes(0x20), InvalidRecord),
        (
            "K14 sequence below 0",
            "plain",
            changed(&three, &[(43, &9_i64.to_be_bytes()), (51, &0_i16.to_be_bytes())]),
            InvalidRecord,
        ),
        ("K15 two batches", "plain", [three.as_ref(), &three].concat().into(), InvalidRecord),
        ("K16 above max.message.bytes", "small", batch(30), ResponseError::MessageTooLarge),
        ("K17 i64::MAX", "plain", time(i64::MAX), ResponseError::InvalidTimestamp),
        (
            "K17 packed, a base near i64::MAX",
            "plain",
            packed(&[(27, i32::MAX), (31, -5)]),
            ResponseError::InvalidTimestamp,
        ),
        ("compacted, no key", "compacted", changed(&keyless(), &[]), InvalidRecord),
    ];
    let mut attacked = Attacked::start(&[]);
    let mut connection = attacked.broker.connect();
    for (case, topic, records, expected) in rows {
        let (code, offset) = produce(&mut connection, topic, -1, 1000, records);
        assert_eq!((code, offset), (expected.code(), -1), "{case}: {:?}", ResponseError::try_from_code(code));
        attacked.is_unharmed_by(case);
    }
    assert_eq!(produce(&mut connection, "plain", -1, 1000, three), (0, 0), "nothing of it was stored");
}

fn keyless() -> Bytes {
    let mut builder = BatchBuilder::new();
    builder.append_plain(T0, None, Some(b"v"));
    builder.build().unwrap()
}

#[test]
fn sequences_and_acks() {
    let mut attacked = Attacked::start(&[]);
    let mut connection = attacked.broker.connect();
    let sequenced = |epoch: i16, sequence: i32| filled(BatchBuilder::new().producer(77, epoch, sequence), 2);
    let rows = [
        ("K18 first", 0, 0, 0, 0),
        ("K18 second", 0, 2, 0, 2),
        ("K18 a gap", 0, 9, ResponseError::OutOfOrderSequenceNumber.code(), -1),
        ("K18 a duplicate", 0, 0, 0, 0),
        ("K18 a new epoch", 1, 0, 0, 4),
        ("K18 the old epoch", 0, 4, InvalidProducerEpoch.code(), -1),
    ];
    for (case, epoch, sequence, code, offset) in rows {
        assert_eq!(produce(&mut connection, "plain", -1, 1000, sequenced(epoch, sequence)), (code, offset), "{case}");
    }
    let begun = filled(BatchBuilder::new().producer(78, 0, 0).transactional(), 1);
    for (id, code) in [
        (None, ResponseError::TransactionalIdAuthorizationFailed),
        (Some(""), ResponseError::InvalidRequest),
        (Some("t"), ResponseError::InvalidProducerIdMapping),
    ] {
        let request =
            request("plain", -1, 1000, begun.clone()).with_transactional_id(id.map(|id| TransactionalId(text(id))));
        let answer = connection.ask(&request, 9);
        let found = answer.responses[0].partition_responses[0].error_code;
        assert_eq!(found, code.code(), "K14 a transactional batch under {id:?}");
    }
    let refused = ResponseError::InvalidRequiredAcks.code();
    for acks in [2, -2, i16::MAX, i16::MIN] {
        assert_eq!(produce(&mut connection, "plain", acks, 1000, batch(1)).0, refused, "K19 acks {acks}");
    }
    for timeout in [-1, i32::MIN, 0] {
        let (code, _) = produce(&mut connection, "plain", 1, timeout, batch(1));
        assert_eq!(code, 0, "K19 timeout {timeout}");
    }
    attacked.is_unharmed_by("K18, K19");
}

#[test]
fn topics_that_may_not_be() {
    let mut attacked = Attacked::start(&[]);
    let mut connection = attacked.broker.connect();
    let plain = |name: &str| {
        CreatableTopic::default().with_name(TopicName(text(name))).with_num_partitions(1).with_replication_factor(1)
    };
    let unknown_config = {
        let mut topic = plain("configured");
        topic.configs.push(CreatableTopicConfig::default().with_name(text("no.such.key")).with_value(Some(text("1"))));
        topic
    };
    let bad_name = ResponseError::InvalidTopicException;
    let rows = [
        ("K20 ..", plain(".."), bad_name),
        ("K20 .", plain("."), bad_name),
        ("K20 empty", plain(""), bad_name),
        ("K20 a slash", plain("a/../../b"), bad_name),
        ("K20 NUL", plain("a\0b"), bad_name),
        ("K20 250 letters", plain(&"x".repeat(250)), bad_name),
        ("K20 30,000 letters", plain(&"x".repeat(30_000)), bad_name),
        ("K20 a line feed", plain("a\nb"), bad_name),
        ("K21 a million partitions", plain("huge").with_num_partitions(1_000_000), ResponseError::PolicyViolation),
        ("K21 i32::MAX partitions", plain("huge").with_num_partitions(i32::MAX), ResponseError::PolicyViolation),
        ("K21 no partitions", plain("none").with_num_partitions(0), InvalidPartitions),
        (
            "K21 two replicas on one broker",
            plain("two").with_replication_factor(2),
            ResponseError::InvalidReplicationFactor,
        ),
        (
            "K21 i16::MAX replicas",
            plain("two").with_replication_factor(i16::MAX),
            ResponseError::InvalidReplicationFactor,
        ),
        ("K21 an unknown config", unknown_config, InvalidConfig),
    ];
    for (case, topic, expected) in rows {
        let response =
            connection.ask(&CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(5000), 5);
        let code = response.topics[0].error_code;
        assert_eq!(code, expected.code(), "{case}: {:?}", ResponseError::try_from_code(code));
        attacked.is_unharmed_by(case);
    }
    let collide = |name: &str| CreateTopicsRequest::default().with_topics(vec![plain(name)]).with_timeout_ms(5000);
    assert_eq!(connection.ask(&collide("a.b_c"), 5).topics[0].error_code, 0);
    assert_eq!(connection.ask(&collide("a_b.c"), 5).topics[0].error_code, bad_name.code(), "K20 metrics collide");
}

fn fetch(topic: &str, partitions: Vec<FetchPartition>) -> FetchRequest {
    let topic = FetchTopic::default().with_topic(TopicName(text(topic))).with_partitions(partitions);
    let request = FetchRequest::default().with_replica_id(BrokerId(-1)).with_max_bytes(1 << 24).with_session_epoch(-1);
    request.with_topics(vec![topic])
}

fn from(index: i32, offset: i64) -> FetchPartition {
    FetchPartition::default()
        .with_partition(index)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20)
        .with_current_leader_epoch(-1)
        .with_last_fetched_epoch(-1)
}

#[test]
fn fetches_out_of_bounds() {
    let mut attacked = Attacked::start(&[]);
    let mut connection = attacked.broker.connect();
    for _ in 0..3 {
        produce(&mut connection, "plain", -1, 1000, batch(5));
    }
    for offset in [16, i64::MAX, -1, i64::MIN] {
        let code = connection.ask(&fetch("plain", vec![from(0, offset)]), 11).responses[0].partitions[0].error_code;
        assert_eq!(code, ResponseError::OffsetOutOfRange.code(), "K22 offset {offset}");
    }
    for max_bytes in [0, 1, i32::MAX] {
        let request = fetch("plain", vec![from(0, 0).with_partition_max_bytes(max_bytes)]).with_max_bytes(max_bytes);
        let answer = connection.ask(&request, 11);
        assert_eq!(answer.responses[0].partitions[0].error_code, 0, "K22 max bytes {max_bytes}");
    }
    let many = (0..100_000).map(|index| from(index, 0)).collect();
    let answer = connection.ask(&fetch("plain", many), 11);
    assert_eq!(
        answer.responses.iter().map(|topic| topic.partitions.len()).sum::<usize>(),
        100_000,
        "K22 10^5 partitions"
    );
    attacked.is_unharmed_by("K22");
    let epoch = |epoch: i32| fetch("plain", vec![from(0, 0).with_current_leader_epoch(epoch)]);
    let code = connection.ask(&epoch(i32::MAX), 11).responses[0].partitions[0].error_code;
    assert_eq!(code, ResponseError::UnknownLeaderEpoch.code(), "K23 an epoch to come");
    let unknown = fetch("plain", vec![]).with_session_id(4711).with_session_epoch(3);
    assert_eq!(connection.ask(&unknown, 11).error_code, ResponseError::FetchSessionIdNotFound.code(), "K23 session id");
    let session = connection.ask(&fetch("plain", vec![from(0, 0)]).with_session_epoch(0), 11).session_id;
    if session != 0 {
        let stale = fetch("plain", vec![]).with_session_id(session).with_session_epoch(9);
        assert_eq!(
            connection.ask(&stale, 11).error_code,
            ResponseError::InvalidFetchSessionEpoch.code(),
            "K23 session epoch"
        );
    }
    attacked.is_unharmed_by("K23");
}

/// A batch that is small and inflates to more than anything should hold, sent where a rule makes the broker look inside.
#[test]
fn bombs_are_refused_where_a_rule_inflates() {
    let mut attacked = Attacked::start(&[]);
    let mut connection = attacked.broker.connect();
    for codec in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let mut builder = BatchBuilder::new().compression(codec, None);
        // 200 MiB of zeros; snappy and lz4 shrink it least, to about 10 and 1 MiB, above max.message.bytes
        builder.append_plain(T0, Some(b"k"), Some(&vec![0; 200 << 20]));
        let bomb = builder.build().unwrap();
        let (code, _) = produce(&mut connection, "compacted", -1, 30_000, bomb.clone());
        let refused = [InvalidRecord.code(), ResponseError::MessageTooLarge.code(), CorruptMessage.code()];
        assert!(refused.contains(&code), "K16 {} bomb of {} bytes: {code}", codec.name(), bomb.len());
        attacked.is_unharmed_by(codec.name());
    }
}
