//! librdkafka as a process of a history, enable.idempotence on, through the crate rdkafka.
//!
//! It promises less than a history demands in two places, so it is kept from both. A record that it gives up makes it begin
//! a new producer epoch, and what it had in flight to other partitions may be written twice: its delivery timeout must be
//! longer than any outage. The same happens where the second of two requests in flight fails for the first one's sake: it
//! has one in flight (github.com/confluentinc/librdkafka/issues/4953).

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
    util::Timeout,
};

use super::{
    client::{Done, Factory, Key, PolledKey, Reader, SendOutcome, Session, Start, Writer},
    content::Content,
};
use crate::checker::{Kind, Polled, refusal};

/// How long a question is waited for.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Records of one poll.
const POLL_RECORDS_MAX: usize = 2_000;

/// Makes processes of librdkafka.
#[derive(Debug)]
pub struct Librdkafka {
    bootstrap: String,
    delivery_timeout: Duration,
    name: String,
}

impl Librdkafka {
    /// `bootstrap` is `host:port` of some brokers; the delivery timeout is above any outage.
    pub fn new(bootstrap: &[String], delivery_timeout: Duration) -> Self {
        let (_, version) = rdkafka::util::get_rdkafka_version();
        Self { bootstrap: bootstrap.join(","), delivery_timeout, name: format!("librdkafka {version}") }
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        config.set("reconnect.backoff.max.ms", "500").set("socket.timeout.ms", "5000");
        // many metadata requests while no broker is there are no news
        config.set("log_level", "0");
        config
    }
}

impl Factory for Librdkafka {
    fn name(&self) -> &str {
        &self.name
    }

    fn connect(&self) -> Result<Session, String> {
        let mut config = self.config();
        config.set("enable.idempotence", "true").set("acks", "all").set("linger.ms", "1");
        config.set("max.in.flight.requests.per.connection", "1");
        config.set("delivery.timeout.ms", self.delivery_timeout.as_millis().to_string());
        let producer: BaseProducer<Outcomes> =
            config.create_with_context(Outcomes).map_err(|error| error.to_string())?;
        let producer = Arc::new(producer);
        let mut config = self.config();
        config.set("group.id", "rig").set("enable.auto.commit", "false").set("check.crcs", "true");
        config.set("auto.offset.reset", "error").set("fetch.wait.max.ms", "50");
        let consumer: BaseConsumer = config.create().map_err(|error| error.to_string())?;
        let reader = RdReader { consumer, producer: Arc::clone(&producer) };
        Ok(Session { writer: Box::new(RdWriter { producer }), reader: Box::new(reader) })
    }
}

/// Hands outcomes to those who wait for them.
struct Outcomes;

impl rdkafka::ClientContext for Outcomes {
    fn error(&self, _: KafkaError, _: &str) {}
}

impl ProducerContext for Outcomes {
    type DeliveryOpaque = Box<Done>;

    fn delivery(&self, result: &DeliveryResult<'_>, done: Box<Done>) {
        done(match result {
            // -1 for a repeat whose original offset it was not told
            Ok(message) => {
                let offset = Some(message.offset()).filter(|offset| *offset >= 0);
                SendOutcome { kind: Kind::Ok, offset, error: None }
            }
            Err((error, _)) => refused(error),
        });
    }
}

fn refused(error: &KafkaError) -> SendOutcome {
    let kind = match error.rdkafka_error_code() {
        // it does not say whether an earlier attempt went unanswered: only what no broker takes at any attempt is certain
        Some(code @ (RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::TopicAuthorizationFailed)) => {
            i16::try_from(code as i32).map_or(Kind::Info, |code| refusal(code, false))
        }
        _ => Kind::Info,
    };
    SendOutcome { kind, offset: None, error: Some(error.to_string()) }
}

struct RdWriter {
    producer: Arc<BaseProducer<Outcomes>>,
}

impl Writer for RdWriter {
    fn send(&mut self, key: &Key, content: Content, done: Done) {
        let mut headers = OwnedHeaders::new();
        for (name, value) in &content.headers {
            headers = headers.insert(Header { key: name, value: Some(value) });
        }
        let mut record = BaseRecord::with_opaque_to(&key.topic, Box::new(done))
            .partition(key.partition)
            .payload(content.value.as_slice())
            .headers(headers);
        if let Some(key) = &content.key {
            record = record.key(key.as_slice());
        }
        if let Err((error, record)) = self.producer.send(record) {
            // refused by the client itself
            let error = Some(error.to_string());
            (record.delivery_opaque)(SendOutcome { kind: Kind::Fail, offset: None, error });
        }
    }

    fn serve(&mut self, wait: Duration) {
        self.producer.poll(Timeout::After(wait));
    }

    fn flush(&mut self, limit: Duration) {
        let _ = self.producer.flush(Timeout::After(limit));
    }
}

struct RdReader {
    consumer: BaseConsumer,
    /// Asks as the producing half's client.
    producer: Arc<BaseProducer<Outcomes>>,
}

fn polled(message: &BorrowedMessage<'_>) -> Polled {
    let headers = message.headers().map(|headers| {
        let header =
            |header: Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec).unwrap_or_default());
        headers.iter().map(header).collect::<Vec<_>>()
    });
    let content = Content {
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec).unwrap_or_default(),
        headers: headers.unwrap_or_default(),
    };
    let (value, flaw) = content.judge();
    Polled { offset: message.offset(), value, flaw }
}

/// Whether an event only says that nobody answers at the moment.
fn is_news_of_absence(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure, OperationTimedOut, Resolve};
    error
        .rdkafka_error_code()
        .is_some_and(|code| matches!(code, AllBrokersDown | BrokerTransportFailure | OperationTimedOut | Resolve))
}

impl Reader for RdReader {
    fn assign(&mut self, keys: &[(Key, Start)]) -> Result<(), String> {
        let mut assignment = TopicPartitionList::new();
        for (key, start) in keys {
            let start = match start {
                Start::Earliest => Offset::Beginning,
                Start::Offset(offset) => Offset::Offset(*offset),
            };
            let added = assignment.add_partition_offset(&key.topic, key.partition, start);
            added.map_err(|error| error.to_string())?;
        }
        self.consumer.assign(&assignment).map_err(|error| error.to_string())
    }

    fn poll(&mut self, wait: Duration) -> Result<Vec<PolledKey>, String> {
        let mut out: Vec<PolledKey> = Vec::new();
        let mut places: HashMap<Key, usize> = HashMap::new();
        let end = Instant::now() + wait;
        for _ in 0..POLL_RECORDS_MAX {
            // the first record is waited for, those that came with it are not
            let left = if out.is_empty() { end.saturating_duration_since(Instant::now()) } else { Duration::ZERO };
            let Some(message) = self.consumer.poll(Timeout::After(left)) else { break };
            let message = match message {
                Ok(message) => message,
                Err(error) if is_news_of_absence(&error) => continue,
                Err(error) if out.is_empty() => return Err(error.to_string()),
                Err(_) => break,
            };
            let key = Key { topic: message.topic().to_owned(), partition: message.partition() };
            let place = *places.entry(key).or_insert_with_key(|key| {
                out.push(PolledKey { key: key.clone(), records: Vec::new(), high_watermark: None });
                out.len() - 1
            });
            out[place].records.push(polled(&message));
        }
        Ok(out)
    }

    fn latest(&mut self, key: &Key) -> Result<i64, String> {
        let client = self.producer.client();
        let marks = client.fetch_watermarks(&key.topic, key.partition, Timeout::After(REQUEST_TIMEOUT));
        marks.map(|(_, high)| high).map_err(|error| error.to_string())
    }
}
