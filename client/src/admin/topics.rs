//! Topics: create, delete, list, describe, more partitions.

use kafka_protocol::messages::{
    CreatePartitionsRequest, CreateTopicsRequest, DeleteTopicsRequest,
    create_partitions_request::CreatePartitionsTopic,
    create_topics_request::{CreatableTopic, CreatableTopicConfig},
    delete_topics_request::DeleteTopicState,
};

use super::{
    Admin, Outcomes,
    admin::{in_order, outcome, text, topic_name},
};
use crate::{ClientError, cluster::TopicMetadata, error::Subject};

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
        let build = |_| {
            CreateTopicsRequest::default()
                .with_topics(topics.iter().map(creatable).collect())
                .with_timeout_ms(self.timeout_ms())
                .with_validate_only(validate_only)
        };
        let answer = self.command(build).await?;
        let answers = answer.topics.into_iter().map(|topic| {
            let created = CreatedTopic {
                id: Some(topic.topic_id).filter(|id| !id.is_nil()),
                partitions: topic.num_partitions,
                replication_factor: topic.replication_factor,
            };
            (topic.name.to_string(), outcome(topic.error_code, topic.error_message, created))
        });
        let names = topics.iter().map(|topic| topic.name.as_str());
        names.clone().for_each(|name| self.cluster().distrust(name));
        Ok(in_order(names, answers.collect(), topic_subject))
    }

    /// Deletes topics by name.
    ///
    /// # Errors
    /// What any request may meet; each topic has its own result.
    pub async fn delete_topics(&self, topics: &[&str]) -> Result<Outcomes<()>, ClientError> {
        let build = |version| {
            let request = DeleteTopicsRequest::default().with_timeout_ms(self.timeout_ms());
            let names = topics.iter().map(|name| topic_name(name));
            if version >= 6 {
                request.with_topics(names.map(|name| DeleteTopicState::default().with_name(Some(name))).collect())
            } else {
                request.with_topic_names(names.collect())
            }
        };
        let answer = self.command(build).await?;
        let answers = answer.responses.into_iter().map(|topic| {
            let name = topic.name.map(|name| name.to_string()).unwrap_or_default();
            (name, outcome(topic.error_code, topic.error_message, ()))
        });
        topics.iter().for_each(|name| self.cluster().distrust(name));
        Ok(in_order(topics.iter().copied(), answers.collect(), topic_subject))
    }

    /// All topics, in the order of their names; the cluster's own are marked.
    ///
    /// # Errors
    /// What any request may meet.
    pub async fn list_topics(&self) -> Result<Vec<TopicListing>, ClientError> {
        let answer = self.described(None).await?;
        let listing = |topic: TopicMetadata| TopicListing {
            name: topic.name,
            id: topic.id,
            internal: topic.internal,
            partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
        };
        let mut topics: Vec<_> = answer.into_iter().filter_map(|(_, topic)| topic.ok().map(listing)).collect();
        topics.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(topics)
    }

    /// Topics with their partitions, leaders, replicas and epochs, fresh from a broker.
    ///
    /// # Errors
    /// What any request may meet; each topic has its own result.
    pub async fn describe_topics(&self, topics: &[&str]) -> Result<Outcomes<TopicMetadata>, ClientError> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.described(Some(topics)).await?;
        Ok(in_order(topics.iter().copied(), answers, topic_subject))
    }

    async fn described(&self, topics: Option<&[&str]>) -> Result<Described, ClientError> {
        let answer = self.repeated(|| async { self.cluster().describe(topics).await }).await?;
        Ok(answer.topics)
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
        let build = |_| {
            let wanted = CreatePartitionsTopic::default()
                .with_name(topic_name(topic))
                .with_count(partitions)
                .with_assignments(None);
            CreatePartitionsRequest::default()
                .with_topics(vec![wanted])
                .with_timeout_ms(self.timeout_ms())
                .with_validate_only(validate_only)
        };
        let answer = self.command(build).await?;
        self.cluster().distrust(topic);
        let answers = answer
            .results
            .into_iter()
            .map(|topic| (topic.name.to_string(), outcome(topic.error_code, topic.error_message, ())));
        let outcomes = in_order(std::iter::once(topic), answers.collect(), topic_subject);
        outcomes.into_iter().try_for_each(|(_, outcome)| outcome)
    }
}

type Described = Vec<(String, Result<TopicMetadata, crate::KafkaError>)>;

fn topic_subject(name: &str) -> Subject {
    Subject::Topic(name.to_owned())
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let config = |(key, value): &(String, String)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    };
    CreatableTopic::default()
        .with_name(topic_name(&topic.name))
        .with_num_partitions(topic.partitions.unwrap_or(-1))
        .with_replication_factor(topic.replication_factor.unwrap_or(-1))
        .with_configs(topic.configs.iter().map(config).collect())
}
