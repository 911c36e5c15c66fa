//! `tidemark topic config`.

use std::io::Write;

use clap::{Args, Subcommand};
use serde_json::json;
use tidemark_client::admin::{ConfigChange, ConfigEntry, ConfigOp, ConfigResource, ConfigSource};

use crate::{
    connect::Bootstrap,
    failure::Failure,
    output::{self, table},
    server::key_value,
};

/// Shows and changes settings of a topic
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Shows settings: those of the topic's own, or all, or by name
    Get(Get),
    /// Changes settings, all or none
    Set(Set),
    /// Goes back to the defaults
    Unset(Unset),
}

const GET_EXAMPLES: &str = "\
Examples:
  tidemark topic config get sensors                 what was set on the topic
  tidemark topic config get sensors --all           every setting, and where its value comes from
  tidemark topic config get sensors retention.ms";

/// Shows settings
#[derive(Debug, Args)]
#[command(after_help = GET_EXAMPLES)]
pub(crate) struct Get {
    /// Name of the topic
    topic: String,
    /// Kafka's keys; without any, those that were set on the topic
    keys: Vec<String>,
    /// Every setting
    #[arg(long)]
    all: bool,
    /// One JSON object per line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

const SET_EXAMPLES: &str = "\
Examples:
  tidemark topic config set sensors retention.ms=86400000
  tidemark topic config set sensors cleanup.policy=compact,delete segment.bytes=67108864";

/// Changes settings, all or none
#[derive(Debug, Args)]
#[command(after_help = SET_EXAMPLES)]
pub(crate) struct Set {
    /// Name of the topic
    topic: String,
    /// Kafka's keys and their values
    #[arg(required = true, value_name = "KEY=VALUE", value_parser = key_value)]
    settings: Vec<(String, String)>,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

const UNSET_EXAMPLES: &str = "\
Examples:
  tidemark topic config unset sensors retention.ms";

/// Goes back to the defaults
#[derive(Debug, Args)]
#[command(after_help = UNSET_EXAMPLES)]
pub(crate) struct Unset {
    /// Name of the topic
    topic: String,
    /// Kafka's keys
    #[arg(required = true, value_name = "KEY")]
    keys: Vec<String>,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

impl ConfigCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Get(get) => get.run().await,
            Self::Set(Set { topic, settings, bootstrap }) => {
                let changes = settings.into_iter().map(|(name, value)| ConfigChange { name, op: ConfigOp::Set(value) });
                change(&bootstrap, topic, changes.collect()).await
            }
            Self::Unset(Unset { topic, keys, bootstrap }) => {
                let changes = keys.into_iter().map(|name| ConfigChange { name, op: ConfigOp::Delete });
                change(&bootstrap, topic, changes.collect()).await
            }
        }
    }
}

async fn change(bootstrap: &Bootstrap, topic: String, changes: Vec<ConfigChange>) -> Result<(), Failure> {
    let admin = bootstrap.client().await?.admin();
    admin.alter_configs(&ConfigResource::Topic(topic.clone()), &changes, false).await?;
    for change in &changes {
        match &change.op {
            ConfigOp::Set(value) => output::say(&format!("topic {topic}: {}={value}", change.name))?,
            _ => output::say(&format!("topic {topic}: {} is the default again", change.name))?,
        }
    }
    Ok(())
}

impl Get {
    async fn run(self) -> Result<(), Failure> {
        let admin = self.bootstrap.client().await?.admin();
        let described = admin.describe_configs(&[ConfigResource::Topic(self.topic.clone())]).await?;
        let entries = described.into_iter().next().map_or_else(|| Ok(Vec::new()), |(_, entries)| entries)?;
        if let Some(unknown) = self.keys.iter().find(|key| !entries.iter().any(|entry| entry.name == **key)) {
            return Err(Failure::new(format!("topic {} has no setting {unknown}", self.topic))
                .next(format!("`tidemark topic config get {} --all` shows what there is", self.topic)));
        }
        let shown: Vec<_> = entries.iter().filter(|entry| self.shows(entry)).collect();
        if shown.is_empty() && !self.json {
            output::note(&format!("nothing is set on topic {}; --all shows the defaults", self.topic));
        }
        print(&shown, self.json)
    }

    fn shows(&self, entry: &ConfigEntry) -> bool {
        if self.keys.is_empty() {
            self.all || entry.source == ConfigSource::Topic
        } else {
            self.keys.contains(&entry.name)
        }
    }
}

fn print(entries: &[&ConfigEntry], as_json: bool) -> Result<(), Failure> {
    let mut out = output::stdout();
    if as_json {
        for entry in entries {
            let line = json!({ "name": entry.name, "value": entry.value, "source": source(entry.source), "read_only": entry.read_only });
            writeln!(out, "{line}")?;
        }
    } else {
        let row = |entry: &&ConfigEntry| {
            let value = entry.value.as_deref().unwrap_or(if entry.sensitive { "(hidden)" } else { "" });
            vec![format!("{}={value}", entry.name), format!("({})", source(entry.source))]
        };
        table(&mut out, &entries.iter().map(row).collect::<Vec<_>>())?;
    }
    Ok(out.flush()?)
}

fn source(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "topic",
        ConfigSource::DynamicBroker => "broker, while it runs",
        ConfigSource::DynamicDefaultBroker => "all brokers, while they run",
        ConfigSource::StaticBroker => "broker",
        ConfigSource::Default => "default",
        ConfigSource::Other(_) => "elsewhere",
    }
}
