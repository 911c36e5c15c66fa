//! A cluster of two brokers in memory for tests: one topic of one partition, the rules of idempotent producers, and
//! faults on demand. It speaks through in-memory streams.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsRequest, ApiVersionsResponse, BrokerId, FetchRequest, FetchResponse, InitProducerIdRequest,
        InitProducerIdResponse, ListOffsetsRequest, ListOffsetsResponse, MetadataRequest, MetadataResponse,
        ProduceRequest, ProduceResponse, ProducerId, RequestHeader, TopicName,
        api_versions_response::ApiVersion,
        fetch_response::{FetchableTopicResponse, PartitionData},
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
        metadata_response::{MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic},
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    },
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};
use tidemark_record::{BatchHeader, batch};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{ClientConfig, Connector, RetryConfig, tasks};

pub(crate) const TOPIC: &str = "readings";

/// What happens to one produce request instead of a plain answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is answered as always.
    None,
    /// The connection ends before anything is written.
    CutBefore,
    /// The connection ends after the records were written.
    CutAfter,
    /// This code is answered, and nothing is written.
    Refuse(i16),
    /// The other broker becomes the leader first.
    MoveLeader,
    /// No answer ever comes.
    Swallow,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) leader: i32,
    /// A broker that lets whoever connects wait.
    pub(crate) hanging: Option<i32>,
    /// Batches with their offsets.
    pub(crate) log: Vec<Bytes>,
    pub(crate) next_offset: i64,
    pub(crate) log_start: i64,
    pub(crate) faults: VecDeque<Fault>,
    pub(crate) batch_bytes_max: usize,
    /// By producer id.
    producers: HashMap<i64, Written>,
    next_producer_id: i64,
    /// Newest version of ApiVersions that is known.
    pub(crate) api_versions_max: i16,
    /// What to send in place of the next fetch answer's body.
    pub(crate) hostile_body: Option<Bytes>,
    pub(crate) produce_requests: usize,
    pub(crate) unknown_topics: bool,
    /// Nil: this cluster knows no ids.
    pub(crate) topic_id: uuid::Uuid,
}

/// Epoch, next sequence, and the sequences and offsets of the last batches.
type Written = (i16, i32, VecDeque<(i32, i64)>);

#[derive(Debug, Clone)]
pub(crate) struct FakeCluster(Arc<Mutex<State>>);

impl FakeCluster {
    pub(crate) fn new() -> Self {
        let state = State { leader: 1, batch_bytes_max: usize::MAX, api_versions_max: 4, ..State::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn config(&self) -> ClientConfig {
        let cluster = self.clone();
        let connector = Connector::new(move |address: String| {
            let cluster = cluster.clone();
            async move {
                let id = address.strip_prefix("broker-").and_then(|rest| rest.split(':').next()?.parse().ok());
                let id: i32 = id.ok_or(io::ErrorKind::NotFound)?;
                if cluster.state().hanging == Some(id) {
                    std::future::pending::<()>().await;
                }
                let (ours, theirs) = tokio::io::duplex(64 * 1024);
                tasks::spawn(serve(cluster, id, theirs));
                Ok(ours)
            }
        });
        let pause = std::time::Duration::from_millis(1);
        let retry = RetryConfig { pause_min: pause, pause_max: pause, ..RetryConfig::default() };
        ClientConfig { connector, retry, unknown_topic_wait: pause * 5, ..ClientConfig::new(["broker-1:1"]) }
    }

    /// Values of all records in the log, in order.
    pub(crate) fn values(&self) -> Vec<String> {
        let log = self.state().log.clone();
        let mut values = Vec::new();
        for bytes in log {
            let header = batch::verify(&bytes).unwrap();
            let payload = tidemark_record::builder::inflated(&header, &bytes, 1 << 26).unwrap();
            for record in tidemark_record::Records::new(&payload, header.records_count) {
                values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
            }
        }
        values
    }
}

async fn serve(cluster: FakeCluster, id: i32, mut stream: DuplexStream) {
    while let Ok(len) = stream.read_u32().await {
        let mut frame = vec![0; len as usize];
        if stream.read_exact(&mut frame).await.is_err() {
            return;
        }
        let reaction = cluster.state().answer(id, frame.into());
        match reaction {
            Reaction::Answer(answer) if stream.write_all(&answer).await.is_ok() => {}
            Reaction::Silence => {}
            Reaction::Answer(_) | Reaction::Cut => return,
        }
    }
}

enum Reaction {
    Answer(Bytes),
    Silence,
    Cut,
}

impl State {
    fn answer(&mut self, id: i32, mut frame: Bytes) -> Reaction {
        let key = ApiKey::try_from(i16::from_be_bytes([frame[0], frame[1]])).unwrap();
        let version = i16::from_be_bytes([frame[2], frame[3]]);
        let header = RequestHeader::decode(&mut frame, key.request_header_version(version)).unwrap();
        let correlation_id = header.correlation_id;
        match key {
            ApiKey::ApiVersions if version > self.api_versions_max => {
                let answer = self.versions().with_error_code(35);
                encoded::<ApiVersionsRequest>(correlation_id, 0, &answer)
            }
            ApiKey::ApiVersions => encoded::<ApiVersionsRequest>(correlation_id, version, &self.versions()),
            ApiKey::Metadata => {
                let request = MetadataRequest::decode(&mut frame, version).unwrap();
                encoded::<MetadataRequest>(correlation_id, version, &self.metadata(&request))
            }
            ApiKey::InitProducerId => {
                self.next_producer_id += 1;
                let id = ProducerId(self.next_producer_id);
                let answer = InitProducerIdResponse::default().with_producer_id(id).with_producer_epoch(0);
                encoded::<InitProducerIdRequest>(correlation_id, version, &answer)
            }
            ApiKey::Produce => {
                let request = ProduceRequest::decode(&mut frame, version).unwrap();
                self.produce(id, correlation_id, version, &request)
            }
            ApiKey::ListOffsets => {
                let request = ListOffsetsRequest::decode(&mut frame, version).unwrap();
                encoded::<ListOffsetsRequest>(correlation_id, version, &self.list_offsets(&request))
            }
            ApiKey::Fetch => {
                if let Some(body) = self.hostile_body.take() {
                    return framed(correlation_id, &body);
                }
                let request = FetchRequest::decode(&mut frame, version).unwrap();
                encoded::<FetchRequest>(correlation_id, version, &self.fetch(id, &request))
            }
            other => panic!("{other:?} is not served"),
        }
    }

    fn versions(&self) -> ApiVersionsResponse {
        let ranges = [(0, 3, 12), (1, 4, 12), (2, 1, 9), (3, 0, 12), (18, 0, self.api_versions_max), (22, 0, 5)];
        let keys = ranges
            .map(|(key, min, max)| ApiVersion::default().with_api_key(key).with_min_version(min).with_max_version(max));
        ApiVersionsResponse::default().with_api_keys(keys.to_vec())
    }

    fn metadata(&self, request: &MetadataRequest) -> MetadataResponse {
        let brokers = [1, 2].map(|id| {
            let host = StrBytes::from_string(format!("broker-{id}"));
            MetadataResponseBroker::default().with_node_id(BrokerId(id)).with_host(host).with_port(id)
        });
        let topics = request.topics.iter().flatten().map(|topic| {
            let answer = MetadataResponseTopic::default().with_name(topic.name.clone());
            if self.unknown_topics || topic.name.as_ref().is_none_or(|name| &*name.0 != TOPIC) {
                return answer.with_error_code(3);
            }
            let partition = MetadataResponsePartition::default().with_leader_id(BrokerId(self.leader));
            answer.with_topic_id(self.topic_id).with_partitions(vec![partition])
        });
        MetadataResponse::default()
            .with_brokers(brokers.to_vec())
            .with_controller_id(BrokerId(1))
            .with_topics(topics.collect())
    }

    fn produce(&mut self, id: i32, correlation_id: i32, version: i16, request: &ProduceRequest) -> Reaction {
        self.produce_requests += 1;
        let fault = self.faults.pop_front().unwrap_or(Fault::None);
        if fault == Fault::MoveLeader {
            self.leader = 3 - self.leader;
        }
        if fault == Fault::CutBefore {
            return Reaction::Cut;
        }
        let records = request.topic_data[0].partition_data[0].records.clone().unwrap();
        let (error_code, base_offset) = match fault {
            Fault::Refuse(code) => (code, -1),
            _ if id != self.leader => (6, -1),
            _ => self.append(&records),
        };
        match fault {
            Fault::CutAfter => return Reaction::Cut,
            Fault::Swallow => return Reaction::Silence,
            _ => {}
        }
        let partition = PartitionProduceResponse::default().with_error_code(error_code).with_base_offset(base_offset);
        let topic = TopicProduceResponse::default()
            .with_name(request.topic_data[0].name.clone())
            .with_partition_responses(vec![partition]);
        let answer = ProduceResponse::default().with_responses(vec![topic]);
        if request.acks == 0 { Reaction::Silence } else { encoded::<ProduceRequest>(correlation_id, version, &answer) }
    }

    /// As a broker does: the last five batches of a producer are known again, and a gap is refused.
    fn append(&mut self, records: &Bytes) -> (i16, i64) {
        let header = batch::verify(records).unwrap();
        if records.len() > self.batch_bytes_max {
            return (10, -1);
        }
        let base_offset = self.next_offset;
        if header.has_producer_id() {
            let fresh = || (header.producer_epoch, header.base_sequence, VecDeque::new());
            let (epoch, next, last) = self.producers.entry(header.producer_id).or_insert_with(fresh);
            if header.producer_epoch < *epoch {
                return (47, -1);
            }
            if header.producer_epoch > *epoch {
                (*epoch, *next) = (header.producer_epoch, 0);
                last.clear();
            }
            if let Some((_, offset)) = last.iter().find(|(sequence, _)| *sequence == header.base_sequence) {
                return (0, *offset);
            }
            if header.base_sequence != *next {
                return (45, -1);
            }
            *next = batch::increment_sequence(header.base_sequence, header.records_count);
            last.push_back((header.base_sequence, base_offset));
            if last.len() > 5 {
                last.pop_front();
            }
        }
        let prefix = batch::patched_prefix(records, base_offset, 0);
        self.log.push([&prefix, &records[batch::PATCHED_LEN..]].concat().into());
        self.next_offset += i64::from(header.records_count);
        (0, base_offset)
    }

    fn list_offsets(&self, request: &ListOffsetsRequest) -> ListOffsetsResponse {
        let offset = match request.topics[0].partitions[0].timestamp {
            -2 => self.log_start,
            -1 => self.next_offset,
            _ => -1,
        };
        let partition = ListOffsetsPartitionResponse::default().with_offset(offset);
        let topic = ListOffsetsTopicResponse::default()
            .with_name(request.topics[0].name.clone())
            .with_partitions(vec![partition]);
        ListOffsetsResponse::default().with_topics(vec![topic])
    }

    fn fetch(&self, id: i32, request: &FetchRequest) -> FetchResponse {
        let offset = request.topics[0].partitions[0].fetch_offset;
        let later = self.log.iter().filter(|bytes| BatchHeader::parse(bytes).unwrap().next_offset() > offset);
        let records: Vec<u8> = later.flat_map(|bytes| bytes.to_vec()).collect();
        let error_code = match offset {
            _ if id != self.leader => 6,
            offset if offset < self.log_start || offset > self.next_offset => 1,
            _ => 0,
        };
        let partition = PartitionData::default()
            .with_error_code(error_code)
            .with_high_watermark(self.next_offset)
            .with_last_stable_offset(self.next_offset)
            .with_log_start_offset(self.log_start)
            .with_records(Some(if error_code == 0 { records.into() } else { Bytes::new() }));
        let topic = FetchableTopicResponse::default()
            .with_topic(TopicName(StrBytes::from_static_str(TOPIC)))
            .with_partitions(vec![partition]);
        FetchResponse::default().with_responses(vec![topic])
    }
}

fn encoded<R: Request>(correlation_id: i32, version: i16, answer: &R::Response) -> Reaction {
    let mut body = BytesMut::new();
    if R::Response::header_version(version) >= 1 {
        body.put_u8(0);
    }
    answer.encode(&mut body, version).unwrap();
    framed(correlation_id, &body)
}

fn framed(correlation_id: i32, body: &[u8]) -> Reaction {
    let mut frame = BytesMut::new();
    frame.put_u32(4 + body.len() as u32);
    frame.put_i32(correlation_id);
    frame.put_slice(body);
    debug_assert!(frame.has_remaining());
    Reaction::Answer(frame.freeze())
}
