//! `tidemark cluster up`.

use std::path::PathBuf;

use clap::Args;
use tidemark_client::{Client, ClientConfig};

use super::{local::LocalCluster, voters::vote};
use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster up                               three brokers, data in ./tidemark-cluster
  tidemark cluster up --nodes 5 --dir /tmp/five
  tidemark cluster up --from tidemark-data          a lone broker's data become those of three brokers
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
    /// Makes the cluster of the data of a lone broker, which must be stopped; they stay where they are
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
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
        let nodes = self.nodes.unwrap_or(NODES);
        let mut cluster = match &self.from {
            _ if LocalCluster::exists(&dir) => LocalCluster::load(&dir)?,
            Some(from) => LocalCluster::plan_from(&dir, &std::path::absolute(from).unwrap_or(from.clone()), nodes)?,
            None => LocalCluster::plan(&dir, nodes)?,
        };
        let voters = cluster.nodes.iter().filter(|node| node.voter).count();
        let is_another = self.nodes.is_some_and(|nodes| usize::try_from(nodes) != Ok(voters));
        let grows = self.from.is_some() && !LocalCluster::exists(&dir);
        if !grows && (self.from.is_some() || is_another) {
            return Err(Failure::new(format!("{} holds a cluster of {voters} voters", dir.display()))
                .next("leave --nodes and --from out to start it, or name another place with --dir"));
        }
        cluster.save()?;
        start(&mut cluster).await?;
        if grows {
            let client = Client::connect(ClientConfig::new(cluster.bootstrap().split(','))).await?;
            let all: Vec<i32> = cluster.nodes.iter().map(|node| node.id).collect();
            vote(&client.admin(), &all, Some(&mut cluster)).await?;
        }
        output::say("try:")?;
        output::say(&format!("  export TIDEMARK_BOOTSTRAP={}", cluster.bootstrap()))?;
        match grows {
            true => output::say("  tidemark partition move TOPIC 0 --to 1,2,3       gives a partition three replicas")?,
            false => output::say("  tidemark topic create orders --partitions 6 --replication-factor 3")?,
        }
        Ok(output::say("  tidemark cluster status")?)
    }
}

/// Starts all of them, and waits until they have found each other.
async fn start(cluster: &mut LocalCluster) -> Result<(), Failure> {
    for place in 0..cluster.nodes.len() {
        let mut node = cluster.nodes[place].clone();
        if !node.lives(cluster) {
            node.start(cluster)?;
            cluster.nodes[place] = node;
            // one by one: if a later one fails, `down` still knows those before it
            cluster.save()?;
        }
    }
    for node in &cluster.nodes {
        node.ready(cluster).await?;
        output::say(&node.place())?;
    }
    cluster.together().await
}
