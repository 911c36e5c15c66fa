//! `tidemark cluster up`.

use std::path::PathBuf;

use clap::Args;

use super::local::LocalCluster;
use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster up                               three brokers, data in ./tidemark-cluster
  tidemark cluster up --nodes 5 --dir /tmp/five
  tidemark cluster kill 2; tidemark cluster status; tidemark cluster start 2
  tidemark cluster down                             stops them; `up` starts them again with their data";

/// Starts a cluster of several brokers on this machine
///
/// For trying things out: a real cluster has a machine per broker (`tidemark server --voters`).
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Up {
    /// How many brokers: 1, 3 or 5 [default: 3, or those of the directory]
    #[arg(long, value_name = "N", value_parser = nodes)]
    nodes: Option<i32>,
    /// Where the cluster is kept
    #[arg(long, value_name = "DIR", default_value = "tidemark-cluster")]
    dir: PathBuf,
}

/// How many where nobody says.
const NODES: i32 = 3;

fn nodes(text: &str) -> Result<i32, String> {
    match text.parse() {
        Ok(count @ (1 | 3 | 5)) => Ok(count),
        _ => Err("a quorum has 1, 3 or 5 brokers".to_owned()),
    }
}

impl Up {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let dir = std::path::absolute(&self.dir).unwrap_or(self.dir);
        let mut cluster = if LocalCluster::exists(&dir) {
            LocalCluster::load(&dir)?
        } else {
            LocalCluster::plan(&dir, self.nodes.unwrap_or(NODES))?
        };
        let voters = cluster.nodes.iter().filter(|node| node.voter).count();
        if self.nodes.is_some_and(|nodes| usize::try_from(nodes) != Ok(voters)) {
            return Err(Failure::new(format!("{} holds a cluster of {voters} voters", dir.display()))
                .next("leave --nodes out to start it, or name another place with --dir"));
        }
        cluster.save()?;
        for place in 0..cluster.nodes.len() {
            let mut node = cluster.nodes[place].clone();
            if !node.lives(&cluster) {
                node.start(&cluster)?;
                cluster.nodes[place] = node;
                // one by one: if a later one fails, `down` still knows those before it
                cluster.save()?;
            }
        }
        for node in &cluster.nodes {
            node.ready(&cluster).await?;
            output::say(&format!(
                "broker {}: kafka 127.0.0.1:{}, http 127.0.0.1:{}, raft 127.0.0.1:{}, process {}",
                node.id, node.kafka, node.http, node.raft, node.pid
            ))?;
        }
        cluster.together().await?;
        output::say("try:")?;
        output::say(&format!("  export TIDEMARK_BOOTSTRAP={}", cluster.bootstrap()))?;
        output::say("  tidemark topic create orders --partitions 6 --replication-factor 3")?;
        Ok(output::say("  tidemark cluster status")?)
    }
}
