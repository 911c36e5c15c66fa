//! `tidemark partition elect`.

use clap::Args;
use tidemark_client::KafkaError;

use crate::{connect::Bootstrap, failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark partition elect                          wherever another than the preferred replica leads
  tidemark partition elect orders 0                 of one partition";

/// Lets preferred replicas lead
///
/// The preferred replica of a partition is the first that it was given. The cluster does this by itself every few minutes.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Elect {
    /// The topic
    #[arg(requires = "partition")]
    topic: Option<String>,
    /// Its partition
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    partition: Option<i32>,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

impl Elect {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.bootstrap.client().await?.admin();
        let one = self.topic.as_deref().zip(self.partition);
        let outcomes = admin.elect_leaders(one.as_ref().map(std::slice::from_ref)).await?;
        if outcomes.is_empty() {
            return Ok(output::say("every partition is led by its preferred replica")?);
        }
        let mut failed = false;
        for (topic, partition, outcome) in outcomes {
            let idle = |error: &KafkaError| error.code == KafkaError::ELECTION_NOT_NEEDED;
            match outcome {
                Ok(()) => output::say(&format!("partition {topic}-{partition}: the preferred replica leads"))?,
                Err(error) if error.kafka_error().is_some_and(idle) => {
                    output::say(&format!("partition {topic}-{partition}: the preferred replica led already"))?;
                }
                Err(error) => {
                    failed = true;
                    Failure::from(error).report();
                }
            }
        }
        if failed { Err(Failure::said()) } else { Ok(()) }
    }
}
