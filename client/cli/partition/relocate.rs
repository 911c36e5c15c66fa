//! `tidemark partition move`.

use clap::Args;
use tidemark_client::admin::PartitionMove;

use super::watch::{begin, watch};
use crate::{connect::Bootstrap, failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark partition move orders 0 --to 2,3,4       2 is the preferred leader; clients go on meanwhile
  tidemark partition move orders 0 --to 1,2,3       also raises or lowers the number of replicas
  tidemark partition move orders 0 --cancel         takes a move back that is under way";

/// Moves a partition to these brokers, and shows how far it is
///
/// New replicas are filled first; those that shall go hold the partition until then. Ctrl-C ends the watching, not the move.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Move {
    /// The topic
    topic: String,
    /// Its partition
    #[arg(value_parser = clap::value_parser!(i32).range(0..))]
    partition: i32,
    /// Brokers that shall hold it, the preferred leader first
    #[arg(long, value_name = "ID,…", value_delimiter = ',', required_unless_present = "cancel")]
    to: Vec<i32>,
    /// Takes a move back
    #[arg(long, conflicts_with = "to")]
    cancel: bool,
    /// Ends once the move has begun
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    bootstrap: Bootstrap,
}

impl Move {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.bootstrap.client().await?.admin();
        let brokers = (!self.cancel).then_some(self.to);
        let moves = [PartitionMove { topic: self.topic, partition: self.partition, brokers }];
        begin(&admin, &moves).await?;
        let [PartitionMove { topic, partition, brokers }] = &moves;
        if brokers.is_none() {
            output::say(&format!("partition {topic}-{partition}: the move is taken back"))?;
        }
        if self.no_wait {
            return Ok(());
        }
        watch(&admin, &moves).await
    }
}
