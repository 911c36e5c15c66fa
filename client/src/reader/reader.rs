//! The place in a partition that moves as it is read.

use std::time::Duration;

use uuid::Uuid;

use super::{FetchLimits, Fetched, fetch_once};
use crate::{
    Client, KafkaError, ReadError,
    admin::{OffsetSpec, list_offset},
    error::{ClientError, Subject},
};

/// Where to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// The first record there is.
    Earliest,
    /// Behind the last record there is: only what comes from now on.
    Latest,
    /// At this offset; one outside the log is an error of the first fetch.
    Offset(i64),
    /// The first record whose timestamp is at or after this one, in milliseconds since 1970; behind the last record if
    /// there is none.
    Timestamp(i64),
}

/// Settings of a [`Reader`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReaderConfig {
    /// Bounds of each fetch; `wait_max` is replaced by what [`Reader::fetch`] is told.
    pub limits: FetchLimits,
}

/// A place in one partition that moves as it is read.
#[derive(Debug)]
pub struct Reader {
    client: Client,
    topic: String,
    partition: i32,
    limits: FetchLimits,
    position: i64,
    /// Of the topic that the position is in; none from brokers that know no ids.
    topic_id: Option<Uuid>,
}

impl Reader {
    /// Finds the start; reads nothing yet.
    ///
    /// # Errors
    /// An unknown topic or partition, or what any request may meet.
    pub async fn open(
        client: Client,
        topic: &str,
        partition: i32,
        start: Start,
        config: ReaderConfig,
    ) -> Result<Self, ReadError> {
        let partitions = client.topic(topic).await?.partitions.len();
        if usize::try_from(partition).is_ok_and(|partition| partition < partitions) {
            let (topic, limits) = (topic.to_owned(), config.limits);
            let mut reader = Self { client, topic, partition, limits, position: 0, topic_id: None };
            reader.seek(start).await?;
            return Ok(reader);
        }
        let error = KafkaError::new(KafkaError::UNKNOWN_TOPIC_OR_PARTITION);
        let error = error.with_message(Some(format!("the topic has {partitions} partitions, from 0")));
        Err(ClientError::kafka(Subject::Partition(topic.to_owned(), partition), error).into())
    }

    /// The next records, waiting up to `wait_max` for the first; empty if none came. Moves the position past them.
    /// Dropping the future leaves the position where it was.
    ///
    /// # Errors
    /// Those of [`ReadError`]; the position stays. Once the topic was deleted and another one made under its name, every
    /// fetch fails with UNKNOWN_TOPIC_ID (100) until [`Self::seek`] finds a place in the new one.
    pub async fn fetch(&mut self, wait_max: Duration) -> Result<Fetched, ReadError> {
        self.limits.wait_max = wait_max;
        let cluster = self.client.cluster();
        let fetched = fetch_once(cluster, &self.topic, self.partition, self.position, &self.limits).await;
        // an offset of the old topic means nothing in the new one, be there a record or not
        if matches!(fetched, Ok(_) | Err(ReadError::OffsetOutOfRange { .. })) {
            self.check_topic()?;
        }
        let fetched = fetched?;
        self.position = fetched.next_offset;
        Ok(fetched)
    }

    /// A fetch that the old topic's id failed has brought the new one's.
    fn check_topic(&self) -> Result<(), ClientError> {
        let known = self.client.cluster().cached(&self.topic).and_then(|topic| topic.id);
        if self.topic_id.is_none() || known.is_none() || self.topic_id == known {
            return Ok(());
        }
        let error = KafkaError::new(KafkaError::UNKNOWN_TOPIC_ID);
        let error = error.with_message(Some("the topic was deleted, and another one made under its name"));
        Err(ClientError::kafka(Subject::Partition(self.topic.clone(), self.partition), error).believed())
    }

    /// Moves to another place.
    ///
    /// # Errors
    /// What any request may meet; the position stays.
    pub async fn seek(&mut self, start: Start) -> Result<(), ReadError> {
        self.position = match start {
            Start::Offset(offset) => offset,
            Start::Earliest => self.listed(OffsetSpec::Earliest).await?.unwrap_or(0),
            Start::Latest => self.listed(OffsetSpec::Latest).await?.unwrap_or(0),
            Start::Timestamp(timestamp_ms) => match self.listed(OffsetSpec::Timestamp(timestamp_ms)).await? {
                Some(offset) => offset,
                None => self.listed(OffsetSpec::Latest).await?.unwrap_or(0),
            },
        };
        self.topic_id = self.client.topic(&self.topic).await?.id;
        Ok(())
    }

    async fn listed(&self, spec: OffsetSpec) -> Result<Option<i64>, ClientError> {
        let cluster = self.client.cluster();
        let listed = list_offset(cluster, &self.topic, self.partition, spec, self.limits.isolation).await?;
        Ok(listed.offset)
    }

    /// The offset of the next record that [`Self::fetch`] will give, or of one before it that is gone.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// The topic that is read.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The partition that is read.
    pub fn partition(&self) -> i32 {
        self.partition
    }
}
