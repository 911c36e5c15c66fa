//! The handle that everything else starts from.

use std::sync::Arc;

use crate::{
    admin::{Admin, ListedOffset, OffsetSpec, list_offset},
    cluster::{Cluster, Creation, TopicMetadata},
    config::ClientConfig,
    error::{ClientError, ReadError},
    reader::{FetchLimits, Fetched, Isolation, fetch_once},
    retry::Backoff,
};

/// A client of one cluster: metadata cache and connections. Clones share both and are cheap.
#[derive(Debug, Clone)]
pub struct Client {
    cluster: Arc<Cluster>,
}

impl Client {
    /// Asks the bootstrap brokers for the cluster until one answers.
    ///
    /// # Errors
    /// None answered within the retry timeout; the last one's error.
    pub async fn connect(config: ClientConfig) -> Result<Self, ClientError> {
        let cluster = Cluster::new(config);
        let mut backoff = Backoff::new(cluster.retry());
        loop {
            match cluster.describe(Some(&[])).await {
                Err(error) if error.retryable() => backoff.pause(error).await?,
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        Ok(Self { cluster: Arc::new(cluster) })
    }

    /// Calls that look at the cluster or change it.
    pub fn admin(&self) -> Admin {
        Admin::new(self.clone())
    }

    /// A topic's partitions and leaders, from the cache where that is young enough. Never creates the topic.
    ///
    /// # Errors
    /// A topic that is still unknown after `unknown_topic_wait`, or no broker that answers.
    pub async fn topic(&self, name: &str) -> Result<Arc<TopicMetadata>, ClientError> {
        self.cluster.topic(name, Creation::Never).await
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
        fetch_once(&self.cluster, topic, partition, offset, limits).await
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
        list_offset(&self.cluster, topic, partition, spec, Isolation::ReadUncommitted).await
    }

    pub(crate) fn into_cluster(self) -> Arc<Cluster> {
        self.cluster
    }

    pub(crate) fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }
}
