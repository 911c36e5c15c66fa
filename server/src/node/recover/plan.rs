//! What the metadata's log is told of groups that live on in one log: who is left, and which new replicas are to be filled. Pure.

use super::group::{Fate, Group};
use crate::metadata::{Image, MetadataRecord, NO_BROKER, Replica};

/// Records for every group that survives in one log. What other brokers hold of it will never be asked again: they get new ones.
pub(super) fn records(image: &Image, groups: &[Group]) -> Vec<MetadataRecord> {
    groups.iter().flat_map(|group| of_group(image, group).unwrap_or_default()).collect()
}

/// What the log that survives is called: as before, unless it lost that name, or had none.
pub(super) fn survivor(image: &Image, group: &Group) -> Option<Replica> {
    let found = group.survivor()?;
    let info = image.topic_by_id(group.key.0)?.partition(group.key.1)?;
    let other = Replica::new(found.broker_id, info.last_incarnation + 1);
    let kept = found.remains.node.filter(|_| !found.remains.given_up);
    Some(kept.map_or(other, Replica::from))
}

fn of_group(image: &Image, group: &Group) -> Option<Vec<MetadataRecord>> {
    let Fate::Survives { broker_id, epoch } = group.fate else { return None };
    let survivor = survivor(image, group)?;
    let (topic_id, partition) = group.key;
    let info = image.topic_by_id(topic_id)?.partition(partition)?;
    let mut last_incarnation = info.last_incarnation.max(survivor.incarnation);
    let target = info.wanted().iter().map(|wanted| {
        if wanted.broker_id == broker_id {
            return survivor;
        }
        last_incarnation += 1;
        Replica::new(wanted.broker_id, last_incarnation)
    });
    let target: Vec<Replica> = target.collect();
    let replicas = vec![survivor];
    let isr = vec![broker_id];
    Some(vec![
        // whoever led before may not report any more
        MetadataRecord::PartitionState { topic_id, partition, leader: NO_BROKER, leader_epoch: epoch, isr },
        MetadataRecord::PartitionTarget { topic_id, partition, target: None },
        MetadataRecord::PartitionReplicas { topic_id, partition, replicas: replicas.clone(), last_incarnation },
        MetadataRecord::PartitionTarget {
            topic_id,
            partition,
            target: Some(target).filter(|target| *target != replicas),
        },
    ])
}
