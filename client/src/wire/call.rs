//! The requests that this client sends, each with its name and the shape of its answer; encoding the one and decoding the
//! other. An answer is walked by its shape before kafka-protocol decodes it.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        AddRaftVoterRequest, AlterPartitionReassignmentsRequest, ApiVersionsRequest, CreatePartitionsRequest,
        CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest,
        DescribeLogDirsRequest, DescribeQuorumRequest, ElectLeadersRequest, FetchRequest,
        IncrementalAlterConfigsRequest, InitProducerIdRequest, ListOffsetsRequest, ListPartitionReassignmentsRequest,
        MetadataRequest, ProduceRequest, RemoveRaftVoterRequest, RequestHeader, UnregisterBrokerRequest,
    },
    protocol::{Decodable, Encodable, HeaderVersion, Message, Request, StrBytes},
};

use super::{
    answer::{cluster, fetch, offsets, produce, quorum, topics},
    frame::LENGTH_LEN,
    shape::{self, Shape, ShapeError},
};

/// A request that can be sent and whose answer can be judged.
pub trait Call: Request {
    /// Kafka's name.
    const NAME: &'static str;
    /// What its answer must look like.
    const ANSWER: &'static Shape;
    /// The newest version that is sent.
    const VERSION_MAX: i16 = if Self::VERSIONS.max < <Self::Response as Message>::VERSIONS.max {
        Self::VERSIONS.max
    } else {
        <Self::Response as Message>::VERSIONS.max
    };
}

macro_rules! calls {
    ($($request:ty, $name:literal, $answer:path;)*) => {
        $(impl Call for $request {
            const NAME: &'static str = $name;
            const ANSWER: &'static Shape = &$answer;
        })*
    };
}

calls! {
    ProduceRequest, "Produce", produce::PRODUCE;
    FetchRequest, "Fetch", fetch::FETCH;
    ListOffsetsRequest, "ListOffsets", offsets::LIST_OFFSETS;
    MetadataRequest, "Metadata", cluster::METADATA;
    ApiVersionsRequest, "ApiVersions", cluster::API_VERSIONS;
    CreateTopicsRequest, "CreateTopics", topics::CREATE_TOPICS;
    DeleteTopicsRequest, "DeleteTopics", topics::DELETE_TOPICS;
    DeleteRecordsRequest, "DeleteRecords", offsets::DELETE_RECORDS;
    InitProducerIdRequest, "InitProducerId", offsets::INIT_PRODUCER_ID;
    DescribeConfigsRequest, "DescribeConfigs", topics::DESCRIBE_CONFIGS;
    DescribeLogDirsRequest, "DescribeLogDirs", cluster::DESCRIBE_LOG_DIRS;
    CreatePartitionsRequest, "CreatePartitions", topics::CREATE_PARTITIONS;
    IncrementalAlterConfigsRequest, "IncrementalAlterConfigs", topics::INCREMENTAL_ALTER_CONFIGS;
    DescribeClusterRequest, "DescribeCluster", quorum::DESCRIBE_CLUSTER;
    DescribeQuorumRequest, "DescribeQuorum", quorum::DESCRIBE_QUORUM;
    ElectLeadersRequest, "ElectLeaders", quorum::ELECT_LEADERS;
    AlterPartitionReassignmentsRequest, "AlterPartitionReassignments", quorum::ALTER_PARTITION_REASSIGNMENTS;
    ListPartitionReassignmentsRequest, "ListPartitionReassignments", quorum::LIST_PARTITION_REASSIGNMENTS;
    UnregisterBrokerRequest, "UnregisterBroker", quorum::DONE_OR_NOT;
    AddRaftVoterRequest, "AddRaftVoter", quorum::DONE_OR_NOT;
    RemoveRaftVoterRequest, "RemoveRaftVoter", quorum::DONE_OR_NOT;
}

/// Why bytes are not an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The header's tagged fields are not well formed.
    #[error("the header's tagged fields reach past the end")]
    Header,
    /// They do not have the answer's shape.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// They have the shape, and yet the decoder refuses them.
    #[error("{0}")]
    Decode(String),
}

/// A whole frame: length, header, request. The correlation id is 0; a connection sets it with
/// [`set_correlation`](super::frame::set_correlation).
///
/// # Errors
/// A field that this version cannot carry, in the encoder's words.
pub fn encode_request<C: Call>(client_id: &str, version: i16, request: &C) -> Result<BytesMut, String> {
    let header = RequestHeader::default()
        .with_request_api_key(C::KEY)
        .with_request_api_version(version)
        .with_client_id(Some(StrBytes::from_string(client_id.to_owned())));
    let header_version = C::header_version(version);
    let fault = |error: &dyn std::fmt::Display| format!("{} version {version}: {error}", C::NAME);
    let header_len = header.compute_size(header_version).map_err(|error| fault(&error))?;
    let body_len = request.compute_size(version).map_err(|error| fault(&error))?;
    let len = i32::try_from(header_len + body_len).map_err(|error| fault(&error))?;
    let mut frame = BytesMut::with_capacity(LENGTH_LEN + header_len + body_len);
    frame.put_i32(len);
    header.encode(&mut frame, header_version).map_err(|error| fault(&error))?;
    request.encode(&mut frame, version).map_err(|error| fault(&error))?;
    Ok(frame)
}

/// The answer in the bytes behind the correlation id. Strings and records are slices of them.
///
/// # Errors
/// Bytes that are no such answer; nothing was reserved for counts that they do not hold.
pub fn decode_answer<C: Call>(version: i16, mut body: Bytes) -> Result<C::Response, AnswerError> {
    if <C::Response as HeaderVersion>::header_version(version) >= 1 {
        skip_header_tags(&mut body)?;
    }
    shape::check(C::ANSWER, version, &body)?;
    let decoded = C::Response::decode(&mut body, version).map_err(|error| AnswerError::Decode(error.to_string()))?;
    if body.has_remaining() {
        return Err(AnswerError::Decode(format!("{} bytes were not decoded", body.len())));
    }
    Ok(decoded)
}

/// The header's tagged section: a count, then tag, size and bytes of each. Kafka defines no tag; unknown ones are
/// passed over.
fn skip_header_tags(body: &mut Bytes) -> Result<(), AnswerError> {
    let mut rest: &[u8] = body;
    for _ in 0..varint(&mut rest)? {
        let _tag = varint(&mut rest)?;
        let size = varint(&mut rest)?;
        rest = rest.get(size as usize..).ok_or(AnswerError::Header)?;
    }
    let header_len = body.len() - rest.len();
    body.advance(header_len);
    Ok(())
}

fn varint(rest: &mut &[u8]) -> Result<u32, AnswerError> {
    tidemark_record::varint::read_u32(rest).ok_or(AnswerError::Header)
}

#[cfg(test)]
mod tests;
