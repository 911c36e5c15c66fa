//! `tidemark cluster drain`: which partitions go from a broker to which others. Not here: how moves are watched.

use std::collections::BTreeMap;

use clap::Args;
use tidemark_client::{Admin, admin::PartitionMove, cluster::TopicMetadata};

use super::target::Target;
use crate::{
    failure::Failure,
    output,
    partition::{begin, watch},
};

const EXAMPLES: &str = "\
Examples:
  tidemark cluster drain 4                          then: tidemark cluster remove 4
  tidemark cluster drain 2 --dry-run                says what would go where";

/// Moves every replica off a broker, and shows how far it is
///
/// Clients go on meanwhile. Topics that are made meanwhile may lie on the broker again; Ctrl-C ends the watching, not the moves.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Drain {
    /// Which broker
    #[arg(value_name = "ID")]
    id: i32,
    /// Only says what would go where
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    target: Target,
}

impl Drain {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let admin = self.target.client().await?.admin();
        let brokers: Vec<i32> = admin.describe_cluster().await?.brokers.iter().map(|broker| broker.id).collect();
        let topics = all_topics(&admin).await?;
        let moves = plan(self.id, &brokers, &topics).map_err(|why| {
            Failure::new(why)
                .next("add a broker (`tidemark cluster add`), or give the partition fewer (`tidemark partition move`)")
        })?;
        if moves.is_empty() {
            return Ok(output::say(&format!("broker {} holds nothing", self.id))?);
        }
        for PartitionMove { topic, partition, brokers } in &moves {
            let to = output::ids(brokers.as_deref().unwrap_or_default());
            output::say(&format!("partition {topic}-{partition}: to {to}"))?;
        }
        if self.dry_run {
            return Ok(());
        }
        begin(&admin, &moves).await?;
        watch(&admin, &moves).await?;
        Ok(output::say(&format!("broker {} holds nothing any more", self.id))?)
    }
}

/// Every topic of the cluster.
pub(super) async fn all_topics(admin: &Admin) -> Result<Vec<TopicMetadata>, Failure> {
    let names: Vec<String> = admin.list_topics().await?.into_iter().map(|topic| topic.name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let described = if names.is_empty() { Vec::new() } else { admin.describe_topics(&names).await? };
    // one that was deleted meanwhile is not missed
    Ok(described.into_iter().filter_map(|(_, topic)| topic.ok()).collect())
}

/// Each replica on the broker goes to the one of the others that holds least and does not hold the partition.
fn plan(from: i32, brokers: &[i32], topics: &[TopicMetadata]) -> Result<Vec<PartitionMove>, String> {
    let mut held: BTreeMap<i32, usize> = brokers.iter().filter(|id| **id != from).map(|id| (*id, 0)).collect();
    let partitions = || topics.iter().flat_map(|topic| topic.partitions.iter().map(move |one| (&topic.name, one)));
    for broker in partitions().flat_map(|(_, one)| &one.replicas) {
        held.entry(*broker).and_modify(|count| *count += 1);
    }
    let mut moves = Vec::new();
    for (topic, one) in partitions().filter(|(_, one)| one.replicas.contains(&from)) {
        let free = held.iter().filter(|(id, _)| !one.replicas.contains(id));
        let Some((to, _)) = free.min_by_key(|(_, count)| **count) else {
            let (replicas, others) = (one.replicas.len(), held.len());
            let partition = one.partition;
            return Err(format!("{topic}-{partition} has {replicas} replicas, and there are {others} other brokers"));
        };
        let to = *to;
        held.entry(to).and_modify(|count| *count += 1);
        let brokers = one.replicas.iter().map(|id| if *id == from { to } else { *id }).collect();
        moves.push(PartitionMove { topic: topic.clone(), partition: one.partition, brokers: Some(brokers) });
    }
    Ok(moves)
}

#[cfg(test)]
mod tests {
    use tidemark_client::cluster::PartitionMetadata;

    use super::*;

    fn topic(replicas: &[&[i32]]) -> TopicMetadata {
        let partition = |(partition, replicas): (i32, &&[i32])| PartitionMetadata {
            partition,
            leader: replicas.first().copied(),
            leader_epoch: 0,
            replicas: replicas.to_vec(),
            isr: replicas.to_vec(),
            offline_replicas: Vec::new(),
        };
        let partitions = (0..).zip(replicas).map(partition).collect();
        TopicMetadata { name: "t".into(), id: None, internal: false, partitions }
    }

    #[test]
    fn what_goes_is_dealt_to_those_that_hold_least() {
        let topics = [topic(&[&[4, 1], &[2, 4], &[1, 2], &[4]])];
        let moves = plan(4, &[1, 2, 3, 4], &topics).unwrap();
        let to: Vec<_> = moves.iter().map(|one| (one.partition, one.brokers.clone().unwrap())).collect();
        assert_eq!(to, [(0, vec![3, 1]), (1, vec![2, 3]), (3, vec![1])]);
        assert_eq!(plan(9, &[1, 2, 4], &topics), Ok(Vec::new()));
        let full = plan(4, &[1, 4], &topics).unwrap_err();
        assert!(full.contains("t-0 has 2 replicas, and there are 1 other brokers"), "{full}");
    }
}
