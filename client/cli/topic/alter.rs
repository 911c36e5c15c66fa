//! `tidemark topic alter`.

use clap::Args;

use crate::{connect::Bootstrap, failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark topic alter sensors --partitions 16

Records that are there stay where they are; keys may go to other partitions from then on. There is no way back.";

/// Raises the number of partitions
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Alter {
    /// Name of the topic
    topic: String,
    /// How many partitions it shall have in all
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
    partitions: i32,
    /// Only says whether it could be done
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

impl Alter {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.bootstrap.client().await?.admin();
        admin.create_partitions(&self.topic, self.partitions, self.dry_run).await?;
        let verb = if self.dry_run { "could have" } else { "has" };
        output::say(&format!("topic {} {verb} {} partitions", self.topic, self.partitions))?;
        Ok(())
    }
}
