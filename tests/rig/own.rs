//! Our own client as a process of a history, idempotence on.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use tidemark_client::{
    Client, ClientConfig, Delivery, Header, ProduceError, Producer, ProducerConfig, ProducerRecord, ReaderConfig,
    Record, RetryConfig, admin::OffsetSpec,
};
use tokio::runtime::Runtime;

use super::{
    client::{Done, Factory, Key, PolledKey, Reader, SendOutcome, Session, Start, Writer},
    content::Content,
};
use crate::checker::{Kind, Polled, refusal};

/// How long a request is waited for; far below a fault's length.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Short, so that a calm between two faults is not missed.
const RETRY_PAUSE_MAX: Duration = Duration::from_millis(300);
/// How long a call is repeated.
const RETRY_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes processes of our own client.
#[derive(Debug)]
pub struct Own {
    bootstrap: Vec<String>,
    delivery_timeout: Duration,
    name: String,
    runtime: Arc<Runtime>,
}

impl Own {
    /// `bootstrap` is `host:port` of some brokers.
    pub fn new(bootstrap: &[String], delivery_timeout: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = Arc::new(runtime.expect("a runtime"));
        let name = format!("own {}", env!("CARGO_PKG_VERSION"));
        Self { bootstrap: bootstrap.to_vec(), delivery_timeout, name, runtime }
    }
}

impl Factory for Own {
    fn name(&self) -> &str {
        &self.name
    }

    fn connect(&self) -> Result<Session, String> {
        let mut config = ClientConfig::new(self.bootstrap.iter().cloned());
        (config.request_timeout, config.connect_timeout) = (REQUEST_TIMEOUT, REQUEST_TIMEOUT);
        config.retry = RetryConfig { pause_max: RETRY_PAUSE_MAX, timeout: RETRY_TIMEOUT, ..RetryConfig::default() };
        let client = self.runtime.block_on(Client::connect(config)).map_err(|error| error.to_string())?;
        let _inside = self.runtime.enter();
        let config = ProducerConfig { delivery_timeout: self.delivery_timeout, ..ProducerConfig::default() };
        let producer = Producer::new(client.clone(), config);
        let (settled, outcomes) = channel();
        let writer = OwnWriter { producer, runtime: Arc::clone(&self.runtime), settled, outcomes };
        let reader = OwnReader { client, runtime: Arc::clone(&self.runtime), readers: VecDeque::new() };
        Ok(Session { writer: Box::new(writer), reader: Box::new(reader) })
    }
}

struct OwnWriter {
    producer: Producer,
    runtime: Arc<Runtime>,
    /// Wakes who serves.
    settled: Sender<()>,
    outcomes: Receiver<()>,
}

fn refused(error: &ProduceError) -> SendOutcome {
    let kind = match error {
        ProduceError::Refused { error, maybe_written, .. } => refusal(error.code, *maybe_written),
        _ if error.maybe_written() => Kind::Info,
        // nothing was sent
        _ => Kind::Fail,
    };
    SendOutcome { kind, offset: None, error: Some(error.to_string()) }
}

async fn settle(delivery: Delivery, done: Done, settled: Sender<()>) {
    done(match delivery.await {
        Ok(position) => SendOutcome { kind: Kind::Ok, offset: position.offset, error: None },
        Err(error) => refused(&error),
    });
    let _ = settled.send(());
}

impl Writer for OwnWriter {
    fn send(&mut self, key: &Key, content: Content, done: Done) {
        let headers = content
            .headers
            .into_iter()
            .map(|(name, value)| Header { name: name.into_bytes().into(), value: Some(value.into()) });
        let record = ProducerRecord {
            topic: key.topic.clone(),
            partition: Some(key.partition),
            key: content.key.map(Into::into),
            value: Some(content.value.into()),
            headers: headers.collect(),
            timestamp_ms: None,
        };
        let queued = async { tokio::time::timeout(REQUEST_TIMEOUT, self.producer.queue(record)).await };
        match self.runtime.block_on(queued) {
            Ok(Ok(delivery)) => {
                self.runtime.spawn(settle(delivery, done, self.settled.clone()));
            }
            Ok(Err(error)) => done(refused(&error)),
            // it was not queued
            Err(_) => done(SendOutcome { kind: Kind::Fail, offset: None, error: Some("no room in time".to_owned()) }),
        }
    }

    fn serve(&mut self, wait: Duration) {
        let _ = self.outcomes.recv_timeout(wait);
        while self.outcomes.try_recv().is_ok() {}
    }

    fn flush(&mut self, limit: Duration) {
        let _ = self.runtime.block_on(async { tokio::time::timeout(limit, self.producer.flush()).await });
    }
}

struct OwnReader {
    client: Client,
    runtime: Arc<Runtime>,
    /// The one that waits next comes first.
    readers: VecDeque<tidemark_client::Reader>,
}

fn polled(record: &Record) -> Polled {
    let headers = record.headers.iter().map(|header| {
        (header.name_lossy().into_owned(), header.value.as_deref().map(<[u8]>::to_vec).unwrap_or_default())
    });
    let content = Content {
        key: record.key.as_deref().map(<[u8]>::to_vec),
        value: record.value.as_deref().map(<[u8]>::to_vec).unwrap_or_default(),
        headers: headers.collect(),
    };
    let (value, flaw) = content.judge();
    Polled { offset: record.offset, value, flaw }
}

/// The next records of one key, if there are any.
async fn fetch(reader: &mut tidemark_client::Reader, wait: Duration) -> Result<Option<PolledKey>, String> {
    let fetched = reader.fetch(wait).await.map_err(|error| error.to_string())?;
    if fetched.is_empty() {
        return Ok(None);
    }
    let key = Key { topic: fetched.topic.clone(), partition: fetched.partition };
    let high_watermark = Some(fetched.high_watermark);
    let records = fetched.into_records().map_err(|error| error.to_string())?.iter().map(polled).collect();
    Ok(Some(PolledKey { key, records, high_watermark }))
}

impl Reader for OwnReader {
    fn assign(&mut self, keys: &[(Key, Start)]) -> Result<(), String> {
        let opened = async {
            let mut readers = VecDeque::new();
            for (key, start) in keys {
                let start = match start {
                    Start::Earliest => tidemark_client::Start::Earliest,
                    Start::Offset(offset) => tidemark_client::Start::Offset(*offset),
                };
                let (client, config) = (self.client.clone(), ReaderConfig::default());
                let opened = tidemark_client::Reader::open(client, &key.topic, key.partition, start, config).await;
                readers.push_back(opened.map_err(|error| error.to_string())?);
            }
            Ok::<_, String>(readers)
        };
        self.readers = self.runtime.block_on(opened)?;
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<PolledKey>, String> {
        let end = Instant::now() + wait;
        let runtime = Arc::clone(&self.runtime);
        runtime.block_on(async {
            let mut out = Vec::new();
            for _ in 0..self.readers.len() {
                let Some(mut reader) = self.readers.pop_front() else { break };
                let fetched = fetch(&mut reader, Duration::ZERO).await;
                self.readers.push_back(reader);
                match fetched {
                    Ok(found) => out.extend(found),
                    Err(error) if out.is_empty() => return Err(error),
                    // the others are asked next time, before this one
                    Err(_) => break,
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if out.is_empty()
                && let Some(mut reader) = self.readers.pop_front()
            {
                let waited = fetch(&mut reader, left.min(Duration::from_millis(20))).await;
                self.readers.push_back(reader);
                out.extend(waited?);
            }
            Ok(out)
        })
    }

    fn latest(&mut self, key: &Key) -> Result<i64, String> {
        let listed = self.client.list_offset(&key.topic, key.partition, OffsetSpec::Latest);
        let listed = self.runtime.block_on(listed).map_err(|error| error.to_string())?;
        listed.offset.ok_or_else(|| "no offset".to_owned())
    }
}
