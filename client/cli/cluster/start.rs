//! `tidemark cluster start`.

use std::path::PathBuf;

use clap::Args;

use super::local::LocalCluster;
use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster start 2                          on its old ports, with its old data";

/// Starts a broker of this machine's cluster again
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Start {
    /// Which broker
    #[arg(value_name = "ID")]
    id: i32,
    /// Where the cluster is kept
    #[arg(long, value_name = "DIR", default_value = "tidemark-cluster")]
    dir: PathBuf,
}

impl Start {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let dir = std::path::absolute(&self.dir).unwrap_or(self.dir);
        let mut cluster = LocalCluster::load(&dir)?;
        let mut node = cluster.node_mut(self.id)?.clone();
        if node.lives(&cluster) {
            return Ok(output::say(&format!("broker {} runs already, as process {}", self.id, node.pid))?);
        }
        node.start(&cluster)?;
        cluster.node_mut(self.id)?.clone_from(&node);
        cluster.save()?;
        node.ready(&cluster).await?;
        Ok(output::say(&format!("broker {} runs, as process {}", self.id, node.pid))?)
    }
}
