//! `tidemark cluster add`.

use std::path::PathBuf;

use clap::Args;

use super::local::LocalCluster;
use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster add                              one more broker process, with the next id
  tidemark partition move orders 0 --to 2,3,4       gives it something to hold";

/// Adds a broker to this machine's cluster
///
/// It holds partitions, and follows the metadata without a vote. On other machines: `tidemark server --node-id N --voters …`
/// with an id of its own and an empty directory. `tidemark cluster voters` gives it a vote.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Add {
    /// Where the cluster is kept
    #[arg(long, value_name = "DIR", default_value = "tidemark-cluster")]
    dir: PathBuf,
}

impl Add {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let dir = std::path::absolute(&self.dir).unwrap_or(self.dir);
        let mut cluster = LocalCluster::load(&dir)?;
        let mut node = cluster.plan_observer()?;
        node.start(&cluster)?;
        cluster.nodes.push(node.clone());
        cluster.save()?;
        node.ready(&cluster).await?;
        cluster.shows(node.id).await?;
        Ok(output::say(&node.place())?)
    }
}
