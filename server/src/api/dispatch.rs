//! The table of served APIs, and the way from a frame to a handler: header by hand, shape, decoder, handler.
//!
//! One row per API says its versions, shape, handler and what a caller must be allowed; ApiVersions answers from it.
//! Not here: sockets, and what handlers do.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        AddRaftVoterRequest, AlterConfigsRequest, AlterPartitionReassignmentsRequest, ApiKey, ApiVersionsRequest,
        CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
        DescribeClusterRequest, DescribeConfigsRequest, DescribeLogDirsRequest, DescribeProducersRequest,
        DescribeQuorumRequest, DescribeTopicPartitionsRequest, ElectLeadersRequest, FetchRequest,
        IncrementalAlterConfigsRequest, InitProducerIdRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest,
        MetadataRequest, OffsetForLeaderEpochRequest, ProduceRequest, RemoveRaftVoterRequest, UnregisterBrokerRequest,
    },
    protocol::{Decodable, Message, StrBytes},
};
use tidemark_client::wire::shape::{self, Shape};

use super::{
    access::{
        Access,
        Operation::{
            Alter, AlterConfigs as OpAlterConfigs, Create, Delete, Describe, DescribeConfigs as OpDescribeConfigs,
            IdempotentWrite, Read, Write,
        },
        Resource::{Cluster, Topic, TransactionalId},
    },
    add_raft_voter, alter_configs, alter_partition_reassignments, api_versions,
    context::{Broker, ConnectionInfo, RequestContext},
    create_partitions, create_topics, delete_records, delete_topics, describe_cluster, describe_configs,
    describe_log_dirs, describe_producers, describe_quorum, describe_topic_partitions, elect_leaders, fetch,
    forwarded::{ToController, WAIT_DEFAULT_MS},
    header::{FixedHeader, take_client_id},
    incremental_alter_configs, init_producer_id, list_offsets, list_partition_reassignments, metadata,
    offset_for_leader_epoch, produce,
    refusal::Refusal,
    remove_raft_voter,
    reply::{Handling, ReplyHeader},
    unregister_broker,
};
use crate::metrics::{Counter, Histogram, Registry};

/// Reads from a body how many milliseconds its answer may take.
type TimeoutOf = fn(Bytes, i16) -> Result<i32, String>;

/// One served API.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) name: &'static str,
    pub(super) key: ApiKey,
    /// First version that ApiVersions names.
    pub(super) advertised_since: i16,
    /// First and last version that is handled.
    pub(super) versions: (i16, i16),
    pub(super) shape: &'static Shape,
    /// What a caller must be allowed.
    #[allow(dead_code, reason = "for the authorizer, which comes with the security issue")]
    pub(super) access: &'static [Access],
    /// The controller answers it, within this time.
    pub(super) forwarded: Option<TimeoutOf>,
    /// Decodes a body whose shape was judged, and handles it.
    handle: fn(&RequestContext, Bytes) -> Result<Handling, String>,
    /// Only decodes such a body.
    decode: fn(Bytes, i16) -> Result<(), String>,
    /// Decodes, encodes and decodes again.
    #[cfg(test)]
    pub(super) round_trip: fn(Bytes, i16) -> Result<(), String>,
}

/// A row: Kafka's name, the file that handles it, its request, and the permissions. With a timeout at the end: the controller
/// answers it.
macro_rules! api {
    ($name:ident, $file:ident, $request:ty, $access:expr) => {
        Api {
            name: stringify!($name),
            key: ApiKey::$name,
            advertised_since: <$request as Message>::VERSIONS.min,
            versions: (<$request as Message>::VERSIONS.min, <$request as Message>::VERSIONS.max),
            shape: &$file::REQUEST,
            access: $access,
            forwarded: None,
            handle: |context, body| Ok($file::handle(context, decoded::<$request>(body, context.version)?)),
            decode: |body, version| decoded::<$request>(body, version).map(drop),
            #[cfg(test)]
            round_trip: tests::round_trip::<$request>,
        }
    };
    ($name:ident, $file:ident, $request:ty, $access:expr, within $timeout_ms:expr) => {
        Api {
            forwarded: Some(|body, version| {
                let timeout_ms: fn(&$request) -> i32 = $timeout_ms;
                decoded(body, version).map(|request| timeout_ms(&request))
            }),
            ..api!($name, $file, $request, $access)
        }
    };
}

/// Every served API, by key.
pub(super) static APIS: &[Api] = &[
    Api {
        // old librdkafka looks for version 0 here and gives up without it (KAFKA-18659)
        advertised_since: 0,
        ..api!(Produce, produce, ProduceRequest, &[Access(Write, Topic), Access(Write, TransactionalId)])
    },
    api!(Fetch, fetch, FetchRequest, &[Access(Read, Topic)]),
    api!(ListOffsets, list_offsets, ListOffsetsRequest, &[Access(Describe, Topic)]),
    api!(Metadata, metadata, MetadataRequest, &[Access(Describe, Topic)]),
    api!(ApiVersions, api_versions, ApiVersionsRequest, &[]),
    api!(
        CreateTopics,
        create_topics,
        CreateTopicsRequest,
        &[Access(Create, Cluster), Access(Create, Topic)],
        within | request | request.timeout_ms
    ),
    api!(
        DeleteTopics,
        delete_topics,
        DeleteTopicsRequest,
        &[Access(Delete, Topic)],
        within | request | request.timeout_ms
    ),
    api!(DeleteRecords, delete_records, DeleteRecordsRequest, &[Access(Delete, Topic)]),
    api!(
        InitProducerId,
        init_producer_id,
        InitProducerIdRequest,
        &[Access(Write, TransactionalId), Access(IdempotentWrite, Cluster)]
    ),
    api!(OffsetForLeaderEpoch, offset_for_leader_epoch, OffsetForLeaderEpochRequest, &[Access(Describe, Topic)]),
    api!(
        DescribeConfigs,
        describe_configs,
        DescribeConfigsRequest,
        &[Access(OpDescribeConfigs, Topic), Access(OpDescribeConfigs, Cluster)]
    ),
    api!(
        AlterConfigs,
        alter_configs,
        AlterConfigsRequest,
        &[Access(OpAlterConfigs, Topic), Access(OpAlterConfigs, Cluster)],
        within | _ | WAIT_DEFAULT_MS
    ),
    api!(DescribeLogDirs, describe_log_dirs, DescribeLogDirsRequest, &[Access(Describe, Cluster)]),
    api!(
        CreatePartitions,
        create_partitions,
        CreatePartitionsRequest,
        &[Access(Alter, Topic)],
        within | request | request.timeout_ms
    ),
    api!(
        ElectLeaders,
        elect_leaders,
        ElectLeadersRequest,
        &[Access(Alter, Cluster)],
        within | request | request.timeout_ms
    ),
    api!(
        IncrementalAlterConfigs,
        incremental_alter_configs,
        IncrementalAlterConfigsRequest,
        &[Access(OpAlterConfigs, Topic), Access(OpAlterConfigs, Cluster)],
        within | _ | WAIT_DEFAULT_MS
    ),
    api!(
        AlterPartitionReassignments,
        alter_partition_reassignments,
        AlterPartitionReassignmentsRequest,
        &[Access(Alter, Cluster)],
        within | request | request.timeout_ms
    ),
    api!(
        ListPartitionReassignments,
        list_partition_reassignments,
        ListPartitionReassignmentsRequest,
        &[Access(Describe, Cluster)],
        within | request | request.timeout_ms
    ),
    api!(
        DescribeQuorum,
        describe_quorum,
        DescribeQuorumRequest,
        &[Access(Describe, Cluster)],
        within | _ | WAIT_DEFAULT_MS
    ),
    api!(DescribeCluster, describe_cluster, DescribeClusterRequest, &[Access(Describe, Cluster)]),
    api!(DescribeProducers, describe_producers, DescribeProducersRequest, &[Access(Read, Topic)]),
    api!(
        UnregisterBroker,
        unregister_broker,
        UnregisterBrokerRequest,
        &[Access(Alter, Cluster)],
        within | _ | WAIT_DEFAULT_MS
    ),
    api!(
        DescribeTopicPartitions,
        describe_topic_partitions,
        DescribeTopicPartitionsRequest,
        &[Access(Describe, Topic)]
    ),
    api!(
        AddRaftVoter,
        add_raft_voter,
        AddRaftVoterRequest,
        &[Access(Alter, Cluster)],
        within | request | request.timeout_ms
    ),
    api!(
        RemoveRaftVoter,
        remove_raft_voter,
        RemoveRaftVoterRequest,
        &[Access(Alter, Cluster)],
        within | _ | WAIT_DEFAULT_MS
    ),
];

impl Api {
    pub(super) fn find(key: i16) -> Option<(usize, &'static Self)> {
        APIS.iter().enumerate().find(|(_, api)| api.key as i16 == key)
    }

    fn serves(&self, version: i16) -> bool {
        (self.versions.0..=self.versions.1).contains(&version)
    }

    fn is_flexible(&self, version: i16) -> bool {
        version >= self.shape.flexible_since
    }

    /// Decodes a body whose shape was judged, and handles it here.
    pub(super) fn handle(&self, context: &RequestContext, body: Bytes) -> Result<Handling, String> {
        (self.handle)(context, body)
    }
}

/// A frame whose header was read and whose body has the shape that it should have.
pub(super) struct Judged {
    row: usize,
    pub(super) api: &'static Api,
    pub(super) version: i16,
    pub(super) client_id: Option<StrBytes>,
    pub(super) body: Bytes,
}

impl Judged {
    /// Judges a frame without its length.
    pub(super) fn of(mut frame: Bytes) -> Result<Self, Refusal> {
        let FixedHeader { api_key, api_version: version, .. } = FixedHeader::take(&mut frame)?;
        let (row, api) = Api::find(api_key).ok_or(Refusal::ApiKey(api_key))?;
        if !api.serves(version) {
            return Err(Refusal::Version { api: api.name, version });
        }
        let client_id = take_client_id(&mut frame, api.is_flexible(version))?;
        let malformed = |error| Refusal::Malformed { api: api.name, version, error };
        shape::check(api.shape, version, &frame).map_err(malformed)?;
        Ok(Self { row, api, version, client_id, body: frame })
    }
}

fn decoded<R: Decodable>(mut body: Bytes, version: i16) -> Result<R, String> {
    let request = R::decode(&mut body, version).map_err(|error| error.to_string())?;
    if body.is_empty() { Ok(request) } else { Err(format!("{} bytes are left over", body.len())) }
}

/// Takes any bytes as a frame, up to where a handler would get it: for the fuzz runner. Must never panic.
pub fn fuzz_request(bytes: &[u8]) {
    let mut frame = Bytes::copy_from_slice(bytes);
    let Ok(header) = FixedHeader::take(&mut frame) else { return };
    let Some((_, api)) = Api::find(header.api_key).filter(|(_, api)| api.serves(header.api_version)) else { return };
    let version = header.api_version;
    if take_client_id(&mut frame, api.is_flexible(version)).is_ok() && shape::check(api.shape, version, &frame).is_ok()
    {
        // the decoder may still refuse, a text that is not UTF-8 for one
        let _ = (api.decode)(frame, version);
    }
}

/// A frame on its way to an answer.
pub struct Dispatched {
    /// What comes before the answer's body.
    pub header: ReplyHeader,
    /// What to do.
    pub handling: Handling,
    /// For [`Dispatcher::answered`].
    pub api: usize,
}

/// Takes frames to handlers. Shared by all connections.
#[derive(Debug)]
pub struct Dispatcher {
    broker: Arc<Broker>,
    metrics: Vec<ApiMetrics>,
}

#[derive(Debug)]
struct ApiMetrics {
    requests: Counter,
    latency: Histogram,
}

impl Dispatcher {
    /// For this broker; its metrics are named in `registry`.
    pub fn new(broker: Arc<Broker>, registry: &Registry) -> Self {
        let metrics = APIS.iter().map(|api| {
            let labels = [("api", api.name)];
            ApiMetrics {
                requests: registry.counter("tidemark_requests_total", "requests by API", &labels),
                latency: registry.histogram(
                    "tidemark_request_seconds",
                    "from a request's last byte to its answer's last byte",
                    &labels,
                ),
            }
        });
        Self { metrics: metrics.collect(), broker }
    }

    /// Judges a frame and starts to handle it.
    ///
    /// # Errors
    /// The frame gets no answer and the connection must close.
    pub fn dispatch(&self, connection: &Arc<ConnectionInfo>, frame: Bytes) -> Result<Dispatched, Refusal> {
        let FixedHeader { api_key, api_version, correlation_id } = FixedHeader::take(&mut frame.clone())?;
        if api_key == ApiKey::ApiVersions as i16
            && let Some((row, _)) = Api::find(api_key).filter(|(_, api)| !api.serves(api_version))
        {
            let header = ReplyHeader { correlation_id, tagged: false };
            return Ok(Dispatched { header, handling: api_versions::unsupported(), api: row });
        }
        let Judged { row, api, version, client_id, body } = Judged::of(frame.clone())?;
        let context = RequestContext {
            broker: self.broker.clone(),
            connection: connection.clone(),
            version,
            client_id,
            asked_at: self.broker.node_id,
        };
        let undecodable = |error| Refusal::Undecodable { api: api.name, version, error };
        let handling = match api.forwarded.zip(self.broker.forward.clone()) {
            None => api.handle(&context, body).map_err(undecodable)?,
            Some((timeout_ms, forward)) => {
                let timeout_ms = timeout_ms(body.clone(), version).map_err(undecodable)?;
                ToController { api, context, forward, frame, body, timeout_ms }.handling()
            }
        };
        if let Some(metrics) = self.metrics.get(row) {
            metrics.requests.increment();
        }
        // old clients read ApiVersions' answer before they know what the broker speaks, so its header never has tags
        let tagged = api.is_flexible(version) && api.key != ApiKey::ApiVersions;
        Ok(Dispatched { header: ReplyHeader { correlation_id, tagged }, handling, api: row })
    }

    /// Takes note of an answer that left.
    pub fn answered(&self, api: usize, after: Duration) {
        if let Some(metrics) = self.metrics.get(api) {
            metrics.latency.observe(after);
        }
    }
}

#[cfg(test)]
mod tests;
