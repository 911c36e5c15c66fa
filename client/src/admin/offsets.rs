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
        let topic = |name: &str, asked: &BTreeMap<i32, i64>| {
            let partition = |(&partition, &offset): (&i32, &i64)| {
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
    listed.pop().map_or_else(|| Err(missing(topic, partition)), |(_, _, listed)| listed)
}

async fn list_offsets(
    cluster: &Cluster,
    partitions: &[(&str, i32, OffsetSpec)],
    isolation: Isolation,
) -> PartitionOutcomes<ListedOffset> {
    let topic = |name: &str, asked: &BTreeMap<i32, OffsetSpec>| {
        let partition = |(&partition, spec): (&i32, &OffsetSpec)| {
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

/// What one request asks: topics, and of each the partitions with their questions. Each partition stands there once,
/// because brokers refuse a request that names one twice.
type Asked<'a, Q> = BTreeMap<&'a str, BTreeMap<i32, Q>>;
type Answers<T> = Vec<(String, (i32, Result<T, KafkaError>))>;

/// Asks each partition's leader, and asks again for those where that can help.
async fn from_leaders<'a, Q: Copy, T, C: Call>(
    cluster: &Cluster,
    questions: &[(&'a str, i32, Q)],
    build: impl Fn(&Asked<'a, Q>) -> C,
    read: impl Fn(C::Response) -> Answers<T>,
) -> PartitionOutcomes<T> {
    let mut results: Vec<_> = questions.iter().map(|(topic, partition, _)| Err(missing(topic, *partition))).collect();
    let mut backoff = Backoff::new(cluster.retry());
    let mut open: Vec<usize> = (0..questions.len()).collect();
    while !open.is_empty() {
        for ((leader, _), places) in rounds(cluster, questions, &open, &mut results).await {
            let mut asked = Asked::new();
            for &(topic, partition, question) in places.iter().filter_map(|at| questions.get(*at)) {
                asked.entry(topic).or_default().insert(partition, question);
            }
            let answers = async { cluster.broker(leader).await?.call(|_| build(&asked)).await };
            let mut answers = answers.await.map(&read);
            for at in places {
                if let (Some((topic, partition, _)), Some(result)) = (questions.get(at), results.get_mut(at)) {
                    *result = pick(&mut answers, topic, *partition);
                }
            }
        }
        open.retain(|at| matches!(results.get(*at), Some(Err(error)) if error.retryable()));
        open.iter().filter_map(|at| questions.get(*at)).for_each(|(topic, ..)| cluster.distrust(topic));
        if !open.is_empty() && backoff.pause(()).await.is_err() {
            break;
        }
    }
    let named = questions.iter().zip(results);
    named.map(|(&(topic, partition, _), result)| (topic.to_owned(), partition, result)).collect()
}

/// Questions by leader and round, so that no round asks one partition twice; where no leader can be found, that is the
/// result.
async fn rounds<Q, T>(
    cluster: &Cluster,
    questions: &[(&str, i32, Q)],
    open: &[usize],
    results: &mut [Result<T, ClientError>],
) -> BTreeMap<(i32, usize), Vec<usize>> {
    let mut rounds: BTreeMap<(i32, usize), Vec<usize>> = BTreeMap::new();
    let mut times: BTreeMap<(&str, i32), usize> = BTreeMap::new();
    for &at in open {
        let (Some((topic, partition, _)), Some(result)) = (questions.get(at), results.get_mut(at)) else { continue };
        match cluster.leader(topic, *partition, Creation::Never).await {
            Ok((leader, _)) => {
                let round = times.entry((topic, *partition)).or_default();
                rounds.entry((leader, *round)).or_default().push(at);
                *round += 1;
            }
            Err(error) => *result = Err(error),
        }
    }
    rounds
}

/// What a leader answered about a partition.
fn pick<T>(answers: &mut Result<Answers<T>, ClientError>, topic: &str, partition: i32) -> Result<T, ClientError> {
    let answers = answers.as_mut().map_err(|error| error.clone())?;
    let at = answers.iter().position(|(answered, (number, _))| answered == topic && *number == partition);
    let (_, (_, result)) = at.map(|at| answers.swap_remove(at)).ok_or_else(|| missing(topic, partition))?;
    result.map_err(|error| ClientError::kafka(Subject::Partition(topic.to_owned(), partition), error))
}

fn missing(topic: &str, partition: i32) -> ClientError {
    ClientError::kafka(Subject::Partition(topic.to_owned(), partition), left_out())
}
