//! The handle that everything else starts from.

use std::sync::Arc;

use crate::{
    admin::{Admin, ListedOffset, OffsetSpec},
    cluster::TopicMetadata,
    config::ClientConfig,
    error::{ClientError, ReadError},
    reader::{FetchLimits, Fetched},
};

/// A client of one cluster: metadata cache and connections. Clones share both and are cheap.
#[derive(Debug, Clone)]
pub struct Client {
    _config: Arc<ClientConfig>,
}

impl Client {
    /// Asks the bootstrap brokers for the cluster until one answers.
    ///
    /// # Errors
    /// None answered within the retry timeout; the last one's error.
    pub async fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        let _ = config;
        todo!()
    }

    /// Calls that look at the cluster or change it.
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// A topic's partitions and leaders, from the cache where that is young enough. Never creates the topic.
    ///
    /// # Errors
    /// An unknown topic (UNKNOWN_TOPIC_OR_PARTITION, not retried here), or no broker that answers.
    pub async fn topic(&self, name: &str) -> Result<Arc<TopicMetadata>, ClientError> {
        let _ = name;
        todo!()
    }

    /// One fetch of one partition from its leader, without any state in between: waits up to `limits.wait_max` for
    /// `limits.bytes_min`. Leader changes and lost connections are retried; records below `offset` are left out.
    ///
    /// # Errors
    /// Those of [`ReadError`].
    pub async fn fetch_once(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
        limits: &FetchLimits,
    ) -> Result<Fetched, ReadError> {
        let _ = (topic, partition, offset, limits);
        todo!()
    }

    /// The offset that a partition has for `spec`.
    ///
    /// # Errors
    /// An unknown topic or partition, or what any request may meet.
    pub async fn list_offset(
        &self,
        topic: &str,
        partition: i32,
        spec: OffsetSpec,
    ) -> Result<ListedOffset, ClientError> {
        let _ = (topic, partition, spec);
        todo!()
    }
}
