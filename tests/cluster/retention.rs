//! What goes away: by DeleteRecords, by size, by time, with the topic, and with the process where a topic is volatile.

use harness::{Connection, wait::PATIENCE};
use kafka_protocol::{
    error::ResponseError,
    messages::{DeleteTopicsRequest, TopicName},
    protocol::StrBytes,
};
use tidemark_record::BatchBuilder;

use crate::{
    broker,
    requests::{self, EARLIEST, LATEST},
};

fn batch(value: &str, timestamp_ms: i64) -> bytes::Bytes {
    let mut builder = BatchBuilder::new();
    builder.append_plain(timestamp_ms, Some(b"k"), Some(value.as_bytes()));
    builder.build().unwrap()
}

/// Old enough to expire, and no reason for a broker to doubt its clock.
fn ten_minutes_ago() -> i64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as i64 - 600_000
}

fn fill(connection: &mut Connection, topic: &str, records: usize) {
    for n in 0..records {
        let stored =
            requests::produce(connection, topic, -1, batch(&format!("{n} {}", "x".repeat(10_000)), ten_minutes_ago()));
        assert_eq!(stored.error_code, 0);
    }
}

#[test]
fn deleted_records_stay_deleted_after_a_kill() {
    let broker = broker().start();
    let mut connection = broker.connect();
    requests::create(&mut connection, "purged", 1, &[]);
    fill(&mut connection, "purged", 10);
    assert_eq!(requests::delete_records(&mut connection, "purged", 4), 4);
    let broker = broker.restart();
    let mut connection = broker.connect();
    assert_eq!(requests::lookup(&mut connection, "purged", EARLIEST).0, 4);
    assert_eq!(requests::fetch(&mut connection, "purged", 3).error_code, ResponseError::OffsetOutOfRange.code());
    assert_eq!(requests::values(&requests::fetch(&mut connection, "purged", 4).records.unwrap())[0].0, 4);
    assert_eq!(requests::delete_records(&mut connection, "purged", -1), 10);
    let broker = broker.restart();
    let mut connection = broker.connect();
    assert_eq!(requests::lookup(&mut connection, "purged", LATEST).0, 10, "the end stays where it was");
    assert_eq!(requests::produce(&mut connection, "purged", -1, batch("next", 0)).base_offset, 10);
}

#[test]
fn size_and_time_retention_move_the_start() {
    let broker = broker().set("log.retention.check.interval.ms", "100").start();
    let mut connection = broker.connect();
    let segment = ("segment.bytes", "1048576");
    requests::create(&mut connection, "by-size", 1, &[segment, ("retention.bytes", "1048576"), ("retention.ms", "-1")]);
    requests::create(&mut connection, "by-time", 1, &[segment, ("retention.ms", "1000")]);
    requests::create(&mut connection, "kept", 1, &[segment, ("retention.ms", "-1")]);
    for topic in ["by-size", "by-time", "kept"] {
        fill(&mut connection, topic, 400);
    }
    for topic in ["by-size", "by-time"] {
        harness::eventually("the start moves", PATIENCE, || {
            (requests::lookup(&mut connection, topic, EARLIEST).0 > 50).then_some(())
        });
        let start = requests::lookup(&mut connection, topic, EARLIEST).0;
        assert_eq!(requests::lookup(&mut connection, topic, LATEST).0, 400);
        assert_eq!(
            requests::values(&requests::fetch(&mut connection, topic, start).records.unwrap_or_default())
                .first()
                .map_or(start, |(offset, _)| *offset),
            start
        );
    }
    assert_eq!(requests::lookup(&mut connection, "kept", EARLIEST).0, 0);
    let start = requests::lookup(&mut connection, "by-size", EARLIEST).0;
    let broker = broker.restart();
    assert!(requests::lookup(&mut broker.connect(), "by-size", EARLIEST).0 >= start, "the start went back");
}

#[test]
fn a_deleted_topic_is_gone_and_a_new_one_of_its_name_is_empty() {
    let broker = broker().start();
    let mut connection = broker.connect();
    requests::create(&mut connection, "again", 1, &[]);
    fill(&mut connection, "again", 3);
    let request = DeleteTopicsRequest::default()
        .with_timeout_ms(30_000)
        .with_topic_names(vec![TopicName(StrBytes::from_static_str("again"))]);
    assert_eq!(connection.ask(&request, 4).responses[0].error_code, 0);
    requests::create(&mut connection, "again", 1, &[]);
    assert_eq!(requests::lookup(&mut connection, "again", LATEST).0, 0);
    let broker = broker.restart();
    assert_eq!(requests::lookup(&mut broker.connect(), "again", LATEST).0, 0);
}

#[test]
fn volatile_topics_forget_and_cached_ones_do_not() {
    let broker = broker().start();
    let mut connection = broker.connect();
    requests::create(&mut connection, "volatile", 1, &[("tidemark.storage", "volatile")]);
    requests::create(&mut connection, "cached", 1, &[("write.caching", "true")]);
    for topic in ["volatile", "cached"] {
        fill(&mut connection, topic, 20);
        assert_eq!(requests::values(&requests::fetch(&mut connection, topic, 0).records.unwrap()).len(), 20);
    }
    let broker = broker.restart();
    let mut connection = broker.connect();
    assert_eq!(requests::lookup(&mut connection, "cached", LATEST).0, 20, "the page cache outlives the process");
    assert_eq!(requests::values(&requests::fetch(&mut connection, "cached", 0).records.unwrap()).len(), 20);
    let (start, end) = (
        requests::lookup(&mut connection, "volatile", EARLIEST).0,
        requests::lookup(&mut connection, "volatile", LATEST).0,
    );
    assert_eq!(start, end, "a volatile topic keeps nothing");
    fill(&mut connection, "volatile", 1);
}
