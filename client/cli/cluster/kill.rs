//! `tidemark cluster kill`.

use std::path::PathBuf;

use clap::Args;
use rustix::process::Signal;

use super::local::LocalCluster;
use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster kill 2                           SIGKILL; clients go on with the other brokers
  tidemark cluster start 2                          it comes back and catches up";

/// Ends one broker of this machine's cluster at once, as a power cut of its process would
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Kill {
    /// Which broker
    #[arg(value_name = "ID")]
    id: i32,
    /// Where the cluster is kept
    #[arg(long, value_name = "DIR", default_value = "tidemark-cluster")]
    dir: PathBuf,
}

impl Kill {
    pub(super) fn run(self) -> Result<(), Failure> {
        let dir = std::path::absolute(&self.dir).unwrap_or(self.dir);
        let mut cluster = LocalCluster::load(&dir)?;
        let node = cluster.node_mut(self.id)?.clone();
        let killed = node.signal(&cluster, Signal::KILL)?;
        Ok(output::say(&format!("broker {} {}", self.id, if killed { "was killed" } else { "did not run" }))?)
    }
}
