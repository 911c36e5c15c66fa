//! Configs of topics and brokers: read, and change one by one.

use super::{Admin, Outcomes};
use crate::ClientError;

/// What has configs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConfigResource {
    /// A topic by name.
    Topic(String),
    /// A broker by node id; None: the default for all brokers.
    Broker(Option<i32>),
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigSource {
    /// Set on the topic.
    Topic,
    /// Set on the broker while it runs.
    DynamicBroker,
    /// Set for all brokers while they run.
    DynamicDefaultBroker,
    /// From the broker's file or command line.
    StaticBroker,
    /// Built in.
    Default,
    /// A code that this client does not know.
    Other(i8),
}

/// One config as the broker reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Kafka's key.
    pub name: String,
    /// None where the broker hides it or there is none.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it cannot be changed while the broker runs.
    pub read_only: bool,
    /// Whether the value is hidden.
    pub sensitive: bool,
}

/// What is done to a config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigOp {
    /// Sets it.
    Set(String),
    /// Goes back to what it would be without.
    Delete,
    /// Adds to a list.
    Append(String),
    /// Takes out of a list.
    Subtract(String),
}

/// A change of one config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigChange {
    /// Kafka's key.
    pub name: String,
    /// What is done to it.
    pub op: ConfigOp,
}

impl Admin {
    /// All configs of each resource.
    ///
    /// # Errors
    /// What any request may meet; each resource has its own result, under its name.
    pub async fn describe_configs(
        &self,
        resources: &[ConfigResource],
    ) -> Result<Outcomes<Vec<ConfigEntry>>, ClientError> {
        let _ = resources;
        todo!()
    }

    /// Changes configs of one resource, all or none; others stay as they are.
    ///
    /// # Errors
    /// What the broker refuses, or what any request may meet.
    pub async fn alter_configs(
        &self,
        resource: &ConfigResource,
        changes: &[ConfigChange],
        validate_only: bool,
    ) -> Result<(), ClientError> {
        let _ = (resource, changes, validate_only);
        todo!()
    }
}
