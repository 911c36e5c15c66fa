//! Records through our own client: numbered when written, checked when read.

use std::{path::Path, time::Duration};

use harness::Broker;
use tidemark_client::{
    Client, ClientConfig, ProduceError, Producer, ProducerConfig, ProducerRecord, ReadError, Reader, ReaderConfig,
    RetryConfig, Start,
};

/// The topic of these stories; one partition, made by its first record.
pub const TOPIC: &str = "readings";

/// Runs to the end on a runtime of its own.
pub fn block_on<T>(story: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(story)
}

async fn client(broker: &Broker) -> Client {
    // a storage error may pass, so the client asks again; these do not
    let retry = RetryConfig { timeout: Duration::from_secs(5), ..RetryConfig::default() };
    let config = ClientConfig::new([broker.kafka().to_string()]);
    Client::connect(ClientConfig { retry, ..config }).await.unwrap()
}

fn value(number: i64) -> String {
    format!("reading {number} {}", "x".repeat(400))
}

/// Writes records `from..to`, each awaited; their timestamps are their numbers in seconds.
pub fn write(broker: &Broker, from: i64, to: i64) {
    block_on(async {
        let producer = Producer::new(client(broker).await, ProducerConfig::default());
        for number in from..to {
            let mut record = ProducerRecord::new(TOPIC).value(value(number));
            record.timestamp_ms = Some(number * 1000);
            let position = producer.send(record).await.unwrap();
            assert_eq!(position.offset, Some(number));
        }
    });
}

/// What one write is answered.
pub fn write_once(broker: &Broker) -> Result<(), ProduceError> {
    block_on(async {
        let config = ProducerConfig { delivery_timeout: Duration::from_secs(2), ..ProducerConfig::default() };
        let producer = Producer::new(client(broker).await, config);
        producer.send(ProducerRecord::new(TOPIC).value("one more")).await.map(drop)
    })
}

/// Reads from an offset until nothing more comes; each record must be the one that was written there.
pub fn read(broker: &Broker, start: Start) -> Result<Vec<i64>, ReadError> {
    block_on(async {
        let mut reader = Reader::open(client(broker).await, TOPIC, 0, start, ReaderConfig::default()).await?;
        let mut offsets = Vec::new();
        loop {
            let fetched = reader.fetch(Duration::from_millis(200)).await?;
            if fetched.is_empty() {
                return Ok(offsets);
            }
            for record in fetched.into_records()? {
                assert_eq!(record.value.as_deref(), Some(value(record.offset).as_bytes()), "offset {}", record.offset);
                assert_eq!(record.timestamp_ms, record.offset * 1000);
                offsets.push(record.offset);
            }
        }
    })
}

/// All of `0..count` is there, by offset and by time.
pub fn check_whole(broker: &Broker, count: i64) {
    assert_eq!(read(broker, Start::Earliest).unwrap(), (0..count).collect::<Vec<_>>());
    let middle = count / 2;
    assert_eq!(read(broker, Start::Timestamp(middle * 1000)).unwrap(), (middle..count).collect::<Vec<_>>());
}

/// Flips bits of a file in place.
pub fn flip(path: &Path, place: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[place] ^= 0x41;
    std::fs::write(path, bytes).unwrap();
}

/// Files of a directory whose names end so, by name.
pub fn files(dir: &Path, suffix: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries.filter(|path| path.to_str().unwrap().ends_with(suffix)).collect();
    found.sort();
    found
}
