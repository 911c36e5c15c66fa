//! `tidemark topic delete`.

use clap::Args;

use super::command::report;
use crate::{connect::Bootstrap, failure::Failure};

const EXAMPLES: &str = "\
Examples:
  tidemark topic delete sensors
  tidemark topic delete sensors events

The records are gone with the topic, and it does not ask.";

/// Deletes topics with all their records
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Delete {
    /// Names of the topics
    #[arg(required = true, value_name = "TOPIC")]
    topics: Vec<String>,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

impl Delete {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.bootstrap.client().await?.admin();
        let names: Vec<_> = self.topics.iter().map(String::as_str).collect();
        report(admin.delete_topics(&names).await?, |name, ()| format!("topic {name} deleted"))
    }
}
