//! DescribeLogDirs (Kafka `DescribeLogDirsRequest`; KIP-113, KIP-827 volume sizes): the data directory and what each
//! partition takes of it; how far followers are behind, in a field that is not Kafka's. Not here: measuring.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use kafka_protocol::{
    messages::{
        DescribeLogDirsRequest, DescribeLogDirsResponse, TopicName,
        describe_log_dirs_request::DescribableLogDirTopic,
        describe_log_dirs_response::{DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic},
    },
    protocol::StrBytes,
};
use tidemark_client::wire::{
    follower_lag::{self, FollowerLag, encode},
    shape::{Kind, Shape, field},
};
use uuid::Uuid;

use super::{context::RequestContext, reply::Handling, topic::text};

/// The request, version 1 and later; null topics are all.
pub(super) static REQUEST: Shape = Shape {
    flexible_since: 2,
    fields: &[field(
        "topics",
        Kind::Array(&[field("topic", Kind::String), field("partitions", Kind::List(&Kind::Int32))]),
    )
    .nullable_since(0)],
};

/// Kafka's lag of a replica that is not there.
const INVALID_OFFSET_LAG: i64 = -1;

/// Answers at once.
pub(super) fn handle(context: &RequestContext, request: DescribeLogDirsRequest) -> Handling {
    let image = context.broker.controller.image();
    let asked = request.topics.map(|topics| asked(&topics));
    let log_dir = context.broker.partitions.log_dir();
    let mut topics: BTreeMap<&str, Vec<DescribeLogDirsPartition>> = BTreeMap::new();
    for size in &log_dir.partitions {
        let Some(topic) = image.topic_by_id(size.topic_id) else { continue };
        let wanted = |asked: &BTreeMap<StrBytes, BTreeSet<i32>>| {
            asked.get(topic.name.as_bytes()).is_some_and(|partitions| partitions.contains(&size.partition))
        };
        if asked.as_ref().is_none_or(wanted) {
            let mut partition = DescribeLogDirsPartition::default()
                .with_partition_index(size.partition)
                .with_offset_lag(if size.is_down { INVALID_OFFSET_LAG } else { 0 })
                .with_partition_size(i64::try_from(size.size_bytes).unwrap_or(i64::MAX));
            if context.version >= REQUEST.flexible_since {
                partition.unknown_tagged_fields = followers(context, (size.topic_id, size.partition));
            }
            topics.entry(&topic.name).or_default().push(partition);
        }
    }
    let topics = topics.into_iter().map(|(name, mut partitions)| {
        partitions.sort_by_key(|partition| partition.partition_index);
        DescribeLogDirsTopic::default().with_name(TopicName(text(name))).with_partitions(partitions)
    });
    let result = DescribeLogDirsResult::default()
        .with_log_dir(text(&log_dir.path.to_string_lossy()))
        .with_topics(topics.collect())
        .with_total_bytes(log_dir.total_bytes)
        .with_usable_bytes(log_dir.usable_bytes);
    Handling::ready(&DescribeLogDirsResponse::default().with_results(vec![result]), context.version)
}

/// How far the followers are behind, of a partition whose group is led here.
fn followers(context: &RequestContext, (topic_id, index): (Uuid, i32)) -> BTreeMap<i32, Bytes> {
    let Some(partition) = context.broker.partitions.get(topic_id, index) else { return BTreeMap::new() };
    let (followers, end) = (partition.followers(), partition.log_end_offset());
    let lags: Vec<_> = followers
        .iter()
        .map(|follower| FollowerLag {
            broker: follower.broker_id,
            records: follower.log_end_offset.map(|has| (end - has).max(0)),
            caught_up_ms: follower.caught_up_ms.and_then(|ms| i64::try_from(ms).ok()),
        })
        .collect();
    if lags.is_empty() { BTreeMap::new() } else { BTreeMap::from([(follower_lag::TAG, encode(&lags).into())]) }
}

fn asked(topics: &[DescribableLogDirTopic]) -> BTreeMap<StrBytes, BTreeSet<i32>> {
    let mut asked: BTreeMap<StrBytes, BTreeSet<i32>> = BTreeMap::new();
    for topic in topics {
        asked.entry(topic.topic.0.clone()).or_default().extend(&topic.partitions);
    }
    asked
}
