//! What is known of the cluster: brokers, topics, leaders. The connections to brokers are in `pool`. Not here: what
//! brokers are asked for besides their metadata.

mod metadata;
mod pool;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

pub use metadata::{Broker, PartitionMetadata, TopicMetadata};
use pool::Pool;
use tokio::time::Instant;

use crate::{
    ClientConfig, ClientError, KafkaError,
    connection::Connection,
    error::Subject,
    retry::{Backoff, RetryConfig, after},
};

/// Where a topic's metadata came from: asking may create it, as Kafka's producers do, or never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Creation {
    Allowed,
    Never,
}

/// The cluster as this client sees it. No lock is held while a broker is asked.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) config: ClientConfig,
    pool: Pool,
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    brokers: BTreeMap<i32, Broker>,
    controller: Option<i32>,
    topics: HashMap<String, Cached>,
}

#[derive(Debug)]
struct Cached {
    topic: Arc<TopicMetadata>,
    /// None: shown to be stale.
    fetched: Option<Instant>,
}

impl Cluster {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self { pool: Pool::new(), known: RwLock::default(), config }
    }

    /// A topic from the cache, if it is there and young enough.
    pub(crate) fn cached(&self, name: &str) -> Option<Arc<TopicMetadata>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let cached = known.topics.get(name)?;
        let fetched = cached.fetched?;
        (fetched.elapsed() < self.config.metadata_age_max).then(|| Arc::clone(&cached.topic))
    }

    /// Marks what is known of a topic as stale.
    pub(crate) fn distrust(&self, name: &str) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = known.topics.get_mut(name) {
            cached.fetched = None;
        }
    }

    /// A topic from the cache or a broker. One that no broker knows is asked for until `unknown_topic_wait` is over: a
    /// topic just created is not known everywhere at once.
    pub(crate) async fn topic(&self, name: &str, creation: Creation) -> Result<Arc<TopicMetadata>, ClientError> {
        if let Some(topic) = self.cached(name) {
            return Ok(topic);
        }
        let mut backoff = Backoff::new(&self.config.retry);
        let believed = after(self.config.unknown_topic_wait);
        loop {
            match self.fetch_topic(name, creation).await {
                Err(error) if is_unknown(&error) && Instant::now() >= believed => return Err(error.believed()),
                Err(error) if error.retryable() => backoff.pause(error).await?,
                done => return done,
            }
        }
    }

    /// A topic from a broker, once.
    pub(crate) async fn fetch_topic(&self, name: &str, creation: Creation) -> Result<Arc<TopicMetadata>, ClientError> {
        let connection = self.any().await?;
        let answer = metadata::fetch(&connection, Some(&[name]), creation).await?;
        let found = answer.topics.into_iter().find(|(topic, _)| topic == name);
        let result = match found {
            Some((_, Ok(topic))) => Ok(Arc::new(topic)),
            Some((_, Err(error))) => Err(ClientError::kafka(Subject::Topic(name.to_owned()), error)),
            None => Err(ClientError::kafka(
                Subject::Topic(name.to_owned()),
                KafkaError::new(KafkaError::UNKNOWN_TOPIC_OR_PARTITION),
            )),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.learn_brokers(answer.brokers, answer.controller);
        match &result {
            Ok(topic) => {
                let cached = Cached { topic: Arc::clone(topic), fetched: Some(Instant::now()) };
                known.topics.insert(name.to_owned(), cached);
            }
            Err(_) => drop(known.topics.remove(name)),
        }
        result
    }

    /// Metadata straight from a broker; brokers are remembered, topics are not.
    pub(crate) async fn describe(&self, topics: Option<&[&str]>) -> Result<metadata::Answer, ClientError> {
        let connection = self.any().await?;
        let answer = metadata::fetch(&connection, topics, Creation::Never).await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.learn_brokers(answer.brokers.clone(), answer.controller);
        Ok(answer)
    }

    /// The leader of a partition, by node id, and its topic.
    pub(crate) async fn leader(
        &self,
        topic: &str,
        partition: i32,
        creation: Creation,
    ) -> Result<(i32, Arc<TopicMetadata>), ClientError> {
        let subject = || Subject::Partition(topic.to_owned(), partition);
        let mut metadata = self.topic(topic, creation).await?;
        if metadata.partition(partition).is_none() {
            // it may have been added since
            self.distrust(topic);
            metadata = self.topic(topic, creation).await?;
        }
        let Some(found) = metadata.partition(partition) else {
            let error = KafkaError::new(KafkaError::UNKNOWN_TOPIC_OR_PARTITION);
            return Err(ClientError::kafka(subject(), error).believed());
        };
        match found.leader {
            Some(leader) => Ok((leader, metadata)),
            None => {
                self.distrust(topic);
                Err(ClientError::kafka(subject(), KafkaError::new(KafkaError::LEADER_NOT_AVAILABLE)))
            }
        }
    }

    /// A connection to a broker by node id.
    pub(crate) async fn broker(&self, id: i32) -> Result<Connection, ClientError> {
        self.pool.connection(&self.address_of(id)?, &self.config).await
    }

    /// A connection of one's own, for a request that the broker may hold back; give it back with [`Self::give_back`].
    pub(crate) async fn lend(&self, id: i32) -> Result<Connection, ClientError> {
        self.pool.lend(&self.address_of(id)?, &self.config).await
    }

    fn address_of(&self, id: i32) -> Result<String, ClientError> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.brokers.get(&id).map(Broker::address).ok_or_else(|| {
            let subject = Subject::Named(format!("broker {id}"));
            ClientError::kafka(subject, KafkaError::new(KafkaError::LEADER_NOT_AVAILABLE))
        })
    }

    /// The end of a loan; a connection that is not given back closes.
    pub(crate) fn give_back(&self, connection: Connection) {
        self.pool.give_back(connection);
    }

    /// A connection to any broker: known ones first, then the bootstrap list.
    pub(crate) async fn any(&self) -> Result<Connection, ClientError> {
        let known: Vec<_> = {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            known.brokers.values().map(Broker::address).collect()
        };
        let addresses = || known.iter().chain(&self.config.bootstrap);
        for address in addresses() {
            if let Some(open) = self.pool.open_one(address) {
                return Ok(open);
            }
        }
        let mut last = ClientError::Invalid("no bootstrap broker is given".to_owned());
        for address in addresses() {
            match self.pool.connection(address, &self.config).await {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// A connection to the controller, or to any broker where none is known: it passes requests on (KIP-590).
    pub(crate) async fn controller(&self) -> Result<Connection, ClientError> {
        let controller = self.known.read().unwrap_or_else(PoisonError::into_inner).controller;
        match controller {
            Some(id) => match self.broker(id).await {
                Ok(connection) => Ok(connection),
                Err(_) => self.any().await,
            },
            None => self.any().await,
        }
    }

    pub(crate) fn retry(&self) -> &RetryConfig {
        &self.config.retry
    }
}

impl Known {
    fn learn_brokers(&mut self, brokers: Vec<Broker>, controller: Option<i32>) {
        if !brokers.is_empty() {
            self.brokers = brokers.into_iter().map(|broker| (broker.id, broker)).collect();
        }
        self.controller = controller;
    }
}

fn is_unknown(error: &ClientError) -> bool {
    error.kafka_error().is_some_and(|error| error.code == KafkaError::UNKNOWN_TOPIC_OR_PARTITION)
}
