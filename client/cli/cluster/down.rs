//! `tidemark cluster down`.

use std::path::PathBuf;

use clap::Args;
use rustix::process::Signal;

use super::local::LocalCluster;
use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster down                             `tidemark cluster up` starts it again, with its data
  tidemark cluster down && rm -r tidemark-cluster   forgets it";

/// Stops this machine's cluster; its data stay
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Down {
    /// Where the cluster is kept
    #[arg(long, value_name = "DIR", default_value = "tidemark-cluster")]
    dir: PathBuf,
}

impl Down {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let dir = std::path::absolute(&self.dir).unwrap_or(self.dir);
        let cluster = LocalCluster::load(&dir)?;
        for node in &cluster.nodes {
            node.signal(&cluster, Signal::TERM)?;
        }
        for node in &cluster.nodes {
            node.gone(&cluster).await?;
            output::say(&format!("broker {} is stopped", node.id))?;
        }
        Ok(())
    }
}
