//! librdkafka as the load: a producer as fast as it goes, and a reader from the start to the end.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};

use super::{Failure, Server};

/// What is written.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// As a table names it.
    pub name: &'static str,
    /// Bytes of one value.
    pub value_bytes: usize,
    /// Bytes that a batch may have.
    pub batch_bytes: usize,
    /// Partitions, written in turn.
    pub partitions: i32,
    /// Megabytes (1e6) of values in one repetition.
    pub mb: usize,
}

/// A topic's name that was not used before in this run.
pub fn fresh_name(what: &str) -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("{what}-{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

const PATIENCE: Duration = Duration::from_secs(120);

/// Counts deliveries.
#[derive(Debug, Default)]
struct Acks {
    good: AtomicU64,
    bad: AtomicU64,
}

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() { &self.good } else { &self.bad };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes `shape.mb` megabytes with `acks=all` and waits for every answer. Gives the payload's bytes.
pub fn produce(server: &Server, topic: &str, shape: &Shape) -> Result<u64, Failure> {
    let producer: BaseProducer<Acks> = ClientConfig::new()
        .set("bootstrap.servers", server.address())
        .set("acks", "all")
        .set("linger.ms", "50")
        .set("batch.size", shape.batch_bytes.to_string())
        .set("batch.num.messages", "1000000")
        .set("message.max.bytes", "1048576")
        .set("queue.buffering.max.messages", "500000")
        .set("queue.buffering.max.kbytes", "65536")
        .create_with_context(Acks::default())?;
    let value: Vec<u8> = (0..shape.value_bytes).map(|place| (place * 31 % 251) as u8).collect();
    let count = (shape.mb * 1_000_000 / shape.value_bytes) as u64;
    let partitions = u64::try_from(shape.partitions)?;
    for number in 0..count {
        let mut record =
            BaseRecord::<(), [u8]>::to(topic).payload(&value).partition(i32::try_from(number % partitions)?);
        while let Err((error, back)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            producer.poll(Duration::from_millis(10));
            record = back;
        }
        if number % 256 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(PATIENCE)?;
    let acks = producer.context();
    let (good, bad) = (acks.good.load(Ordering::Relaxed), acks.bad.load(Ordering::Relaxed));
    if good != count {
        return Err(format!("{}: {good} of {count} acknowledged, {bad} failed", server.kind.name()).into());
    }
    Ok(count * shape.value_bytes as u64)
}

/// A reader without a group, at the start of all partitions.
pub fn reader(server: &Server, topic: &str, partitions: i32, from: Offset) -> Result<BaseConsumer, Failure> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", server.address())
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "false")
        .set("fetch.wait.max.ms", "500")
        .set("fetch.error.backoff.ms", "10")
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", "65536")
        .create()?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&assignment)?;
    Ok(consumer)
}

/// Reads `bytes` of payload from the start.
pub fn consume(server: &Server, topic: &str, partitions: i32, bytes: u64) -> Result<(), Failure> {
    let consumer = reader(server, topic, partitions, Offset::Beginning)?;
    let (mut seen, mut last) = (0, Instant::now());
    while seen < bytes {
        match consumer.poll(Duration::from_millis(100)) {
            Some(message) => {
                seen += message?.payload_len() as u64;
                last = Instant::now();
            }
            None if last.elapsed() > PATIENCE => {
                return Err(format!("{}: {seen} of {bytes} bytes read", server.kind.name()).into());
            }
            None => {}
        }
    }
    Ok(())
}
