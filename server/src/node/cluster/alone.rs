//! A broker that is started without voters over a directory that was a cluster's: alone again, if it is all that is left of the
//! cluster. What it was goes in one step, the journal's record that its metadata's log is in no group; a start before and a start
//! behind that record find the same records. Not here: how a log leaves its group (`raft`).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::Instant;

use crate::{
    metadata::Image,
    node::StartError,
    os::random::Random,
    partition::{FetchWaiter, Partitions},
    raft::{Carrier, CarrierError, GroupTiming, Groups, Lane, NodeId, Role, Storage, random_id},
    tasks::{self, TaskKind},
};

/// How long the only member of a group may take to lead it.
const LEAD_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// There is no other broker.
struct Nobody;

impl Carrier for Nobody {
    fn call(&self, to: NodeId, _: Lane, _: Vec<Bytes>) -> BoxFuture<'static, Result<Bytes, CarrierError>> {
        std::future::ready(Err(CarrierError::Unreachable(format!("this broker is alone, and {to} is another")))).boxed()
    }
}

/// Makes all that the metadata's log holds count, where it is of a group.
///
/// # Errors
/// Other brokers have a part in the metadata; or the disk's.
pub(in crate::node) async fn lead_metadata(storage: &Storage, partitions: &Partitions) -> Result<(), StartError> {
    let log = partitions.metadata_log();
    if matches!(log.role(), Role::Solo { .. }) {
        return Ok(());
    }
    partitions.join_groups(Groups::new(Arc::new(Nobody), GroupTiming::default())?);
    let own = storage.properties();
    let node = NodeId::new(own.node_id, own.incarnation);
    let (voters, _) = log.members();
    if voters != [node] {
        let voters: Vec<String> = voters.iter().map(|voter| voter.broker().to_string()).collect();
        return Err(StartError::Cluster(format!(
            "the directory is of a cluster whose metadata broker {} keeps: start with --voters; \
             what is left of a cluster starts without once all others were removed (`tidemark cluster remove`)",
            voters.join(", ")
        )));
    }
    partitions.start_metadata_group(node).await?;
    let begun = Instant::now();
    loop {
        let seen = log.high_watermark();
        if log.role().leads() && seen == log.log_end_offset() {
            return Ok(());
        }
        if begun.elapsed() > LEAD_WITHIN {
            return Err(StartError::Cluster("the metadata's log is not led in time".to_owned()));
        }
        let waiter = FetchWaiter::new(1);
        log.watch(&waiter, seen);
        waiter.wait(Instant::now() + LOOK_EVERY).await;
    }
}

/// Makes the directory one of a lone broker, if the metadata knows no other.
///
/// # Errors
/// It does; or the disk's.
pub(in crate::node) async fn be_alone(
    storage: &Storage,
    partitions: &Partitions,
    image: &Image,
    random: &Random,
) -> Result<(), StartError> {
    let own = storage.properties();
    if let Some(why) = not_alone(image, own.node_id) {
        return Err(StartError::Cluster(why));
    }
    let log = partitions.metadata_log();
    if !matches!(log.role(), Role::Solo { .. }) {
        // brokers that are registered no more, and would be sent the log all the same
        let (_, learners) = log.members();
        if !learners.is_empty() {
            log.forget(&learners).await?;
        }
        partitions.end_metadata_group().await?;
        tracing::info!(cluster_id = own.cluster_id, "this broker is alone from now on");
    }
    if !own.quorum.is_empty() || own.cluster_id.is_empty() {
        // one that waited for its cluster in vain has no id yet
        let fresh = || random_id(random);
        let cluster_id = Some(own.cluster_id.clone()).filter(|id| !id.is_empty()).unwrap_or_else(fresh);
        storage.join_cluster(&cluster_id, &[], own.incarnation)?;
    }
    Ok(())
}

/// Why a broker cannot be alone: partitions, or brokers, that it is not all of.
fn not_alone(image: &Image, broker_id: i32) -> Option<String> {
    let elsewhere = image.topics().find_map(|topic| {
        let mut partitions = (0..).zip(&topic.partitions);
        let (index, _) = partitions.find(|(_, partition)| partition.broker_ids() != [broker_id])?;
        Some(format!("partition {}-{index}", topic.name))
    });
    let other = image.brokers().find(|broker| broker.id != broker_id);
    let what = elsewhere.or_else(|| other.map(|broker| format!("broker {}", broker.id)))?;
    Some(format!(
        "the directory is of a cluster with other brokers ({what} is not of this one alone): start with --voters, give every \
         partition this broker only (`tidemark partition move`), and remove the others (`tidemark cluster remove`)"
    ))
}

/// Lets partitions that are still groups of one be alone, too.
pub(in crate::node) fn end_groups(
    partitions: &Arc<Partitions>,
    mut stop: tokio::sync::watch::Receiver<bool>,
) -> Result<(), StartError> {
    if !partitions.has_members() {
        return Ok(());
    }
    partitions.join_groups(Groups::new(Arc::new(Nobody), GroupTiming::default())?);
    let ending = partitions.clone().run_groups();
    tasks::spawn(TaskKind::Groups, async move {
        tokio::select! {
            () = ending => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::metadata::{MetadataRecord, Replica, first_replicas};

    fn image(records: &[MetadataRecord]) -> Image {
        let mut image = Image::default();
        records.iter().for_each(|record| image.apply(record));
        image
    }

    #[test]
    fn alone_is_who_has_every_replica_and_no_other_broker() {
        let topic_id = Uuid::from_u128(7);
        let broker = MetadataRecord::registers;
        let topic = MetadataRecord::CreateTopic { topic_id, name: "t".into() };
        let partition = |partition, brokers: &[i32]| MetadataRecord::CreatePartition {
            topic_id,
            partition,
            replicas: first_replicas(brokers),
        };
        let records = [broker(1), topic, partition(0, &[1]), partition(1, &[2])];
        assert_eq!(not_alone(&image(&records[..3]), 1), None);
        assert!(not_alone(&image(&records), 1).unwrap().contains("partition t-1"));
        assert!(not_alone(&image(&records[..1]), 2).unwrap().contains("broker 1"));
        let moves = MetadataRecord::PartitionTarget { topic_id, partition: 0, target: Some(vec![Replica::new(2, 1)]) };
        let moving = image(&[&records[..3], &[moves]].concat());
        assert!(not_alone(&moving, 1).unwrap().contains("partition t-0"));
    }
}
