//! `tidemark topic describe`.

use std::io::Write;

use clap::Args;
use serde_json::{Value, json};
use tidemark_client::{
    Admin,
    admin::{ConfigEntry, ConfigResource, ConfigSource, ListedOffset, OffsetSpec},
    cluster::TopicMetadata,
};

use crate::{
    connect::Bootstrap,
    failure::Failure,
    output::{self, ids, table},
};

const EXAMPLES: &str = "\
Examples:
  tidemark topic describe sensors
  tidemark topic describe sensors events --json";

/// Shows partitions, leaders, offsets and changed settings of topics
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Describe {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// One JSON object per topic and line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

/// What is shown of one topic. Offsets stand beside the partitions, None where one has no leader.
struct Description {
    topic: TopicMetadata,
    offsets: Vec<(Option<i64>, Option<i64>)>,
    settings: Vec<ConfigEntry>,
}

impl Describe {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.bootstrap.client().await?.admin();
        let names: Vec<_> = self.topics.iter().map(String::as_str).collect();
        let mut out = output::stdout();
        let mut failed = false;
        for (_, outcome) in admin.describe_topics(&names).await? {
            match outcome {
                Ok(topic) => {
                    let description = describe(&admin, topic).await?;
                    if self.json {
                        writeln!(out, "{}", description.json())?;
                    } else {
                        description.print(&mut out)?;
                    }
                }
                Err(error) => {
                    failed = true;
                    Failure::from(error).report();
                }
            }
        }
        out.flush()?;
        if failed { Err(Failure::said()) } else { Ok(()) }
    }
}

async fn describe(admin: &Admin, topic: TopicMetadata) -> Result<Description, Failure> {
    let asked =
        |spec| -> Vec<_> { topic.partitions.iter().map(|at| (topic.name.as_str(), at.partition, spec)).collect() };
    let found = |(_, _, offset): (String, i32, Result<ListedOffset, _>)| offset.ok().and_then(|offset| offset.offset);
    let earliest = admin.list_offsets(&asked(OffsetSpec::Earliest)).await.into_iter().map(found);
    let latest = admin.list_offsets(&asked(OffsetSpec::Latest)).await.into_iter().map(found);
    let offsets = earliest.zip(latest).collect();
    let configs = admin.describe_configs(&[ConfigResource::Topic(topic.name.clone())]).await?;
    let entries = configs.into_iter().next().map_or_else(|| Ok(Vec::new()), |(_, entries)| entries)?;
    let settings = entries.into_iter().filter(|entry| entry.source == ConfigSource::Topic).collect();
    Ok(Description { topic, offsets, settings })
}

impl Description {
    fn json(&self) -> Value {
        let partitions: Vec<_> = self
            .topic
            .partitions
            .iter()
            .zip(&self.offsets)
            .map(|(partition, (earliest, latest))| {
                json!({
                    "partition": partition.partition,
                    "leader": partition.leader,
                    "leader_epoch": partition.leader_epoch,
                    "replicas": partition.replicas,
                    "isr": partition.isr,
                    "earliest": earliest,
                    "latest": latest,
                })
            })
            .collect();
        let configs: serde_json::Map<_, _> =
            self.settings.iter().map(|entry| (entry.name.clone(), json!(entry.value))).collect();
        json!({
            "name": self.topic.name,
            "id": self.topic.id.map(|id| id.to_string()),
            "internal": self.topic.internal,
            "partitions": partitions,
            "configs": configs,
        })
    }

    fn print(&self, out: &mut impl Write) -> std::io::Result<()> {
        let id = self.topic.id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        writeln!(out, "topic {}, id {id}", self.topic.name)?;
        for entry in &self.settings {
            writeln!(out, "  {}={}", entry.name, entry.value.as_deref().unwrap_or("(hidden)"))?;
        }
        let heads = ["  PARTITION", "LEADER", "EPOCH", "REPLICAS", "ISR", "EARLIEST", "LATEST"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        for (partition, (earliest, latest)) in self.topic.partitions.iter().zip(&self.offsets) {
            let known = |offset: &Option<i64>| offset.map_or_else(|| "-".to_owned(), |offset| offset.to_string());
            rows.push(vec![
                format!("  {}", partition.partition),
                partition.leader.map_or_else(|| "none".to_owned(), |leader| leader.to_string()),
                partition.leader_epoch.to_string(),
                ids(&partition.replicas),
                ids(&partition.isr),
                known(earliest),
                known(latest),
            ]);
        }
        table(out, &rows)
    }
}
