//! The cluster as a whole, and what lies in its log directories.

use kafka_protocol::messages::{DescribeLogDirsRequest, describe_log_dirs_response::DescribeLogDirsResult};

use super::Admin;
pub use crate::wire::follower_lag::FollowerLag;
use crate::{
    ClientError, KafkaError,
    cluster::Broker,
    error::Subject,
    wire::follower_lag::{TAG, decode},
};

/// A cluster and its brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// Its id.
    pub cluster_id: String,
    /// Node id of the controller, or of a broker that passes requests on to it; None if unknown.
    pub controller_id: Option<i32>,
    /// In the order of their ids.
    pub brokers: Vec<Broker>,
}

/// A log directory of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDir {
    /// Its path on the broker.
    pub path: String,
    /// Bytes of the volume; None if the broker does not say.
    pub total_bytes: Option<i64>,
    /// Bytes free in the volume; None if the broker does not say.
    pub usable_bytes: Option<i64>,
    /// What lies there.
    pub replicas: Vec<LogDirReplica>,
}

/// A replica in a log directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDirReplica {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Bytes of its segments.
    pub size_bytes: i64,
    /// How many offsets it is behind its high watermark; None of a replica that cannot be used.
    pub offset_lag: Option<i64>,
    /// How far the partition's other replicas are behind, where it leads them; Kafka does not tell.
    pub followers: Vec<FollowerLag>,
}

impl Admin {
    /// The cluster's id, controller and brokers.
    ///
    /// # Errors
    /// What any request may meet.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        // Metadata says all that DescribeCluster does, and every broker knows it
        let answer = self.repeated(|| async { self.cluster().describe(Some(&[])).await }).await?;
        let mut brokers = answer.brokers;
        brokers.sort_by_key(|broker| broker.id);
        let cluster_id = answer.cluster_id.unwrap_or_default();
        Ok(ClusterDescription { cluster_id, controller_id: answer.controller, brokers })
    }

    /// The log directories of one broker with all they hold.
    ///
    /// # Errors
    /// What the broker refuses, or what any request may meet.
    pub async fn describe_log_dirs(&self, broker: i32) -> Result<Vec<LogDir>, ClientError> {
        let subject = || Subject::Named(format!("broker {broker}"));
        let build = |_| DescribeLogDirsRequest::default().with_topics(None);
        let answer = self.repeated(|| async { self.cluster().broker(broker).await?.call(build).await }).await?;
        if let Some(error) = KafkaError::from_code(answer.error_code) {
            return Err(ClientError::kafka(subject(), error));
        }
        answer.results.into_iter().map(|dir| read_dir(dir, subject)).collect()
    }
}

fn read_dir(dir: DescribeLogDirsResult, subject: impl Fn() -> Subject) -> Result<LogDir, ClientError> {
    if let Some(error) = KafkaError::from_code(dir.error_code) {
        return Err(ClientError::kafka(subject(), error));
    }
    let replicas = dir.topics.into_iter().flat_map(|topic| {
        let name = topic.name.to_string();
        topic.partitions.into_iter().map(move |partition| LogDirReplica {
            topic: name.clone(),
            partition: partition.partition_index,
            size_bytes: partition.partition_size,
            offset_lag: Some(partition.offset_lag).filter(|lag| *lag >= 0),
            followers: partition.unknown_tagged_fields.get(&TAG).map(|bytes| decode(bytes)).unwrap_or_default(),
        })
    });
    Ok(LogDir {
        path: dir.log_dir.to_string(),
        total_bytes: Some(dir.total_bytes).filter(|bytes| *bytes >= 0),
        usable_bytes: Some(dir.usable_bytes).filter(|bytes| *bytes >= 0),
        replicas: replicas.collect(),
    })
}
