//! Which brokers hold a partition, and which of them leads: moves, and elections of preferred leaders.

use std::collections::BTreeMap;

use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, ElectLeadersRequest, ListPartitionReassignmentsRequest,
    alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic},
    elect_leaders_request::TopicPartitions,
};

use super::{
    Admin, PartitionOutcomes,
    admin::{left_out, outcome, topic_name},
};
use crate::{ClientError, KafkaError, error::Subject};

/// Kafka's number for the election of the preferred leader.
const PREFERRED: i8 = 0;

/// What shall happen to a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMove {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Brokers that shall hold it, the preferred leader first; None takes a move back.
    pub brokers: Option<Vec<i32>>,
}

/// A move that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OngoingMove {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Brokers that hold it or shall hold it.
    pub replicas: Vec<i32>,
    /// Brokers that shall hold it and do not yet.
    pub adding: Vec<i32>,
    /// Brokers that hold it and shall not.
    pub removing: Vec<i32>,
}

type Answered = BTreeMap<(String, i32), Result<(), KafkaError>>;

impl Admin {
    /// Begins to move partitions to other brokers, or takes moves back; each is judged by itself. A move goes on after the
    /// answer: see [`Self::list_partition_reassignments`].
    ///
    /// # Errors
    /// What is refused as a whole, or what any request may meet; each partition has its own result.
    pub async fn alter_partition_reassignments(
        &self,
        moves: &[PartitionMove],
    ) -> Result<PartitionOutcomes<()>, ClientError> {
        let build = |_| {
            AlterPartitionReassignmentsRequest::default()
                .with_timeout_ms(self.timeout_ms())
                .with_topics(reassignable(moves))
        };
        let answer = self.command(build).await?;
        whole(answer.error_code, answer.error_message)?;
        moves.iter().for_each(|one| self.cluster().distrust(&one.topic));
        let mut answered = Answered::new();
        for topic in answer.responses {
            let name = topic.name.to_string();
            for partition in topic.partitions {
                let result = outcome(partition.error_code, partition.error_message, ());
                answered.insert((name.clone(), partition.partition_index), result);
            }
        }
        Ok(asked_for(moves.iter().map(|one| (one.topic.as_str(), one.partition)), answered))
    }

    /// The moves that are under way.
    ///
    /// # Errors
    /// What the broker refuses, or what any request may meet.
    pub async fn list_partition_reassignments(&self) -> Result<Vec<OngoingMove>, ClientError> {
        let build =
            |_| ListPartitionReassignmentsRequest::default().with_timeout_ms(self.timeout_ms()).with_topics(None);
        let answer = self.repeated(|| async { self.cluster().controller().await?.call(build).await }).await?;
        whole(answer.error_code, answer.error_message)?;
        let ids = |brokers: Vec<BrokerId>| brokers.into_iter().map(|broker| broker.0).collect();
        let moves = answer.topics.into_iter().flat_map(|topic| {
            let name = topic.name.to_string();
            topic.partitions.into_iter().map(move |partition| OngoingMove {
                topic: name.clone(),
                partition: partition.partition_index,
                replicas: ids(partition.replicas),
                adding: ids(partition.adding_replicas),
                removing: ids(partition.removing_replicas),
            })
        });
        Ok(moves.collect())
    }

    /// Lets the preferred replicas lead: of these partitions, or, if None, wherever another one leads. A partition that its
    /// preferred replica leads already answers ELECTION_NOT_NEEDED; None leaves those out.
    ///
    /// # Errors
    /// What is refused as a whole, or what any request may meet; each partition has its own result.
    pub async fn elect_leaders(
        &self,
        partitions: Option<&[(&str, i32)]>,
    ) -> Result<PartitionOutcomes<()>, ClientError> {
        let build = |_| {
            ElectLeadersRequest::default()
                .with_election_type(PREFERRED)
                .with_topic_partitions(partitions.map(electable))
                .with_timeout_ms(self.timeout_ms())
        };
        let answer = self.command(build).await?;
        whole(answer.error_code, None)?;
        let mut answered = Answered::new();
        for topic in answer.replica_election_results {
            let name = topic.topic.to_string();
            self.cluster().distrust(&name);
            for partition in topic.partition_result {
                let result = outcome(partition.error_code, partition.error_message, ());
                answered.insert((name.clone(), partition.partition_id), result);
            }
        }
        Ok(match partitions {
            Some(partitions) => asked_for(partitions.iter().copied(), answered),
            None => answered.into_iter().map(told).collect(),
        })
    }
}

fn reassignable(moves: &[PartitionMove]) -> Vec<ReassignableTopic> {
    let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
    for one in moves {
        let brokers = one.brokers.as_ref().map(|brokers| brokers.iter().copied().map(BrokerId).collect());
        let partition = ReassignablePartition::default().with_partition_index(one.partition).with_replicas(brokers);
        topics.entry(&one.topic).or_default().push(partition);
    }
    let topics = topics.into_iter();
    topics
        .map(|(name, partitions)| ReassignableTopic::default().with_name(topic_name(name)).with_partitions(partitions))
        .collect()
}

fn electable(partitions: &[(&str, i32)]) -> Vec<TopicPartitions> {
    let mut topics: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    let topics = topics.into_iter();
    topics
        .map(|(name, partitions)| TopicPartitions::default().with_topic(topic_name(name)).with_partitions(partitions))
        .collect()
}

fn whole(code: i16, message: Option<kafka_protocol::protocol::StrBytes>) -> Result<(), ClientError> {
    outcome(code, message, ()).map_err(|error| ClientError::kafka(Subject::Cluster, error))
}

/// Answers in the order asked; one that is missing is an error of its own.
fn asked_for<'a>(asked: impl Iterator<Item = (&'a str, i32)>, mut answered: Answered) -> PartitionOutcomes<()> {
    asked
        .map(|(topic, partition)| {
            let at = (topic.to_owned(), partition);
            let result = answered.remove(&at).unwrap_or_else(|| Err(left_out()));
            told((at, result))
        })
        .collect()
}

fn told(
    ((topic, partition), result): ((String, i32), Result<(), KafkaError>),
) -> (String, i32, Result<(), ClientError>) {
    let subject = Subject::Partition(topic.clone(), partition);
    (topic, partition, result.map_err(|error| ClientError::kafka(subject, error)))
}
