//! Topics with the durability that a row names, in each server's own words.

use std::time::{Duration, Instant};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult},
    client::DefaultClientContext,
    error::RDKafkaErrorCode,
};

use super::{Failure, Kind, Server};

/// For the nodes of a cluster to know each other.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an acknowledged record survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// kill -9: it is in the page cache.
    PageCache,
    /// A power cut: it was synced on the leader.
    Synced,
    /// A power cut and the loss of a node: it was synced on two of three.
    Majority,
}

impl Durability {
    /// As a table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PageCache => "page cache",
            Self::Synced => "synced",
            Self::Majority => "synced on two of three",
        }
    }

    /// The floor to compare with.
    pub fn floor(self) -> Kind {
        match self {
            Self::PageCache => Kind::Floor,
            Self::Synced => Kind::SyncedFloor,
            Self::Majority => Kind::ReplicatedFloor,
        }
    }

    /// How many nodes it takes.
    pub fn nodes(self) -> usize {
        if self == Self::Majority { 3 } else { 1 }
    }

    fn configs(self, kind: Kind) -> &'static [(&'static str, &'static str)] {
        match (kind, self) {
            (Kind::Tidemark, Self::PageCache) => &[("write.caching", "true")],
            (Kind::Kafka, Self::Synced | Self::Majority) => &[("flush.messages", "1"), ("file.delete.delay.ms", "100")],
            (Kind::Kafka, Self::PageCache) => &[("file.delete.delay.ms", "100")],
            (Kind::Tidemark | Kind::Floor | Kind::SyncedFloor | Kind::ReplicatedFloor, _) => &[],
        }
    }
}

/// Makes and removes topics of one server.
pub struct Topics {
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    kind: Kind,
    nodes: usize,
}

impl Topics {
    /// Of this server.
    pub fn of(server: &Server) -> Result<Self, Failure> {
        let admin = ClientConfig::new().set("bootstrap.servers", server.address()).create()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { admin, runtime, kind: server.kind, nodes: server.nodes() })
    }

    /// Makes one; `more` are further settings.
    pub fn create(
        &self,
        name: &str,
        partitions: i32,
        durability: Durability,
        more: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let replicas = if self.kind.is_floor() { 1 } else { i32::try_from(self.nodes)? };
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
        if !self.kind.is_floor() {
            for (key, value) in durability.configs(self.kind).iter().chain(more) {
                topic = topic.set(key, value);
            }
        }
        let since = Instant::now();
        loop {
            let created = self.runtime.block_on(self.admin.create_topics([&topic], &AdminOptions::new()))?;
            let too_few = |result: &TopicResult| {
                matches!(
                    result,
                    Err((_, RDKafkaErrorCode::InvalidReplicationFactor | RDKafkaErrorCode::InvalidReplicaAssignment))
                )
            };
            // a node that opened its port may not be known to the others yet
            if !created.iter().any(too_few) || since.elapsed() > PATIENCE {
                return self.check(created);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Removes one.
    pub fn delete(&self, name: &str) -> Result<(), Failure> {
        let deleted = self.runtime.block_on(self.admin.delete_topics(&[name], &AdminOptions::new()))?;
        self.check(deleted)
    }

    fn check(&self, results: Vec<TopicResult>) -> Result<(), Failure> {
        for result in results {
            result.map_err(|(topic, code)| format!("{}: topic {topic}: {code}", self.kind.name()))?;
        }
        Ok(())
    }
}
