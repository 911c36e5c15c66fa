//! All partitions with a replica on this broker, following the metadata image. Not here: what the image says and why.

use std::{path::PathBuf, sync::Arc};

use uuid::Uuid;

use super::partition::Partition;

/// Broker-wide settings of this room.
#[derive(Debug, Clone)]
pub struct PartitionsConfig {
    /// This broker.
    pub node_id: i32,
    /// `log.retention.check.interval.ms`.
    pub retention_check_interval_ms: u64,
}

/// The data directory (DescribeLogDirs).
#[derive(Debug, Clone)]
pub struct LogDir {
    /// Absolute where the system could tell.
    pub path: PathBuf,
    /// Bytes of the file system; -1 if unknown.
    pub total_bytes: i64,
    /// Bytes still free there; -1 if unknown.
    pub usable_bytes: i64,
    /// Every partition here.
    pub partitions: Vec<PartitionSize>,
}

/// One partition's share of a [`LogDir`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionSize {
    /// The topic.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
    /// Bytes of its segments.
    pub size_bytes: u64,
}

/// The registry. Reads take a shard's read lock for a moment; changes come from [`Self::apply`] alone.
#[derive(Debug)]
pub struct Partitions {}

impl Partitions {
    /// The partition, if this broker has a replica of it. A topic made anew under the same name has another id.
    pub fn get(&self, _topic_id: Uuid, _partition: i32) -> Option<Arc<Partition>> {
        todo!("partition: get")
    }

    /// How many.
    pub fn len(&self) -> usize {
        todo!("partition: len")
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The data directory and what each partition takes of it.
    pub fn log_dir(&self) -> LogDir {
        todo!("partition: log_dir")
    }

    /// The log of `__cluster_metadata`, made at the first start. It is not in [`Self::get`].
    pub fn metadata_log(&self) -> &Arc<Partition> {
        todo!("partition: metadata_log")
    }
}
