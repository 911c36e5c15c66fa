//! librdkafka as a teller of stories, through the crate rdkafka.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use harness::wait::PATIENCE;
use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
    util::Timeout,
};
use tidemark_record::Compression;

use crate::client::{Client, Outcome, Record, Stream};

/// The address that it starts from.
pub struct Librdkafka(pub SocketAddr);

/// Outcomes as they come.
#[derive(Debug, Clone, Default)]
struct Delivered(Arc<Mutex<Vec<Outcome>>>);

impl rdkafka::ClientContext for Delivered {}

impl ProducerContext for Delivered {
    type DeliveryOpaque = Box<usize>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<usize>) {
        let outcome = match result {
            // -1 for a repeat whose original offset it was not told
            Ok(message) => Ok(Some(message.offset()).filter(|offset| *offset >= 0)),
            Err((error, _)) => Err(error.to_string()),
        };
        self.0.lock().unwrap().push((*number, outcome));
    }
}

struct LibrdkafkaStream {
    producer: BaseProducer<Delivered>,
    delivered: Delivered,
    topic: String,
}

impl Librdkafka {
    fn start(&self, topic: &str, settings: &[(&str, &str)]) -> LibrdkafkaStream {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.0.to_string()).set("linger.ms", "5");
        settings.iter().for_each(|(key, value)| {
            config.set(*key, *value);
        });
        let delivered = Delivered::default();
        let producer = config.create_with_context(delivered.clone()).expect("a producer");
        LibrdkafkaStream { producer, delivered, topic: topic.to_owned() }
    }

    /// A consumer that joins no group.
    fn consumer(&self) -> BaseConsumer {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.0.to_string()).set("group.id", "unused");
        config.set("enable.auto.commit", "false").set("check.crcs", "true").set("auto.offset.reset", "error");
        config.create().expect("a consumer")
    }
}

impl Stream for LibrdkafkaStream {
    fn send(&mut self, number: usize, record: &Record) {
        let mut headers = rdkafka::message::OwnedHeaders::new();
        for (key, value) in &record.headers {
            headers = headers.insert(rdkafka::message::Header { key, value: value.as_deref() });
        }
        let mut wire = BaseRecord::with_opaque_to(&self.topic, Box::new(number))
            .partition(0)
            .timestamp(record.timestamp_ms)
            .headers(headers);
        if let Some(key) = &record.key {
            wire = wire.key(key.as_slice());
        }
        if let Some(value) = &record.value {
            wire = wire.payload(value.as_slice());
        }
        self.producer.send(wire).map_err(|(error, _)| error).expect("room in the queue");
    }

    fn settled(&self) -> usize {
        self.producer.poll(Timeout::After(Duration::from_millis(1)));
        self.delivered.0.lock().unwrap().len()
    }

    fn finish(self: Box<Self>) -> Vec<Outcome> {
        self.producer.flush(Timeout::After(2 * PATIENCE)).expect("all delivered in the end");
        let mut outcomes = self.delivered.0.lock().unwrap().clone();
        outcomes.sort_by_key(|(number, _)| *number);
        outcomes
    }
}

impl Client for Librdkafka {
    fn name(&self) -> &'static str {
        "librdkafka"
    }

    fn write(&self, topic: &str, codec: Compression, batch_records: usize, records: &[Record]) -> Vec<i64> {
        let batch_records = batch_records.to_string();
        let settings = [("compression.type", codec.name()), ("batch.num.messages", batch_records.as_str())];
        let mut stream = self.start(topic, &settings);
        for (number, record) in records.iter().enumerate() {
            stream.send(number, record);
        }
        let offset = |(number, outcome): Outcome| {
            outcome.unwrap_or_else(|error| panic!("record {number}: {error}")).expect("an offset")
        };
        Box::new(stream).finish().into_iter().map(offset).collect()
    }

    fn read(&self, topic: &str, from: i64, count: usize) -> Vec<(i64, Record)> {
        let consumer = self.consumer();
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(topic, 0, Offset::Offset(from)).expect("an offset");
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

    fn offset_at(&self, topic: &str, timestamp_ms: i64) -> Option<i64> {
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(topic, 0, Offset::Offset(timestamp_ms)).expect("a time");
        let found = self.consumer().offsets_for_times(asked, Timeout::After(PATIENCE)).expect("an answer");
        match found.elements()[0].offset() {
            Offset::Offset(offset) => Some(offset),
            Offset::End => None,
            other => panic!("{other:?} for a time"),
        }
    }

    fn stream(&self, topic: &str) -> Box<dyn Stream> {
        let settings = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("batch.num.messages", "20"),
            ("reconnect.backoff.max.ms", "100"),
        ];
        Box::new(self.start(topic, &settings))
    }
}
