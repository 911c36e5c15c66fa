//! Our own client as a teller of stories.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use harness::wait::PATIENCE;
use tidemark_client::{
    Client as TidemarkClient, ClientConfig, Compression, Delivery, Header, Producer, ProducerConfig, ProducerRecord,
    Reader, ReaderConfig, Start, admin::OffsetSpec,
};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::client::{Client, Outcome, Record, Stream};

/// Our client, and the runtime that its tasks live on.
pub struct Own {
    client: TidemarkClient,
    runtime: Arc<Runtime>,
}

impl Own {
    /// Connects.
    pub fn connect(bootstrap: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let config = ClientConfig::new([bootstrap.to_string()]);
        let client = runtime.block_on(TidemarkClient::connect(config)).expect("a client");
        Self { client, runtime: Arc::new(runtime) }
    }

    fn producer(&self, config: ProducerConfig) -> Producer {
        let _inside = self.runtime.enter();
        Producer::new(self.client.clone(), config)
    }
}

fn outgoing(topic: &str, record: &Record) -> ProducerRecord {
    let headers = record
        .headers
        .iter()
        .map(|(name, value)| Header { name: name.clone().into(), value: value.clone().map(Into::into) });
    ProducerRecord {
        topic: topic.to_owned(),
        partition: Some(0),
        key: record.key.clone().map(Into::into),
        value: record.value.clone().map(Into::into),
        headers: headers.collect(),
        timestamp_ms: Some(record.timestamp_ms),
    }
}

fn incoming(record: &tidemark_client::Record) -> (i64, Record) {
    let headers = record
        .headers
        .iter()
        .map(|header| (header.name_lossy().into_owned(), header.value.as_deref().map(<[u8]>::to_vec)));
    let record_read = Record {
        key: record.key.as_deref().map(<[u8]>::to_vec),
        value: record.value.as_deref().map(<[u8]>::to_vec),
        headers: headers.collect(),
        timestamp_ms: record.timestamp_ms,
    };
    (record.offset, record_read)
}

impl Client for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn write(&self, topic: &str, codec: Compression, batch_records: usize, records: &[Record]) -> Vec<i64> {
        // closed by the flush behind each chunk, and never before
        let config =
            ProducerConfig { compression: codec, linger: Duration::from_secs(10), ..ProducerConfig::default() };
        let producer = self.producer(config);
        self.runtime.block_on(async {
            let mut offsets = Vec::new();
            for chunk in records.chunks(batch_records) {
                let mut deliveries = Vec::new();
                for record in chunk {
                    deliveries.push(producer.queue(outgoing(topic, record)).await.expect("room in the queue"));
                }
                producer.flush().await;
                for delivery in deliveries {
                    offsets.push(delivery.await.expect("an acknowledgement").offset.expect("an offset"));
                }
            }
            offsets
        })
    }

    fn read(&self, topic: &str, from: i64, count: usize) -> Vec<(i64, Record)> {
        let all = async {
            let opened = Reader::open(self.client.clone(), topic, 0, Start::Offset(from), ReaderConfig::default());
            let mut reader = opened.await.expect("a reader");
            let mut out = Vec::new();
            while out.len() < count {
                let fetched = reader.fetch(Duration::from_millis(500)).await.expect("an answer");
                out.extend(fetched.into_records().expect("whole records").iter().map(incoming));
            }
            out.truncate(count);
            out
        };
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, all).await.expect("all records are read") })
    }

    fn offset_at(&self, topic: &str, timestamp_ms: i64) -> Option<i64> {
        let spec = OffsetSpec::Timestamp(timestamp_ms);
        self.runtime.block_on(self.client.list_offset(topic, 0, spec)).expect("an answer").offset
    }

    fn stream(&self, topic: &str) -> Box<dyn Stream> {
        let config = ProducerConfig { batch_bytes: 1000, ..ProducerConfig::default() };
        Box::new(OwnStream {
            producer: self.producer(config),
            topic: topic.to_owned(),
            runtime: Arc::clone(&self.runtime),
            waiting: JoinSet::new(),
            outcomes: Arc::default(),
        })
    }
}

struct OwnStream {
    producer: Producer,
    topic: String,
    runtime: Arc<Runtime>,
    waiting: JoinSet<()>,
    outcomes: Arc<Mutex<Vec<Outcome>>>,
}

async fn note(number: usize, delivery: Delivery, outcomes: Arc<Mutex<Vec<Outcome>>>) {
    let outcome = delivery.await.map(|position| position.offset).map_err(|error| error.to_string());
    outcomes.lock().unwrap().push((number, outcome));
}

impl Stream for OwnStream {
    fn send(&mut self, number: usize, record: &Record) {
        let queued = self.runtime.block_on(self.producer.queue(outgoing(&self.topic, record)));
        let delivery = queued.expect("room in the queue");
        let _inside = self.runtime.enter();
        self.waiting.spawn(note(number, delivery, Arc::clone(&self.outcomes)));
    }

    fn settled(&self) -> usize {
        self.outcomes.lock().unwrap().len()
    }

    fn finish(self: Box<Self>) -> Vec<Outcome> {
        let Self { producer, runtime, waiting, outcomes, .. } = *self;
        let all = async {
            producer.flush().await;
            waiting.join_all().await;
        };
        runtime.block_on(async { tokio::time::timeout(2 * PATIENCE, all).await.expect("all delivered in the end") });
        let mut outcomes = outcomes.lock().unwrap().clone();
        outcomes.sort_by_key(|(number, _)| *number);
        outcomes
    }
}
