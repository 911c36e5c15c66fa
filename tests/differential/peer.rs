//! One of the two brokers, as stories see it: it is asked, and every answer is kept under its case's name.
//!
//! What a broker may choose freely (topic ids, producer ids, session ids, its address, the time) is replaced by what it
//! stands for; see [`Peer::meaning`].

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, SystemTime},
};

use harness::{Connection, encode_request};
use kafka_protocol::{
    messages::{
        BrokerId, FindCoordinatorRequest, ListOffsetsRequest, MetadataRequest, MetadataResponse, TopicName,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
        metadata_request::MetadataRequestTopic,
    },
    protocol::{Request, StrBytes},
};
use uuid::Uuid;

use crate::tree::{self, Leaves};

/// Numbers so near the present, in milliseconds, are a clock's.
const NOW_MS: i64 = 6 * 60 * 60 * 1000;
/// How long a broker may take for an answer.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A broker and what it has answered.
pub struct Peer {
    address: SocketAddr,
    connection: Connection,
    prefix: String,
    topic_names: BTreeMap<String, String>,
    producer_ids: BTreeMap<String, usize>,
    base_epoch: i32,
    /// Case → its answer's leaves.
    pub answers: BTreeMap<String, Leaves>,
}

/// A field that every answer has, for what happened instead of or besides a message.
const OUTCOME: &str = "outcome";

impl Peer {
    /// `prefix` goes before every topic's name and is taken off again in answers.
    pub fn new(address: SocketAddr, prefix: &str) -> Self {
        Self {
            address,
            connection: connect(address),
            prefix: prefix.to_owned(),
            topic_names: BTreeMap::new(),
            producer_ids: BTreeMap::new(),
            base_epoch: 0,
            answers: BTreeMap::new(),
        }
    }

    /// A topic's real name.
    pub fn topic(&self, name: &str) -> TopicName {
        TopicName(self.text(name))
    }

    /// A topic's real name where a protocol field is a plain string.
    pub fn text(&self, name: &str) -> StrBytes {
        StrBytes::from_string(format!("{}{name}", self.prefix))
    }

    /// The leader epoch that new partitions have here, plus `by`.
    pub fn epoch(&self, by: i32) -> i32 {
        self.base_epoch + by
    }

    /// How long to wait for answers from now on.
    pub fn be_patient(&mut self, limit: Duration) {
        self.connection.set_patience(limit);
    }

    /// Asks for the coordinator of a transaction until there is one: Kafka makes what it needs only then. A broker that
    /// does not know the API closes, and has none to wait for.
    pub fn await_coordinator(&mut self, transactional_id: &str) {
        let keys = vec![StrBytes::from_string(transactional_id.to_owned())];
        let request = FindCoordinatorRequest::default().with_key_type(1).with_coordinator_keys(keys);
        let request = encode_request(&request, 4, 9);
        harness::eventually("a coordinator", PATIENCE, || match self.connection.exchange(&request) {
            Ok(Some(bytes)) => {
                let decoded = harness::connection::decode_response::<FindCoordinatorRequest>(bytes, 4);
                let (response, _) = decoded.expect("an answer to FindCoordinator");
                response.coordinators.iter().all(|found| found.error_code == 0).then_some(())
            }
            Ok(None) => {
                self.connection = connect(self.address);
                Some(())
            }
            Err(error) => panic!("FindCoordinator: {} {error}", self.address),
        });
    }

    /// Asks, keeps the answer, and gives it; `None` where the broker closed the connection.
    pub fn ask<R: Request<Response: std::fmt::Debug>>(
        &mut self,
        case: &str,
        request: &R,
        version: i16,
    ) -> Option<R::Response> {
        self.ask_bytes::<R>(case, &encode_request(request, version, 7), version)
    }

    /// The same with a request of any bytes, header included, whose answer is that of `R`.
    pub fn ask_bytes<R: Request<Response: std::fmt::Debug>>(
        &mut self,
        case: &str,
        request: &[u8],
        version: i16,
    ) -> Option<R::Response> {
        let bytes = match self.connection.exchange(request) {
            Ok(Some(bytes)) => bytes,
            missing => {
                self.connection = connect(self.address);
                let outcome = if missing.is_ok() { "closed" } else { "neither an answer nor a close" };
                self.keep(case, Leaves::from([(OUTCOME.to_owned(), outcome.to_owned())]));
                return None;
            }
        };
        assert_eq!(bytes.get(..4), request.get(4..8), "{case}: correlation id");
        let decoded = harness::connection::decode_response::<R>(bytes.clone(), version);
        let (response, rest) = decoded.unwrap_or_else(|error| panic!("{case}: {} {error}: {bytes:?}", self.address));
        let tree = tree::parse(&format!("{response:?}"));
        tree.pairs("topic_id", "name", &mut |id, name| {
            if !id.starts_with("00000000-") && name != "None" {
                self.topic_names.insert(id.to_owned(), name.replace(&self.prefix, ""));
            }
        });
        let mut leaves = tree.leaves(|field, value| self.meaning(field, value));
        leaves.insert(OUTCOME.to_owned(), format!("answered, {} bytes behind", rest.len()));
        self.keep(case, leaves);
        Some(response)
    }

    /// Sends a request that must not be answered, and keeps whether the connection still serves afterwards.
    pub fn tell<R: Request>(&mut self, case: &str, request: &R, version: i16) {
        let sent = self.connection.send(&harness::frame(&encode_request(request, version, 7)));
        let probe = encode_request(&MetadataRequest::default().with_topics(Some(Vec::new())), 4, 8);
        let answer = sent.and_then(|()| self.connection.exchange(&probe));
        let outcome = match answer {
            Ok(Some(bytes)) => format!("next answer has correlation id {:02x?}", &bytes[..4]),
            Ok(None) => {
                self.connection = connect(self.address);
                "closed".to_owned()
            }
            Err(error) => panic!("{case}: {error}"),
        };
        self.keep(case, Leaves::from([(OUTCOME.to_owned(), outcome)]));
    }

    /// Sends raw bytes as they are, no length in front, and keeps whether the broker closed.
    pub fn send_raw(&mut self, case: &str, bytes: &[u8]) {
        let mut connection = connect(self.address);
        let answer = connection.send(bytes).map(|()| connection.read_frame());
        let outcome = match answer {
            Ok(Ok(Some(bytes))) => format!("answered {:02x?}", &bytes[..]),
            Ok(Ok(None)) | Err(_) => "closed".to_owned(),
            Ok(Err(error)) => format!("neither answer nor close: {error}"),
        };
        self.keep(case, Leaves::from([(OUTCOME.to_owned(), outcome)]));
    }

    /// Asks without keeping the answer: what prepares a case.
    pub fn prepare<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.connection.ask(request, version)
    }

    /// Metadata of one topic, when its `partitions` partitions have leaders. Creation reaches a broker a moment later.
    pub fn await_topic(&mut self, name: &str, partitions: usize) -> Uuid {
        let topic = MetadataRequestTopic::default().with_name(Some(self.topic(name)));
        let request = MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
        let (id, epoch) = harness::eventually("the topic has leaders", PATIENCE, || {
            let response: MetadataResponse = self.connection.ask(&request, 12);
            let topic = response.topics.first()?;
            let led = topic
                .partitions
                .iter()
                .filter(|partition| partition.leader_id.0 >= 0 && partition.error_code == 0)
                .count();
            (topic.error_code == 0 && led == partitions).then(|| (topic.topic_id, topic.partitions[0].leader_epoch))
        });
        // Kafka shows a leader before that broker knows that it is one
        let asked = (0..partitions)
            .map(|index| ListOffsetsPartition::default().with_partition_index(index as i32).with_timestamp(-2));
        let asked = ListOffsetsTopic::default().with_name(self.topic(name)).with_partitions(asked.collect());
        let asked = ListOffsetsRequest::default().with_replica_id(BrokerId(-1)).with_topics(vec![asked]);
        harness::eventually("the leader leads", PATIENCE, || {
            let response = self.connection.ask(&asked, 3);
            response.topics[0].partitions.iter().all(|partition| partition.error_code == 0).then_some(())
        });
        self.base_epoch = epoch;
        self.topic_names.insert(id.to_string(), name.to_owned());
        id
    }

    fn keep(&mut self, case: &str, leaves: Leaves) {
        let before = self.answers.insert(case.to_owned(), leaves);
        assert!(before.is_none(), "two cases are named {case}");
    }

    /// What a value stands for, where brokers may choose it.
    fn meaning(&mut self, field: &str, value: &str) -> String {
        let number = value.parse::<i64>().ok();
        match (field, number) {
            ("throttle_time_ms" | "host" | "port" | "cluster_id" | "log_dir", _) => format!("<{field}>"),
            _ if (field.ends_with("error_message") || field == "documentation") && value != "None" => {
                format!("<{field}>")
            }
            ("topic_id", _) if self.topic_names.contains_key(value) => format!("<id of {}>", self.topic_names[value]),
            // those that stories make up are the same everywhere
            ("producer_id", Some(0..990_000 | 991_000..)) => {
                let next = self.producer_ids.len();
                format!("<producer {}>", self.producer_ids.entry(value.to_owned()).or_insert(next))
            }
            ("session_id", Some(1..)) => "<session>".to_owned(),
            // the epoch is an offset of the metadata log, which grows by itself
            ("total_bytes" | "usable_bytes" | "finalized_features_epoch", Some(0..)) => format!("<{field}>"),
            (_, Some(epoch @ 0..)) if field.ends_with("leader_epoch") || field == "epoch" => {
                format!("<first epoch {:+}>", epoch - i64::from(self.base_epoch))
            }
            (_, Some(time)) if (time - now_ms()).abs() < NOW_MS => "<now>".to_owned(),
            _ => value.replace(&self.prefix, ""),
        }
    }
}

/// Wall time.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock past 1970");
    i64::try_from(since.as_millis()).expect("a clock before year 292 million")
}

fn connect(address: SocketAddr) -> Connection {
    let connection = Connection::open(address);
    connection.set_patience(PATIENCE);
    connection
}
