//! Offsets of partitions: look up by kind or time, and delete the records below one.

use std::collections::BTreeMap;

use kafka_protocol::messages::{
    BrokerId, DeleteRecordsRequest, DeleteRecordsResponse, ListOffsetsRequest, ListOffsetsResponse,
    delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
    delete_records_response::DeleteRecordsPartitionResult,
    list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    list_offsets_response::ListOffsetsPartitionResponse,
};

use super::{
    Admin,
    admin::{left_out, outcome, topic_name},
};
use crate::{
    ClientError, KafkaError,
    cluster::{Cluster, Creation},
    error::Subject,
    reader::Isolation,
    retry::Backoff,
    wire::Call,
};

/// Which offset is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The first there is.
    Earliest,
    /// The one that the next record will get.
    Latest,
    /// That of the record with the largest timestamp.
    MaxTimestamp,
    /// That of the first record at or after this time, in milliseconds since 1970.
    Timestamp(i64),
}

/// An offset that a partition answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedOffset {
    /// None where no record fits the question.
    pub offset: Option<i64>,
    /// The record's timestamp, where the question was about one.
    pub timestamp_ms: Option<i64>,
    /// The leader's epoch; None if the broker does not say.
    pub leader_epoch: Option<i32>,
}

/// One result per partition asked for, in the order asked.
pub type PartitionOutcomes<T> = Vec<(String, i32, Result<T, ClientError>)>;

impl OffsetSpec {
    /// As the wire has it: a time, or one of Kafka's special numbers.
    fn code(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(timestamp_ms) => timestamp_ms,
        }
    }
}

impl Admin {
    /// Offsets of many partitions, each from its leader.
    pub async fn list_offsets(&self, partitions: &[(&str, i32, OffsetSpec)]) -> PartitionOutcomes<ListedOffset> {
        list_offsets(self.cluster(), partitions, Isolation::ReadUncommitted).await
    }

    /// Deletes the records below an offset of each partition, -1: all there are. Answers the new log start offsets.
    pub async fn delete_records(&self, partitions: &[(&str, i32, i64)]) -> PartitionOutcomes<i64> {
        let topic = |name: &str, asked: &[(i32, i64)]| {
            let partition = |&(partition, offset): &(i32, i64)| {
                DeleteRecordsPartition::default().with_partition_index(partition).with_offset(offset)
            };
            let partitions = asked.iter().map(partition).collect();
            DeleteRecordsTopic::default().with_name(topic_name(name)).with_partitions(partitions)
        };
        let build = |asked: &Asked<'_, i64>| {
            let topics = asked.iter().map(|(name, asked)| topic(name, asked)).collect();
            DeleteRecordsRequest::default().with_topics(topics).with_timeout_ms(self.timeout_ms())
        };
        let read = |answer: DeleteRecordsResponse| {
            let results = answer.topics.into_iter().flat_map(|topic| {
                let result = |partition: DeleteRecordsPartitionResult| {
                    (partition.partition_index, outcome(partition.error_code, None, partition.low_watermark))
                };
                let name = topic.name.to_string();
                topic.partitions.into_iter().map(move |partition| (name.clone(), result(partition)))
            });
            results.collect()
        };
        from_leaders(self.cluster(), partitions, build, read).await
    }
}

/// One offset of one partition.
pub(crate) async fn list_offset(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    spec: OffsetSpec,
    isolation: Isolation,
) -> Result<ListedOffset, ClientError> {
    let mut listed = list_offsets(cluster, &[(topic, partition, spec)], isolation).await;
    let missing = || Err(ClientError::kafka(Subject::Partition(topic.to_owned(), partition), left_out()));
    listed.pop().map_or_else(missing, |(_, _, listed)| listed)
}

async fn list_offsets(
    cluster: &Cluster,
    partitions: &[(&str, i32, OffsetSpec)],
    isolation: Isolation,
) -> PartitionOutcomes<ListedOffset> {
    let topic = |name: &str, asked: &[(i32, OffsetSpec)]| {
        let partition = |&(partition, spec): &(i32, OffsetSpec)| {
            ListOffsetsPartition::default().with_partition_index(partition).with_timestamp(spec.code())
        };
        let partitions = asked.iter().map(partition).collect();
        ListOffsetsTopic::default().with_name(topic_name(name)).with_partitions(partitions)
    };
    let build = |asked: &Asked<'_, OffsetSpec>| {
        ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(isolation == Isolation::ReadCommitted))
            .with_topics(asked.iter().map(|(name, asked)| topic(name, asked)).collect())
    };
    let read = |answer: ListOffsetsResponse| {
        let results = answer.topics.into_iter().flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.into_iter().map(move |partition| (name.clone(), listed(&partition)))
        });
        results.collect()
    };
    from_leaders(cluster, partitions, build, read).await
}

fn listed(partition: &ListOffsetsPartitionResponse) -> (i32, Result<ListedOffset, KafkaError>) {
    let listed = ListedOffset {
        offset: Some(partition.offset).filter(|offset| *offset >= 0),
        timestamp_ms: Some(partition.timestamp).filter(|timestamp| *timestamp >= 0),
        leader_epoch: Some(partition.leader_epoch).filter(|epoch| *epoch >= 0),
    };
    (partition.partition_index, outcome(partition.error_code, None, listed))
}

/// What one leader is asked: topics, and of each the partitions with their questions.
type Asked<'a, Q> = BTreeMap<&'a str, Vec<(i32, Q)>>;
type Answers<T> = Vec<(String, (i32, Result<T, KafkaError>))>;

/// Asks each partition's leader, one request a leader, and asks again for those where that can help.
async fn from_leaders<'a, Q: Copy, T, C: Call>(
    cluster: &Cluster,
    questions: &[(&'a str, i32, Q)],
    build: impl Fn(&Asked<'a, Q>) -> C,
    read: impl Fn(C::Response) -> Answers<T>,
) -> PartitionOutcomes<T> {
    let mut results = Results::new();
    let mut backoff = Backoff::new(cluster.retry());
    let mut open: Vec<_> = questions.to_vec();
    while !open.is_empty() {
        for (leader, asked) in by_leader(cluster, &open, &mut results).await {
            let answers = async { cluster.broker(leader).await?.call(|_| build(&asked)).await };
            let answers = answers.await.map(&read);
            settle(&asked, answers, &mut results);
        }
        open.retain(|&(topic, partition, _)| {
            let result = results.get(&(topic.to_owned(), partition));
            matches!(result, Some(Err(error)) if error.retryable())
        });
        open.iter().for_each(|(topic, ..)| cluster.distrust(topic));
        if !open.is_empty() && backoff.pause(()).await.is_err() {
            break;
        }
    }
    let mut take = |topic: &str, partition: i32| {
        let missing = || Err(ClientError::kafka(Subject::Partition(topic.to_owned(), partition), left_out()));
        results.remove(&(topic.to_owned(), partition)).unwrap_or_else(missing)
    };
    questions.iter().map(|&(topic, partition, _)| (topic.to_owned(), partition, take(topic, partition))).collect()
}

type Results<T> = BTreeMap<(String, i32), Result<T, ClientError>>;

/// Sorts questions by their leaders; where none can be found, that is the result.
async fn by_leader<'a, Q: Copy, T>(
    cluster: &Cluster,
    questions: &[(&'a str, i32, Q)],
    results: &mut Results<T>,
) -> BTreeMap<i32, Asked<'a, Q>> {
    let mut leaders: BTreeMap<i32, Asked<'a, Q>> = BTreeMap::new();
    for &(topic, partition, question) in questions {
        match cluster.leader(topic, partition, Creation::Never).await {
            Ok((leader, _)) => {
                leaders.entry(leader).or_default().entry(topic).or_default().push((partition, question));
            }
            Err(error) => drop(results.insert((topic.to_owned(), partition), Err(error))),
        }
    }
    leaders
}

/// Notes what a leader answered, for each partition it was asked about.
fn settle<Q, T>(asked: &Asked<'_, Q>, answers: Result<Answers<T>, ClientError>, results: &mut Results<T>) {
    let failure = answers.as_ref().err().cloned();
    for (&topic, asked) in asked {
        for &(partition, _) in asked {
            let subject = Subject::Partition(topic.to_owned(), partition);
            let error = failure.clone().unwrap_or_else(|| ClientError::kafka(subject, left_out()));
            results.insert((topic.to_owned(), partition), Err(error));
        }
    }
    for (topic, (partition, result)) in answers.into_iter().flatten() {
        let subject = Subject::Partition(topic.clone(), partition);
        // an answer that was not asked for finds no place
        if let Some(place) = results.get_mut(&(topic, partition)) {
            *place = result.map_err(|error| ClientError::kafka(subject, error));
        }
    }
}
