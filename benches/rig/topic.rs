//! Topics with the durability that a row names, in each server's own words.

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use super::{Failure, Kind, Server};

/// What an acknowledged record survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// kill -9: it is in the page cache.
    PageCache,
    /// A power cut: it was synced on the leader.
    Synced,
}

impl Durability {
    /// As a table names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::PageCache => "page cache",
            Self::Synced => "synced",
        }
    }

    /// The floor to compare with.
    pub fn floor(self) -> Kind {
        match self {
            Self::PageCache => Kind::Floor,
            Self::Synced => Kind::SyncedFloor,
        }
    }

    fn configs(self, kind: Kind) -> &'static [(&'static str, &'static str)] {
        match (kind, self) {
            (Kind::Tidemark, Self::PageCache) => &[("write.caching", "true")],
            (Kind::Kafka, Self::Synced) => &[("flush.messages", "1"), ("file.delete.delay.ms", "100")],
            (Kind::Kafka, Self::PageCache) => &[("file.delete.delay.ms", "100")],
            (Kind::Tidemark, Self::Synced) | (Kind::Floor | Kind::SyncedFloor, _) => &[],
        }
    }
}

/// Makes and removes topics of one server.
pub struct Topics {
    admin: AdminClient<DefaultClientContext>,
    runtime: tokio::runtime::Runtime,
    kind: Kind,
}

impl Topics {
    /// Of this server.
    pub fn of(server: &Server) -> Result<Self, Failure> {
        let admin = ClientConfig::new().set("bootstrap.servers", server.address()).create()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { admin, runtime, kind: server.kind })
    }

    /// Makes one; `more` are further settings.
    pub fn create(
        &self,
        name: &str,
        partitions: i32,
        durability: Durability,
        more: &[(&str, &str)],
    ) -> Result<(), Failure> {
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
        if !matches!(self.kind, Kind::Floor | Kind::SyncedFloor) {
            for (key, value) in durability.configs(self.kind).iter().chain(more) {
                topic = topic.set(key, value);
            }
        }
        let created = self.runtime.block_on(self.admin.create_topics([&topic], &AdminOptions::new()))?;
        self.check(created)
    }

    /// Removes one.
    pub fn delete(&self, name: &str) -> Result<(), Failure> {
        let deleted = self.runtime.block_on(self.admin.delete_topics(&[name], &AdminOptions::new()))?;
        self.check(deleted)
    }

    fn check(&self, results: Vec<rdkafka::admin::TopicResult>) -> Result<(), Failure> {
        for result in results {
            result.map_err(|(topic, code)| format!("{}: topic {topic}: {code}", self.kind.name()))?;
        }
        Ok(())
    }
}
