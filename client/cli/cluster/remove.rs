//! `tidemark cluster remove`.

use std::time::Duration;

use clap::Args;
use rustix::process::Signal;
use tidemark_client::{Admin, KafkaError};
use tokio::time::Instant;

use super::{drain::all_topics, local::LocalCluster, target::Target, voters::vote};
use crate::{failure::Failure, output};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster drain 4 && tidemark cluster remove 4
  tidemark cluster remove 4 --bootstrap core-1:9092 on another machine its process is stopped by hand before";

/// How long the cluster may take to see that a broker is gone: a session, and some time.
const GONE_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Takes a broker that holds nothing out of the cluster for good
///
/// One of this machine's cluster is stopped; its data directory stays. A broker that votes on the metadata loses its vote first.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Remove {
    /// Which broker
    #[arg(value_name = "ID")]
    id: i32,
    #[command(flatten)]
    target: Target,
}

impl Remove {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (id, mut local) = (self.id, self.target.local()?);
        let admin = self.target.client().await?.admin();
        may_go(&admin, id).await?;
        give_up_vote(&admin, id, local.as_mut()).await?;
        if let Some(cluster) = &local {
            stop(cluster, id).await?;
        }
        gone(&admin, id, local.is_some()).await?;
        match admin.unregister_broker(id).await {
            Err(error) if error.kafka_error().is_some_and(is_unknown) && local.is_some() => {}
            done => done?,
        }
        if let Some(cluster) = &mut local {
            cluster.nodes.retain(|node| node.id != id);
            cluster.save()?;
        }
        Ok(output::say(&format!("broker {id} is no part of the cluster any more"))?)
    }
}

fn is_unknown(error: &KafkaError) -> bool {
    error.name == "BROKER_ID_NOT_REGISTERED"
}

/// It holds no replica.
async fn may_go(admin: &Admin, id: i32) -> Result<(), Failure> {
    let topics = all_topics(admin).await?;
    let partitions = topics.iter().flat_map(|topic| &topic.partitions);
    let held = partitions.filter(|partition| partition.replicas.contains(&id)).count();
    if held > 0 {
        return Err(Failure::new(format!("broker {id} holds {held} partitions"))
            .next(format!("`tidemark cluster drain {id}` moves them to others")));
    }
    Ok(())
}

/// Lets those that vote beside it vote without it.
async fn give_up_vote(admin: &Admin, id: i32, local: Option<&mut LocalCluster>) -> Result<(), Failure> {
    let voters: Vec<i32> = admin.describe_quorum().await?.voters.iter().map(|voter| voter.broker_id).collect();
    if !voters.contains(&id) {
        return Ok(());
    }
    let others: Vec<i32> = voters.into_iter().filter(|voter| *voter != id).collect();
    if others.is_empty() {
        return Err(Failure::new(format!("broker {id} is the only one that votes on the cluster's metadata"))
            .next("`tidemark cluster voters ID` lets another broker vote"));
    }
    vote(admin, &others, local).await
}

/// Stops a process of this machine's cluster.
async fn stop(cluster: &LocalCluster, id: i32) -> Result<(), Failure> {
    let Some(node) = cluster.nodes.iter().find(|node| node.id == id) else {
        return Err(Failure::new(format!("there is no broker {id} in {}", cluster.dir.display())));
    };
    node.signal(cluster, Signal::TERM)?;
    node.gone(cluster).await
}

/// Waits until the cluster has seen that it is gone: one that runs would register again.
async fn gone(admin: &Admin, id: i32, stopped: bool) -> Result<(), Failure> {
    let begun = Instant::now();
    while admin.describe_cluster().await?.brokers.iter().any(|broker| broker.id == id) {
        if !stopped || begun.elapsed() > GONE_WITHIN {
            return Err(Failure::new(format!("broker {id} still runs")).next("stop its process, then do this again"));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}
