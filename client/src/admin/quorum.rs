//! The quorum that keeps the cluster's metadata, and brokers that shall be forgotten.

use kafka_protocol::messages::{
    AddRaftVoterRequest, BrokerId, DescribeClusterRequest, DescribeQuorumRequest, RemoveRaftVoterRequest,
    UnregisterBrokerRequest,
    describe_quorum_request::{PartitionData as AskedPartition, TopicData as AskedTopic},
    describe_quorum_response::{DescribeQuorumResponse, PartitionData, ReplicaState},
};

use uuid::Uuid;

use super::{
    Admin,
    admin::{left_out, of_broker, outcome, topic_name},
};
use crate::{ClientError, KafkaError, cluster::Broker, connection::Connection, error::Subject};

/// The log that the quorum keeps.
const METADATA_TOPIC: &str = "__cluster_metadata";
/// First version of DescribeCluster that can tell fenced brokers.
const FENCED_SINCE: i16 = 2;

/// How the replicas of the cluster's metadata stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumDescription {
    /// Node id of the leader, which is the active controller; None if nobody is known to lead.
    pub leader_id: Option<i32>,
    /// Since which epoch.
    pub leader_epoch: i32,
    /// The offset behind the last committed record.
    pub high_watermark: i64,
    /// Who votes.
    pub voters: Vec<QuorumReplica>,
    /// Who only follows.
    pub observers: Vec<QuorumReplica>,
}

/// One replica of the metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Node id.
    pub broker_id: i32,
    /// Its data directory; nil if that is not told.
    pub directory_id: Uuid,
    /// The offset behind its last record; None if the leader does not know.
    pub log_end_offset: Option<i64>,
    /// When the leader last heard from it, in milliseconds since 1970; None if the leader does not know.
    pub last_fetch_ms: Option<i64>,
    /// When it last had all that the leader had, in milliseconds since 1970; None if the leader does not know.
    pub last_caught_up_ms: Option<i64>,
}

impl Admin {
    /// How the replicas of the cluster's metadata stand, as their leader says it.
    ///
    /// # Errors
    /// What the broker refuses, or what any request may meet.
    pub async fn describe_quorum(&self) -> Result<QuorumDescription, ClientError> {
        self.repeated(|| self.quorum_of_leader()).await
    }

    async fn quorum_of_leader(&self) -> Result<QuorumDescription, ClientError> {
        let said = ask_quorum(&self.cluster().any().await?).await?;
        let Some(leader) = said.leader_id else { return Ok(said) };
        // only the leader knows how the others stand
        match self.cluster().broker(leader).await {
            Ok(connection) => ask_quorum(&connection).await,
            Err(_) => Ok(said),
        }
    }

    /// Brokers that are registered, and fenced: they are down, or have not caught up. Brokers before Kafka 4.0 do not tell; the
    /// list is empty then.
    ///
    /// # Errors
    /// What the broker refuses, or what any request may meet.
    pub async fn fenced_brokers(&self) -> Result<Vec<Broker>, ClientError> {
        let build = |version| DescribeClusterRequest::default().with_include_fenced_brokers(version >= FENCED_SINCE);
        let asked = self.repeated(|| async { self.cluster().any().await?.call(build).await }).await;
        let answer = match asked {
            Err(ClientError::UnsupportedVersion { .. }) => return Ok(Vec::new()),
            asked => asked?,
        };
        outcome(answer.error_code, answer.error_message, ())
            .map_err(|error| ClientError::kafka(Subject::Cluster, error))?;
        let mut fenced: Vec<Broker> = answer
            .brokers
            .into_iter()
            .filter(|broker| broker.is_fenced)
            .map(|broker| Broker {
                id: broker.broker_id.0,
                host: broker.host.to_string(),
                port: broker.port,
                rack: broker.rack.map(|rack| rack.to_string()),
            })
            .collect();
        fenced.sort_by_key(|broker| broker.id);
        Ok(fenced)
    }

    /// Gives a vote on the metadata to a broker that follows it, once it has caught up. With the directory that it had when it was
    /// described; nil: whichever it has now.
    ///
    /// # Errors
    /// What the broker refuses, or what any request may meet.
    pub async fn add_raft_voter(&self, broker: i32, directory_id: Uuid) -> Result<(), ClientError> {
        let build = |_| {
            let request = AddRaftVoterRequest::default().with_cluster_id(None).with_timeout_ms(self.timeout_ms());
            request.with_voter_id(broker).with_voter_directory_id(directory_id)
        };
        let answer = self.command(build).await?;
        of_broker(broker, answer.error_code, answer.error_message)
    }

    /// Takes a broker's vote on the metadata, which it goes on following. With the directory that it had when it was described;
    /// nil: whichever it has now.
    ///
    /// # Errors
    /// What the broker refuses, or what any request may meet.
    pub async fn remove_raft_voter(&self, broker: i32, directory_id: Uuid) -> Result<(), ClientError> {
        let build = |_| {
            let request = RemoveRaftVoterRequest::default().with_cluster_id(None);
            request.with_voter_id(broker).with_voter_directory_id(directory_id)
        };
        let answer = self.command(build).await?;
        of_broker(broker, answer.error_code, answer.error_message)
    }

    /// Forgets a broker that is gone for good. One that still runs registers again; replicas on it stay assigned.
    ///
    /// # Errors
    /// What the broker refuses, or what any request may meet.
    pub async fn unregister_broker(&self, broker: i32) -> Result<(), ClientError> {
        let answer = self.command(|_| UnregisterBrokerRequest::default().with_broker_id(BrokerId(broker))).await?;
        of_broker(broker, answer.error_code, answer.error_message)
    }
}

async fn ask_quorum(connection: &Connection) -> Result<QuorumDescription, ClientError> {
    let build = |_| {
        let topic = AskedTopic::default()
            .with_topic_name(topic_name(METADATA_TOPIC))
            .with_partitions(vec![AskedPartition::default()]);
        DescribeQuorumRequest::default().with_topics(vec![topic])
    };
    read_quorum(connection.call(build).await?).map_err(|error| ClientError::kafka(Subject::Cluster, error))
}

fn read_quorum(answer: DescribeQuorumResponse) -> Result<QuorumDescription, KafkaError> {
    outcome(answer.error_code, answer.error_message, ())?;
    let mut partitions = answer.topics.into_iter().flat_map(|topic| topic.partitions);
    let partition = partitions.next().ok_or_else(left_out)?;
    let PartitionData { error_code, error_message, leader_id, leader_epoch, high_watermark, .. } = partition;
    outcome(error_code, error_message, ())?;
    let replicas = |states: &[ReplicaState]| states.iter().map(read_replica).collect();
    Ok(QuorumDescription {
        leader_id: Some(leader_id.0).filter(|id| *id >= 0),
        leader_epoch,
        high_watermark,
        voters: replicas(&partition.current_voters),
        observers: replicas(&partition.observers),
    })
}

fn read_replica(state: &ReplicaState) -> QuorumReplica {
    let known = |number: i64| Some(number).filter(|number| *number >= 0);
    QuorumReplica {
        broker_id: state.replica_id.0,
        directory_id: state.replica_directory_id,
        log_end_offset: known(state.log_end_offset),
        last_fetch_ms: known(state.last_fetch_timestamp),
        last_caught_up_ms: known(state.last_caught_up_timestamp),
    }
}
