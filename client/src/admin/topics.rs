//! Topics: create, delete, list, describe, more partitions.

use super::{Admin, Outcomes};
use crate::{ClientError, cluster::TopicMetadata};

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; None: the broker's `num.partitions`.
    pub partitions: Option<i32>,
    /// How many replicas of each; None: the broker's `default.replication.factor`.
    pub replication_factor: Option<i16>,
    /// Kafka's keys and values.
    pub configs: Vec<(String, String)>,
}

impl NewTopic {
    /// A topic with the broker's defaults.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), partitions: None, replication_factor: None, configs: Vec::new() }
    }

    /// Sets the number of partitions.
    #[must_use]
    pub fn partitions(mut self, partitions: i32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Sets the number of replicas.
    #[must_use]
    pub fn replication_factor(mut self, replication_factor: i16) -> Self {
        self.replication_factor = Some(replication_factor);
        self
    }

    /// Adds a config.
    #[must_use]
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push((key.into(), value.into()));
        self
    }
}

/// What the broker says of a topic it created, or would create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id; None from brokers that give none, and when nothing was created.
    pub id: Option<uuid::Uuid>,
    /// -1 if the broker does not say.
    pub partitions: i32,
    /// -1 if the broker does not say.
    pub replication_factor: i16,
}

/// A topic in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Its id; None from brokers that know none.
    pub id: Option<uuid::Uuid>,
    /// Whether it is one of the cluster's own.
    pub internal: bool,
    /// How many partitions it has.
    pub partitions: i32,
}

impl Admin {
    /// Creates topics, or with `validate_only` says whether they could be created.
    ///
    /// # Errors
    /// What any request may meet; each topic has its own result.
    pub async fn create_topics(
        &self,
        topics: &[NewTopic],
        validate_only: bool,
    ) -> Result<Outcomes<CreatedTopic>, ClientError> {
        let _ = (topics, validate_only, &self.client);
        todo!()
    }

    /// Deletes topics by name.
    ///
    /// # Errors
    /// What any request may meet; each topic has its own result.
    pub async fn delete_topics(&self, topics: &[&str]) -> Result<Outcomes<()>, ClientError> {
        let _ = topics;
        todo!()
    }

    /// All topics, in the order of their names; the cluster's own are marked.
    ///
    /// # Errors
    /// What any request may meet.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>, ClientError> {
        todo!()
    }

    /// Topics with their partitions, leaders, replicas and epochs, fresh from a broker.
    ///
    /// # Errors
    /// What any request may meet; each topic has its own result.
    pub async fn describe_topics(&self, topics: &[&str]) -> Result<Outcomes<TopicMetadata>, ClientError> {
        let _ = topics;
        todo!()
    }

    /// Raises the number of partitions of a topic to `partitions` in all.
    ///
    /// # Errors
    /// What the broker refuses, or what any request may meet.
    pub async fn create_partitions(
        &self,
        topic: &str,
        partitions: i32,
        validate_only: bool,
    ) -> Result<(), ClientError> {
        let _ = (topic, partitions, validate_only);
        todo!()
    }
}
