//! The cluster as a whole, and what lies in its log directories.

use super::Admin;
use crate::{ClientError, cluster::Broker};

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
    /// How many offsets it is behind its high watermark.
    pub offset_lag: i64,
}

impl Admin {
    /// The cluster's id, controller and brokers.
    ///
    /// # Errors
    /// What any request may meet.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        todo!()
    }

    /// The log directories of one broker with all they hold.
    ///
    /// # Errors
    /// What the broker refuses, or what any request may meet.
    pub async fn describe_log_dirs(&self, broker: i32) -> Result<Vec<LogDir>, ClientError> {
        let _ = broker;
        todo!()
    }
}
