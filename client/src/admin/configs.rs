//! Configs of topics and brokers: read, and change one by one.

use kafka_protocol::messages::{
    DescribeConfigsRequest, IncrementalAlterConfigsRequest,
    describe_configs_request::DescribeConfigsResource,
    describe_configs_response::DescribeConfigsResourceResult,
    incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
};

use super::{
    Admin, Outcomes,
    admin::{in_order, outcome, text, unless_done},
};
use crate::{ClientError, connection::Connection, error::Subject};

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

impl ConfigResource {
    /// Kafka's number for the kind.
    fn kind(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) => 4,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Topic(name) => name.clone(),
            Self::Broker(id) => id.map(|id| id.to_string()).unwrap_or_default(),
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::Topic(name) => Subject::Topic(name.clone()),
            Self::Broker(Some(id)) => Subject::Named(format!("broker {id}")),
            Self::Broker(None) => Subject::Named("all brokers".to_owned()),
        }
    }
}

impl ConfigSource {
    fn from_code(code: i8) -> Self {
        match code {
            1 => Self::Topic,
            2 => Self::DynamicBroker,
            3 => Self::DynamicDefaultBroker,
            4 => Self::StaticBroker,
            5 => Self::Default,
            other => Self::Other(other),
        }
    }
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
        let mut outcomes = Vec::new();
        for resource in resources {
            outcomes.extend(self.describe_config(resource).await?);
        }
        Ok(outcomes)
    }

    async fn describe_config(&self, resource: &ConfigResource) -> Result<Outcomes<Vec<ConfigEntry>>, ClientError> {
        let build = |_| {
            let wanted = DescribeConfigsResource::default()
                .with_resource_type(resource.kind())
                .with_resource_name(text(&resource.name()))
                .with_configuration_keys(None);
            DescribeConfigsRequest::default().with_resources(vec![wanted])
        };
        let answer = self.repeated(|| async { self.connection_for(resource).await?.call(build).await }).await?;
        let answers = answer.results.into_iter().map(|result| {
            let entries = result.configs.into_iter().map(entry).collect();
            (result.resource_name.to_string(), outcome(result.error_code, result.error_message, entries))
        });
        let name = resource.name();
        Ok(in_order(std::iter::once(name.as_str()), answers.collect(), |_| resource.subject()))
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
        let build = |_| {
            let wanted = AlterConfigsResource::default()
                .with_resource_type(resource.kind())
                .with_resource_name(text(&resource.name()))
                .with_configs(changes.iter().map(alterable).collect());
            IncrementalAlterConfigsRequest::default().with_resources(vec![wanted]).with_validate_only(validate_only)
        };
        let answer = unless_done(self.cluster(), async || self.connection_for(resource).await, build).await?;
        let answers = answer
            .responses
            .into_iter()
            .map(|result| (result.resource_name.to_string(), outcome(result.error_code, result.error_message, ())));
        let name = resource.name();
        let outcomes = in_order(std::iter::once(name.as_str()), answers.collect(), |_| resource.subject());
        outcomes.into_iter().try_for_each(|(_, outcome)| outcome)
    }

    /// A broker's own configs are the broker's to answer for; all others any broker's.
    async fn connection_for(&self, resource: &ConfigResource) -> Result<Connection, ClientError> {
        match resource {
            ConfigResource::Broker(Some(id)) => self.cluster().broker(*id).await,
            ConfigResource::Topic(_) | ConfigResource::Broker(None) => self.cluster().controller().await,
        }
    }
}

fn entry(config: DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: config.name.to_string(),
        value: config.value.map(|value| value.to_string()),
        source: ConfigSource::from_code(config.config_source),
        read_only: config.read_only,
        sensitive: config.is_sensitive,
    }
}

fn alterable(change: &ConfigChange) -> AlterableConfig {
    let (operation, value) = match &change.op {
        ConfigOp::Set(value) => (0, Some(value)),
        ConfigOp::Delete => (1, None),
        ConfigOp::Append(value) => (2, Some(value)),
        ConfigOp::Subtract(value) => (3, Some(value)),
    };
    AlterableConfig::default()
        .with_name(text(&change.name))
        .with_config_operation(operation)
        .with_value(value.map(|value| text(value)))
}
