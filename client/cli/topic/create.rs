//! `tidemark topic create`.

use clap::Args;
use tidemark_client::{KafkaError, admin::NewTopic};

use super::command::report;
use crate::{connect::Bootstrap, failure::Failure, output, server::key_value};

const EXAMPLES: &str = "\
Examples:
  tidemark topic create sensors
  tidemark topic create sensors events --partitions 8
  tidemark topic create state --config cleanup.policy=compact --config max.message.bytes=4194304
  tidemark topic create sensors --dry-run           says whether it could be created, and creates nothing";

/// Creates topics
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Create {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    /// How many partitions each gets [default: the broker's num.partitions]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: Option<i32>,
    /// How many brokers keep each partition [default: the broker's default.replication.factor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i16).range(1..))]
    replication_factor: Option<i16>,
    /// A setting, by Kafka's key; may be repeated
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = key_value)]
    config: Vec<(String, String)>,
    /// A topic that exists is no failure; its settings stay as they are
    #[arg(long)]
    if_not_exists: bool,
    /// Only says whether it could be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

impl Create {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let topics: Vec<_> = self.topics.iter().map(|name| self.topic(name)).collect();
        let admin = self.bootstrap.client().await?.admin();
        let outcomes = admin.create_topics(&topics, self.dry_run).await?;
        let mut others = Vec::new();
        for (name, outcome) in outcomes {
            let exists = |error: &KafkaError| error.code == KafkaError::TOPIC_ALREADY_EXISTS;
            match outcome {
                Err(error) if self.if_not_exists && error.kafka_error().is_some_and(exists) => {
                    output::say(&format!("topic {name} exists already"))?;
                }
                outcome => others.push((name, outcome)),
            }
        }
        for (name, outcome) in &others {
            let factor = outcome.as_ref().map(|topic| topic.replication_factor);
            if factor.is_ok_and(|factor| factor == 2 || factor < 0 && self.replication_factor == Some(2)) {
                output::note(&format!("warning: topic {name} has two replicas: one dead broker stops its writes"));
            }
        }
        let verb = if self.dry_run { "could be created" } else { "created" };
        report(others, |name, topic| match topic.partitions {
            -1 => format!("topic {name} {verb}"),
            partitions => {
                format!("topic {name} {verb}: partitions {partitions}, replication factor {}", topic.replication_factor)
            }
        })
    }

    fn topic(&self, name: &str) -> NewTopic {
        NewTopic {
            name: name.to_owned(),
            partitions: self.partitions,
            replication_factor: self.replication_factor,
            configs: self.config.clone(),
        }
    }
}
