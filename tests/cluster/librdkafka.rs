//! librdkafka as the stories use it: a producer with settings, and a reader that is assigned one partition.

use std::{net::SocketAddr, time::Duration};

use harness::wait::PATIENCE;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
    util::Timeout,
};
use std::sync::{Arc, Mutex};

/// A record as it was sent or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    pub timestamp_ms: i64,
}

/// A record's number, and the offset that it was stored at.
type Outcome = (usize, Result<i64, String>);

/// Offsets by the number that each record was sent with.
#[derive(Debug, Clone, Default)]
pub struct Delivered(pub Arc<Mutex<Vec<Outcome>>>);

impl rdkafka::ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<usize>) {
        let outcome = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.to_string()),
        };
        self.0.lock().unwrap().push((*number, outcome));
    }
}

/// A producer with librdkafka's settings.
pub fn producer(bootstrap: SocketAddr, settings: &[(&str, &str)], delivered: Delivered) -> BaseProducer<Delivered> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap.to_string()).set("linger.ms", "5");
    settings.iter().for_each(|(key, value)| {
        config.set(*key, *value);
    });
    config.create_with_context(delivered).expect("a producer")
}

/// Queues a record for partition 0.
pub fn send(producer: &BaseProducer<Delivered>, topic: &str, number: usize, record: &Record) {
    let mut headers = rdkafka::message::OwnedHeaders::new();
    for (key, value) in &record.headers {
        headers = headers.insert(rdkafka::message::Header { key, value: value.as_deref() });
    }
    let mut wire = BaseRecord::with_opaque_to(topic, Box::new(number))
        .partition(0)
        .timestamp(record.timestamp_ms)
        .headers(headers);
    if let Some(key) = &record.key {
        wire = wire.key(key.as_slice());
    }
    if let Some(value) = &record.value {
        wire = wire.payload(value.as_slice());
    }
    producer.send(wire).map_err(|(error, _)| error).expect("room in the queue");
}

/// Sends all and waits for every outcome; offsets by number.
pub fn send_all(bootstrap: SocketAddr, topic: &str, settings: &[(&str, &str)], records: &[Record]) -> Vec<i64> {
    let delivered = Delivered::default();
    let producer = producer(bootstrap, settings, delivered.clone());
    for (number, record) in records.iter().enumerate() {
        send(&producer, topic, number, record);
    }
    producer.flush(Timeout::After(PATIENCE)).expect("all delivered");
    let mut outcomes = delivered.0.lock().unwrap().clone();
    outcomes.sort_by_key(|(number, _)| *number);
    outcomes
        .into_iter()
        .map(|(number, outcome)| outcome.unwrap_or_else(|error| panic!("record {number}: {error}")))
        .collect()
}

/// A consumer that joins no group.
pub fn consumer(bootstrap: SocketAddr) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap.to_string()).set("group.id", "unused").set("enable.auto.commit", "false");
    config.set("check.crcs", "true").set("auto.offset.reset", "error");
    config.create().expect("a consumer")
}

/// Reads `count` records of partition 0 from an offset, with their offsets.
pub fn read(bootstrap: SocketAddr, topic: &str, from: Offset, count: usize) -> Vec<(i64, Record)> {
    let consumer = consumer(bootstrap);
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, from).expect("an offset");
    consumer.assign(&assignment).expect("an assignment");
    let mut out = Vec::new();
    harness::eventually("all records are read", PATIENCE, || {
        while let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.expect("a record");
            let headers = message.headers().map(|headers| {
                headers
                    .iter()
                    .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                    .collect::<Vec<_>>()
            });
            let record = Record {
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: headers.unwrap_or_default(),
                timestamp_ms: message.timestamp().to_millis().expect("a timestamp"),
            };
            out.push((message.offset(), record));
            if out.len() >= count {
                break;
            }
        }
        (out.len() >= count).then_some(())
    });
    out
}

/// The offset of the first record at or after a time.
pub fn offset_at(bootstrap: SocketAddr, topic: &str, timestamp_ms: i64) -> Offset {
    let mut asked = TopicPartitionList::new();
    asked.add_partition_offset(topic, 0, Offset::Offset(timestamp_ms)).expect("a time");
    let found = consumer(bootstrap).offsets_for_times(asked, Timeout::After(PATIENCE)).expect("an answer");
    found.elements()[0].offset()
}
