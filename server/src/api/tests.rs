//! A broker for this room's and `net`'s tests: real partitions on a simulated disk, a metadata log that only remembers.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
};

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use kafka_protocol::{
    messages::{ApiKey, RequestHeader, ResponseHeader},
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};

use super::*;
use crate::{
    controller::{
        Changing, Committed, Controller, ControllerConfig, ImageHandle, ImageListener, MetadataLog, ProposeError,
        Quorum, QuorumReplica, SESSION_TIMEOUT_MS, SNAPSHOT_BYTES, VoterChange, VoterError,
    },
    metadata::{Image, MetadataRecord, topic_config::BrokerDefaults},
    metrics::Registry,
    os::{clock::Clock, disk::sim::SimDisk, random::Random},
    partition::{Partitions, PartitionsConfig},
    raft::{ReplicaKind, Storage, StorageConfig},
};

/// A metadata log that only remembers. Offsets are places in it.
#[derive(Debug, Default, Clone)]
struct Memory(Arc<Mutex<Vec<MetadataRecord>>>);

impl MetadataLog for Memory {
    fn propose(&self, records: &[MetadataRecord]) -> BoxFuture<'_, Result<Committed, ProposeError>> {
        let mut log = self.0.lock().unwrap();
        let base_offset = log.len() as i64;
        log.extend_from_slice(records);
        let next_offset = log.len() as i64;
        Box::pin(async move { Ok(Committed { base_offset, next_offset }) })
    }

    fn end_offset(&self) -> i64 {
        self.0.lock().unwrap().len() as i64
    }

    fn change_voters(&self, change: VoterChange) -> Changing<'_> {
        Box::pin(std::future::ready(match change {
            VoterChange::Add { broker_id: 1 | 2, .. } => Err(VoterError::Votes),
            VoterChange::Remove { broker_id: 3 } => Err(VoterError::HasNoVote),
            VoterChange::Remove { broker_id: 1 } => Err(VoterError::OnlyVoter),
            VoterChange::Add { broker_id: 4, .. } => Err(VoterError::NotInTime("it has not caught up".into())),
            _ => Ok(()),
        }))
    }

    fn quorum(&self) -> Quorum {
        let end = self.end_offset();
        let voter =
            |broker_id| QuorumReplica { broker_id, log_end_offset: end, last_fetch_ms: 5, last_caught_up_ms: 4 };
        Quorum {
            leader_id: 1,
            leader_epoch: 3,
            high_watermark: end,
            voters: vec![voter(1), voter(2)],
            observers: vec![voter(3)],
        }
    }
}

struct Follow(Arc<Partitions>);

impl ImageListener for Follow {
    fn image_changed(&self, old: &Image, new: &Image) {
        self.0.apply(old, new);
    }
}

/// Broker 1 of cluster `test-cluster`, alone, registered at registered.test:1.
pub(crate) async fn broker(config: ApiConfig) -> Broker {
    let broker = broker_over(1, Memory::default(), config, |controller| controller);
    broker.controller.register_broker("test-cluster", "registered.test", 1, Some("r1")).await.unwrap();
    broker
}

/// A broker over a metadata log, with its controller made as it shall be.
fn broker_over(node_id: i32, log: Memory, config: ApiConfig, made: impl FnOnce(Controller) -> Controller) -> Broker {
    let (disk, random, clock) = (Arc::new(SimDisk::new()), Random::seeded(7), Clock::manual(1_000_000));
    let config_of_storage = StorageConfig::new(PathBuf::from("/data"), node_id);
    // a second start, so that there is an epoch before the leader's own
    Storage::open(disk.clone(), &config_of_storage, &random).unwrap().close().unwrap();
    let storage = Storage::open(disk, &config_of_storage, &random).unwrap();
    let broker_defaults = BrokerDefaults::default();
    let partitions = PartitionsConfig {
        node_id,
        retention_check_interval_ms: 300_000,
        producer_id_expiration_ms: 86_400_000,
        metadata_segment_bytes: 1 << 20,
        replica_lag_ms_max: 30_000,
        broker_defaults: broker_defaults.clone(),
    };
    let partitions = Arc::new(Partitions::new(partitions, storage, clock.clone(), ReplicaKind::Solo).unwrap());
    partitions.start(&Image::default()).unwrap();
    let config_of_controller = ControllerConfig {
        node_id,
        default_partitions: 2,
        default_replication_factor: 1,
        partitions_max: 1000,
        broker_defaults,
        session_timeout_ms: SESSION_TIMEOUT_MS,
        balance_interval_ms: None,
        snapshot_bytes: SNAPSHOT_BYTES,
    };
    let image = ImageHandle::new(Image::default(), 0);
    let listener = Box::new(Follow(partitions.clone()));
    let controller = Controller::new(config_of_controller, image, random.clone(), Box::new(log), listener);
    let controller = Arc::new(made(controller));
    Broker { node_id, partitions, controller, forward: None, fetch_sessions: FetchSessions::new(random), clock, config }
}

/// A dispatcher, and a connection that came in by listener.test:9.
pub(crate) struct Client {
    dispatcher: Dispatcher,
    connection: Arc<ConnectionInfo>,
}

pub(crate) fn connection_info() -> ConnectionInfo {
    ConnectionInfo { advertised_host: "listener.test".into(), advertised_port: 9, peer: [127, 0, 0, 1].into() }
}

impl Client {
    pub(crate) async fn new(config: ApiConfig) -> Self {
        Self::of(Arc::new(broker(config).await))
    }

    pub(crate) fn of(broker: Arc<Broker>) -> Self {
        Self { dispatcher: Dispatcher::new(broker, &Registry::new()), connection: Arc::new(connection_info()) }
    }

    /// Sends a request through the dispatcher; gives the decoded answer.
    pub(crate) async fn ask<R: Request>(&self, version: i16, request: R) -> R::Response {
        let answer = self.answer(frame(version, 77, &request)).await.unwrap();
        let mut answer = answer.slice(4..);
        let header = ResponseHeader::decode(&mut answer, R::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, 77);
        let response = R::Response::decode(&mut answer, version).unwrap();
        assert!(answer.is_empty(), "{} bytes after the answer", answer.len());
        response
    }

    /// What the connection would be told to do.
    pub(crate) fn dispatch(&self, frame: Bytes) -> Handling {
        self.dispatcher.dispatch(&self.connection, frame).unwrap().handling
    }

    /// The bytes of the answer, or why there is none.
    pub(crate) async fn answer(&self, frame: Bytes) -> Result<Bytes, String> {
        let dispatched = self.dispatcher.dispatch(&self.connection, frame).map_err(|refusal| refusal.to_string())?;
        let reply = match dispatched.handling {
            Handling::Ready(reply) => reply,
            Handling::Pipelined(waiting) | Handling::Exclusive(waiting) => waiting.await?,
            Handling::Silent => return Err("silent".into()),
            Handling::Close(why) => return Err(why),
        };
        let mut out = BytesMut::from(&dispatched.header.frame(reply.len()).unwrap()[..]);
        for part in reply.parts {
            match part {
                Part::Bytes(bytes) => out.extend_from_slice(&bytes),
                Part::File { file, position, len } => {
                    let mut bytes = vec![0; len];
                    file.read_exact_at(&mut bytes, position).unwrap();
                    out.extend_from_slice(&bytes);
                }
            }
        }
        Ok(out.freeze())
    }
}

/// A frame without its length.
pub(crate) fn frame<R: Request>(version: i16, correlation_id: i32, request: &R) -> Bytes {
    let mut out = BytesMut::new();
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(correlation_id)
        .with_client_id(Some(StrBytes::from_static_str("tests")));
    let key = ApiKey::try_from(R::KEY).unwrap();
    header.encode(&mut out, key.request_header_version(version)).unwrap();
    request.encode(&mut out, version).unwrap();
    out.freeze()
}

mod admin;
mod cluster;
mod fetch;
mod hostile;
mod offsets;
mod produce;
