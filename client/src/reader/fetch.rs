//! One fetch of one partition from its leader, again while that can help. Not here: the place that moves.

use std::time::Duration;

use kafka_protocol::{
    messages::{
        FetchRequest, FetchResponse, TopicName,
        fetch_request::{FetchPartition, FetchTopic},
        fetch_response::PartitionData,
    },
    protocol::StrBytes,
};

use super::{FetchLimits, Fetched, Isolation, fetched::Aborted};
use crate::{
    ClientError, KafkaError, ReadError,
    admin::{OffsetSpec, list_offset},
    cluster::{Cluster, Creation, TopicMetadata},
    error::Subject,
    retry::Backoff,
};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
struct Question<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    limits: &'a FetchLimits,
}

/// One fetch; see [`Client::fetch_once`](crate::Client::fetch_once).
pub(crate) async fn fetch_once(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    offset: i64,
    limits: &FetchLimits,
) -> Result<Fetched, ReadError> {
    let question = Question { topic, partition, offset, limits };
    let mut backoff = Backoff::new(cluster.retry());
    loop {
        match question.ask(cluster).await {
            Err(ReadError::Client(error)) if error.retryable() => {
                // whatever it was, the leader may have moved meanwhile
                cluster.distrust(topic);
                backoff.pause(error).await?;
            }
            done => return done,
        }
    }
}

impl Question<'_> {
    async fn ask(&self, cluster: &Cluster) -> Result<Fetched, ReadError> {
        let (leader, metadata) = cluster.leader(self.topic, self.partition, Creation::Never).await?;
        let connection = cluster.lend(leader).await?;
        let answer_in = cluster.config.request_timeout.saturating_add(self.limits.wait_max);
        let answer = connection.call_within(answer_in, |_| self.request(&metadata)).await?;
        cluster.give_back(connection);
        let data = self.own(answer)?;
        match KafkaError::from_code(data.error_code) {
            None => self.read(data),
            Some(error) if error.code == KafkaError::OFFSET_OUT_OF_RANGE => Err(self.out_of_range(cluster).await?),
            Some(error) => Err(ClientError::kafka(self.subject(), error).into()),
        }
    }

    fn request(&self, metadata: &TopicMetadata) -> FetchRequest {
        let partition = FetchPartition::default()
            .with_partition(self.partition)
            .with_fetch_offset(self.offset)
            .with_partition_max_bytes(self.limits.bytes_max);
        let topic = FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_string(self.topic.to_owned())))
            .with_topic_id(metadata.id.unwrap_or_default())
            .with_partitions(vec![partition]);
        FetchRequest::default()
            .with_max_wait_ms(millis(self.limits.wait_max))
            .with_min_bytes(self.limits.bytes_min)
            .with_max_bytes(self.limits.bytes_max)
            .with_isolation_level(i8::from(self.limits.isolation == Isolation::ReadCommitted))
            .with_topics(vec![topic])
    }

    /// The one partition that was asked for.
    fn own(&self, answer: FetchResponse) -> Result<PartitionData, ClientError> {
        if let Some(error) = KafkaError::from_code(answer.error_code) {
            return Err(ClientError::kafka(self.subject(), error));
        }
        let partitions = answer.responses.into_iter().flat_map(|topic| topic.partitions);
        let mut own = partitions.filter(|data| data.partition_index == self.partition);
        own.next().ok_or_else(|| {
            let error = KafkaError::new(KafkaError::UNKNOWN_TOPIC_OR_PARTITION);
            ClientError::kafka(self.subject(), error.with_message(Some("the answer leaves the partition out")))
        })
    }

    fn read(&self, data: PartitionData) -> Result<Fetched, ReadError> {
        let mut fetched = Fetched {
            topic: self.topic.to_owned(),
            partition: self.partition,
            offset: self.offset,
            next_offset: self.offset,
            high_watermark: data.high_watermark,
            last_stable_offset: data.last_stable_offset,
            log_start_offset: data.log_start_offset,
            batches: Vec::new(),
            inflated_bytes_max: 0,
        };
        let aborted = |aborted: Vec<kafka_protocol::messages::fetch_response::AbortedTransaction>| {
            let aborted = aborted.into_iter();
            aborted.map(|txn| Aborted { producer_id: txn.producer_id.0, first_offset: txn.first_offset }).collect()
        };
        let aborted = match self.limits.isolation {
            Isolation::ReadUncommitted => None,
            Isolation::ReadCommitted => Some(data.aborted_transactions.map(aborted).unwrap_or_default()),
        };
        fetched.take_batches(data.records.unwrap_or_default(), aborted, self.limits)?;
        Ok(fetched)
    }

    async fn out_of_range(&self, cluster: &Cluster) -> Result<ReadError, ClientError> {
        let bound = async |spec| {
            let listed = list_offset(cluster, self.topic, self.partition, spec, self.limits.isolation).await?;
            Ok::<_, ClientError>(listed.offset.unwrap_or(-1))
        };
        let (earliest, latest) = (bound(OffsetSpec::Earliest).await?, bound(OffsetSpec::Latest).await?);
        let (topic, partition, offset) = (self.topic.to_owned(), self.partition, self.offset);
        Ok(ReadError::OffsetOutOfRange { topic, partition, offset, earliest, latest })
    }

    fn subject(&self) -> Subject {
        Subject::Partition(self.topic.to_owned(), self.partition)
    }
}

/// Whole milliseconds, at most what the wire can carry.
fn millis(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis()).unwrap_or(i32::MAX)
}
