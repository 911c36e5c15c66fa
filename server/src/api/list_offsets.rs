//! ListOffsets (Kafka `ListOffsetsRequest`; KIP-79 by time, KIP-734 -3, KIP-405 -4, KIP-1005 -5): offsets by meaning or
//! by record time. Not here: the lookup in segments, which reads files in the caller's time.

use std::collections::BTreeSet;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        ListOffsetsRequest, ListOffsetsResponse,
        list_offsets_request::ListOffsetsPartition,
        list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse},
    },
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{context::RequestContext, error_code::ErrorCode, partition_lookup::partition_of, reply::Handling};
use crate::{
    metadata::Image,
    partition::{FoundOffset, OffsetSpec},
};

/// The request, version 1 and later.
pub(super) static REQUEST: Shape = Shape {
    flexible_since: 6,
    fields: &[
        field("replica_id", Kind::Int32),
        field("isolation_level", Kind::Int8).since(2),
        field(
            "topics",
            Kind::Array(&[
                field("name", Kind::String),
                field(
                    "partitions",
                    Kind::Array(&[
                        field("partition_index", Kind::Int32),
                        field("current_leader_epoch", Kind::Int32).since(4),
                        field("timestamp", Kind::Int64),
                    ]),
                ),
            ]),
        ),
        field("timeout_ms", Kind::Int32).since(10),
    ],
};

/// First version whose answer names a leader epoch.
const LEADER_EPOCH_SINCE: i16 = 4;
/// First version whose clients know OFFSET_NOT_AVAILABLE (KIP-207).
const NOT_AVAILABLE_SINCE: i16 = 5;
/// Isolation level read_committed; 0 is the other one there is.
const READ_COMMITTED: i8 = 1;

/// Answers at once.
pub(super) fn handle(context: &RequestContext, request: ListOffsetsRequest) -> Handling {
    let image = context.broker.controller.image();
    let mut seen = BTreeSet::new();
    let mut twice = BTreeSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let key = (topic.name.clone(), partition.partition_index);
            if !seen.insert(key.clone()) {
                twice.insert(key);
            }
        }
    }
    let read_committed = request.isolation_level == READ_COMMITTED;
    let topics = request.topics.into_iter().map(|topic| {
        // a partition that stands twice is refused once
        let mut told = BTreeSet::new();
        let once = topic.partitions.iter().filter(|asked| told.insert(asked.partition_index));
        let partitions = once.map(|asked| {
            let repeated = twice.contains(&(topic.name.clone(), asked.partition_index));
            let found = if repeated {
                Err(ResponseError::InvalidRequest)
            } else if !(0..=READ_COMMITTED).contains(&request.isolation_level) {
                Err(ResponseError::UnknownServerError)
            } else {
                lookup(context, &image, &topic.name, asked, read_committed)
            };
            answer(asked.partition_index, found, context.version)
        });
        let partitions = partitions.collect();
        ListOffsetsTopicResponse::default().with_name(topic.name).with_partitions(partitions)
    });
    Handling::ready(&ListOffsetsResponse::default().with_topics(topics.collect()), context.version)
}

fn lookup(
    context: &RequestContext,
    image: &Image,
    topic: &str,
    asked: &ListOffsetsPartition,
    read_committed: bool,
) -> Result<FoundOffset, ResponseError> {
    let spec = spec(asked.timestamp, context.version).ok_or(ResponseError::UnsupportedVersion)?;
    let partition = partition_of(&context.broker, image.topic(topic), asked.partition_index)?;
    let found = partition.offset_for(spec, read_committed, asked.current_leader_epoch);
    found.map_err(|error| match error.response_error() {
        ResponseError::OffsetNotAvailable if context.version < NOT_AVAILABLE_SINCE => ResponseError::LeaderNotAvailable,
        error => error,
    })
}

/// What a timestamp means in a version; `None` if it means nothing yet.
fn spec(timestamp: i64, version: i16) -> Option<OffsetSpec> {
    let spec = OffsetSpec::from_timestamp(timestamp)?;
    let since = match spec {
        OffsetSpec::Earliest | OffsetSpec::Latest | OffsetSpec::Timestamp(_) => 1,
        OffsetSpec::MaxTimestamp => 7,
        OffsetSpec::EarliestLocal => 8,
        OffsetSpec::LastTiered => 9,
    };
    (version >= since).then_some(spec)
}

fn answer(index: i32, found: Result<FoundOffset, ResponseError>, version: i16) -> ListOffsetsPartitionResponse {
    let code = found.as_ref().map_or_else(ResponseError::code, |_| 0);
    let found = found.unwrap_or(FoundOffset::NONE);
    let leader_epoch = if version >= LEADER_EPOCH_SINCE { found.leader_epoch } else { -1 };
    ListOffsetsPartitionResponse::default()
        .with_partition_index(index)
        .with_error_code(code)
        .with_timestamp(found.timestamp)
        .with_offset(found.offset)
        .with_leader_epoch(leader_epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_timestamps_come_with_their_versions() {
        for (timestamp, since) in [(-1, 1), (-2, 1), (0, 1), (i64::MAX, 1), (-3, 7), (-4, 8), (-5, 9), (-6, 99)] {
            for version in 1..=10 {
                assert_eq!(spec(timestamp, version).is_some(), version >= since, "{timestamp} in {version}");
            }
        }
        assert_eq!(spec(i64::MIN, 10), None);
    }
}
