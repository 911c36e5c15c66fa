//! DescribeTopicPartitions: Metadata for topics with many partitions, page by page (KIP-966).

use std::collections::BTreeSet;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName,
        describe_topic_partitions_request::TopicRequest,
        describe_topic_partitions_response::{
            Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
        },
    },
};
use tidemark_client::wire::shape::{Kind, Shape, field};

use super::{
    access::Resource,
    context::RequestContext,
    reply::Handling,
    topic::{describe, is_internal, text},
};
use crate::metadata::{Image, Topic, check_topic_name};

pub(super) static REQUEST: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("topics", Kind::Array(&[field("name", Kind::String)])),
        field("response_partition_limit", Kind::Int32),
        field("cursor", Kind::Struct(&[field("topic_name", Kind::String), field("partition_index", Kind::Int32)]))
            .nullable_since(0),
    ],
};

pub(super) fn handle(context: &RequestContext, request: DescribeTopicPartitionsRequest) -> Handling {
    let named: BTreeSet<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
    let (first_topic, first_partition) = match &request.cursor {
        Some(cursor) => (cursor.topic_name.as_str(), cursor.partition_index),
        None => ("", 0),
    };
    let known_cursor = request.cursor.is_none() || named.is_empty() || named.contains(first_topic);
    let Some(first_partition) = usize::try_from(first_partition).ok().filter(|_| known_cursor) else {
        return Handling::ready(&refused(&request), context.version);
    };
    let image = context.broker.controller.image();
    let names: Vec<&str> = if named.is_empty() {
        image.topics_from(first_topic).map(|topic| topic.name.as_str()).collect()
    } else {
        named.range(first_topic..).copied().collect()
    };
    let limit = request.response_partition_limit.min(context.broker.config.described_partitions_max).max(1);
    let mut page = Page { context, image: &image, room: limit as usize, next: None, topics: Vec::new() };
    for name in names {
        let first = if name == first_topic { first_partition } else { 0 };
        if !page.add(name, first) {
            break;
        }
    }
    let answer = DescribeTopicPartitionsResponse::default().with_topics(page.topics).with_next_cursor(page.next);
    Handling::ready(&answer, context.version)
}

/// The answer to a cursor that no page ended with.
fn refused(request: &DescribeTopicPartitionsRequest) -> DescribeTopicPartitionsResponse {
    let topic = |topic: &TopicRequest| {
        DescribeTopicPartitionsResponseTopic::default()
            .with_error_code(ResponseError::InvalidRequest.code())
            .with_name(Some(topic.name.clone()))
    };
    DescribeTopicPartitionsResponse::default().with_topics(request.topics.iter().map(topic).collect())
}

/// An answer that fills up.
struct Page<'a> {
    context: &'a RequestContext,
    image: &'a Image,
    /// Partitions that still fit.
    room: usize,
    /// Where the next page begins.
    next: Option<Cursor>,
    topics: Vec<DescribeTopicPartitionsResponseTopic>,
}

impl Page<'_> {
    /// Adds a topic from a partition on; false once the page is full.
    fn add(&mut self, name: &str, first: usize) -> bool {
        let cursor = |partition: usize| {
            Some(Cursor::default().with_topic_name(TopicName(text(name))).with_partition_index(partition as i32))
        };
        if self.room == 0 {
            self.next = cursor(first);
            return false;
        }
        let Some(topic) = self.image.topic(name) else {
            self.topics.push(unknown(name));
            return true;
        };
        let partitions: Vec<_> =
            (first..topic.partitions.len()).take(self.room).map(|index| self.partition(topic, index)).collect();
        let after = first + partitions.len();
        self.room -= partitions.len();
        self.topics.push(
            DescribeTopicPartitionsResponseTopic::default()
                .with_name(Some(TopicName(text(name))))
                .with_topic_id(topic.id)
                .with_is_internal(is_internal(name))
                .with_partitions(partitions)
                .with_topic_authorized_operations(Resource::Topic.all_operations()),
        );
        if after < topic.partitions.len() {
            self.next = cursor(after);
            return false;
        }
        true
    }

    fn partition(&self, topic: &Topic, index: usize) -> DescribeTopicPartitionsResponsePartition {
        let described = describe(&self.context.broker, self.image, (topic.id, index as i32), &topic.partitions[index]);
        DescribeTopicPartitionsResponsePartition::default()
            .with_error_code(described.error_code())
            .with_partition_index(index as i32)
            .with_leader_id(described.leader.unwrap_or(BrokerId(-1)))
            .with_leader_epoch(described.leader_epoch)
            .with_isr_nodes(described.isr)
            .with_replica_nodes(described.replicas)
            .with_offline_replicas(described.offline)
            .with_eligible_leader_replicas(Some(Vec::new()))
            .with_last_known_elr(Some(Vec::new()))
    }
}

fn unknown(name: &str) -> DescribeTopicPartitionsResponseTopic {
    let error = match check_topic_name(name) {
        Ok(()) => ResponseError::UnknownTopicOrPartition,
        Err(_) => ResponseError::InvalidTopicException,
    };
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(TopicName(text(name))))
        .with_is_internal(is_internal(name))
        .with_topic_authorized_operations(Resource::Topic.all_operations())
}
